//! The decoders behind one face. What they read comes from a stranger, so each knows whether it is whole, and none
//! takes a window that is larger than the standards of HTTP allow.

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::filter::coding::Coding;

/// What is wrong with the bytes; the code for the log.
pub type Wrong = &'static str;

pub const CORRUPT: Wrong = "corrupt";
pub const TRUNCATED: Wrong = "truncated";
pub const TOO_MUCH: Wrong = "too_much_from_too_little";

pub struct Decoder {
    kind: Kind,
    /// Nothing is missing if the input ends here.
    whole: bool,
}

enum Kind {
    Gzip(Decompress),
    /// Which of two formats it is the first byte tells.
    Deflate(Option<Decompress>),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(DCtx<'static>),
}

impl Decoder {
    /// `None` when the system has no memory.
    pub fn new(coding: Coding) -> Option<Decoder> {
        let kind = match coding {
            Coding::Gzip => Kind::Gzip(Decompress::new_gzip(WINDOW_BITS)),
            Coding::Deflate => Kind::Deflate(None),
            Coding::Brotli => {
                let [a, b, c] =
                    [StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default()];
                // Strict: without the "large window" of up to 1 GiB, which is not the `br` of HTTP.
                Kind::Brotli(Box::new(BrotliState::new_strict(a, b, c)))
            }
            Coding::Zstd => {
                let mut context = DCtx::try_create()?;
                context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_BITS)).ok()?;
                Kind::Zstd(context)
            }
        };
        // An empty body is whole: a coding that nothing was put into.
        Some(Decoder { kind, whole: true })
    }

    /// Bytes that a decoder holds at most: its window, and tables.
    pub fn cost(coding: Coding) -> u64 {
        match coding {
            Coding::Gzip | Coding::Deflate => 64 << 10,
            Coding::Brotli => 17 << 20,
            Coding::Zstd => 9 << 20,
        }
    }

    /// Reads of `input` and writes to `out`; how much of each. It has more to write when `out` became full.
    pub fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Wrong> {
        match &mut self.kind {
            Kind::Gzip(decompress) => {
                if self.whole && !input.is_empty() {
                    // The first of one or more members (RFC 1952 section 2.2).
                    *decompress = Decompress::new_gzip(WINDOW_BITS);
                    self.whole = false;
                }
                inflate(decompress, input, out, &mut self.whole)
            }
            Kind::Deflate(decompress) => {
                if decompress.is_none() {
                    let Some(first) = input.first() else { return Ok((0, 0)) };
                    *decompress = Some(Decompress::new(is_zlib(*first)));
                    self.whole = false;
                } else if self.whole && !input.is_empty() {
                    return Err(CORRUPT);
                }
                match decompress {
                    Some(decompress) => inflate(decompress, input, out, &mut self.whole),
                    None => Ok((0, 0)),
                }
            }
            Kind::Brotli(state) => brotli(state, input, out, &mut self.whole),
            Kind::Zstd(context) => zstd(context, input, out, &mut self.whole),
        }
    }

    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

/// 32 KiB: what the format has.
const WINDOW_BITS: u8 = 15;
/// 8 MiB (RFC 9659).
const ZSTD_WINDOW_BITS: u32 = 23;

/// The zlib format begins with the number of its method, 8. Some senders leave its frame out, and deflate alone never
/// begins so unless a block has bits set that mean nothing.
fn is_zlib(first: u8) -> bool {
    first & 0x0f == 8
}

fn inflate(
    decompress: &mut Decompress,
    input: &[u8],
    out: &mut [u8],
    whole: &mut bool,
) -> Result<(usize, usize), Wrong> {
    if *whole {
        return Ok((0, 0));
    }
    let (taken, made) = (decompress.total_in(), decompress.total_out());
    let status = decompress.decompress(input, out, FlushDecompress::None).map_err(|_| CORRUPT)?;
    *whole = status == Status::StreamEnd;
    Ok(((decompress.total_in() - taken) as usize, (decompress.total_out() - made) as usize))
}

fn brotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    out: &mut [u8],
    whole: &mut bool,
) -> Result<(usize, usize), Wrong> {
    let is_used = *whole && state_is_over(state);
    if is_used {
        return if input.is_empty() { Ok((0, 0)) } else { Err(CORRUPT) };
    }
    if input.is_empty() && *whole {
        return Ok((0, 0));
    }
    let (mut in_left, mut taken) = (input.len(), 0);
    let (mut out_left, mut made) = (out.len(), 0);
    let result =
        BrotliDecompressStream(&mut in_left, &mut taken, input, &mut out_left, &mut made, out, &mut 0, state);
    *whole = matches!(result, BrotliResult::ResultSuccess);
    match result {
        BrotliResult::ResultFailure => Err(CORRUPT),
        _ => Ok((taken, made)),
    }
}

fn state_is_over(state: &BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>) -> bool {
    state.BrotliStateIsStreamEnd()
}

