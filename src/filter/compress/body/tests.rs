use std::io::Read;
use std::task::Waker;

use http1::{BodyLength, Name};
use proptest::prelude::*;

use super::*;
use crate::filter::remade::Remade;

/// What a stream does next.
#[derive(Debug, Clone)]
enum Event {
    Data(Vec<u8>),
    Pause,
    Fails,
}

struct Scripted(Vec<Event>);

impl BodyStream for Scripted {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        if matches!(self.0.first(), Some(Event::Pause)) {
            self.0.remove(0);
            return Poll::Pending;
        }
        match self.0.first() {
            None => Poll::Ready(Ok(b"")),
            Some(Event::Data(data)) => Poll::Ready(Ok(data)),
            Some(_) => Poll::Ready(Err(Failure::AnswerTruncated)),
        }
    }

    fn consume(&mut self, count: usize) {
        if let Some(Event::Data(data)) = self.0.first_mut() {
            data.drain(..count);
            if data.is_empty() {
                self.0.remove(0);
            }
        }
    }

    fn length(&self) -> BodyLength {
        BodyLength::Chunked
    }

    fn trailers(&mut self) -> Option<Fields> {
        let mut fields = Fields::new();
        fields.push(Name::Other, b"X-Tail", b"1");
        fields.push(Name::Other, b"Repr-Digest", b"x");
        Some(fields)
    }
}

fn compressed(coding: Coding, level: u32, events: &[Event]) -> Remade<Compressing<'static>> {
    let encoder = Lease::take(coding, level, None, 1 << 30).unwrap();
    Remade::new(Compressing::new(Box::new(Scripted(events.to_vec())), coding, encoder))
}

/// Reads at most `taken` bytes at a time until the body pauses twice in a row, ends or fails.
fn read(body: &mut Remade<Compressing<'_>>, taken: usize, out: &mut Vec<u8>) -> Option<Result<(), Failure>> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut pauses = 0;
    while pauses < 2 {
        match body.poll_data(&mut cx) {
            Poll::Pending => pauses += 1,
            Poll::Ready(Err(failure)) => return Some(Err(failure)),
            Poll::Ready(Ok(b"")) => return Some(Ok(())),
            Poll::Ready(Ok(data)) => {
                pauses = 0;
                let count = data.len().min(taken);
                out.extend_from_slice(&data[..count]);
                body.consume(count);
            }
        }
    }
    None
}

fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = match coding {
        Coding::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut all),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut all),
        Coding::Gzip | Coding::Deflate => flate2::read::GzDecoder::new(bytes).read_to_end(&mut all),
    };
    all
}

const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// Each event can be read before the next one is there.
#[test]
fn nothing_is_held_back_in_a_pause() {
    for coding in ALL {
        let mut events = Vec::new();
        for number in 0..20 {
            events.push(Event::Data(format!("data: event {number}\n\n").into_bytes()));
            events.extend([Event::Pause, Event::Pause, Event::Pause, Event::Pause]);
        }
        let mut body = compressed(coding, 4, &events);
        let mut out = Vec::new();
        for number in 0..20 {
            assert_eq!(read(&mut body, usize::MAX, &mut out), None);
            let text = String::from_utf8(decoded(coding, &out)).unwrap();
            assert!(text.ends_with(&format!("data: event {number}\n\n")), "{coding:?} {text:?}");
        }
        while read(&mut body, usize::MAX, &mut out).is_none() {}
        let trailers = body.trailers().unwrap();
        assert_eq!(trailers.iter().map(|field| field.name).collect::<Vec<_>>(), [b"X-Tail"]);
    }
}

/// Pieces that come with one turn between them go into one flush.
#[test]
fn what_comes_in_the_same_moment_is_flushed_once() {
    let piece = || Event::Data(b"abcdefgh".to_vec());
    let together = [piece(), Event::Pause, piece(), Event::Pause, piece(), Event::Pause, Event::Pause];
    let apart = [piece(), Event::Pause, Event::Pause, piece(), Event::Pause, Event::Pause, piece()];
    let length = |events: &[Event]| {
        let mut out = Vec::new();
        let mut body = compressed(Coding::Gzip, 6, events);
        while read(&mut body, usize::MAX, &mut out).is_none() {}
        assert_eq!(decoded(Coding::Gzip, &out), b"abcdefgh".repeat(3));
        out.len()
    };
    assert!(length(&together) < length(&apart), "{} {}", length(&together), length(&apart));
}

#[test]
fn a_failure_is_no_end() {
    for coding in ALL {
        let mut body = compressed(coding, 4, &[Event::Data(b"half".to_vec()), Event::Fails]);
        assert_eq!(read(&mut body, 100, &mut Vec::new()), Some(Err(Failure::AnswerTruncated)));
    }
}

#[test]
fn others_get_their_turn() {
    let mut body = compressed(Coding::Gzip, 1, &[Event::Data(vec![b'a'; 4 * RUN])]);
    let mut cx = Context::from_waker(Waker::noop());
    let mut pauses = 0;
    loop {
        match body.poll_data(&mut cx) {
            Poll::Pending => pauses += 1,
            Poll::Ready(Ok(b"")) => break,
            Poll::Ready(data) => {
                let count = data.unwrap().len();
                body.consume(count);
            }
        }
    }
    assert_eq!(pauses, 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_body_in_any_pieces_comes_back(
        pieces in prop::collection::vec(
            prop_oneof![
                3 => "[a-f ]{1,400}".prop_map(|text| Event::Data(text.into_bytes())),
                2 => prop::collection::vec(any::<u8>(), 1..3000).prop_map(Event::Data),
                1 => (any::<u8>(), 1usize..100_000).prop_map(|(byte, count)| Event::Data(vec![byte; count])),
                3 => Just(Event::Pause),
            ],
            0..30,
        ),
        coding in prop::sample::select(&ALL[..]),
        level in 1u32..9,
        taken in prop_oneof![Just(usize::MAX), 1usize..5000],
    ) {
        let mut body = compressed(coding, level, &pieces);
        let mut out = Vec::new();
        let ended = loop {
            if let Some(ended) = read(&mut body, taken, &mut out) {
                break ended;
            }
        };
        prop_assert_eq!(ended, Ok(()));
        let whole: Vec<u8> = pieces.iter().flat_map(|event| match event {
            Event::Data(data) => data.clone(),
            _ => Vec::new(),
        }).collect();
        prop_assert!(decoded(coding, &out) == whole);
        prop_assert_eq!(body.maker.taken, whole.len() as u64);
        prop_assert_eq!(body.maker.made, out.len() as u64);
    }
}
