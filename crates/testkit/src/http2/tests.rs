//! Client and origin of the kit with each other, and each with nghttp2 and curl.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::others::nghttpd;
use crate::{Authority, Leaf, SOON, TlsClient, TlsServer, pattern, poll_until, temp_dir};

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn whole_exchanges() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let mut client = H2Client::connect(origin.address());
    assert_eq!(client.get("/canary-7").text(), "7");
    assert!(client.get("/chunked/300000").body == pattern(300_000));
    let body = pattern(200_000);
    let echoed = client.request("POST", "/echo", &[("content-type", "a/b")], &body);
    assert!(echoed.body == body && echoed.header("content-type") == Some("a/b"));
    assert_eq!(client.request("HEAD", "/bytes/10", &[], b"").header("content-length"), Some("10"));
    assert_eq!(client.get("/status/204").status, 204);
    let seen = &origin.requests()[2];
    assert_eq!((seen.method(), seen.path(), seen.body.len()), ("POST", "/echo", 200_000));
    assert_eq!(seen.header(":scheme"), Some("http"));
    assert_eq!((origin.connections(), origin.violations()), (1, vec![]));
}

#[test]
fn streams_go_on_beside_each_other() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let mut client = H2Client::connect(origin.address());
    let slow = client.open("GET", "/slow/400", &[], true);
    let quick = client.open("GET", "/canary-1", &[], true);
    assert_eq!(client.response(quick).text(), "1");
    assert_eq!(client.status(slow), None, "the slow one came first");
    assert_eq!(client.response(slow).text(), "slow\n");
    assert_eq!(origin.most_concurrent(), 2);
}

#[test]
fn over_tls() {
    let authority = Authority::new("Root");
    let server = TlsServer::new(&authority.issue(Leaf::server(&["a.test"]))).alpn(&["h2"]);
    let origin = H2Origin::echo(H2OriginOptions::new().tls(server));
    let mut client = H2Client::connect_tls(origin.address(), &TlsClient::trusting(&authority, "a.test"));
    assert!(client.get("/bytes/200000").body == pattern(200_000));
    assert_eq!(client.tls().alpn.as_deref(), Some("h2"));
    assert_eq!(origin.requests()[0].header(":scheme"), Some("https"));
}

#[test]
fn scripts_interim_heads_trailers_resets_and_goodbyes() {
    let origin =
        H2Origin::scripted(H2OriginOptions::new(), |request, _| match request.path() {
            "/hints" => H2Script::new()
                .head(103, &[("link", "</a>")], false)
                .head(200, &[], false)
                .data("x", false)
                .trailers(&[("grpc-status", "0")]),
            "/reset" => H2Script::new().head(200, &[], false).reset(error::INTERNAL_ERROR),
            "/refused" => H2Script::new().reset(error::REFUSED_STREAM),
            "/away" => H2Script::new()
                .then(H2Step::GoAway { at: GoAwayAt::Here, code: error::NO_ERROR })
                .head(200, &[], true),
            "/late" => H2Script::new().then(H2Step::GoAway { at: GoAwayAt::Before, code: error::NO_ERROR }),
            "/close" => H2Script::new().then(H2Step::Close),
            _ => H2Script::new(),
        });
    let mut client = H2Client::connect(origin.address());
    let hints = client.get("/hints");
    assert_eq!(hints.interim[0].get("link"), Some("</a>"));
    assert_eq!((hints.text(), hints.trailers.get("grpc-status")), ("x", Some("0")));
    for (path, failure) in [
        ("/reset", H2Failure::Reset(error::INTERNAL_ERROR)),
        ("/refused", H2Failure::Reset(error::REFUSED_STREAM)),
        ("/late", H2Failure::GoAway { last: 5, code: error::NO_ERROR }),
    ] {
        let stream = client.open("GET", path, &[], true);
        assert_eq!(client.outcome(stream).unwrap_err(), failure, "{path}");
    }
    let mut client = H2Client::connect(origin.address());
    assert_eq!(client.get("/away").status, 200);
    assert_eq!(client.goaway(), Some((1, error::NO_ERROR)));
    let stream = client.open("GET", "/close", &[], true);
    assert!(client.outcome(stream).is_err());
    let mut client = H2Client::connect(origin.address());
    client.set_deadline(Duration::from_millis(50));
    let stream = client.open("GET", "/silence", &[], true);
    assert_eq!(client.outcome(stream).unwrap_err(), H2Failure::Silence);
}

