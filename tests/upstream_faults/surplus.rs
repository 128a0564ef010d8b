//! More bytes than the answer has.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use testkit::{Origin, SOON, Script, canary, canary_on, poll_until};

use crate::idle_deaths::{answer_one, executed};
use crate::stage::{ONE_WORKER, canaries_and, proxy_for};

pub const SECOND_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Evil: 1\r\n\r\npoison";

/// What comes behind an answer is thrown away, with its connection.
fn expect_surplus_is_dropped(method: &str, answer: &str, status: u16, body: &str) {
    let answer = answer.to_owned();
    let case = format!("{method} {answer:?}");
    let origin = canaries_and(move |_| Script::new().send(answer.clone()));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    let response = client.request(method, "/surplus", &[], b"");
    assert_eq!((response.status, response.text()), (status, body), "{case}");
    assert_eq!(response.header("X-Evil"), None, "{case}");
    canary_on(&mut client, &origin);
    canary(palisade.address("http"), &origin);
    let requests = origin.requests();
    assert_ne!(requests[0].connection, requests[1].connection, "{case}: the connection was used again");
}

#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    for (answer, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ] {
        for surplus in [SECOND_ANSWER, "\r\n", "x"] {
            expect_surplus_is_dropped("GET", &format!("{answer}{surplus}"), 200, body);
        }
    }
}

#[test]
fn a_body_where_none_may_be_is_nobodys_answer() {
    for (method, answer, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\nhello", 204),
        ("GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 204),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", 304),
    ] {
        expect_surplus_is_dropped(method, answer, status, "");
        if method == "HEAD" {
            expect_surplus_is_dropped(method, &format!("{answer}{SECOND_ANSWER}"), status, "");
        }
    }
}

/// The response to a HEAD and a 304 may announce a length without a body; the connection stays good.
#[test]
fn announced_lengths_without_a_body_keep_the_connection() {
    let origin = canaries_and(|request| match request.method.as_str() {
        "HEAD" => Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        _ => Script::new().send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"),
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    for _ in 0..3 {
        assert_eq!(client.request("HEAD", "/announced", &[], b"").header("Content-Length"), Some("5"));
        assert_eq!(client.get("/announced").status, 304);
        canary_on(&mut client, &origin);
    }
    assert_eq!(origin.connections().len(), 1);
}

#[test]
fn what_is_said_on_an_idle_connection_is_nobodys_answer() {
    for said in [SECOND_ANSWER, "\r\n", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let speak = Arc::new(AtomicBool::new(false));
        let spoken = Arc::new(AtomicBool::new(false));
        let origin = Origin::raw({
            let (speak, spoken) = (speak.clone(), spoken.clone());
            move |mut connection, number| {
                while let Ok(true) = answer_one(&mut connection) {
                    if number == 0 && !spoken.load(SeqCst) {
                        poll_until(SOON, "the word", || speak.load(SeqCst));
                        let _ = connection.write_all(said.as_bytes());
                        spoken.store(true, SeqCst);
                    }
                }
            }
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        assert_eq!(client.get("/first").status, 200);
        speak.store(true, SeqCst);
        poll_until(SOON, "the unasked bytes", || spoken.load(SeqCst));
        canary(palisade.address("http"), &origin);
        canary_on(&mut client, &origin);
        assert_eq!(executed(&origin, "/first"), 1);
        assert!(origin.requests()[1..].iter().all(|request| request.connection > 0), "{said:?}");
    }
}
