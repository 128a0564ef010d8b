//! What comes before its time: invitations to send a body, hints, and answers to a request that is not over.

use std::io::{Read, Write};

use testkit::{Origin, Script, Step, pattern};

use crate::stage::{SOON, Stage};

#[test]
fn a_client_that_waits_is_invited_to_send_its_body() {
    let stage = Stage::new();
    for path in ["/echo", "/stream/echo"] {
        for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let body = if framing.starts_with("Content") { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" };
            let mut client = stage.client();
            client.send(format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
            ));
            let mut invitation = [0; 25];
            client.stream().set_read_timeout(Some(SOON)).unwrap();
            client.stream().read_exact(&mut invitation).unwrap();
            assert_eq!(invitation, *b"HTTP/1.1 100 Continue\r\n\r\n", "{path} {framing}");
            client.send(body);
            let response = client.read_response();
            assert_eq!(
                (response.text(), response.interim.len()),
                ("hello", 0),
                "{path} {framing}: one invitation"
            );
            stage.all_is_well(&mut client);
        }
    }
    assert!(stage.origin.requests().iter().all(|request| request.header("Expect").is_none()));
}

#[test]
fn a_client_that_does_not_wait_needs_no_invitation() {
    let stage = Stage::new();
    for path in ["/echo", "/stream/echo"] {
        let mut client = stage.client();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello"
        ));
        let response = client.read_response();
        assert_eq!((response.text(), response.interim.len()), ("hello", 0), "{path}");
        stage.all_is_well(&mut client);
        // An expectation about no body is none.
        let response = client.request("GET", "/canary-x", &[("Expect", "100-continue")], b"");
        assert_eq!((response.text(), response.interim.len()), ("x", 0));
        stage.all_is_well(&mut client);
    }
}

/// An origin that answers as soon as it has the head.
fn hasty_origin(answer: &'static str) -> Origin {
    Origin::raw(move |mut connection, _| {
        let mut received = Vec::new();
        let mut piece = [0; 64 << 10];
        let mut answered = false;
        loop {
            match connection.read(&mut piece) {
                Ok(count @ 1..) => received.extend_from_slice(&piece[..count]),
                _ => return,
            }
            let has_head = received.windows(4).any(|window| window == b"\r\n\r\n");
            if has_head && received.starts_with(b"GET") {
                let target = String::from_utf8_lossy(&received).split(' ').nth(1).unwrap().to_owned();
                let _ = connection.write_all(
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).as_bytes(),
                );
                received.clear();
            } else if has_head && !answered {
                let _ = connection.write_all(answer.as_bytes());
                answered = true;
            }
        }
    })
}

#[test]
fn an_early_answer_is_passed_on_and_the_rest_of_a_short_body_read() {
    let stage = Stage::before(hasty_origin("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "");
    let body = pattern(40_000);
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut client = stage.client();
        client.send(format!(
            "POST /stream/x HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: {}\r\n\r\n",
            body.len()
        ));
        if expect.is_empty() {
            client.send(&body[..10_000]);
        }
        let response = client.read_response();
        assert_eq!((response.status, response.text(), response.header("Connection")), (403, "no", None));
        client.send(if expect.is_empty() { &body[10_000..] } else { &body[..] });
        assert_eq!(client.get("/next").text(), "/next");
        assert_eq!(stage.client().get("/other").text(), "/other");
    }
}

#[test]
fn an_early_answer_before_a_long_body_ends_the_connection() {
    let stage = Stage::before(hasty_origin("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"), "");
    let mut client = stage.client();
    client.send("POST /stream/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nbeginning");
    let response = client.read_response();
    assert_eq!((response.status, response.text(), response.header("Connection")), (403, "no", Some("close")));
    assert!(client.is_closed(SOON));
    assert_eq!(stage.client().get("/other").text(), "/other");
}

/// The answer may be long, and the body go on while it comes.
#[test]
fn body_and_answer_may_cross() {
    let origin = Origin::raw(|mut connection, _| {
        let mut received = Vec::new();
        let mut piece = [0; 64 << 10];
        while !received.windows(4).any(|window| window == b"\r\n\r\n") {
            let count = connection.read(&mut piece).unwrap();
            received.extend_from_slice(&piece[..count]);
        }
        let head_end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let mut body = received.split_off(head_end);
        // Gives back what comes while it comes.
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").unwrap();
        connection.write_all(&body).unwrap();
        while body.len() < 1_000_000 {
            let count = connection.read(&mut piece).unwrap();
            body.extend_from_slice(&piece[..count]);
            connection.write_all(&piece[..count]).unwrap();
        }
        let _ = connection.read(&mut piece);
    });
    let stage = Stage::before(origin, "");
    let body = pattern(1_000_000);
    let mut client = stage.client();
    client.send("POST /stream/mirror HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let mut sender = client.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || sender.write_all(&pattern(1_000_000)));
    assert!(client.read_response().body == body);
    sending.join().unwrap().unwrap();
}

#[test]
fn hints_are_passed_on_to_who_understands_them() {
    let origin = Origin::scripted(|request, _| {
        match request.target.as_str() {
        "/hints" => Script::new()
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Private\r\nKeep-Alive: x\r\nContent-Length: 3\r\n\r\n")
            .send("HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        "/flood" => {
            let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
            Script::new().send(hint.repeat(100)).send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        _ => Script::echo(request),
    }
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    let response = client.get("/hints");
    assert_eq!(response.text(), "ok");
    let links: Vec<_> = response.interim.iter().map(|hint| (hint.status, hint.header("Link"))).collect();
    assert_eq!(links, [(103, Some("</a.css>")), (103, Some("</b.css>"))]);
    for gone in ["Connection", "Keep-Alive", "Content-Length"] {
        assert_eq!(response.interim[0].header(gone), None);
    }
    stage.all_is_well(&mut client);

    client.send("GET /hints HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.text(), response.interim.len()), ("ok", 0), "1.0 knows no interim answers");

    let mut client = stage.client();
    let response = client.get("/flood");
    assert_eq!((response.status, response.interim.len() <= 16), (502, true));
    stage.all_is_well(&mut client);
}

/// A hint that comes long before its answer is not kept until then.
#[test]
fn hints_do_not_wait_for_the_answer() {
    const HINT: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let origin = Origin::scripted(|_, _| Script::new().send(HINT).then(Step::HoldOpen));
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    client.send("GET /hints HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream().set_read_timeout(Some(SOON)).unwrap();
    let mut hint = vec![0; HINT.len()];
    client.stream().read_exact(&mut hint).unwrap();
    assert_eq!(hint, HINT.as_bytes());
}

#[test]
fn the_answer_to_an_upload_that_the_origin_cuts_off_is_still_read() {
    let origin = Origin::raw(|mut connection, _| {
        let mut piece = [0; 4096];
        let _ = connection.read(&mut piece);
        if piece.starts_with(b"GET") {
            let _ =
                connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        } else {
            let _ = connection.write_all(
                b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge",
            );
            let _ = connection.stream().shutdown(std::net::Shutdown::Write);
            while matches!(connection.read(&mut piece), Ok(1..)) {}
        }
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    client.send("POST /stream/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    let mut sender = client.stream().try_clone().unwrap();
    // An error here is the close that follows the answer.
    let sending = std::thread::spawn(move || drop(sender.write_all(&pattern(1_000_000))));
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (413, "large"));
    drop(client);
    sending.join().unwrap();
    assert_eq!(stage.client().get("/other").text(), "ok");
}
