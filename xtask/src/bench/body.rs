//! Large bodies that can be recognised: what is in them, and a cheap sum over what arrived.

/// A megabyte of noise, the same in every process. Large bodies are this again and again.
pub fn block() -> Vec<u8> {
    // xorshift64: no two places of the block look alike.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.take(BLOCK / 8).flat_map(u64::to_le_bytes).collect()
}

/// How many bytes came, and Fletcher's sum over them: it sees lost, doubled, changed and swapped bytes, in
/// whatever pieces they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub bytes: u64,
    first: u64,
    second: u64,
}

impl Sum {
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for &byte in bytes {
            self.first = self.first.wrapping_add(u64::from(byte));
            self.second = self.second.wrapping_add(self.first);
        }
    }

    /// Of `block` so many times.
    pub fn of_blocks(block: &[u8], times: usize) -> Sum {
        let mut sum = Sum::default();
        (0..times).for_each(|_| sum.add(block));
        sum
    }

    /// The same text for the same bytes.
    pub fn text(&self) -> String {
        format!("{} bytes, sum {:016x}{:016x}", self.bytes, self.second, self.first)
    }
}

pub const BLOCK: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(pieces: &[&[u8]]) -> Sum {
        let mut sum = Sum::default();
        pieces.iter().for_each(|piece| sum.add(piece));
        sum
    }

    #[test]
    fn pieces_do_not_matter_and_order_does() {
        assert_eq!(sum(&[b"abc", b"", b"def"]), sum(&[b"abcdef"]));
        assert_eq!(Sum::of_blocks(b"ab", 2), sum(&[b"abab"]));
        for other in [&b"abdcef"[..], b"abcde", b"abcdeff", b"abcdeg"] {
            assert_ne!(sum(&[other]), sum(&[b"abcdef"]), "{other:?}");
        }
    }

    #[test]
    fn the_block_is_noise_and_always_the_same() {
        let block = block();
        assert_eq!(block.len(), BLOCK);
        assert_eq!(block, super::block());
        assert_ne!(block[..BLOCK / 2], block[BLOCK / 2..]);
    }
}
