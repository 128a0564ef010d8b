//! WebSocket over HTTP/2 (RFC 8441) in front of origins that speak HTTP/1.1.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::BASE64;
use testkit::http2::{error, setting};
use testkit::{Frame, H2Client, H2Failure, Origin, OriginConnection, Palisade, SOON, pattern, poll_until};

const SIGTERM: i32 = 15;

struct Stage {
    palisade: Palisade,
    origin: Origin,
}

impl Stage {
    fn before(origin: Origin) -> Stage {
        let config = format!(
            r#"
            listeners.http = {{ address = "127.0.0.1:0", http2 = true }}
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.origin.endpoints = ["{}"]
            routes.all.upstream = "origin"
            "#,
            origin.address()
        );
        Stage { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    fn client(&self) -> H2Client {
        H2Client::connect(self.palisade.address("http"))
    }

    /// A tunnel that is open.
    #[track_caller]
    fn open(&self, client: &mut H2Client) -> u32 {
        let stream = ask(client, &[]);
        assert_eq!(expect_head(client, stream), 200);
        stream
    }
}

/// Sends an extended CONNECT with further fields.
fn ask(client: &mut H2Client, more: &[(&str, &str)]) -> u32 {
    let head = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/chat?room=1"),
        ("sec-websocket-version", "13"),
        ("origin", "http://a.test"),
    ];
    client.open_with(&[&head[..], more].concat(), false)
}

#[track_caller]
fn expect_head(client: &mut H2Client, stream: u32) -> u16 {
    poll_until(SOON, "the head of the answer", || {
        client.take_in(Duration::from_millis(10));
        client.status(stream).is_some()
    });
    client.status(stream).unwrap_or_default()
}

#[track_caller]
fn expect_bytes(client: &mut H2Client, stream: u32, count: usize) {
    poll_until(SOON, "bytes of the tunnel", || {
        client.take_in(Duration::from_millis(10));
        client.received(stream) >= count
    });
}

/// The answer that agrees to the key of a request (RFC 6455 section 4.2.2).
fn agreement(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nX-Room: 1\r\n\r\n"
    )
}

/// Agrees, or answers as to a plain request; true when it has agreed.
fn agree(connection: &mut OriginConnection) -> bool {
    let Ok(Some(request)) = connection.read_request() else { return false };
    match request.header("Sec-WebSocket-Key") {
        Some(key) => connection.write_all(agreement(key).as_bytes()).is_ok(),
        None => {
            let _ =
                connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            false
        }
    }
}

/// Agrees, and then gives every byte back.
fn mirror() -> Origin {
    Origin::raw(|mut connection, _| {
        if !agree(&mut connection) {
            return;
        }
        let mut piece = [0; 64 << 10];
        while let Ok(count @ 1..) = connection.read(&mut piece) {
            if connection.write_all(&piece[..count]).is_err() {
                return;
            }
        }
    })
}

#[test]
fn an_extended_connect_becomes_an_upgrade() {
    let stage = Stage::before(mirror());
    let mut client = stage.client();
    let stream = stage.open(&mut client);
    assert_eq!(client.setting(setting::ENABLE_CONNECT_PROTOCOL), Some(1));
    client.send(&Frame::data(stream, "hello", true));
    let response = client.response(stream);
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert_eq!(response.header("x-room"), Some("1"));
    for name in ["sec-websocket-accept", "connection", "upgrade", "content-length"] {
        assert_eq!(response.header(name), None, "{name}");
    }

    let request = stage.origin.requests().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/chat?room=1"));
    assert_eq!(request.header("Host"), Some("a.test"));
    assert_eq!(request.headers.all("Connection"), ["Upgrade"]);
    assert_eq!(request.headers.all("Upgrade"), ["websocket"]);
    assert_eq!(request.header("Sec-WebSocket-Version"), Some("13"));
    assert_eq!(request.header("Origin"), Some("http://a.test"));
    let key = request.header("Sec-WebSocket-Key").expect("a key");
    assert_eq!(BASE64.decode(key.as_bytes()).expect("base64").len(), 16);
    assert!(stage.origin.violations().is_empty(), "{:?}", stage.origin.violations());
}

