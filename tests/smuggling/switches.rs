//! Requests to leave HTTP: upgrades and CONNECT. Until the origin has agreed, every byte is HTTP.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use testkit::{Origin, Script, canary, canary_on};

use crate::stage::{SMUGGLED, SOON, Stage, post};

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn upgrade(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

// Row 21

#[test]
fn bytes_behind_an_upgrade_go_through_the_rules_like_any_request() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/refused" => Script::answer(200, "no upgrade here"),
        _ => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    for fields in
        [WEBSOCKET, "Connection: Upgrade\r\nUpgrade: foo\r\n", "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n"]
    {
        let mut client = stage.connect();
        client.send(format!("{}GET /deny/smuggled HTTP/1.1\r\nHost: a\r\n\r\n", upgrade("/refused", fields)));
        let response = client.read_response();
        assert_eq!((response.status, response.text()), (200, "no upgrade here"), "{fields}");
        assert_eq!(response.header("Upgrade"), None);
        assert_eq!(client.read_response().status, 403, "the rule for /deny holds: {fields}");
        canary_on(&mut client, &stage.origin);
        canary(stage.front(), &stage.origin);
    }
    assert!(stage.origin.requests().iter().all(|request| !request.target.starts_with("/deny")));
}

#[test]
fn only_websocket_is_asked_of_the_origin() {
    let stage = Stage::new();
    let mut client = stage.connect();
    for protocol in [
        "foo",
        "h2c",
        "HTTP/2.0",
        "TLS/1.0",
        "websocket, h2c",
        "websocket/13",
        "h2c, websocket",
        "connect-udp",
    ] {
        client.send(upgrade("/p", &format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n")));
        assert_eq!(client.read_response().status, 200, "{protocol}");
        let request = stage.origin.requests().pop().unwrap();
        assert_eq!((request.header("Upgrade"), request.header("Connection")), (None, None), "{protocol}");
    }
    // Not asked for by `Connection`, or twice, is not asked for.
    for fields in ["Upgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: foo\r\n"]
    {
        client.send(upgrade("/p", fields));
        assert_eq!(client.read_response().status, 200);
        assert_eq!(stage.origin.requests().pop().unwrap().header("Upgrade"), None, "{fields}");
    }
    canary_on(&mut client, &stage.origin);
    canary(stage.front(), &stage.origin);
}

#[test]
fn an_upgrade_with_a_body_is_refused() {
    let body = "GET /smuggled HTTP/1.1\r\nHost: aaaaa\r\n\r\n";
    Stage::new().refuses(&[
        (post(&format!("{WEBSOCKET}Content-Length: 38\r\n"), body), 400, "upgrade_with_body"),
        (
            post("Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 38\r\n", body),
            400,
            "upgrade_with_body",
        ),
        (post(&format!("{WEBSOCKET}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n"), 400, "upgrade_with_body"),
    ]);
}

#[test]
fn a_101_that_was_not_asked_for_is_a_bad_gateway() {
    let origin = Origin::scripted(|request, _| {
        match request.target.as_str() {
        "/switch" => Script::new().send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw"),
        "/foo" => Script::new().send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nraw"),
        "/nothing" => Script::new().send("HTTP/1.1 101 Switching Protocols\r\n\r\nraw"),
        "/both" => Script::new().send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: foo\r\n\r\nraw",
        ),
        _ => Script::echo(request),
    }
    });
    let stage = Stage::before(origin, "");
    let cases = [
        ("/switch", ""),
        ("/switch", "Connection: Upgrade\r\nUpgrade: foo\r\n"),
        ("/foo", WEBSOCKET),
        ("/nothing", WEBSOCKET),
        ("/both", WEBSOCKET),
    ];
    for (target, fields) in cases {
        let mut client = stage.connect();
        client.send(format!("{}GET /deny HTTP/1.1\r\nHost: a\r\n\r\n", upgrade(target, fields)));
        assert_eq!(client.read_response().status, 502, "{target} {fields}");
        assert_eq!(client.read_response().status, 403, "what follows is a request: {target} {fields}");
        canary_on(&mut client, &stage.origin);
        canary(stage.front(), &stage.origin);
    }
    assert_eq!(stage.reasons(cases.len()), ["upstream_bad_upgrade"; 5]);
}

/// The bytes behind the request wait for the origin's word, and are the tunnel's when it agrees.
#[test]
fn nothing_is_sent_behind_an_upgrade_before_the_101() {
    let (agree, agreed) = channel::<()>();
    let agreed = Mutex::new(agreed);
    let origin = Origin::raw(move |mut connection, _| {
        let Ok(Some(request)) = connection.read_request() else { return };
        if request.target != "/chat" {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        if agreed.lock().unwrap().recv().is_err() {
            return;
        }
        let _ = connection.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        let mut bytes = vec![0; SMUGGLED.len()];
        connection.read_exact(&mut bytes).unwrap();
        connection.write_all(&bytes).unwrap();
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.connect();
    client.send(format!("{}{SMUGGLED}", upgrade("/chat", WEBSOCKET)));
    stage.origin.wait_requests(1, SOON);
    // The worker has one thread: when it has served somebody else it has had its time with the bytes above.
    assert_eq!(stage.connect().get("/other").status, 200);
    assert_eq!(stage.origin.unclaimed_bytes(), 0, "bytes that came before the 101");
    agree.send(()).unwrap();
    let response = client.read_response();
    assert_eq!((response.status, response.header("Upgrade")), (101, Some("websocket")));
    assert_eq!(client.read_to_end(), SMUGGLED.as_bytes());
}

// Row 22

#[test]
fn connect_is_refused_and_nothing_behind_it_is_read() {
    let targets = ["127.0.0.1:9", "a:443", "[::1]:443"];
    let mut cases = Vec::new();
    for target in targets {
        for fields in
            ["", "Content-Length: 0\r\n", "Connection: keep-alive\r\n", "Proxy-Connection: keep-alive\r\n"]
        {
            let message = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{fields}\r\n{SMUGGLED}");
            cases.push((message, 405, "method_refused"));
        }
    }
    cases.push((format!("CONNECT /p HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"), 400, "bad_target"));
    cases.push((format!("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"), 400, "bad_target"));
    cases.push((format!("CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n{SMUGGLED}"), 400, "bad_target"));
    Stage::new().refuses(&cases);
}

// Row 23

#[test]
fn an_upgrade_to_h2c_is_not_passed_on() {
    let stage = Stage::new();
    let mut client = stage.connect();
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: H2C\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    ] {
        client.send(upgrade("/p", fields));
        assert_eq!(client.read_response().status, 200);
        let request = stage.origin.requests().pop().unwrap();
        for name in ["Upgrade", "HTTP2-Settings", "Connection"] {
            assert_eq!(request.header(name), None, "{fields}");
        }
    }
    canary_on(&mut client, &stage.origin);
    canary(stage.front(), &stage.origin);
}

/// A client that speaks HTTP/2 at once finds nobody who does.
#[test]
fn the_preface_of_http_2_is_refused() {
    let stage = Stage::new();
    stage.refuses(&[("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "bad_version")]);
}
