//! Names in lower case, as HTTP/2 has them.

use super::hash::{mix, short_word};

/// Longer names are written without any table.
pub const MAX: usize = 64;

/// A name of at most [`MAX`] bytes in lower case, with its hash.
pub struct Name {
    bytes: [u8; MAX],
    length: usize,
    hash: u64,
}

impl Name {
    #[inline(always)]
    pub fn new(name: &[u8]) -> Option<Name> {
        let length = name.len();
        let mut bytes = [0; MAX];
        // What `hash` does with the name in lower case, on the way.
        let mut hash = mix(SEED, length as u64);
        if let (Some(last), Some((_, others))) = (name.last_chunk::<8>(), name.split_last()) {
            for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(others.as_chunks::<8>().0) {
                let word = lower_word(u64::from_le_bytes(*word));
                *to = word.to_le_bytes();
                hash = mix(hash, word);
            }
            let last = lower_word(u64::from_le_bytes(*last));
            bytes.get_mut(length - 8..length)?.copy_from_slice(&last.to_le_bytes());
            hash = mix(hash, last);
        } else {
            let word = lower_word(short_word(name));
            *bytes.first_chunk_mut::<8>()? = word.to_le_bytes();
            hash = mix(hash, word);
        }
        Some(Name { bytes, length, hash })
    }

    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    #[inline(always)]
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

/// Chosen so that no two names of the static table have the same place in its index.
pub const SEED: u64 = 101;

/// Whether `name` in lower case is `lower`, which is.
#[inline(always)]
pub fn is_lower_of(lower: &[u8], name: &[u8]) -> bool {
    if lower.len() != name.len() {
        return false;
    }
    // Most are in lower case already.
    let is_same = |lower: u64, name: u64| name == lower || lower_word(name) == lower;
    let (Some(lower_last), Some(last)) = (lower.last_chunk::<8>(), name.last_chunk::<8>()) else {
        return is_same(short_word(lower), short_word(name));
    };
    if !is_same(u64::from_le_bytes(*lower_last), u64::from_le_bytes(*last)) {
        return false;
    }
    for (lower, name) in lower.as_chunks::<8>().0.iter().zip(name.as_chunks::<8>().0) {
        if !is_same(u64::from_le_bytes(*lower), u64::from_le_bytes(*name)) {
            return false;
        }
    }
    true
}

/// ASCII letters in lower case, all eight at once.
#[inline(always)]
fn lower_word(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let low = word & (ONES * 0x7f);
    // The top bit of each byte says: from 'A' on, and behind 'Z'.
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let behind_z = low + ONES * (0x7f - b'Z' as u64);
    let letters = (from_a & !behind_z & !word) & (ONES * 0x80);
    word | letters >> 2
}

#[cfg(test)]
mod tests {
    use super::super::hash;
    use super::*;

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255_u8 {
            for length in 1..=MAX {
                let mut name = vec![b'M'; length];
                name[length * 7 / 11] = byte;
                let lower = Name::new(&name).expect("short");
                let expected = name.to_ascii_lowercase();
                assert_eq!(lower.bytes(), expected, "{byte} of {length}");
                assert_eq!(lower.hash(), hash::hash(SEED, &expected));
                assert!(is_lower_of(&expected, &name));
                name[length * 7 / 11] = byte.wrapping_add(1);
                assert_eq!(is_lower_of(&expected, &name), name.to_ascii_lowercase() == expected);
                assert!(!is_lower_of(&expected, &name[1..]));
            }
        }
    }

    #[test]
    fn case_does_not_count_and_length_has_an_end() {
        let hash = |name: &[u8]| Name::new(name).map(|name| name.hash());
        assert_eq!(hash(b"X-Request-ID"), hash(b"x-request-id"));
        assert_ne!(hash(b"x-request-id"), hash(b"x-request-ic"));
        assert_eq!(Name::new(b"").map(|name| name.bytes().len()), Some(0));
        assert!(Name::new(&[b'a'; MAX]).is_some());
        for length in MAX + 1..MAX + 20 {
            assert!(Name::new(&vec![b'a'; length]).is_none());
        }
    }
}
