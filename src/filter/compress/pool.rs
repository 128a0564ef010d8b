//! The encoders of a worker: lent for a stream, and kept for the next one.

use std::cell::RefCell;

use super::encoder::{Broken, Encoder, Step};
use crate::filter::coding::Coding;
use crate::filter::coding::memory::Share;

/// What a worker keeps while nothing is compressed, in bytes.
const KEPT: u64 = 16 << 20;

thread_local! {
    static IDLE: RefCell<Vec<Idle>> = const { RefCell::new(Vec::new()) };
}

struct Idle {
    encoder: Encoder,
    coding: Coding,
    /// Bytes that it may hold, after all that was done with it.
    cost: u64,
}

/// An encoder for one stream.
pub struct Lease {
    /// `None` once it went back.
    idle: Option<Idle>,
    _share: Share,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEncoder {
    /// As many streams are compressed as the memory allows.
    Full,
    Broken,
}

impl Lease {
    /// An encoder that has begun a stream of this level, which will be `size` bytes long if that is known. `limit`
    /// is what all encoders of the worker may hold, in bytes.
    pub fn take(coding: Coding, level: u32, size: Option<u64>, limit: u64) -> Result<Lease, NoEncoder> {
        let kept = IDLE.with_borrow_mut(|idle| {
            let newest = idle.iter().rposition(|idle| idle.coding == coding)?;
            Some(idle.remove(newest))
        });
        let cost = Encoder::cost(coding, level).max(kept.as_ref().map_or(0, |idle| idle.cost));
        let share = Share::take(cost, limit).ok_or(NoEncoder::Full)?;
        let encoder = kept.map(|idle| idle.encoder).or_else(|| Encoder::new(coding));
        let mut encoder = encoder.ok_or(NoEncoder::Broken)?;
        encoder.start(level, size).map_err(|Broken| NoEncoder::Broken)?;
        Ok(Lease { idle: Some(Idle { encoder, coding, cost }), _share: share })
    }

    /// Takes all of `input`, and appends what comes out.
    pub fn encode(&mut self, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.idle.as_mut().ok_or(Broken)?.encoder.encode(input, step, out)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(back) = self.idle.take() else { return };
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            let kept: u64 = idle.iter().map(|idle| idle.cost).sum();
            if kept + back.cost <= KEPT {
                idle.push(back);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: u64 = 1 << 30;

    fn kept() -> u64 {
        IDLE.with_borrow(|idle| idle.iter().map(|idle| idle.cost).sum())
    }

    #[test]
    fn memory_is_bounded_in_use_and_at_rest() {
        let cost = Encoder::cost(Coding::Zstd, 3);
        let taken: Vec<Lease> =
            (0..10).map_while(|_| Lease::take(Coding::Zstd, 3, None, 10 * cost).ok()).collect();
        assert_eq!(taken.len(), 10);
        assert_eq!(Lease::take(Coding::Zstd, 3, None, 10 * cost).err(), Some(NoEncoder::Full));
        assert_eq!(Lease::take(Coding::Gzip, 3, None, 10 * cost).err(), Some(NoEncoder::Full));
        drop(taken);
        assert!(kept() <= KEPT && kept() > KEPT / 2, "{}", kept());
    }

    #[test]
    fn one_that_has_grown_is_counted_as_such_also_when_it_is_used_for_less() {
        drop(Lease::take(Coding::Zstd, 12, None, PLENTY).unwrap());
        assert!(Lease::take(Coding::Zstd, 1, None, Encoder::cost(Coding::Zstd, 12) - 1).is_err());
    }

    #[test]
    fn an_encoder_is_used_again() {
        for coding in [Coding::Zstd, Coding::Brotli, Coding::Gzip] {
            drop(Lease::take(coding, 1, None, PLENTY).unwrap());
            let before = kept();
            let mut lease = Lease::take(coding, 1, Some(3), PLENTY).unwrap();
            assert!(kept() < before);
            let mut out = Vec::new();
            lease.encode(b"abc", Step::Finish, &mut out).unwrap();
            assert!(!out.is_empty());
        }
    }
}
