//! A body that is decompressed as it comes, and a bound on how much little can become.

use std::task::{Context, Poll};

use http1::Fields;

use super::decoder::{Decoder, TOO_MUCH, TRUNCATED};
use crate::filter::coding::memory::Share;
use crate::filter::coding::representation;
use crate::filter::remade::{Maker, Piece};
use crate::message::{BodyStream, Failure};

/// Bytes that are made at a time.
const ROOM: usize = 16 << 10;
/// After so many bytes without a pause the other tasks of the worker get their turn.
const RUN: usize = 512 << 10;
/// From here on the ratio is looked at: in the first MiB even honest bodies may be almost nothing.
const FREE: u64 = 1 << 20;
/// Bytes that one byte may become. Text becomes 3 to 10 of them, and a bomb a thousand and more.
const MOST: u64 = 100;

pub struct Decompressing<'c> {
    stream: Box<dyn BodyStream + 'c>,
    decoder: Decoder,
    _share: Share,
    /// The decoder filled its room, and may have more without reading more.
    more: bool,
    run: usize,
    taken: u64,
    made: u64,
}

impl<'c> Decompressing<'c> {
    pub fn new(stream: Box<dyn BodyStream + 'c>, decoder: Decoder, share: Share) -> Decompressing<'c> {
        Decompressing { stream, decoder, _share: share, more: false, run: 0, taken: 0, made: 0 }
    }

    fn step(&mut self, taken: usize, made: usize, out: &mut Vec<u8>) -> Result<Piece, Failure> {
        self.more = made == out.len();
        out.truncate(made);
        self.run += made;
        self.taken += taken as u64;
        self.made += made as u64;
        if exceeds(self.taken, self.made) { Err(Failure::BadCoding(TOO_MUCH)) } else { Ok(Piece::More) }
    }
}

impl Maker for Decompressing<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>> {
        if self.run >= RUN {
            self.run = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Where the room was filled before, nothing is written here.
        out.resize(ROOM, 0);
        if self.more {
            let (_, made) = self.decoder.decode(b"", out).map_err(Failure::BadCoding)?;
            return Poll::Ready(self.step(0, made, out));
        }
        let data = match self.stream.poll_data(cx) {
            Poll::Ready(data) => data?,
            Poll::Pending => {
                self.run = 0;
                return Poll::Pending;
            }
        };
        if data.is_empty() {
            out.clear();
            let whole = self.decoder.is_whole();
            return Poll::Ready(if whole { Ok(Piece::Last) } else { Err(Failure::BadCoding(TRUNCATED)) });
        }
        let (taken, made) = self.decoder.decode(data, out).map_err(Failure::BadCoding)?;
        self.stream.consume(taken);
        Poll::Ready(self.step(taken, made, out))
    }

    fn trailers(&mut self) -> Option<Fields> {
        representation::without_digests(self.stream.trailers())
    }
}

/// Whether so much cannot be what somebody meant to send.
fn exceeds(taken: u64, made: u64) -> bool {
    made > FREE.saturating_add(taken.saturating_mul(MOST))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::filter::coding::Coding;
    use crate::filter::coding::whole::Whole;
    use crate::filter::compress::coded;
    use crate::filter::remade::Remade;
    use crate::message::Body;

    fn read(coding: Coding, bytes: Vec<u8>) -> Result<usize, Failure> {
        let share = Share::take(1, u64::MAX).unwrap();
        let whole = Whole::of(Body::Text(bytes.into())).unwrap();
        let maker = Decompressing::new(Box::new(whole), Decoder::new(coding).unwrap(), share);
        let mut body = Remade::new(maker);
        let mut cx = Context::from_waker(Waker::noop());
        let mut length = 0;
        loop {
            let Poll::Ready(data) = body.poll_data(&mut cx) else { continue };
            let count = data?.len();
            if count == 0 {
                return Ok(length);
            }
            length += count;
            body.consume(count);
        }
    }

    #[test]
    fn a_little_may_not_become_very_much() {
        for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip] {
            assert_eq!(read(coding, coded(coding, &vec![0; 1 << 20])), Ok(1 << 20), "{coding:?}");
            assert_eq!(read(coding, coded(coding, &vec![0; 50 << 20])), Err(Failure::BadCoding(TOO_MUCH)));
            let text: Vec<u8> = (0..2_000_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
            assert_eq!(read(coding, coded(coding, &text)), Ok(text.len()), "{coding:?}");
        }
        for (taken, made, wanted) in [
            (0, FREE, false),
            (0, FREE + 1, true),
            (1000, FREE + 100_000, false),
            (1000, FREE + 100_001, true),
            (u64::MAX, u64::MAX, false),
        ] {
            assert_eq!(exceeds(taken, made), wanted, "{taken} {made}");
        }
    }

    #[test]
    fn what_is_cut_off_has_no_clean_end() {
        let mut bytes = coded(Coding::Gzip, &b"text ".repeat(10_000));
        bytes.truncate(bytes.len() - 1);
        assert_eq!(read(Coding::Gzip, bytes), Err(Failure::BadCoding(TRUNCATED)));
        assert_eq!(read(Coding::Gzip, b"<html>".to_vec()), Err(Failure::BadCoding("corrupt")));
    }
}
