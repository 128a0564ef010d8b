//! What the streams of one connection may cost together. Each has limits of its own; a hundred of them at their
//! limits are a hundred times as much, for a client that pays for one connection.

use std::cell::Cell;
use std::time::Duration;

use ::http1::RequestHead;
use tokio::time::Instant;

/// Heads of requests that are being answered: many times what honest ones have, and a third of what a hundred streams
/// could have.
const MOST_HEADS: usize = 1 << 20;
/// A stream that is too slow ends after one `rate_grace`, and takes none of the others with it. A client with one such
/// stream after the other is looked at as a whole: whenever it was waited for so many times as long.
const PATIENCE: u32 = 3;
/// As for each of them.
const SHORTEST: Duration = Duration::from_secs(1);

/// Of one connection.
#[derive(Debug, Default)]
pub struct Together {
    heads: Cell<usize>,
    /// Streams that wait for the client, and since when there is one.
    waiting: Cell<u32>,
    since: Cell<Option<Instant>>,
    /// For how long there was one before that, since the client was judged last.
    waited: Cell<Duration>,
    /// Of bodies that moved since then, over all streams.
    bytes: Cell<u64>,
}

/// The head of one request.
#[derive(Debug)]
pub struct Held<'t> {
    together: &'t Together,
    weight: usize,
}

/// A stream waits for the client.
#[derive(Debug)]
pub struct Waiting<'t>(&'t Together);

impl Together {
    /// Room for a head while its request is answered; `None` when there is none left.
    pub fn hold(&self, head: &RequestHead) -> Option<Held<'_>> {
        self.hold_bytes(head.weight())
    }

    fn hold_bytes(&self, weight: usize) -> Option<Held<'_>> {
        let heads = self.heads.get().saturating_add(weight);
        if heads > MOST_HEADS {
            return None;
        }
        self.heads.set(heads);
        Some(Held { together: self, weight })
    }

    /// A stream begins to wait for the client.
    pub fn wait(&self, now: Instant) -> Waiting<'_> {
        self.enter(now);
        Waiting(self)
    }

    fn enter(&self, now: Instant) {
        if self.waiting.replace(self.waiting.get() + 1) == 0 {
            self.since.set(Some(now));
        }
    }

    fn leave(&self, now: Instant) {
        let waiting = self.waiting.get().saturating_sub(1);
        self.waiting.set(waiting);
        if waiting == 0
            && let Some(since) = self.since.take()
        {
            self.waited.set(self.waited.get() + now.saturating_duration_since(since));
        }
    }

    /// Bytes of a body went to the client or came from it.
    pub fn moved(&self, bytes: u64) {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
    }

    /// When the client is judged next; `None` while no stream waits for it.
    #[inline]
    pub fn judged_at(&self, grace: impl FnOnce() -> Duration) -> Option<Instant> {
        let since = self.since.get()?;
        let patience = PATIENCE * grace().max(SHORTEST);
        Some(since + patience.saturating_sub(self.waited.get()))
    }

    /// That time has come: whether all streams together moved less than `min_rate` bytes a second of waiting.
    pub fn is_too_slow(&self, min_rate: u64, now: Instant) -> bool {
        let Some(since) = self.since.replace(Some(now)) else { return false };
        let waited = self.waited.take() + now.saturating_duration_since(since);
        self.bytes.take() < min_rate.saturating_mul(waited.as_secs())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let heads = &self.together.heads;
        heads.set(heads.get().saturating_sub(self.weight));
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.leave(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn heads_have_so_much_room_and_give_it_back() {
        let together = Together::default();
        let mut held: Vec<_> = (0..32).map(|_| together.hold_bytes(32 << 10)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(together.hold_bytes(1).is_none());
        held.pop();
        assert!(together.hold_bytes(32 << 10).is_some());
        drop(held);
        assert_eq!(together.heads.get(), 0);
    }

    fn judged(together: &Together) -> Option<Instant> {
        together.judged_at(|| GRACE)
    }

    #[test]
    fn streams_that_follow_each_other_are_judged_as_one() {
        let start = Instant::now();
        // With the next one before the end of the last one, and with a pause between them.
        for pause in [Duration::ZERO, Duration::from_secs(100)] {
            for (bytes, too_slow) in [(0, true), (10_239, true), (10_240, false), (1_000_000, false)] {
                let together = Together::default();
                let mut now = start;
                for _ in 0..3 {
                    together.enter(now);
                    together.moved(bytes);
                    now += GRACE;
                    if pause.is_zero() {
                        together.enter(now);
                        together.leave(now);
                    }
                    together.leave(now);
                    now += pause;
                }
                assert_eq!(judged(&together), None, "nobody is waited for");
                together.enter(now);
                assert_eq!(judged(&together), Some(now));
                assert_eq!(together.is_too_slow(1024, now), too_slow, "{bytes} {pause:?}");
                assert_eq!(judged(&together), Some(now + 3 * GRACE), "judged anew");
            }
        }
    }

    #[test]
    fn several_that_wait_are_waited_for_once() {
        let start = Instant::now();
        let together = Together::default();
        for _ in 0..100 {
            together.enter(start);
        }
        assert_eq!(judged(&together), Some(start + 3 * GRACE));
        for _ in 0..99 {
            together.leave(start + GRACE);
        }
        assert_eq!(judged(&together), Some(start + 3 * GRACE));
        together.leave(start + 2 * GRACE);
        together.enter(start + 50 * GRACE);
        assert_eq!(judged(&together), Some(start + 51 * GRACE));
    }
}
