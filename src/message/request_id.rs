//! The id of a request: 32 hex digits of our own, or what a trusted proxy gave.

use std::cell::Cell;

/// Longest id that is taken over from a trusted proxy.
const MAX_LEN: usize = 64;

/// Printable and short, so it is safe in logs, fields and pages.
#[derive(Clone)]
pub enum RequestId {
    Made([u8; 32]),
    /// From a trusted proxy.
    Received(Box<[u8]>),
}

thread_local! {
    /// State of the worker's generator (splitmix64), seeded by the system, and what all its ids end in: a
    /// random number of its own, as text.
    static STATE: Cell<Option<(u64, [u8; 16])>> = const { Cell::new(None) };
}

impl RequestId {
    /// A new id. Unique, not secret: guessing one gains nothing.
    pub fn make() -> RequestId {
        let (mut state, end) = STATE.get().unwrap_or_else(seed);
        let mut id = [0; 32];
        id[..16].copy_from_slice(&hex(next(&mut state)));
        id[16..].copy_from_slice(&end);
        STATE.set(Some((state, end)));
        RequestId::Made(id)
    }

    /// The received id, when it is short and made of letters, digits and `-_.:/+=`.
    pub fn received(value: &[u8]) -> Option<RequestId> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        if value.is_empty() || value.len() > MAX_LEN || !value.iter().all(plain) {
            return None;
        }
        Some(RequestId::Received(value.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            RequestId::Made(id) => id,
            RequestId::Received(id) => id,
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// From the standard library's keyed hasher, whose keys come from the system.
fn seed() -> (u64, [u8; 16]) {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(1), hex(RandomState::new().hash_one(2)))
}

/// splitmix64: each state gives another word, so no two ids of a worker are the same before 2^64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Sixteen hex digits, computed for all nibbles at once.
fn hex(word: u64) -> [u8; 16] {
    let spread = |half: u32| {
        let mut nibbles = u64::from(half);
        nibbles = (nibbles | (nibbles << 16)) & 0x0000_ffff_0000_ffff;
        nibbles = (nibbles | (nibbles << 8)) & 0x00ff_00ff_00ff_00ff;
        nibbles = (nibbles | (nibbles << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
        let above_nine = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        (nibbles + 0x3030_3030_3030_3030 + above_nine * 39).to_be_bytes()
    };
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&spread((word >> 32) as u32));
    digits[8..].copy_from_slice(&spread(word as u32));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_what_the_library_prints() {
        for word in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX, 0xf0f0_0a0a_9999_6666] {
            assert_eq!(&hex(word), format!("{word:016x}").as_bytes());
        }
    }

    #[test]
    fn ids_differ_and_foreign_ones_are_checked() {
        assert_ne!(RequestId::make().as_bytes(), RequestId::make().as_bytes());
        assert!(RequestId::received(b"abc-1").is_some());
        for bad in [&b""[..], b"a b", b"a\r\nb", b"<x>", &[b'a'; 65]] {
            assert!(RequestId::received(bad).is_none());
        }
    }
}
