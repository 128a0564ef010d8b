//! The Huffman code of HPACK (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: among codes of equal length the order is that of the symbols, so the lengths alone make it.

use std::sync::OnceLock;

/// `bytes` in the code, the rest of the last byte filled with ones.
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    for &byte in bytes {
        let (code, length) = codes()[usize::from(byte)];
        bits.push(code, length);
    }
    bits.fill()
}

/// An error names the rule that was broken: a code that is not complete, too much filling, or the symbol for the
/// end of the string inside it.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut decoded = Vec::new();
    let (mut code, mut length) = (0, 0);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u32::from(byte >> at & 1))) {
        (code, length) = (code << 1 | bit, length + 1);
        match symbols().get(&(code, length)) {
            Some(&END) => return Err("the end of the string inside the string"),
            Some(&symbol) => {
                decoded.push(symbol as u8);
                (code, length) = (0, 0);
            }
            None if length >= 30 => return Err("a code that does not exist"),
            None => {}
        }
    }
    if length > 7 {
        return Err("more than seven bits of filling");
    }
    if code != (1 << length) - 1 {
        return Err("filling that is not the start of the end symbol");
    }
    Ok(decoded)
}

/// Code and length in bits of each symbol.
fn codes() -> &'static [(u32, u8)] {
    static CODES: OnceLock<Vec<(u32, u8)>> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut codes = vec![(0, 0); LENGTHS.len()];
        let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
        order.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
        let (mut next, mut length) = (0u32, LENGTHS[order[0]]);
        for symbol in order {
            next <<= LENGTHS[symbol] - length;
            length = LENGTHS[symbol];
            codes[symbol] = (next, length);
            next += 1;
        }
        codes
    })
}

fn symbols() -> &'static std::collections::HashMap<(u32, u8), usize> {
    static SYMBOLS: OnceLock<std::collections::HashMap<(u32, u8), usize>> = OnceLock::new();
    SYMBOLS.get_or_init(|| codes().iter().enumerate().map(|(symbol, &code)| (code, symbol)).collect())
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u64,
    count: u8,
}

impl Bits {
    fn push(&mut self, code: u32, length: u8) {
        self.pending = self.pending << length | u64::from(code);
        self.count += length;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
    }

    fn fill(mut self) -> Vec<u8> {
        if self.count > 0 {
            let missing = 8 - self.count;
            self.push((1 << missing) - 1, missing);
        }
        self.bytes
    }
}

const END: usize = 256;

/// Bits of the code of each symbol from 0 to 255, then of the end of the string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 appendix C.4 and C.6.
    #[test]
    fn codes_as_the_examples_do() {
        for (text, code) in [
            ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
            ("no-cache", "a8eb10649cbf"),
            ("custom-key", "25a849e95ba97d7f"),
            ("302", "6402"),
            ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        ] {
            let bytes = encode(text.as_bytes());
            assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), code);
            assert_eq!(decode(&bytes).unwrap(), text.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
    }

    #[test]
    fn refuses_bad_filling_and_the_end_symbol() {
        assert!(decode(&[0b0000_0000]).is_err(), "filled with zeros");
        assert!(decode(&[0b0001_1111, 0xff]).is_err(), "a whole byte of filling");
        assert!(decode(&[0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
