//! What the streams of one connection may cost together.

use std::time::Duration;

use testkit::http2::{Block, encode, error, setting};
use testkit::{Frame, H2Client, Origin, Palisade, SOON, poll_until};

fn proxy(origin: &Origin, more: &str) -> Palisade {
    let config = format!(
        r#"
        listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
        log.access = "{{dir}}/access.log"
        admin.address = "127.0.0.1:0"
        server.workers = 1
        upstreams.origin.endpoints = ["{}"]
        routes.all = {{ upstream = "origin", request_body = "stream" }}
        {more}
        "#,
        origin.address()
    );
    Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config)
}

/// Each of the heads is within its limits.
#[test]
fn heads_that_are_too_large_together_are_refused() {
    const ALL: usize = 60;
    let (origin, door) = Origin::holding();
    let palisade = proxy(&origin, "");
    let mut client = H2Client::connect(palisade.address("http"));
    // Some 28 KiB each, of which the table of the connection holds 4.
    let asked = encode(&client.head("GET", "/held", &[]));
    let repeated = [0x80 | 62; 6];
    let first: Vec<u8> =
        Block::new().raw(&asked).remembered("x-large", "x".repeat(3900)).raw(repeated).into();
    let next: Vec<u8> = Block::new().raw(&asked).raw([0x80 | 62; 7]).into();
    let streams: Vec<u32> = (0..ALL)
        .map(|number| {
            let stream = client.take_stream();
            let block = if number == 0 { first.clone() } else { next.clone() };
            client.send(&Frame::headers(stream, block, true));
            stream
        })
        .collect();
    let mut refused = Vec::new();
    poll_until(SOON, "all to be held or refused", || {
        client.take_in(Duration::from_millis(10));
        refused = streams.iter().filter(|&&stream| client.reset_code(stream).is_some()).copied().collect();
        origin.requests().len() + refused.len() == ALL
    });
    for &stream in &refused {
        assert_eq!(client.reset_code(stream), Some(error::REFUSED_STREAM));
    }
    // A mebibyte of them.
    let held = ALL - refused.len();
    assert!((30..=38).contains(&held), "{held} heads");
    palisade.wait_access_log(refused.len(), |line| line.contains("\"reason\":\"heads_too_large\""));
    door.open();
    for stream in streams.into_iter().filter(|stream| !refused.contains(stream)) {
        assert_eq!(client.response(stream).status, 200);
    }
    // There is room again.
    let stream = client.take_stream();
    client.send(&Frame::headers(stream, next, true));
    assert_eq!(client.response(stream).status, 200);
}

/// Each stream that is too slow ends; the connection does when there always is another one.
#[test]
fn streams_that_trickle_one_after_the_other_are_one_slow_client() {
    let origin = Origin::echo();
    let palisade = proxy(&origin, "server.rate_grace = \"1s\"");
    let mut client = H2Client::connect(palisade.address("http"));
    let mut open: Vec<u32> = Vec::new();
    poll_until(SOON * 3, "the connection to end", || {
        open.retain(|&stream| client.reset_code(stream).is_none() && client.status(stream).is_none());
        while open.len() < 5 && client.goaway().is_none() {
            let stream = client.take_stream();
            let head = client.head("POST", "/echo", &[("content-length", "10000")]);
            let sent = client.try_send(&Frame::headers(stream, encode(&head), false));
            let sent = sent.and_then(|()| client.try_send(&Frame::data(stream, b"x", false)));
            if sent.is_err() {
                break;
            }
            open.push(stream);
        }
        !client.take_in(Duration::from_millis(50))
    });
    assert!(matches!(client.goaway(), Some((_, error::ENHANCE_YOUR_CALM))), "{:?}", client.goaway());
    palisade.wait_stderr("h2_too_slow", SOON);
    assert_eq!(palisade.metrics().sum("connections_abusive_total", &[]), 1.0);
}

/// One that rests is not the whole client.
#[test]
fn a_stream_that_is_too_slow_takes_no_other_with_it() {
    let origin = Origin::echo();
    let palisade = proxy(&origin, "server.rate_grace = \"1s\"");
    let mut client = H2Client::connect_with(palisade.address("http"), &[(setting::INITIAL_WINDOW_SIZE, 100)]);
    client.hold_windows();
    let waiting = client.open("GET", "/slow/4000", &[], true);
    for _ in 0..2 {
        let resting = client.open("GET", "/bytes/100000", &[], true);
        poll_until(SOON, "the slow one to end", || {
            client.take_in(Duration::from_millis(20));
            client.reset_code(resting).is_some()
        });
        assert_eq!(client.get("/canary-1").text(), "1");
    }
    assert_eq!(client.response(waiting).status, 200);
    assert_eq!(client.goaway(), None);
}
