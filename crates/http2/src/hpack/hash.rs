//! The hash of names and pairs: a multiplication per eight bytes. Whoever makes values collide only loses
//! compression of their own answers, as every match is compared and every search is short.

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Goes on from `seed`. The upper bits are the good ones.
#[inline]
pub const fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = mix(seed, bytes.len() as u64);
    let mut at = 0;
    while at < words.len() {
        hash = mix(hash, u64::from_le_bytes(words[at]));
        at += 1;
    }
    if tail.is_empty() { hash } else { mix(hash, last_word(bytes, tail)) }
}

/// A word with all of `tail` in it; some of the bytes before it may be there as well.
#[inline]
const fn last_word(bytes: &[u8], tail: &[u8]) -> u64 {
    if let Some(word) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    if let (Some(low), Some(high)) = (tail.first_chunk::<4>(), tail.last_chunk::<4>()) {
        return u32::from_le_bytes(*low) as u64 | (u32::from_le_bytes(*high) as u64) << 32;
    }
    match *tail {
        [a] => a as u64,
        [a, b] => a as u64 | (b as u64) << 8,
        [a, b, c] => a as u64 | (b as u64) << 8 | (c as u64) << 16,
        _ => 0,
    }
}

#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of every length that differ in one byte, wherever it is, have different hashes.
    #[test]
    fn every_byte_counts() {
        let mut seen = std::collections::HashSet::new();
        for length in 0..40 {
            let mut text = vec![b'x'; length];
            assert!(seen.insert(hash(1, &text)));
            for at in 0..length {
                text[at] = b'y';
                assert!(seen.insert(hash(1, &text)), "{length} {at}");
                text[at] = b'x';
            }
        }
    }
}
