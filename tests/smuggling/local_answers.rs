//! Answers that the proxy makes itself while a body is on its way: what is in the body is no request.

use std::time::Duration;

use testkit::{Client, Origin, canary, canary_on};

use crate::stage::{SMUGGLED, SOON, Stage};

/// Every way in which a request gets its answer without an origin: what to ask, and the status.
const LOCAL_ANSWERS: [(&str, &str, &str, u16); 9] = [
    ("POST", "/deny", "", 403),
    ("POST", "/moved", "", 308),
    ("POST", "/%2f", "", 400),
    ("POST", "/small", "", 413),
    ("POST", "/nowhere", "", 404),
    ("POST", "/gone", "", 502),
    ("TRACE", "/p", "", 405),
    ("OPTIONS", "/p", "Max-Forwards: 0\r\n", 204),
    ("POST", "/p", "CDN-Loop: a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u\r\n", 508),
];

fn stage() -> (Stage, Origin) {
    let mut gone = Origin::echo();
    let address = gone.address();
    gone.stop();
    let more = format!(
        r#"
        upstreams.gone.endpoints = ["{address}"]
        routes.gone = {{ path = "/gone", upstream = "gone" }}
        routes.nowhere = {{ path = "/nowhere", respond = {{ status = 404 }} }}
        "#
    );
    (Stage::before(Origin::echo(), &more), gone)
}

// Row 6

#[test]
fn a_body_behind_a_local_answer_is_never_a_request() {
    let (stage, _gone) = stage();
    for (method, path, fields, status) in LOCAL_ANSWERS {
        let methods: &[&str] =
            if method == "POST" { &["GET", "POST", "DELETE", "OPTIONS", "BREW"] } else { &[method] };
        for method in methods {
            // Once in a length, once in chunks.
            let length = format!("Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
            let chunks =
                format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
            for framed in [length, chunks] {
                let mut client = stage.connect();
                client.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}{framed}"));
                let response = client.read_response();
                assert_eq!(response.status, status, "{method} {path}");
                one_answer_and_then_a_canary(
                    &mut client,
                    response.header("Connection") == Some("close"),
                    &stage,
                );
            }
        }
    }
    stage.saw_no_smuggled_request();
}

#[test]
fn a_body_too_long_to_be_read_and_thrown_away_ends_the_connection() {
    let (stage, _gone) = stage();
    let body = SMUGGLED.repeat(10_000);
    for (path, status) in [("/deny", 403), ("/moved", 308), ("/small", 413)] {
        let mut client = stage.connect();
        let _ = client.try_send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let response = client.read_response();
        assert_eq!((response.status, response.header("Connection")), (status, Some("close")));
        one_answer_and_then_a_canary(&mut client, true, &stage);
    }
    stage.saw_no_smuggled_request();
}

/// A HEAD has no body in its answer, which is one more place where the two sides can fall out of step.
#[test]
fn a_body_of_a_head_request_is_never_a_request() {
    let (stage, _gone) = stage();
    for path in ["/deny", "/moved", "/small", "/p"] {
        let mut client = stage.connect();
        client.send(format!(
            "HEAD {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
            SMUGGLED.len()
        ));
        let closes = client.read_response_to_head().header("Connection") == Some("close");
        one_answer_and_then_a_canary(&mut client, closes, &stage);
    }
    stage.saw_no_smuggled_request();
}

#[track_caller]
fn one_answer_and_then_a_canary(client: &mut Client, closes: bool, stage: &Stage) {
    if closes {
        assert!(client.is_closed(SOON), "said that it closes");
        assert_eq!(client.unread(), "");
    } else {
        canary_on(client, &stage.origin);
    }
    canary(stage.front(), &stage.origin);
}

// Row 27

#[test]
fn a_client_in_the_middle_of_its_body_can_read_the_whole_answer() {
    let stage = Stage::new();
    let size = 10 << 20;
    let mut client = stage.connect();
    client.send(format!(
        "POST /small HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nContent-Length: {size}\r\n\r\n"
    ));
    let piece = [b'x'; 16 << 10];
    let mut sent = 0;
    while sent < size && client.try_send(piece).is_ok() {
        sent += piece.len();
    }
    let response = client.read_response();
    assert_eq!((response.status, response.header("Connection")), (413, Some("close")));
    assert!(response.text().ends_with("</html>\n"), "{}", response.text());
    assert!(client.is_closed(SOON));
    canary(stage.front(), &stage.origin);
    stage.saw_only_canaries();
}

/// The close comes, though the client neither closes nor stops sending.
#[test]
fn a_lingering_close_does_not_linger_for_ever() {
    let stage = Stage::new();
    let mut client = stage.connect();
    client.send("GET /p HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    testkit::poll_until(Duration::from_secs(10), "a send that fails", || client.try_send(SMUGGLED).is_err());
    canary(stage.front(), &stage.origin);
    stage.saw_only_canaries();
}

/// A close must not destroy an answer of the origin either, whatever the client sends behind its last request:
/// some send an empty line after a form.
#[test]
fn an_answer_survives_what_a_client_sends_behind_its_last_request() {
    let stage = Stage::new();
    for _ in 0..20 {
        let mut client = stage.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
        assert!(client.is_closed(SOON), "the proxy's side ends with the answer");
        // After a reset, which is what the first of these would be answered with, the others would fail.
        for _ in 0..3 {
            client.send("\r\n");
            canary(stage.front(), &stage.origin);
        }
        assert_eq!(client.read_response().text(), "hello");
    }
    canary(stage.front(), &stage.origin);
}
