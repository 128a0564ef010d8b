//! The hash of names and pairs: a multiplication per eight bytes. Whoever makes values collide only loses
//! compression of their own answers, as every match is compared and every search is short.

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Goes on from `seed`. The upper bits are the good ones.
#[inline]
pub const fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let hash = mix(seed, bytes.len() as u64);
    let (Some(last), Some((_, others))) = (bytes.last_chunk::<8>(), bytes.split_last()) else {
        return mix(hash, short_word(bytes));
    };
    // All words but the last, which may overlap the one before it.
    let (words, _) = others.as_chunks::<8>();
    let (mut hash, mut at) = (hash, 0);
    while at < words.len() {
        hash = mix(hash, u64::from_le_bytes(words[at]));
        at += 1;
    }
    mix(hash, u64::from_le_bytes(*last))
}

/// Up to seven bytes as one word, the first of them lowest and zeros behind the last.
#[inline(always)]
pub const fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where the two overlap they are the same.
        let shift = 8 * (bytes.len() as u32 - 4);
        return u32::from_le_bytes(*low) as u64 | (u32::from_le_bytes(*high) as u64) << shift;
    }
    match *bytes {
        [a] => a as u64,
        [a, b] => a as u64 | (b as u64) << 8,
        [a, b, c] => a as u64 | (b as u64) << 8 | (c as u64) << 16,
        _ => 0,
    }
}

/// One step of [`hash`].
#[inline]
pub const fn mix(hash: u64, word: u64) -> u64 {
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
