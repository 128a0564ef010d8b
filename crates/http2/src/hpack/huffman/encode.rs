//! Bytes to Huffman code.

use super::{CODES, LENGTHS};

static CODE: [u32; 256] = {
    let mut codes = [0; 256];
    let mut symbol = 0;
    while symbol < 256 {
        codes[symbol] = CODES[symbol];
        symbol += 1;
    }
    codes
};

static BITS: [u8; 256] = {
    let mut bits = [0; 256];
    let mut symbol = 0;
    while symbol < 256 {
        bits[symbol] = LENGTHS[symbol];
        symbol += 1;
    }
    bits
};

/// Bytes that [`encode`] writes for this text.
pub fn encoded_len(text: &[u8]) -> usize {
    text.iter().map(|&byte| usize::from(BITS[usize::from(byte)])).sum::<usize>().div_ceil(8)
}

/// Appends the code of `text`, padded to whole bytes.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut writer = Writer { word: 0, held: 0, out };
    let (groups, tail) = text.as_chunks::<8>();
    for group in groups {
        let (code, bits) = joined(group);
        if bits <= 64 {
            writer.push(code, bits);
        } else {
            writer.push_each(group);
        }
    }
    writer.push_each(tail);
    writer.finish();
}

/// The codes of eight symbols as one, which is right when all its bits have a place in the word.
#[inline(always)]
fn joined(group: &[u8; 8]) -> (u64, u32) {
    group.iter().fold((0, 0), |(code, bits), &byte| {
        let length = u32::from(BITS[usize::from(byte)]);
        (code << length | u64::from(CODE[usize::from(byte)]), bits + length)
    })
}

/// Collects bits and writes them by eight bytes.
struct Writer<'a> {
    /// The last `held` bits were not written yet, which are fewer than 64; what is above them was.
    word: u64,
    held: u32,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    #[inline(always)]
    fn push(&mut self, code: u64, bits: u32) {
        let free = 64 - self.held;
        if bits < free {
            self.word = self.word << bits | code;
            self.held += bits;
        } else {
            let over = bits - free;
            let full = self.word.unbounded_shl(free) | code >> over;
            self.out.extend_from_slice(&full.to_be_bytes());
            self.word = code;
            self.held = over;
        }
    }

    fn push_each(&mut self, symbols: &[u8]) {
        for &byte in symbols {
            self.push(u64::from(CODE[usize::from(byte)]), u32::from(BITS[usize::from(byte)]));
        }
    }

    fn finish(self) {
        let padding = u64::MAX >> self.held;
        let last = self.word.unbounded_shl(64 - self.held) | padding;
        // All eight are cheaper to write than the right number of them.
        let end = self.out.len() + self.held.div_ceil(8) as usize;
        self.out.extend_from_slice(&last.to_be_bytes());
        self.out.truncate(end);
    }
}
