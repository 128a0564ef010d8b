//! Answers that stop in their middle.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use testkit::{Origin, Palisade, SOON, Script, canary, pattern};

use crate::stage::{ONE_WORKER, canaries_and, expect_reason, proxy_for};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    Length,
    Chunked,
    Close,
}

/// Head and body on the wire, the body framed as said.
pub fn framed(framed: Framed, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match framed {
        Framed::Length => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            (head.into_bytes(), body.to_vec())
        }
        Framed::Chunked => {
            let mut wire = Vec::new();
            for chunk in body.chunks(4000) {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), wire)
        }
        Framed::Close => (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), body.to_vec()),
    }
}

/// Asks with `version` and reads what comes. An answer that looks whole is a lie.
#[track_caller]
pub fn expect_visible_truncation(palisade: &Palisade, version: &str, case: &str) {
    let mut client = palisade.client();
    client.send(format!("GET /cut HTTP/{version}\r\nHost: a\r\n\r\n"));
    match client.try_read_response() {
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{case}: {error}"),
        Ok(response) => {
            assert_eq!(response.status, 502, "{case}: a clean end after {} bytes", response.body.len());
        }
    }
}

fn every_cut(framing: Framed, versions: &[&str], resets: &[bool]) {
    for length in [10, 100_000] {
        let (head, wire) = framed(framing, &pattern(length));
        for cut in [0, 1, wire.len() / 2, wire.len() - 1] {
            for by_reset in resets {
                let (head, part, by_reset) = (head.clone(), wire[..cut].to_vec(), *by_reset);
                let origin = canaries_and(move |_| {
                    let script = Script::new().send(head.clone()).send(part.clone());
                    if by_reset { script.reset() } else { script.close() }
                });
                let palisade = proxy_for(&origin, ONE_WORKER);
                for version in versions {
                    let case = format!(
                        "{framing:?} of {length} bytes cut at {cut}, reset {by_reset}, HTTP/{version}"
                    );
                    expect_visible_truncation(&palisade, version, &case);
                }
                expect_reason(&palisade, "/cut", "upstream_truncated");
                canary(palisade.address("http"), &origin);
            }
        }
    }
}

#[test]
fn a_body_shorter_than_its_content_length_has_no_clean_end() {
    every_cut(Framed::Length, &["1.1", "1.0"], &[false, true]);
}

#[test]
fn a_chunked_body_without_its_last_chunk_has_no_clean_end() {
    every_cut(Framed::Chunked, &["1.1", "1.0"], &[false, true]);
}

/// A FIN is the end of such a body, a reset is not.
#[test]
fn a_close_delimited_body_that_was_reset_has_no_clean_end() {
    // A reset overtakes what the receiver has not read, so the origin waits for the bytes to be taken.
    for length in [1usize, 10, 100_000] {
        let origin = canaries_and(move |_| {
            let (head, wire) = framed(Framed::Close, &pattern(length));
            Script::new().send(head).send(wire).pause(Duration::from_millis(30)).reset()
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        for version in ["1.1", "1.0"] {
            expect_visible_truncation(&palisade, version, &format!("{length} bytes, HTTP/{version}"));
        }
        expect_reason(&palisade, "/cut", "upstream_truncated");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn a_close_delimited_body_that_was_closed_is_whole() {
    for length in [0usize, 1, 10, 100_000] {
        let origin = canaries_and(move |_| {
            let (head, wire) = framed(Framed::Close, &pattern(length));
            Script::new().send(head).send(wire).close()
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        for version in ["1.1", "1.0"] {
            let mut client = palisade.client();
            client.send(format!("GET /whole HTTP/{version}\r\nHost: a\r\n\r\n"));
            let response = client.read_response();
            assert_eq!(response.status, 200);
            assert!(response.body == pattern(length), "{} of {length} bytes", response.body.len());
        }
        canary(palisade.address("http"), &origin);
    }
}

/// The proxy closes behind the answer: not before a slow reader has all of it.
#[test]
fn a_slow_reader_gets_all_of_an_answer_with_a_close_behind_it() {
    const LENGTH: usize = 8 << 20;
    for path in ["bytes", "chunked"] {
        let origin = Origin::echo();
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        socket2::SockRef::from(&*client.stream()).set_recv_buffer_size(128 << 10).unwrap();
        client.send(format!("GET /{path}/{LENGTH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let mut received = Vec::with_capacity(LENGTH + 4096);
        let mut piece = vec![0; 32 << 10];
        loop {
            client.stream().set_read_timeout(Some(SOON)).unwrap();
            match client.stream().read(&mut piece).expect("no reset") {
                0 => break,
                count => received.extend_from_slice(&piece[..count]),
            }
            if received.len() % (1 << 20) < piece.len() {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let head_end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let body = &received[head_end..];
        if path == "bytes" {
            assert!(body == pattern(LENGTH), "{} of {LENGTH} bytes", body.len());
        } else {
            assert!(body.len() > LENGTH && body.ends_with(b"\r\n0\r\n\r\n"), "{} bytes", body.len());
        }
        canary(palisade.address("http"), &origin);
    }
}
