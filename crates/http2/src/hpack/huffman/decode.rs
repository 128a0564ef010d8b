//! Huffman code to bytes: a table of the short codes, and a search by length for the others.

use super::super::Broken;
use super::{CODES, LENGTHS, MAX_BITS, ORDER, SYMBOLS};

/// Codes of up to so many bits are found at once: letters, digits and nearly all other signs of header text.
const FAST_BITS: usize = 10;
const MIN_BITS: usize = 5;

/// For the next `FAST_BITS` bits: the symbol, and above it the bits of its code, or 0 when they begin a longer one.
static FAST: [u16; 1 << FAST_BITS] = {
    let mut fast = [0; 1 << FAST_BITS];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        let bits = LENGTHS[symbol] as usize;
        if bits <= FAST_BITS {
            let spare = FAST_BITS - bits;
            let mut tail = 0;
            while tail < 1 << spare {
                fast[(CODES[symbol] as usize) << spare | tail] = (bits as u16) << 8 | symbol as u16;
                tail += 1;
            }
        }
        symbol += 1;
    }
    fast
};

/// The codes of one length.
#[derive(Clone, Copy)]
struct Length {
    /// The first code, with zeros behind it up to 32 bits, and the last one, with ones behind it.
    first: u32,
    last: u32,
    /// Place of the first code in [`ORDER`].
    place: usize,
}

static LONG: [Length; MAX_BITS - FAST_BITS] = {
    let mut long = [Length { first: 0, last: 0, place: 0 }; MAX_BITS - FAST_BITS];
    let (mut place, mut next, mut bits) = (0, 0_u64, MIN_BITS);
    while bits <= MAX_BITS {
        let (first, first_place) = (next, place);
        while place < SYMBOLS && LENGTHS[ORDER[place] as usize] as usize == bits {
            next += 1 << (32 - bits);
            place += 1;
        }
        if bits > FAST_BITS {
            // A length without codes ends before it begins, and what it is asked for is never so small.
            long[bits - FAST_BITS - 1] =
                Length { first: first as u32, last: (next - 1) as u32, place: first_place };
        }
        bits += 1;
    }
    long
};

/// Appends the text of `code`, which is a whole string with its padding.
pub fn decode(code: &[u8], text: &mut Vec<u8>) -> Result<(), Broken> {
    let start = text.len();
    // No code is shorter than five bits. Room for all of them once is cheaper than asking for each.
    text.resize(start + code.len() * 8 / MIN_BITS, 0);
    let written = decode_into(code, text.get_mut(start..).unwrap_or_default())?;
    text.truncate(start + written);
    Ok(())
}

/// Returns the bytes that were written.
fn decode_into(code: &[u8], text: &mut [u8]) -> Result<usize, Broken> {
    let mut written = 0;
    // The next bits from the top down, zeros behind them.
    let mut bits = 0_u64;
    let mut held = 0_u32;
    let (words, tail) = code.as_chunks::<4>();
    for word in words {
        bits |= u64::from(u32::from_be_bytes(*word)) << (32 - held);
        held += 32;
        // A whole code is there, whichever it is.
        while held >= MAX_BITS as u32 {
            let found = next(bits);
            if found == 0 {
                return Err(Broken);
            }
            *text.get_mut(written).ok_or(Broken)? = found as u8;
            written += 1;
            bits <<= found >> 8;
            held -= u32::from(found >> 8);
        }
    }
    for &byte in tail {
        bits |= u64::from(byte) << (56 - held);
        held += 8;
    }
    loop {
        let found = next(bits);
        let length = u32::from(found >> 8);
        if found == 0 || length > held {
            // The zeros behind the last bits are not of the string: what is left is no code but padding.
            let padding = !(u64::MAX >> held);
            return if held < 8 && bits & padding == padding { Ok(written) } else { Err(Broken) };
        }
        *text.get_mut(written).ok_or(Broken)? = found as u8;
        written += 1;
        bits <<= length;
        held -= length;
    }
}

/// The symbol that the top of `bits` begins with, and above it the bits of its code; 0 for the end of a string.
#[inline(always)]
fn next(bits: u64) -> u16 {
    let found = FAST[(bits >> (64 - FAST_BITS)) as usize];
    if found == 0 { next_long((bits >> 32) as u32) } else { found }
}

#[cold]
#[inline(never)]
fn next_long(bits: u32) -> u16 {
    let mut longer = (FAST_BITS + 1..).zip(&LONG);
    let Some((length, codes)) = longer.find(|(_, codes)| bits <= codes.last) else { return 0 };
    let place = codes.place + ((bits - codes.first) >> (32 - length)) as usize;
    match ORDER.get(place) {
        Some(&symbol) if symbol < 256 => (length as u16) << 8 | symbol,
        _ => 0,
    }
}
