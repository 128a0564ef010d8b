//! What a handshake may take, and what goes on after it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use testkit::{Client, Palisade, SOON, Stream, TlsVersion, poll_until, tls_alert};

use crate::site::{BINARY, reload};
use crate::{Site, ask};

#[test]
fn only_protocols_that_are_spoken_are_agreed_on() {
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let connect = |protocols: &[&str]| {
        let client = site.client("open.test").alpn(protocols);
        Client::try_connect_tls(palisade.address("https"), &client).map(|mut client| client.tls().alpn)
    };
    let refused = connect(&["ftp"]).unwrap_err();
    assert_eq!(tls_alert(&refused).as_deref(), Some("NoApplicationProtocol"), "{refused}");
    assert!(connect(&["h3", "smtp"]).is_err());
    for (offered, chosen) in
        [(&["ftp", "http/1.1"][..], Some("http/1.1")), (&["http/1.1", "h2"], Some("h2")), (&[], None)]
    {
        assert_eq!(connect(offered).unwrap().as_deref(), chosen, "{offered:?}");
    }
    let without = site.start("tls = true\nhttp2 = false", "");
    let client = site.client("open.test").alpn(&["h2"]);
    assert!(Client::try_connect_tls(without.address("https"), &client).is_err());
}

#[test]
fn a_hello_that_drips_is_cut_off_and_others_go_on() {
    let site = Site::new();
    let palisade = site.start("tls = { handshake_timeout = \"1s\" }", "");
    let mut slow = Client::connect(palisade.address("https"));
    let hello = [&[22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc, 3, 3][..], &[0; 8000]].concat();
    let dripping = std::thread::spawn(move || {
        // Twenty seconds and more, if nobody stops it.
        slow.send_slowly(&hello, Duration::from_millis(100)).is_err() || slow.is_closed(SOON)
    });
    let mut served = 0;
    while !dripping.is_finished() {
        assert_eq!(ask(&palisade, &site.client("open.test")).unwrap(), (200, false));
        served += 1;
    }
    assert!(dripping.join().unwrap());
    assert!(served > 0);
    palisade.wait_stderr("it took too long", SOON);
}

#[test]
fn one_client_has_so_many_handshakes_under_way_and_others_theirs() {
    let site = Site::new();
    let palisade = site.start("tls = { max_handshakes_per_client = 2, handshake_timeout = \"1m\" }", "");
    let address = palisade.address("https");
    let client = site.client("open.test");
    let refused = |palisade: &Palisade| {
        palisade.metrics().sum("connections_refused_total", &["limit=\"max_handshakes_per_client\""])
    };
    let mut begun: Vec<Client> = Vec::new();
    // One of these may be refused itself, when the question before it was not over on another worker.
    poll_until(SOON, "one more to be refused", || {
        let mut half = Client::connect(address);
        half.send([22, 3, 1]);
        begun.push(half);
        ask(&palisade, &client).is_err()
    });
    assert!(begun.len() >= 2, "refused behind the first");
    assert!(refused(&palisade) >= 1.0, "{}", palisade.metrics().page());
    let from_elsewhere = || {
        let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let stream = Stream::connect_from(elsewhere, address, SOON).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        client.handshake(stream).map(|_| ())
    };
    from_elsewhere().unwrap();
    drop(begun);
    poll_until(SOON, "the places to be free", || ask(&palisade, &client).is_ok());
}

/// A reload, or another list of revoked certificates, does not forget the handshakes that are under way.
#[test]
fn handshakes_under_way_count_over_a_reload() {
    let site = Site::new();
    let palisade = site.start("tls = { max_handshakes_per_client = 2, handshake_timeout = \"1m\" }", "");
    let address = palisade.address("https");
    let refused =
        || palisade.metrics().sum("connections_refused_total", &["limit=\"max_handshakes_per_client\""]);
    let half = || {
        let mut client = Client::connect(address);
        client.send([22, 3, 1]);
        client
    };
    let mut begun = Vec::new();
    poll_until(SOON, "one to be refused", || {
        begun.push(half());
        refused() >= 1.0
    });
    reload(&palisade);
    assert!(half().is_closed(SOON), "the reload has forgotten those that are under way");
    drop(begun);
    poll_until(SOON, "the places to be free", || ask(&palisade, &site.client("open.test")).is_ok());
}

/// Who has begun no handshake yet is not spoken to in plain text.
#[test]
fn a_connection_too_many_is_closed_without_a_word() {
    let site = Site::new();
    let usual = "server.workers = 2";
    let config = site.config("tls = true", "");
    let palisade = Palisade::start(
        BINARY,
        &config.replace(usual, &format!("{usual}\nserver.max_connections_per_client = 2")),
    );
    let address = palisade.address("https");
    let tls = site.client("open.test");
    let mut held: Vec<Client> = (0..2).map(|_| Client::connect_tls(address, &tls)).collect();
    for number in 1..=3 {
        assert_eq!(Client::connect(address).read_to_end(), b"", "the {number}th");
        let refused =
            || palisade.metrics().sum("connections_refused_total", &["limit=\"max_connections_per_client\""]);
        poll_until(SOON, "it to be counted", || refused() == f64::from(number));
    }
    for client in &mut held {
        assert_eq!(client.request("GET", "/", &[("Host", "open.test")], b"").status, 200);
    }
}

#[test]
fn ten_thousand_new_keys_cost_no_memory() {
    const UPDATES: usize = 10_000;
    let site = Site::new();
    let palisade = site.start("tls = true", "");
    let tls = site.client("open.test").only(TlsVersion::V13);
    let mut client = Client::connect_tls(palisade.address("https"), &tls);
    let get = |client: &mut Client| client.request("GET", "/", &[("Host", "open.test")], b"").status;
    assert_eq!(get(&mut client), 200);
    let before = resident(&palisade);
    let Stream::Tls(stream) = client.stream() else { panic!("no TLS") };
    // Closing the connection is an answer as well.
    let goes_on = stream.update_keys(UPDATES).is_ok();
    let grown = resident(&palisade).saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more");
    if goes_on {
        client.send("GET /after HTTP/1.1\r\nHost: open.test\r\n\r\n");
        assert!(client.try_read_response().map_or(true, |answer| answer.status == 200));
    }
    assert_eq!(ask(&palisade, &tls).unwrap(), (200, false));
}

/// KiB.
fn resident(palisade: &Palisade) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", palisade.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
