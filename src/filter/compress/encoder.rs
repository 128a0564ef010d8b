//! The encoders behind one face. Each is used for many streams, since to make one costs more than to compress a
//! small answer.

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use super::brotli::Brotli;
use crate::filter::coding::Coding;

/// What shall become of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Output comes when the encoder thinks fit.
    More,
    /// Everything so far can be decoded from what comes out.
    Flush,
    /// The stream ends.
    Finish,
}

/// The library said no. Nothing is known that leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

pub enum Encoder {
    Gzip(Gzip),
    Brotli(Box<Brotli>),
    Zstd(CCtx<'static>),
}

pub struct Gzip {
    compress: Compress,
    /// Nothing of a stream is begun and not ended.
    clean: bool,
}

impl Encoder {
    /// `None` for what is only read, and when the system has no memory.
    pub fn new(coding: Coding) -> Option<Encoder> {
        match coding {
            Coding::Gzip => Some(Encoder::Gzip(Gzip::new())),
            Coding::Brotli => Some(Encoder::Brotli(Box::new(Brotli::new()))),
            Coding::Zstd => CCtx::try_create().map(Encoder::Zstd),
            Coding::Deflate => None,
        }
    }

    /// Begins a stream, whatever became of the one before; `size` is how long it will be, if that is known.
    pub fn start(&mut self, level: u32, size: Option<u64>) -> Result<(), Broken> {
        match self {
            Encoder::Gzip(gzip) => gzip.start(level),
            Encoder::Brotli(brotli) => {
                brotli.start(level, size);
                Ok(())
            }
            Encoder::Zstd(context) => start_zstd(context, level as i32, size).ok_or(Broken),
        }
    }

    /// Takes all of `input`, and appends what comes out.
    pub fn encode(&mut self, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
        match self {
            Encoder::Gzip(gzip) => gzip.encode(input, step, out),
            Encoder::Brotli(brotli) => brotli.encode(input, step, out),
            Encoder::Zstd(context) => zstd(context, input, step, out),
        }
    }

    /// Bytes that a stream of this coding and level holds at most, for the limit on all of them.
    pub fn cost(coding: Coding, level: u32) -> u64 {
        let kib = match (coding, level) {
            (Coding::Gzip | Coding::Deflate, _) => 400,
            (Coding::Brotli, ..=1) => 512,
            (Coding::Brotli, 2..=3) => 2 << 10,
            (Coding::Brotli, 4) => 5 << 10,
            (Coding::Brotli, 5..=6) => 7 << 10,
            (Coding::Brotli, 7) => 13 << 10,
            (Coding::Brotli, 8) => 21 << 10,
            (Coding::Brotli, _) => 39 << 10,
            (Coding::Zstd, ..=2) => 2 << 10,
            (Coding::Zstd, 3) => 3 << 10,
            (Coding::Zstd, 4..=6) => 4 << 10,
            (Coding::Zstd, _) => 7 << 10,
        };
        kib << 10
    }
}

/// Room for output that is made at a time.
const ROOM: usize = 8 << 10;
/// 32 KiB, the largest that the format has.
const GZIP_WINDOW_BITS: u8 = 15;
/// 512 KiB. Browsers take 8 MiB (RFC 9659), but each stream would hold as much.
const ZSTD_WINDOW_BITS: u32 = 19;

impl Gzip {
    fn new() -> Gzip {
        Gzip { compress: Compress::new_gzip(Compression::fast(), GZIP_WINDOW_BITS), clean: true }
    }

    fn start(&mut self, level: u32) -> Result<(), Broken> {
        if self.clean {
            self.compress.reset();
        } else {
            // The library's reset does not forget the block that its fastest level has begun (zlib-rs 0.6.8).
            *self = Gzip::new();
        }
        self.compress.set_level(Compression::new(level)).map_err(|_| Broken)
    }

    fn encode(&mut self, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
        let compress = &mut self.compress;
        self.clean = false;
        let flush = match step {
            Step::More => FlushCompress::None,
            Step::Flush => FlushCompress::Sync,
            Step::Finish => FlushCompress::Finish,
        };
        let mut rest = input;
        loop {
            out.reserve(ROOM);
            let (taken, made) = (compress.total_in(), out.len());
            let status = compress.compress_vec(rest, out, flush).map_err(|_| Broken)?;
            let taken = (compress.total_in() - taken) as usize;
            rest = rest.get(taken..).unwrap_or_default();
            // As long as it fills all the room it may have more to say.
            let done = match step {
                Step::More | Step::Flush => rest.is_empty() && out.len() < out.capacity(),
                Step::Finish => status == Status::StreamEnd,
            };
            if done {
                self.clean = step == Step::Finish;
                return Ok(());
            }
            if taken == 0 && out.len() == made {
                return Err(Broken);
            }
        }
    }
}

fn start_zstd(context: &mut CCtx<'static>, level: i32, size: Option<u64>) -> Option<()> {
    context.reset(ResetDirective::SessionOnly).ok()?;
    context.set_parameter(CParameter::CompressionLevel(level)).ok()?;
    context.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_BITS)).ok()?;
    // From level 7 on the tables would be made for larger windows, and are when nobody tells the size; 0 is what
    // belongs to the level.
    let large = level >= 7 && size.is_none();
    let (hash, chain) = if large { (ZSTD_WINDOW_BITS + 1, ZSTD_WINDOW_BITS) } else { (0, 0) };
    context.set_parameter(CParameter::HashLog(hash)).ok()?;
    context.set_parameter(CParameter::ChainLog(chain)).ok()?;
    // Smaller tables for what is short. It must then be true, and is: who told it breaks off when it is not.
    context.set_pledged_src_size(size).ok()?;
    Some(())
}

