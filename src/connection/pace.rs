//! The least speed of a peer, measured only while it is waited for: a source that pauses, or an answer
//! that trickles from the origin, costs the client nothing.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::ClientLimits;
use crate::wire::Watchdog;

/// Bytes against the time spent waiting for them, window by window.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Bytes per second; 0 is no minimum.
    min_rate: u64,
    window: Duration,
    /// Without a single byte for this long the peer is gone, whatever the rate.
    stall: Duration,
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    /// Time waited since the last byte.
    stalled: Duration,
}

impl Pace {
    /// The rate is looked at each `window`; one shorter than a second would judge a peer by its first
    /// packet.
    pub fn new(min_rate: u64, window: Duration, stall: Duration) -> Pace {
        Pace {
            min_rate,
            window: window.max(Duration::from_secs(1)),
            stall,
            bytes: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            stalled: Duration::ZERO,
        }
    }

    /// By what a user set about clients.
    pub fn of(limits: &ClientLimits) -> Pace {
        Pace::new(limits.min_rate, limits.rate_grace, limits.send_timeout)
    }

    /// Bytes went through; `now` is asked for only after a wait.
    pub fn progressed(&mut self, bytes: u64, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += now() - since;
            self.stalled = Duration::ZERO;
        }
        self.bytes += bytes;
    }

    /// The wait is not for the peer any more, though no byte went through.
    pub fn paused(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.waiting_since.take() {
            let waited = now() - since;
            self.waited += waited;
            self.stalled += waited;
        }
    }

    /// Ready when the peer, which is waited for, is too slow.
    pub fn poll_too_slow(&mut self, watchdog: &Watchdog, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(deadline) = self.waiting(Instant::now) {
            if !watchdog.expired(cx, deadline) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// The peer is waited for: until when that may go on. `None` when it is too slow already.
    pub fn waiting(&mut self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        let now = now();
        let since = *self.waiting_since.get_or_insert(now);
        let this_wait = now - since;
        if self.stalled + this_wait >= self.stall {
            return None;
        }
        let stall_ends = since + (self.stall - self.stalled);
        if self.min_rate == 0 {
            return Some(stall_ends);
        }
        if self.waited + this_wait >= self.window {
            let wanted = self.min_rate.saturating_mul(self.window.as_secs().max(1));
            if self.bytes < wanted {
                return None;
            }
            self.bytes = 0;
            self.waited = Duration::ZERO;
            self.waiting_since = Some(now);
            self.stalled += this_wait;
            return Some(stall_ends.min(now + self.window));
        }
        Some(stall_ends.min(since + (self.window - self.waited)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Pace {
        Pace::new(100, 10 * SECOND, 60 * SECOND)
    }

    #[test]
    fn a_drip_is_too_slow_and_a_stream_is_not() {
        let start = Instant::now();
        for (bytes_per_second, fast_enough) in [(10, false), (99, false), (100, true), (5000, true)] {
            let mut pace = pace();
            let outcome = (0..30u32).all(|second| {
                let went_on = pace.waiting(|| start + second * SECOND).is_some();
                pace.progressed(bytes_per_second, || start + (second + 1) * SECOND);
                went_on
            });
            assert_eq!(outcome, fast_enough, "{bytes_per_second}");
        }
    }

    #[test]
    fn only_waiting_counts() {
        let start = Instant::now();
        let mut pace = pace();
        for hour in 1..100u32 {
            assert!(pace.waiting(|| start + hour * 3600 * SECOND).is_some());
            pace.progressed(1, || start + hour * 3600 * SECOND + SECOND / 1000);
        }
    }

    #[test]
    fn a_peer_that_takes_nothing_is_given_up() {
        let start = Instant::now();
        let mut pace = Pace::new(0, 10 * SECOND, 60 * SECOND);
        assert_eq!(pace.waiting(|| start), Some(start + 60 * SECOND));
        assert!(pace.waiting(|| start + 59 * SECOND).is_some());
        assert!(pace.waiting(|| start + 60 * SECOND).is_none());
    }
}
