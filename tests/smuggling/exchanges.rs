//! Requests that wait, pause, are early, or come many at a time.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use testkit::{Origin, canary, canary_on};

use crate::stage::{SMUGGLED, SOON, Stage, get, post};

// Row 18

#[test]
fn only_the_exact_expectation_is_met() {
    let cases = ["y 100-continue", "100-continue, y", "42", "", "100-continue;q=1", "100-Continue x"];
    let mut cases = cases
        .map(|value| {
            (post(&format!("Expect: {value}\r\nContent-Length: 44\r\n"), SMUGGLED), 417, "bad_expectation")
        })
        .to_vec();
    cases.push((
        post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 44\r\n", SMUGGLED),
        417,
        "bad_expectation",
    ));
    cases.push((get("Expect: 42\r\n"), 417, "bad_expectation"));
    Stage::new().refuses(&cases);
}

#[test]
fn an_expectation_in_http_1_0_is_ignored_and_not_passed_on() {
    let stage = Stage::new();
    let mut client = stage.connect();
    client.send("POST /p HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.read_response();
    assert_eq!((response.status, response.interim.len()), (200, 0));
    let request = &stage.origin.requests()[0];
    assert_eq!((request.body.as_slice(), request.header("Expect")), (&b"hello"[..], None));
    canary(stage.front(), &stage.origin);
}

#[test]
fn an_answer_of_our_own_comes_instead_of_the_invitation() {
    let stage = Stage::new();
    let head = |path: &str, length: usize| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    for (path, status) in [("/deny", 403), ("/small", 413), ("/moved", 308)] {
        let mut client = stage.connect();
        client.send(head(path, SMUGGLED.len()));
        let response = client.read_response();
        assert_eq!((response.status, response.interim.len()), (status, 0), "{path}");
        // Whether the body comes now is open, so nothing that comes may be read as a request.
        assert_eq!(response.header("Connection"), Some("close"), "{path}");
        let _ = client.try_send(SMUGGLED);
        assert_eq!(client.read_to_end(), b"", "{path}");
        canary(stage.front(), &stage.origin);
    }
    stage.saw_only_canaries();
}

/// An origin that answers the head of a request at once and never reads its body: its connection has
/// unread bytes on it and must not be used again.
#[test]
fn an_early_answer_leaves_no_body_on_either_connection() {
    let origin = Origin::raw(|mut connection, _| {
        let mut received = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = connection.read(&mut piece) {
            received.extend_from_slice(&piece[..count]);
            if received.starts_with(b"POST /stream/early") && received.ends_with(b"\r\n\r\n") {
                let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly");
                received.clear();
            } else if received.ends_with(b"\r\n\r\n") {
                let target = String::from_utf8_lossy(&received).split(' ').nth(1).unwrap().to_owned();
                let _ = connection.write_all(
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).as_bytes(),
                );
                received.clear();
            }
        }
    });
    let stage = Stage::before(origin, "");
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = stage.connect();
        client.send(format!(
            "POST /stream/early HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: {}\r\n\r\n",
            SMUGGLED.len()
        ));
        let response = client.read_response();
        assert_eq!((response.status, response.text()), (403, "early"));
        client.send(SMUGGLED);
        client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.read_response().text(), "/next", "the body was read and thrown away");
        let mut other = stage.connect();
        assert_eq!(other.get("/other").text(), "/other");
    }
    for connection in stage.origin.connections() {
        assert!(!connection.escape_ascii().to_string().contains("smuggled"), "{}", connection.escape_ascii());
    }
}

// Row 19

#[test]
fn a_body_that_pauses_too_long_ends_the_connection() {
    let patience = r#"server.rate_grace = "300ms""#;
    for path in ["/p", "/stream/p"] {
        let stage = Stage::before(Origin::echo(), patience);
        let mut client = stage.connect();
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", SMUGGLED.len()));
        let response = client.read_response();
        assert_eq!((response.status, response.header("Connection")), (408, Some("close")));
        assert!(client.is_closed(SOON));
        let _ = client.try_send(SMUGGLED);
        assert_eq!(client.read_to_end(), b"");
        assert_eq!(stage.reasons(1), ["body_timeout"]);
        canary(stage.front(), &stage.origin);
        stage.saw_no_smuggled_request();
    }
}

