//! What must hold for whatever a client sends: property test or fuzzer.

use std::task::Poll;

use http2::{Connection, Event, Limits, PREFACE};

use super::frames::of_server;

pub const LIMITS: Limits = Limits { streams: 5, header_list: 1 << 10, window: 70_000, output: 20_000 };

/// Everything that is sent, until the end or the first error.
pub fn all_sent(connection: &Connection, into: &mut Vec<u8>) {
    let _ = connection.poll_output(|pending| {
        into.extend(pending);
        Poll::Ready(Ok::<_, ()>(pending.len()))
    });
}

/// The first byte says how the rest is cut, which follows a preface.
pub fn any_bytes(input: &[u8]) {
    if let Some((cut, bytes)) = input.split_first() {
        any_cut(&[PREFACE, bytes].concat(), usize::from(*cut) + 1);
    }
}

/// However the bytes are cut, the same comes of them.
pub fn any_cut(bytes: &[u8], cut: usize) {
    let (whole, went_well) = fed(bytes, bytes.len().max(1));
    let (cut, went_as_well) = fed(bytes, cut);
    assert_eq!(went_well, went_as_well);
    // When windows are given back depends on the pieces.
    assert_eq!(without_windows(&whole), without_windows(&cut));
    // What is said to a client is not much more than it said: acknowledgements, refusals, windows.
    assert!(whole.len() <= 100 + 2 * bytes.len(), "{} bytes for {}", whole.len(), bytes.len());
}

/// Feeds `bytes` in pieces, to a server that drops each request at once; what it sent, and whether it went well.
fn fed(bytes: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let connection = Connection::new(LIMITS);
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(cut) {
        received.extend(piece);
        loop {
            match connection.take(&received) {
                Ok(taken) => {
                    received.drain(..taken.count);
                    let is_starved = taken.event == Event::Starved;
                    if let Event::Request { key, .. } = taken.event {
                        drop(connection.stream(key));
                    }
                    all_sent(&connection, &mut sent);
                    if is_starved {
                        break;
                    }
                }
                Err(_) => return (sent, false),
            }
        }
        assert!(received.len() < 9 + (16 << 10), "what is complete is taken");
    }
    (sent, true)
}

fn without_windows(mut sent: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while !sent.is_empty() {
        let (words, rest) = of_server(sent);
        if !words.starts_with("WINDOW_UPDATE") {
            frames.push(words);
        }
        sent = rest;
    }
    frames
}
