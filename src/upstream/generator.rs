//! Random numbers for choices that nobody gains by guessing: SplitMix64, one for each worker or task.

/// A period of 2^64, a state of eight bytes, a handful of instructions for each number. Not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    state: u64,
}

impl Generator {
    /// Neighbouring seeds give unrelated numbers.
    pub(super) fn new(seed: u64) -> Generator {
        Generator { state: mix(seed) }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// From 0 to 1.
    pub(super) fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// A number below `bound`; 0 for a bound of 0. Some numbers come more often than others by a part of
    /// `bound` in 2^64.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// One to one, and each bit of the input turns each bit of the output with a probability of one half (variant
/// 13 of Stafford's finalisers).
pub(super) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// 2^64 divided by the golden ratio: its multiples are spread evenly.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_seeds_are_unrelated() {
        let mut counts = [0_u32; 10];
        let mut same = 0;
        let (mut first, mut second) = (Generator::new(1), Generator::new(2));
        for _ in 0..100_000 {
            let number = first.below(10);
            counts[number as usize] += 1;
            same += u32::from(number == second.below(10));
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert!((9_500..10_500).contains(&same), "{same}");
        assert_eq!(first.below(0), 0);
        assert_eq!(first.below(1), 0);
    }
}
