//! Integers with a prefix (RFC 7541 5.1).

use super::Broken;

/// So many bytes behind the first one, and not more: 35 bits, more than any length or index needs.
const MAX_CONTINUATION: usize = 5;

/// The integer whose first byte is `first` with `bits` bits of it, and whose other bytes `rest` begins with.
#[inline]
pub fn decode(first: u8, bits: u32, rest: &mut &[u8]) -> Result<usize, Broken> {
    let mask = (1 << bits) - 1;
    let value = usize::from(first & mask);
    if value < usize::from(mask) { Ok(value) } else { decode_long(value, rest) }
}

#[cold]
fn decode_long(prefix: usize, rest: &mut &[u8]) -> Result<usize, Broken> {
    let mut value = prefix as u64;
    for position in 0..MAX_CONTINUATION {
        let (&byte, behind) = rest.split_first().ok_or(Broken)?;
        *rest = behind;
        value += u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| Broken);
        }
    }
    Err(Broken)
}

/// Writes `value`; `first` is what the first byte has above its `bits` bits.
#[inline]
pub fn encode(value: usize, (first, bits): (u8, u32), out: &mut Vec<u8>) {
    let mask = (1 << bits) - 1;
    if value < mask {
        out.push(first | value as u8);
    } else {
        out.push(first | mask as u8);
        encode_long(value - mask, out);
    }
}

fn encode_long(mut rest: usize, out: &mut Vec<u8>) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], bits: u32) -> Result<(usize, usize), Broken> {
        let (&first, mut rest) = bytes.split_first().expect("not empty");
        decode(first, bits, &mut rest).map(|value| (value, rest.len()))
    }

    /// RFC 7541 C.1.
    #[test]
    fn examples_of_the_rfc() {
        for (value, bits, bytes) in [(10, 5, &[10][..]), (1337, 5, &[31, 154, 10]), (42, 8 - 1, &[42])] {
            let mut out = Vec::new();
            encode(value, (0, bits), &mut out);
            assert_eq!(out, bytes);
            assert_eq!(read(bytes, bits), Ok((value, 0)));
        }
        assert_eq!(read(&[0xea], 5), Ok((10, 0)), "bits above the prefix belong to somebody else");
        assert_eq!(read(&[42, 7], 8 - 1), Ok((42, 1)), "what follows stays");
    }

    #[test]
    fn every_width_round_trips_at_its_edges() {
        for bits in 4..=7 {
            let edge = (1 << bits) - 1;
            for value in [0, 1, edge - 1, edge, edge + 1, edge + 127, edge + 128, 1 << 20, u32::MAX as usize]
            {
                let mut out = Vec::new();
                encode(value, (0, bits), &mut out);
                assert_eq!(read(&out, bits), Ok((value, 0)), "{value} in {bits} bits");
                for end in 1..out.len() {
                    assert_eq!(read(&out[..end], bits), Err(Broken), "{value} cut at {end}");
                }
            }
        }
    }

    #[test]
    fn too_many_bytes_are_refused_whatever_they_say() {
        assert_eq!(read(&[31, 0x80, 0x80, 0x80, 0x80, 0x00], 5), Ok((31, 0)));
        assert_eq!(read(&[31, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 5), Err(Broken));
        assert_eq!(read(&[31, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127], 5), Err(Broken));
    }
}
