//! Framing that contradicts itself.

use testkit::{Origin, Script, canary, canary_on};

use crate::stage::{ONE_WORKER, canaries_and, expect_reason, proxy_for};
use crate::truncation::expect_visible_truncation;

#[test]
fn answers_with_bad_framing_are_refused() {
    for fields in [
        "Content-Length: 5, 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length:",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello");
        expect_bad_answer(answer.into_bytes(), &format!("{fields:?}"));
    }
}

/// 502, the reason in the log, and a pool without the connection that it came on.
#[track_caller]
pub fn expect_bad_answer(answer: Vec<u8>, case: &str) {
    let origin = canaries_and(move |_| Script::new().send(answer.clone()));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    assert_eq!(client.get("/bad").status, 502, "{case}");
    expect_reason(&palisade, "/bad", "upstream_bad_answer");
    canary_on(&mut client, &origin);
    let requests = origin.requests();
    assert_ne!(requests[0].connection, requests[1].connection, "{case}: the connection was used again");
}

#[test]
fn bad_chunks_are_no_clean_end() {
    for chunks in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\nzz\r\n",
        "5\r\nhello\r\n0\r\nBad Trailer\r\n\r\n",
        "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        "\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let origin = canaries_and(move |_| Script::new().send(answer.clone()));
        let palisade = proxy_for(&origin, ONE_WORKER);
        expect_visible_truncation(&palisade, "1.1", &format!("{chunks:?}"));
        expect_visible_truncation(&palisade, "1.0", &format!("{chunks:?}"));
        expect_reason(&palisade, "/cut", "upstream_bad_body");
        canary(palisade.address("http"), &origin);
    }
}

/// As long as nothing was sent of an answer, the client hears of what is wrong with it.
#[test]
fn a_body_that_is_wrong_from_the_start_is_a_502() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let origin = canaries_and(move |_| Script::new().send(answer));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    client.send("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.header("Connection")), (502, Some("close")));
    assert!(response.text().contains("502"), "{}", response.text());
    expect_reason(&palisade, "/bad", "upstream_bad_body");
    assert!(palisade.stdout().contains("\"status\":502"), "{}", palisade.stdout());
    canary(palisade.address("http"), &origin);
}

#[test]
fn with_a_length_and_a_coding_the_coding_counts_and_the_connection_ends() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                  5\r\nhello\r\n0\r\n\r\n";
    let origin = canaries_and(move |_| Script::new().send(answer));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    let response = client.get("/both");
    assert_eq!((response.status, response.text()), (200, "hello"));
    canary_on(&mut client, &origin);
    let requests = origin.requests();
    assert_ne!(requests[0].connection, requests[1].connection);
}

#[test]
fn a_coding_in_an_old_answer_is_not_believed() {
    let answer = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = canaries_and(move |_| Script::new().send(answer).close());
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    assert_eq!(client.get("/old").text(), "5\r\nhello\r\n0\r\n\r\n");
    canary(palisade.address("http"), &origin);
}

#[test]
fn an_old_origin_keeps_its_connection_only_when_it_says_so() {
    for (fields, connections) in [("", 3), ("Connection: keep-alive\r\n", 1)] {
        let origin = Origin::scripted(move |_, _| {
            Script::new().send(format!("HTTP/1.0 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"))
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        for _ in 0..3 {
            assert_eq!(client.get("/old").text(), "ok");
        }
        assert_eq!(origin.connections().len(), connections, "{fields:?}");
    }
}
