//! The end of a connection: it must not look like one that was cut.

use std::io::Read;

use testkit::{Client, H2Client, SOON, poll_until};

use crate::Site;

const TERMINATE: i32 = 15;

/// The end that a client finds. Without close_notify (RFC 8446 section 6.1) reading is an error.
fn ends_cleanly(client: &mut Client) -> bool {
    client.stream().set_read_timeout(Some(SOON)).unwrap();
    matches!(client.stream().read(&mut [0; 100]), Ok(0))
}

#[test]
fn a_drain_says_goodbye_in_every_protocol() {
    let site = Site::new();
    let mut palisade = site.start("tls = true", "");
    let tls = site.client("open.test");
    let mut idle = Client::connect_tls(palisade.address("https"), &tls);
    assert_eq!(idle.request("GET", "/", &[("Host", "open.test")], b"").status, 200);
    let mut http2 = H2Client::connect_tls(palisade.address("https"), &tls);
    assert_eq!(http2.get("/").status, 200);
    let mut asked = H2Client::connect_tls(palisade.address("https"), &tls);
    assert_eq!(asked.get("/").status, 200);
    palisade.signal(TERMINATE);
    assert!(ends_cleanly(&mut idle));
    for client in [&mut http2, &mut asked] {
        poll_until(SOON, "the connection to end", || client.is_closed(SOON));
        assert!(matches!(client.goaway(), Some((_, 0))), "{:?}", client.goaway());
    }
    assert!(palisade.wait_exit(SOON).success());
}

#[test]
fn an_answer_that_ends_the_connection_ends_tls_too() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    for request in [
        "GET / HTTP/1.1\r\nHost: open.test\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: open.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: protected.test\r\n\r\n",
    ] {
        let mut client = Client::connect_tls(palisade.address("https"), &site.client("open.test"));
        client.send(request);
        assert!(client.read_response().status >= 200);
        assert!(ends_cleanly(&mut client), "{request:?}");
    }
}
