//! Names in lower case, as HTTP/2 has them.

use super::hash::hash;

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
        let (words, tail) = name.as_chunks::<8>();
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *to = lower_word(*word);
        }
        if !tail.is_empty() {
            // The last eight bytes once more are cheaper than the rest one by one.
            if let Some(word) = name.last_chunk::<8>() {
                bytes.get_mut(length - 8..length)?.copy_from_slice(&lower_word(*word));
            } else {
                for (to, byte) in bytes.iter_mut().zip(tail) {
                    *to = byte.to_ascii_lowercase();
                }
            }
        }
        let hash = hash(SEED, bytes.get(..length)?);
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

/// ASCII letters in lower case, all eight at once.
#[inline(always)]
fn lower_word(word: [u8; 8]) -> [u8; 8] {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_le_bytes(word);
    let low = word & (ONES * 0x7f);
    // The top bit of each byte says: from 'A' on, and behind 'Z'.
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let behind_z = low + ONES * (0x7f - b'Z' as u64);
    let letters = (from_a & !behind_z & !word) & (ONES * 0x80);
    (word | letters >> 2).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255_u8 {
            for length in 1..=MAX {
                let mut name = vec![b'M'; length];
                name[length * 7 / 11] = byte;
                let lower = Name::new(&name).expect("short");
                assert_eq!(lower.bytes(), name.to_ascii_lowercase(), "{byte} of {length}");
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