fn zstd(
    context: &mut DCtx<'static>,
    input: &[u8],
    out: &mut [u8],
    whole: &mut bool,
) -> Result<(usize, usize), Wrong> {
    if *whole && input.is_empty() {
        return Ok((0, 0));
    }
    let mut input = InBuffer::around(input);
    let mut room = OutBuffer::around(out);
    let missing = context.decompress_stream(&mut room, &mut input).map_err(|_| CORRUPT)?;
    *whole = missing == 0;
    Ok((input.pos(), room.pos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::compress::coded;

    const ALL: [Coding; 4] = [Coding::Zstd, Coding::Brotli, Coding::Gzip, Coding::Deflate];

    fn made(coding: Coding, body: &[u8]) -> Vec<u8> {
        use std::io::Write;
        if coding == Coding::Deflate {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(body).unwrap();
            return writer.finish().unwrap();
        }
        coded(coding, body)
    }

    /// All of it, with pieces of `cut` bytes and room for `room`.
    fn decoded(coding: Coding, bytes: &[u8], cut: usize, room: usize) -> Result<Vec<u8>, Wrong> {
        let mut decoder = Decoder::new(coding).unwrap();
        let (mut all, mut out) = (Vec::new(), vec![0; room]);
        for piece in bytes.chunks(cut) {
            let mut rest = piece;
            loop {
                let (taken, made) = decoder.decode(rest, &mut out)?;
                all.extend_from_slice(&out[..made]);
                rest = &rest[taken..];
                if rest.is_empty() && made < room {
                    break;
                }
                assert!(taken + made > 0, "{coding:?} stands still");
            }
        }
        if decoder.is_whole() { Ok(all) } else { Err(TRUNCATED) }
    }

    #[test]
    fn what_was_encoded_comes_back() {
        let noise: Vec<u8> = (0..70_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for body in [&b""[..], b"a", &b"hello ".repeat(30_000), &noise] {
            for coding in ALL {
                let bytes = made(coding, body);
                for (cut, room) in [(1, 7), (1000, 1000), (usize::MAX, 16 << 10)] {
                    let got = decoded(coding, &bytes, cut, room);
                    assert!(
                        got.as_deref() == Ok(body),
                        "{coding:?} {cut} {room}: {:?}",
                        got.map(|got| got.len())
                    );
                }
            }
        }
    }

    #[test]
    fn each_cut_and_each_changed_byte_is_seen() {
        let body = b"some text and some text and some more text".repeat(5);
        for coding in ALL {
            let bytes = made(coding, &body);
            for end in 1..bytes.len() {
                assert!(decoded(coding, &bytes[..end], 10, 100).is_err(), "{coding:?} cut at {end}");
            }
            let trailing = [&bytes[..], b"x"].concat();
            assert!(decoded(coding, &trailing, usize::MAX, 1000).is_err(), "{coding:?} with more behind it");
            assert_eq!(decoded(coding, b"", 1, 100), Ok(Vec::new()));
            assert!(decoded(coding, b"\x00\xffnot of this coding, and long enough", 100, 1000).is_err());
        }
        // These two have a checksum over what comes out.
        for coding in [Coding::Gzip, Coding::Deflate] {
            let bytes = made(coding, &body);
            for at in 10..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                let got = decoded(coding, &changed, 1000, 1000);
                assert!(got.is_err() || got.as_deref() == Ok(&body[..]), "{coding:?} at {at}");
            }
        }
    }

    #[test]
    fn several_members_are_one_body_and_deflate_has_two_forms() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let two = [made(coding, b"one"), made(coding, b"two")].concat();
            for cut in [1, 5, usize::MAX] {
                assert_eq!(decoded(coding, &two, cut, 10), Ok(b"onetwo".to_vec()), "{coding:?} {cut}");
            }
        }
        let mut bare = Vec::with_capacity(100);
        let mut compress = flate2::Compress::new(flate2::Compression::default(), false);
        compress.compress_vec(b"bare", &mut bare, flate2::FlushCompress::Finish).unwrap();
        assert_eq!(decoded(Coding::Deflate, &bare, 1, 10), Ok(b"bare".to_vec()));
    }

    #[test]
    fn windows_are_limited() {
        let mut context = zstd::zstd_safe::CCtx::create();
        context.set_parameter(zstd::zstd_safe::CParameter::WindowLog(24)).unwrap();
        let (mut out, body) = (Vec::with_capacity(1000), [0; 100]);
        let mut room = OutBuffer::around(&mut out);
        context.compress_stream(&mut room, &mut InBuffer::around(&body)).unwrap();
        context.end_stream(&mut room).unwrap();
        assert_eq!(decoded(Coding::Zstd, &out, 1000, 1000), Err(CORRUPT));
        // "Large window Brotli": 0x11, then the bits of the window.
        assert_eq!(decoded(Coding::Brotli, &[0x11, 0x1e, 0x03], 1000, 1000), Err(CORRUPT));
    }
}