#[test]
fn much_passes_both_ways_at_once() {
    let stage = Stage::before(mirror());
    let mut client = stage.client();
    let stream = stage.open(&mut client);
    let sent = pattern(1 << 20);
    client.send_body(stream, &sent);
    assert!(client.response(stream).body == sent);
    let line = &stage.palisade.wait_access_log(1, |line| line.contains("/chat"))[0];
    assert!(line.contains(r#""received":1048576"#), "{line}");
}

/// The end of one direction is not the end of the other.
#[test]
fn an_origin_that_is_done_still_hears_the_client() {
    let origin = Origin::raw(|mut connection, _| {
        if agree(&mut connection) {
            let _ = connection.write_all(b"bye");
            let _ = connection.stream().shutdown(Shutdown::Write);
            let _ = connection.read_to_end(&mut Vec::new());
        }
    });
    let stage = Stage::before(origin);
    let mut client = stage.client();
    let stream = stage.open(&mut client);
    expect_bytes(&mut client, stream, 3);
    client.send(&Frame::data(stream, "last words", true));
    assert_eq!(client.response(stream).text(), "bye");
    poll_until(SOON, "the last words at the origin", || {
        stage.origin.connections().concat().ends_with(b"last words")
    });
}

#[test]
fn a_reset_stream_closes_the_connection_behind_it() {
    let stage = Stage::before(mirror());
    let mut client = stage.client();
    let stream = stage.open(&mut client);
    client.send(&Frame::reset(stream, error::CANCEL));
    poll_until(SOON, "the end of the origin's side", || stage.origin.open_connections() == 0);
    // Its neighbours live on.
    assert_eq!(client.get("/plain").text(), "ok");
}

#[test]
fn an_origin_that_breaks_resets_the_stream() {
    let origin = Origin::raw(|mut connection, _| {
        if agree(&mut connection) {
            let _ = connection.read(&mut [0; 1]);
            connection.reset();
        }
    });
    let stage = Stage::before(origin);
    let mut client = stage.client();
    let stream = stage.open(&mut client);
    client.send(&Frame::data(stream, "x", false));
    assert_eq!(client.outcome(stream).unwrap_err(), H2Failure::Reset(error::CANCEL));
}

#[test]
fn an_origin_that_does_not_agree_gives_no_tunnel() {
    let wrong = agreement("bm90IHRoaXMga2V5IG9uZQ==");
    let without = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let other = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    for (answer, status) in [(wrong.as_str(), 502), (without, 502), (other, 502), (refused, 403)] {
        let answer = answer.to_owned();
        let stage = Stage::before(Origin::raw(move |mut connection, _| {
            let Ok(Some(_)) = connection.read_request() else { return };
            let _ = connection.write_all(answer.as_bytes());
            let _ = connection.read(&mut [0; 1]);
        }));
        let mut client = stage.client();
        let stream = ask(&mut client, &[]);
        let response = client.response(stream);
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(status == 403, response.text() == "no");
    }
}

#[test]
fn what_is_no_websocket_is_a_broken_rule() {
    let stage = Stage::before(mirror());
    let mut client = stage.client();
    let unknown = [
        (":method", "CONNECT"),
        (":protocol", "connect-udp"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/chat"),
    ];
    let stream = client.open_with(&unknown, false);
    assert_eq!(client.outcome(stream).unwrap_err(), H2Failure::Reset(error::PROTOCOL_ERROR), "unknown");
    let stream = ask(&mut client, &[("content-length", "5")]);
    assert_eq!(client.outcome(stream).unwrap_err(), H2Failure::Reset(error::PROTOCOL_ERROR), "a length");
    assert_eq!(client.get("/plain").text(), "ok");
    assert_eq!(stage.origin.requests().len(), 1);
}

#[test]
fn tunnels_and_requests_share_a_connection() {
    let stage = Stage::before(mirror());
    let mut client = stage.client();
    let streams: Vec<u32> = (0..5).map(|_| stage.open(&mut client)).collect();
    for round in 1..4 {
        for (number, stream) in streams.iter().enumerate() {
            client.send(&Frame::data(*stream, number.to_string(), false));
        }
        assert_eq!(client.get("/plain").text(), "ok");
        for stream in &streams {
            expect_bytes(&mut client, *stream, round);
        }
    }
    for (number, stream) in streams.iter().enumerate() {
        client.send(&Frame::data(*stream, "", true));
        assert_eq!(client.response(*stream).text(), number.to_string().repeat(3));
    }
}

/// A process that ends says so and takes nothing new; a tunnel that is open goes on.
#[test]
fn a_drain_lets_tunnels_come_to_their_end() {
    let mut stage = Stage::before(mirror());
    let mut client = stage.client();
    let stream = stage.open(&mut client);
    stage.palisade.signal(SIGTERM);
    poll_until(SOON, "GOAWAY", || {
        client.take_in(Duration::from_millis(10));
        client.goaway().is_some()
    });
    client.send(&Frame::data(stream, "still here", true));
    assert_eq!(client.response(stream).text(), "still here");
    assert!(stage.palisade.wait_exit(SOON).success());
}
