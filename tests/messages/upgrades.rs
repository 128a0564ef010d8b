//! WebSocket and its like: a tunnel of bytes, once the origin has agreed to it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use testkit::{Client, Origin, Script, pattern};

use crate::stage::{SOON, Stage};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An origin that agrees and then gives every byte back.
fn mirror() -> Origin {
    Origin::raw(|mut connection, _| {
        let Ok(Some(request)) = connection.read_request() else { return };
        if request.header("Upgrade") != Some("websocket") {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            return;
        }
        // The first frame comes in the same segment as the agreement.
        connection.write_all(format!("{AGREE}hello from the origin").as_bytes()).unwrap();
        let mut piece = [0; 64 << 10];
        while let Ok(count @ 1..) = connection.read(&mut piece) {
            if connection.write_all(&piece[..count]).is_err() {
                return;
            }
        }
    })
}

fn upgraded(stage: &Stage) -> Client {
    let mut client = stage.client();
    client.send(ASK);
    let response = client.read_response();
    assert_eq!(response.status, 101);
    assert_eq!(response.headers.all("Connection"), ["Upgrade"]);
    assert_eq!(response.headers.all("Upgrade"), ["websocket"]);
    assert_eq!(response.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    client
}

#[test]
fn bytes_pass_both_ways_and_each_way_ends_alone() {
    let stage = Stage::before(mirror(), "");
    let mut client = upgraded(&stage);
    let request = stage.origin.requests().pop().unwrap();
    assert_eq!(request.headers.all("Connection"), ["Upgrade"]);
    assert_eq!(request.headers.all("Upgrade"), ["websocket"]);
    assert_eq!(request.header("Sec-WebSocket-Key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));

    let mut sender = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || {
        sender.write_all(&pattern(3_000_000)).unwrap();
        // The client says that it is done; what it sent still comes back.
        sender.shutdown(Shutdown::Write).unwrap();
    });
    let received = client.read_to_end();
    sending.join().unwrap();
    let greeting = b"hello from the origin";
    assert!(received.starts_with(greeting));
    assert!(received[greeting.len()..] == pattern(3_000_000), "{} bytes came back", received.len());

    let line = &stage.palisade.wait_access_log(1, |line| line.contains(r#""status":101"#))[0];
    assert!(line.contains(r#""received":3000000"#), "{line}");
    assert_eq!(stage.client().get("/plain").text(), "ok");
}

#[test]
fn an_origin_that_is_done_still_hears_the_client() {
    let origin = Origin::raw(|mut connection, _| {
        let Ok(Some(_)) = connection.read_request() else { return };
        connection.write_all(format!("{AGREE}bye").as_bytes()).unwrap();
        connection.stream().shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = connection.read_to_end(&mut rest);
    });
    let stage = Stage::before(origin, "");
    let mut client = upgraded(&stage);
    assert_eq!(client.read_to_end(), b"bye");
    client.send("last words");
    client.finish_sending();
    testkit::poll_until(SOON, "the last words at the origin", || {
        stage.origin.connections().concat().ends_with(b"last words")
    });
}

/// Whoever vanishes is missed on the other side.
#[test]
fn a_side_that_breaks_ends_the_tunnel() {
    let stage = Stage::before(mirror(), "");
    let mut client = upgraded(&stage);
    client.stream().reset_on_close().unwrap();
    drop(client);
    testkit::poll_until(SOON, "the end of the origin's side", || stage.origin.open_connections() == 0);
}

#[test]
fn a_refused_upgrade_stays_http() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/chat" => {
            Script::answer_with(426, &[("Upgrade", "websocket"), ("Connection", "Upgrade")], "not here")
        }
        _ => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    client.send(ASK);
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (426, "not here"));
    stage.all_is_well(&mut client);
}

#[test]
fn a_silent_tunnel_is_closed_after_its_time() {
    let stage = Stage::before(mirror(), r#"server.tunnel_idle_timeout = "300ms""#);
    let mut client = upgraded(&stage);
    client.send("x");
    assert_eq!(client.read_to_end(), b"hello from the originx");
    testkit::poll_until(SOON, "the end of the origin's side", || stage.origin.open_connections() == 0);
}

/// HTTP/1.0 cannot upgrade, so it is not asked of the origin.
#[test]
fn an_upgrade_in_http_1_0_is_a_plain_request() {
    let stage = Stage::before(mirror(), "");
    let mut client = stage.client();
    client.send(ASK.replace("HTTP/1.1", "HTTP/1.0"));
    assert_eq!(client.read_response().text(), "ok");
}