#[test]
fn windows_hold_bodies_back() {
    let origin = H2Origin::echo(H2OriginOptions::new().setting(setting::INITIAL_WINDOW_SIZE, 100));
    let mut client = H2Client::connect_with(origin.address(), &[(setting::INITIAL_WINDOW_SIZE, 10)]);
    client.hold_windows();
    let stream = client.open("GET", "/bytes/50", &[], true);
    poll_until(SOON, "the first ten bytes", || {
        client.take_in(Duration::from_millis(5));
        client.received(stream) == 10
    });
    client.send(&Frame::window_update(stream, 40));
    assert_eq!(client.response(stream).body.len(), 50);
    let body = pattern(5000);
    let stream = client.open("POST", "/canary-2", &[], false);
    client.send_body(stream, &body);
    assert_eq!(client.response(stream).text(), "2");
    let frames = origin.frames().remove(0);
    let largest = frames.iter().filter(|frame| frame.kind == kind::DATA).map(|frame| frame.payload.len());
    assert_eq!((largest.max(), origin.violations()), (Some(100), vec![]));
}

#[test]
fn an_early_script_and_an_origin_that_gives_no_window() {
    let options = H2OriginOptions::new().early().hold_windows();
    let origin = H2Origin::scripted(options, |_, _| H2Script::answer(413, "too much"));
    let mut client = H2Client::connect(origin.address());
    let stream = client.open("POST", "/", &[], false);
    assert_eq!(client.response(stream).status, 413);
    client.send(&Frame::data(stream, pattern(16_384), false));
    origin.wait_streams(SOON, "a body without an end", |streams| {
        streams.first().is_some_and(|request| request.body.len() == 16_384 && !request.complete)
    });
    client.send(&Frame::reset(stream, error::CANCEL));
    origin.wait_streams(SOON, "the reset", |streams| streams[0].reset == Some(error::CANCEL));
}

#[test]
fn the_origin_notices_broken_rules() {
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
    for (frames, rule) in [
        (vec![Frame::headers(1, encode(&[&head[..], &[("Upper", "1")]].concat()), true)], "Upper"),
        (
            vec![Frame::headers(1, encode(&[&head[..], &[("connection", "close")]].concat()), true)],
            "connection",
        ),
        (vec![Frame::headers(1, encode(&[&head[..], &[("x", "a\r\nb: c")]].concat()), true)], "\\r\\n"),
        (
            vec![Frame::headers(1, encode(&[&head[..], &[("content-length", "4")]].concat()), true)],
            "content-length",
        ),
        (vec![Frame::headers(1, Block::new().indexed(99), true)], "index 99"),
        (vec![Frame::headers_begun(1, encode(&head), true), Frame::ping([0; 8])], "inside a header block"),
        (vec![Frame::data(1, "x", true)], "idle stream"),
        (
            vec![Frame::headers(1, encode(&head), false), Frame::data(1, vec![0; 101], true)],
            "beyond the window",
        ),
    ] {
        let origin = H2Origin::echo(H2OriginOptions::new().setting(setting::INITIAL_WINDOW_SIZE, 100));
        let mut client = H2Client::connect(origin.address());
        client.frame_of(kind::SETTINGS);
        client.send(&Frame::settings_ack());
        for frame in frames {
            client.send(&frame);
        }
        poll_until(SOON, rule, || !origin.violations().is_empty());
        assert!(origin.violations()[0].contains(rule), "{:?}, not {rule}", origin.violations());
    }
}

#[test]
fn nghttp_and_curl_are_served_by_our_origin() {
    let origin = H2Origin::echo(H2OriginOptions::new().setting(setting::MAX_CONCURRENT_STREAMS, 100));
    let url = format!("http://{}/bytes/100000", origin.address());
    assert!(run("nghttp", &[&url]).into_bytes() == pattern(100_000));
    assert!(run("curl", &["-sS", "--http2-prior-knowledge", &url]).into_bytes() == pattern(100_000));
    assert_eq!(
        run("curl", &["-sS", "--http2-prior-knowledge", "-d", "a=b", &url.replace("bytes/100000", "echo")]),
        "a=b"
    );
    assert_eq!((origin.requests().len(), origin.violations()), (3, vec![]));
}

#[test]
fn our_client_is_served_by_nghttpd() {
    let dir = temp_dir();
    std::fs::write(dir.join("page"), pattern(300_000)).unwrap();
    let authority = Authority::new("Root");
    let files = authority.issue(Leaf::server(&["a.test"])).write_to(&dir, "a");
    for tls in [false, true] {
        let server = nghttpd(&dir, tls.then_some(&files), &["--echo-upload", "--trailer", "x-last: 1"]);
        let port = server.address;
        let mut client = match tls {
            true => H2Client::connect_tls(port, &TlsClient::trusting(&authority, "a.test")),
            false => H2Client::connect(port),
        };
        let page = client.get("/page");
        assert!(page.body == pattern(300_000));
        assert_eq!((page.status, page.trailers.get("x-last")), (200, Some("1")));
        assert!(page.header("server").is_some_and(|name| name.starts_with("nghttpd")), "{page:?}");
        assert!(client.request("POST", "/up", &[], &pattern(100_000)).body == pattern(100_000));
        client.send(&Frame::data(1, "on a closed stream", false));
        assert!(client.is_closed(SOON));
        assert!(client.goaway().is_some());
        drop(server);
    }
}
