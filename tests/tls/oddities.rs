//! What is no TLS, or not where it should be: it ends soon, and everybody else goes on.

use testkit::{Client, Palisade, SOON};

use crate::{Site, ask};

/// Bytes of a record with a part of a handshake.
fn record(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[22, 3, 1], &length[..], content].concat()
}

/// A hello that announces so many bytes and brings `brings`, in records of 16 KiB.
fn hello(announced: u32, brings: usize) -> Vec<u8> {
    let length = announced.to_be_bytes();
    let message = [&[1], &length[1..], &vec![3; brings]].concat();
    message.chunks(1 << 14).flat_map(record).collect()
}

fn still_serves(palisade: &mut Palisade, site: &Site) {
    for _ in 0..4 {
        assert_eq!(ask(palisade, &site.client("open.test")).unwrap(), (200, false));
    }
    assert!(palisade.is_running());
    let stderr = palisade.stderr();
    assert!(!stderr.contains("panic"), "{stderr}");
}

#[test]
fn plain_http_on_the_port_of_tls_is_told_so() {
    let site = Site::new();
    let mut palisade = site.start("tls = true", "");
    for request in [
        "GET / HTTP/1.1\r\nHost: open.test\r\n\r\n",
        "POST / HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = Client::connect(palisade.address("https"));
        client.send(request);
        let answer = client.read_response();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("This port speaks HTTPS"), "{}", answer.text());
        assert!(client.is_closed(SOON));
    }
    assert_eq!(site.origin.requests().len(), 0);
    still_serves(&mut palisade, &site);
}

#[test]
fn what_is_no_hello_ends_and_harms_nobody() {
    let site = Site::new();
    // Twice: where the name decides on the policy, and where there is only one policy.
    let one_policy = site
        .config("tls = { handshake_timeout = \"1s\" }", "")
        .replace("client_crl", "#")
        .replace("client_ca", "#");
    let several = site.config("tls = { handshake_timeout = \"1s\" }", "");
    let sslv2 = [&[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10][..], &[7; 37]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("half a record", vec![22, 3]),
        ("an empty record", vec![22, 3, 1, 0, 0]),
        ("many empty records", [22, 3, 1, 0, 0].repeat(20_000)),
        ("SSLv2", sslv2),
        ("zeros", vec![0; 4000]),
        ("ones", vec![0xff; 4000]),
        ("an alert", vec![21, 3, 3, 0, 2, 2, 40]),
        ("data", vec![23, 3, 3, 0, 5, 1, 2, 3, 4, 5]),
        ("a record that is too long", [&[22, 3, 1, 0xff, 0xff][..], &vec![1; 70_000]].concat()),
        ("the middle of a hello", hello(200, 100)),
        ("a hello of 17 KiB that says nothing", hello(17 << 10, 17 << 10)),
        ("a hello of 60 KiB that says nothing", hello(60 << 10, 60 << 10)),
        ("a hello of 16 MiB", hello(0x00ff_ffff, 1 << 20)),
        ("another message", record(&[2, 0, 0, 2, 3, 3])),
        ("a hello that says nothing", record(&[1, 0, 0, 0])),
    ];
    for config in [several, one_policy] {
        let mut palisade = Palisade::start(crate::site::BINARY, &config);
        for (what, bytes) in &cases {
            // Whoever goes on waiting is cut off, and whoever goes away is let go.
            for closes in [false, true] {
                let mut client = Client::connect(palisade.address("https"));
                let sent = client.try_send(bytes);
                if closes && sent.is_ok() {
                    client.finish_sending();
                }
                assert!(client.is_closed(SOON), "{what}, closes: {closes}");
                let answer = client.unread();
                assert!(!answer.contains("HTTP/1"), "{what}: {answer:?}");
            }
        }
        still_serves(&mut palisade, &site);
        let metrics = palisade.metrics();
        assert!(metrics.sum("tls_handshakes_failed_total", &[]) > 10.0, "{}", metrics.page());
    }
}

#[test]
fn tls_on_a_plain_port_is_no_request() {
    let site = Site::new();
    let mut palisade = site.start("tls = true", "[listeners.http]\naddress = \"127.0.0.1:0\"\n");
    let failed = Client::try_connect_tls(palisade.address("http"), &site.client("open.test"));
    assert!(failed.is_err());
    let mut raw = Client::connect(palisade.address("http"));
    raw.send(hello(200, 200));
    assert_eq!(raw.read_response().status, 400);
    assert!(raw.is_closed(SOON));
    assert_eq!(site.origin.requests().len(), 0);
    still_serves(&mut palisade, &site);
}
