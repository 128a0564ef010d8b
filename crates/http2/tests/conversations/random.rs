//! Whatever a client sends and however its bytes are cut: the same comes of it, nothing panics, and what the client
//! may send comes back to what it was.

use std::task::{Context, Poll, Waker};

use http2::{Connection, Event, Incoming, PREFACE, Stream};
use proptest::collection::vec;
use proptest::prelude::*;

use super::frames::{of_client, of_server};
use super::laws::{LIMITS, all_sent, any_cut};

/// Frames that clients send, right or wrong.
fn words() -> impl Strategy<Value = String> {
    let id = 0..9u32;
    prop_oneof![
        4 => (id.clone(), any::<bool>(), any::<bool>()).prop_map(|(id, end, open)| {
            format!("headers {id}{}{}", if end { " end" } else { "" }, if open { " open" } else { "" })
        }),
        4 => (id.clone(), 0..20_000u32, any::<bool>()).prop_map(|(id, length, end)| {
            format!("data {id} {}{}", length.min(16_384), if end { " end" } else { "" })
        }),
        1 => (id.clone(), 0..1000u32, 0..255u32).prop_map(|(id, length, pad)| format!("data {id} {length} pad {pad}")),
        1 => id.clone().prop_map(|id| format!("trailers {id} end")),
        1 => id.clone().prop_map(|id| format!("continuation {id}")),
        1 => id.clone().prop_map(|id| format!("rst {id}")),
        1 => (id.clone(), any::<u32>()).prop_map(|(id, size)| format!("window {id} {size}")),
        1 => (0..9u16, any::<u32>()).prop_map(|(name, value)| format!("settings {name}={value}")),
        1 => (id.clone(), id).prop_map(|(id, on)| format!("priority {id} on {on}")),
        1 => Just("ping".into()),
        1 => Just("unknown 3".into()),
    ]
}

proptest! {
    #[test]
    fn noise_is_survived(bytes in vec(any::<u8>(), 0..400), cut in 1..50usize) {
        any_cut(&[PREFACE, &bytes].concat(), cut);
    }

    #[test]
    fn frames_mean_the_same_however_they_are_cut(frames in vec(words(), 0..40), cut in 1..3000usize) {
        let frames = frames.iter().flat_map(|words| of_client(words));
        let bytes: Vec<u8> = PREFACE.iter().copied().chain(frames).collect();
        any_cut(&bytes, cut);
    }

    /// Whatever becomes of the bodies, the window of the connection is as large as before in the end.
    #[test]
    fn every_byte_is_given_back_once(
        bodies in vec((vec((0..9000u32, 0..200u32), 0..6), 0..6u8, any::<bool>()), 1..30)
    ) {
        let connection = Connection::new(LIMITS);
        prop_assert!(connection.take(PREFACE).is_ok());
        let (mut window, mut sent) = (i64::from(LIMITS.window), Vec::new());
        all_sent(&connection, &mut sent);
        for (number, (pieces, fate, ends)) in bodies.into_iter().enumerate() {
            let id = 2 * number as u32 + 1;
            let key = match connection.take(&of_client(&format!("headers {id}"))).map(|taken| taken.event) {
                Ok(Event::Request { key, .. }) => key,
                other => panic!("{other:?}"),
            };
            let mut stream = Some(connection.stream(key));
            for (index, (length, padding)) in pieces.into_iter().enumerate() {
                let frame = of_client(&format!("data {id} {length} pad {padding}"));
                let payload = frame.len() as i64 - 9;
                if payload > window {
                    break;
                }
                window -= payload;
                prop_assert!(connection.take(&frame).is_ok());
                match (fate, index) {
                    (0, 2) => stream = None,
                    (1, 2) => prop_assert!(say(&connection, "rst", id)),
                    (2, 2) => stream.iter().for_each(|stream| stream.reset(http2::Reason::Cancel)),
                    // Nobody reads it.
                    (3, _) => {}
                    _ => stream.iter().for_each(read),
                }
                sent.clear();
                all_sent(&connection, &mut sent);
                window += given_back(&sent);
                if fate == 1 && index == 2 {
                    break;
                }
            }
            if ends && fate > 2 {
                prop_assert!(say(&connection, "end", id));
            }
            drop(stream);
            sent.clear();
            all_sent(&connection, &mut sent);
            window += given_back(&sent);
        }
        prop_assert_eq!(connection.streams(), 0);
        // Less than half of it is kept back until it is worth a frame.
        let all = i64::from(LIMITS.window);
        prop_assert!(window > all / 2 && window <= all, "{} of {}", window, all);
    }
}

fn say(connection: &Connection, what: &str, id: u32) -> bool {
    let words = if what == "end" { format!("data {id} 0 end") } else { format!("{what} {id}") };
    connection.take(&of_client(&words)).is_ok()
}

/// Reads what is there, and gives a part of it back at a time.
fn read(stream: &Stream<'_>) {
    let mut data = Vec::new();
    let cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(Ok(Incoming::Data)) = stream.poll_data(&mut data, &cx) {
        for piece in data.chunks(3000) {
            stream.release(piece.len());
        }
    }
}

/// What frames of the server give back of the connection's window.
fn given_back(mut sent: &[u8]) -> i64 {
    let mut sum = 0;
    while !sent.is_empty() {
        let (words, rest) = of_server(sent);
        if let Some(count) = words.strip_prefix("WINDOW_UPDATE 0 ") {
            sum += count.parse::<i64>().expect("a number");
        }
        sent = rest;
    }
    sum
}