#[test]
fn a_head_that_pauses_too_long_ends_the_connection() {
    let stage = Stage::before(Origin::echo(), r#"server.head_timeout = "300ms""#);
    stage.refuses(&[("GET /p HTTP/1.1\r\nHost: a\r\nX: ", 408, "head_timeout")]);
}

// Row 20

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let stage = Stage::new();
    let burst = "GET /canary-a HTTP/1.1\r\nHost: a\r\n\r\n\
                 POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
                 POST /stream/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n\
                 GET /canary-b HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 0..burst.len() {
        let mut client = stage.connect();
        client.send(&burst[..cut]);
        client.send(&burst[cut..]);
        let answers = ["a", "hello", "world", "b"];
        for answer in answers {
            assert_eq!(client.read_response().text(), answer, "cut at {cut}");
        }
        assert_eq!(client.unread(), "");
    }
    canary(stage.front(), &stage.origin);
}

#[test]
fn a_burst_after_idle_time_and_a_half_close_are_served() {
    let stage = Stage::new();
    let mut client = stage.connect();
    canary_on(&mut client, &stage.origin);
    assert!(!client.is_closed(Duration::from_millis(150)), "it stays open while nothing happens");
    client.send(
        (0..20)
            .map(|number| format!("GET /canary-n{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .collect::<String>(),
    );
    client.finish_sending();
    for number in 0..20 {
        assert_eq!(client.read_response().text(), format!("n{number}"));
    }
    assert_eq!(client.read_to_end(), b"");
    canary(stage.front(), &stage.origin);
}

#[test]
fn an_error_among_pipelined_requests_ends_the_connection_after_the_answers_before_it() {
    let stage = Stage::new();
    let mut client = stage.connect();
    let good = "GET /canary-good HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("{good}{good}GET /bad\r\n\r\n{SMUGGLED}"));
    assert_eq!(client.read_response().text(), "good");
    assert_eq!(client.read_response().text(), "good");
    assert_eq!(client.read_response().status, 400);
    assert_eq!(client.read_to_end(), b"");
    assert_eq!(stage.origin.requests().len(), 2);
    stage.saw_no_smuggled_request();
    canary(stage.front(), &stage.origin);
}

/// What a client sends behind its last request is not looked at.
#[test]
fn nothing_is_read_behind_a_request_that_closes() {
    let stage = Stage::new();
    for last in [
        "GET /canary-last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /canary-last HTTP/1.0\r\nHost: a\r\n\r\n",
    ] {
        let mut client = stage.connect();
        client.send(format!("{last}{SMUGGLED}"));
        assert_eq!(client.read_response().text(), "last");
        assert_eq!(client.read_to_end(), b"");
        canary(stage.front(), &stage.origin);
    }
    stage.saw_no_smuggled_request();
}

/// The pool must not hand out a connection on which the origin says what nobody asked for.
#[test]
fn an_origin_that_says_too_much_poisons_nobody() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (answered, client_is_answered) = channel::<()>();
    let (said, poison_is_out) = channel::<()>();
    let client_is_answered = Mutex::new(client_is_answered);
    let origin = Origin::raw(move |mut connection, number| {
        let Ok(Some(_)) = connection.read_request() else { return };
        match number {
            // Together with the answer, and when the connection is back in the pool.
            0 => connection.write_all(format!("{answer}{poison}").as_bytes()).unwrap(),
            1 => {
                connection.write_all(answer.as_bytes()).unwrap();
                client_is_answered.lock().unwrap().recv().unwrap();
                connection.write_all(poison.as_bytes()).unwrap();
                said.send(()).unwrap();
            }
            _ => connection.write_all(answer.as_bytes()).unwrap(),
        }
        let _ = connection.read_request();
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.connect();
    assert_eq!(client.get("/first").text(), "ok");
    assert_eq!(client.get("/second").text(), "ok", "not what came behind the first answer");
    answered.send(()).unwrap();
    poison_is_out.recv_timeout(SOON).unwrap();
    assert_eq!(client.get("/third").text(), "ok", "not what came into the pool");
    let paths: Vec<_> =
        stage.origin.requests().into_iter().map(|request| (request.connection, request.target)).collect();
    assert_eq!(paths, [(0, "/first".to_owned()), (1, "/second".to_owned()), (2, "/third".to_owned())]);
}
