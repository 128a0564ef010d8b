//! The Huffman code of RFC 7541 appendix B. It is canonical (codes of one length count up with their symbols), so
//! the length of each symbol's code says everything.

mod decode;
mod encode;

pub use decode::decode;
pub use encode::{encode, encoded_len};

/// The bytes, and the end of a string.
const SYMBOLS: usize = 257;
const MAX_BITS: usize = 30;

/// Bits of the code of each byte, and at last of the end of a string: in a string that one is an error, and its
/// first bits are the padding.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Symbols in the order of their codes, shorter ones first.
const ORDER: [u16; SYMBOLS] = {
    let mut order = [0; SYMBOLS];
    let (mut bits, mut filled) = (1, 0);
    while bits <= MAX_BITS {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == bits {
                order[filled] = symbol as u16;
                filled += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    order
};

/// Code of each symbol, in the low bits.
const CODES: [u32; SYMBOLS] = {
    let mut codes = [0; SYMBOLS];
    let (mut place, mut next, mut bits) = (0, 0_u32, LENGTHS[ORDER[0] as usize]);
    while place < SYMBOLS {
        let symbol = ORDER[place] as usize;
        next <<= LENGTHS[symbol] - bits;
        bits = LENGTHS[symbol];
        codes[symbol] = next;
        next += 1;
        place += 1;
    }
    // The last code is all ones: nothing is left over and nothing is given twice.
    assert!(next == 1 << MAX_BITS);
    codes
};

#[cfg(test)]
mod tests {
    use super::super::Broken;
    use super::*;

    /// A few of appendix B, from every length of code it shows.
    #[test]
    fn codes_are_those_of_the_rfc() {
        #[rustfmt::skip]
        let known = [
            (0, 0x1ff8), (1, 0x7fffd8), (9, 0xffffea), (10, 0x3ffffffc), (22, 0x3ffffffe), (usize::from(b' '), 0x14),
            (usize::from(b'!'), 0x3f8), (usize::from(b'#'), 0xffa), (usize::from(b'0'), 0), (usize::from(b'9'), 0x1f),
            (usize::from(b'<'), 0x7ffc), (usize::from(b'X'), 0xfc), (usize::from(b'\\'), 0x7fff0),
            (usize::from(b'z'), 0x7b), (usize::from(b'|'), 0x7fc), (usize::from(b'}'), 0x3ffd), (128, 0xfffe6),
            (153, 0x1fffdc), (199, 0x1ffffec), (207, 0x1ffffed), (255, 0x3ffffee), (254, 0x7fffff0), (249, 0xffffffe),
            (256, 0x3fffffff),
        ];
        for (symbol, code) in known {
            assert_eq!(CODES[symbol], code, "{symbol}");
        }
    }

    #[test]
    fn every_symbol_round_trips_in_every_place() {
        for symbol in 0..=255_u8 {
            for length in 0..20 {
                let mut text = vec![b'e'; length];
                text.push(symbol);
                text.extend_from_slice(&b"?~ab/\\"[..length % 7]);
                let mut code = Vec::new();
                encode(&text, &mut code);
                assert_eq!(code.len(), encoded_len(&text));
                let mut back = b"before".to_vec();
                assert_eq!(decode(&code, &mut back), Ok(()));
                assert_eq!(back.strip_prefix(b"before"), Some(&text[..]));
            }
        }
    }

    /// The text of a code that is given as bits; spaces may part them.
    fn text_of(bits: &str) -> Result<Vec<u8>, Broken> {
        let bits: Vec<u8> = bits.bytes().filter(|&bit| bit != b' ').map(|bit| bit & 1).collect();
        let (bytes, []) = bits.as_chunks::<8>() else { panic!("no whole bytes") };
        let code: Vec<u8> =
            bytes.iter().map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
        let mut text = Vec::new();
        decode(&code, &mut text).map(|()| text)
    }

    #[test]
    fn padding_is_up_to_seven_ones() {
        assert_eq!(text_of(""), Ok(vec![]));
        for (text, code) in
            [("a", "00011"), ("&", "11111000"), (":", "1011100"), ("?", "1111111100"), ("0", "00000")]
        {
            for before in 0..16 {
                let bits = "00011".repeat(before) + code;
                let expected = "a".repeat(before) + text;
                let missing = bits.len().next_multiple_of(8) - bits.len();
                assert_eq!(text_of(&(bits.clone() + &"1".repeat(missing))), Ok(expected.into_bytes()));
                assert_eq!(
                    text_of(&(bits.clone() + &"1".repeat(missing + 8))),
                    Err(Broken),
                    "{bits} and too much"
                );
                for zero in 0..missing {
                    let padding = "1".repeat(zero) + "0" + &"1".repeat(missing - zero - 1);
                    // Behind five bits or more there may be one more symbol instead.
                    let is_symbol = text_of(&(bits.clone() + &padding)).is_ok();
                    assert!(!is_symbol || missing >= 5, "{bits} and {padding}");
                }
            }
        }
        assert_eq!(text_of("11111111"), Err(Broken));
    }

    #[test]
    fn the_end_of_string_is_an_error_wherever_it_is() {
        for length in 4..40 {
            assert_eq!(text_of(&"11111111".repeat(length)), Err(Broken));
        }
        for before in 0..9 {
            let bits = "00000".repeat(before) + &"1".repeat(30) + "00011";
            let bits = format!("{bits:1<width$}", width = bits.len().next_multiple_of(8));
            assert_eq!(text_of(&bits), Err(Broken), "{bits}");
        }
    }
}