fn zstd(context: &mut CCtx<'static>, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
    let directive = match step {
        Step::More => ZSTD_EndDirective::ZSTD_e_continue,
        Step::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Step::Finish => ZSTD_EndDirective::ZSTD_e_end,
    };
    let mut input = InBuffer::around(input);
    loop {
        out.reserve(ROOM);
        let (taken, made) = (input.pos(), out.len());
        let mut room = OutBuffer::around_pos(out, made);
        let left = context.compress_stream2(&mut room, &mut input, directive).map_err(|_| Broken)?;
        let all = input.pos() == input.src.len();
        if all && (step == Step::More || left == 0) {
            return Ok(());
        }
        if input.pos() == taken && out.len() == made {
            return Err(Broken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// By the readers of the same libraries; independent ones are asked from outside.
    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        match coding {
            Coding::Gzip => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut all)),
            Coding::Brotli => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut all)),
            Coding::Zstd => drop(zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut all)),
            Coding::Deflate => unreachable!(),
        }
        all
    }

    fn text(length: usize, seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut text = Vec::with_capacity(length + 40);
        while text.len() < length {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            text.extend_from_slice(
                format!("{{\"id\":{},\"name\":\"user{}\"}},", state % 5000, state % 77).as_bytes(),
            );
        }
        text.truncate(length);
        text
    }

    /// One encoder after another stream, broken off or not, gives what a fresh one gives.
    #[test]
    fn an_encoder_is_as_good_as_new() {
        for coding in ALL {
            let mut used = Encoder::new(coding).unwrap();
            for (number, length) in [0, 1, 100, 70_000, 5, 300_000, 2_000_000, 4096].into_iter().enumerate() {
                for level in [1, 5, 3] {
                    for size in [None, Some(length as u64)] {
                        let body = text(length, number as u32 + 1);
                        // Broken off, at the level that keeps the most in hand.
                        used.start(1, None).unwrap();
                        used.encode(&body, Step::More, &mut Vec::new()).unwrap();
                        let mut fresh = Encoder::new(coding).unwrap();
                        let [mut a, mut b] = [Vec::new(), Vec::new()];
                        for (encoder, out) in [(&mut used, &mut a), (&mut fresh, &mut b)] {
                            encoder.start(level, size).unwrap();
                            body.chunks(33_000)
                                .for_each(|piece| encoder.encode(piece, Step::More, out).unwrap());
                            encoder.encode(b"", Step::Finish, out).unwrap();
                        }
                        assert!(decoded(coding, &a) == body, "{coding:?} {level} {length}");
                        assert!(a == b, "{coding:?} {level} {length}");
                        assert!(
                            length < 4096 || a.len() * 3 < length,
                            "{coding:?} {level} {length} {}",
                            a.len()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_flushed_can_be_read() {
        for coding in ALL {
            let mut encoder = Encoder::new(coding).unwrap();
            for level in [1, 4] {
                encoder.start(level, None).unwrap();
                let (mut out, mut body) = (Vec::new(), Vec::new());
                for number in 0..200 {
                    let piece = text(number * 7 % 300 + 1, number as u32 + 9);
                    body.extend_from_slice(&piece);
                    encoder.encode(&piece, Step::More, &mut out).unwrap();
                    encoder.encode(b"", Step::Flush, &mut out).unwrap();
                    assert!(decoded(coding, &out) == body, "{coding:?} {number}");
                }
                // Nothing more to say: a second flush makes nothing, or nothing that hurts.
                encoder.encode(b"", Step::Flush, &mut out).unwrap();
                encoder.encode(b"", Step::Finish, &mut out).unwrap();
                assert!(decoded(coding, &out) == body, "{coding:?}");
            }
        }
    }

    /// The limit on memory counts with these; long noise and long text, at the highest levels.
    #[test]
    fn no_stream_costs_more_than_is_counted() {
        let text = text(6_000_000, 3);
        for coding in [Coding::Brotli, Coding::Zstd] {
            for level in 1..=if coding == Coding::Zstd { 12 } else { 9 } {
                for size in [None, Some(text.len() as u64)] {
                    let mut encoder = Encoder::new(coding).unwrap();
                    encoder.start(level, size).unwrap();
                    let mut most = 0;
                    for piece in text.chunks(32 << 10) {
                        encoder.encode(piece, Step::More, &mut Vec::new()).unwrap();
                        most = most.max(match &encoder {
                            Encoder::Brotli(brotli) => brotli.size(),
                            Encoder::Zstd(context) => context.sizeof(),
                            Encoder::Gzip(_) => 0,
                        });
                    }
                    let cost = Encoder::cost(coding, level) as usize;
                    assert!(most <= cost && most * 2 > cost, "{coding:?} {level} {size:?}: {most} of {cost}");
                }
            }
        }
    }
}
