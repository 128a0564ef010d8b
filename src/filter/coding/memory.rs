//! Memory that the encoders and decoders of a worker hold: a few megabytes each, for as long as a client takes to
//! receive an answer, and so a limit is needed.

use std::cell::Cell;

thread_local! {
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// The right to hold some; given back when it is dropped.
#[derive(Debug)]
pub struct Share(u64);

impl Share {
    /// `None` when the worker would then hold more than `limit`. In bytes.
    pub fn take(bytes: u64, limit: u64) -> Option<Share> {
        let held = HELD.get().checked_add(bytes).filter(|held| *held <= limit)?;
        HELD.set(held);
        Some(Share(bytes))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // On a thread that is ending there is nothing left to count.
        let _ = HELD.try_with(|held| held.set(held.get().saturating_sub(self.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        let first = Share::take(60, 100);
        assert!(first.is_some());
        assert!(Share::take(41, 100).is_none());
        let second = Share::take(40, 100);
        assert!(second.is_some() && Share::take(1, 100).is_none());
        assert!(Share::take(u64::MAX, u64::MAX).is_none());
        drop((first, second));
        assert!(Share::take(100, 100).is_some());
    }
}
