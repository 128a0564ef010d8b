//! What requests met at an endpoint, noted by the workers that sent them. An answer from an endpoint that
//! is well and that nobody watches costs one load and one branch.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::balance::PeakEwma;
use super::health::outlier::Window;
use crate::wire::clock;

/// Bits of [`Observed::attention`].
const FAILING: u32 = 1;
const TIMES: u32 = 2;
const COUNTS: u32 = 4;
const ERRORS: u32 = 8;

/// What to count and time beside failures in a row, which are always counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watch {
    /// Keep the mean latency for a balance by time.
    pub times: bool,
    /// Count requests and their errors and times for the look at each interval.
    pub counts: bool,
    /// Count server errors in a row.
    pub server_errors: bool,
}

#[derive(Debug, Default)]
pub struct Observed {
    /// Bits: why an answer is more than a plain one.
    attention: AtomicU32,
    failures: AtomicU32,
    server_errors: AtomicU32,
    requests: AtomicU32,
    errors: AtomicU32,
    micros: AtomicU64,
    pub latency: PeakEwma,
}

impl Observed {
    pub fn watch(&self, watch: Watch) {
        let bits = [(TIMES, watch.times), (COUNTS, watch.counts), (ERRORS, watch.server_errors)];
        let wanted = bits.iter().filter(|(_, wanted)| *wanted).fold(0, |sum, (bit, _)| sum | bit);
        let failing = if self.failures.load(Relaxed) > 0 { FAILING } else { 0 };
        self.attention.store(wanted | failing, Relaxed);
    }

    /// True when [`Observed::answered`] has something to do.
    #[inline]
    pub fn wants_attention(&self) -> bool {
        self.attention.load(Relaxed) != 0
    }

    /// The head of an answer came after `took`; gives the number of server errors in a row when it is one
    /// and they are counted.
    pub fn answered(&self, status: u16, took: Duration) -> u32 {
        let attention = self.attention.load(Relaxed);
        if attention & FAILING != 0 {
            self.failures.store(0, Relaxed);
            self.attention.fetch_and(!FAILING, Relaxed);
        }
        let is_error = status >= 500;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if attention & COUNTS != 0 {
            self.requests.fetch_add(1, Relaxed);
            if is_error {
                self.errors.fetch_add(1, Relaxed);
            } else {
                self.micros.fetch_add(micros, Relaxed);
            }
        }
        if attention & TIMES != 0 {
            let now = clock::millis(Instant::now());
            let micros = u32::try_from(micros).unwrap_or(u32::MAX);
            if is_error {
                self.latency.fail(micros, now);
            } else {
                self.latency.observe(micros, now);
            }
        }
        if attention & ERRORS == 0 {
            return 0;
        }
        if is_error {
            return self.server_errors.fetch_add(1, Relaxed).saturating_add(1);
        }
        self.server_errors.store(0, Relaxed);
        0
    }

    /// Another endpoint answered in its place, after `took`: it is at least as slow as that.
    pub fn overtaken(&self, took: Duration) {
        let attention = self.attention.load(Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if attention & COUNTS != 0 {
            self.requests.fetch_add(1, Relaxed);
            self.micros.fetch_add(micros, Relaxed);
        }
        if attention & TIMES != 0 {
            let micros = u32::try_from(micros).unwrap_or(u32::MAX);
            self.latency.observe(micros, clock::millis(Instant::now()));
        }
    }

    /// No answer came, or none that could be read; gives the number of failures in a row.
    pub fn failed(&self) -> u32 {
        let attention = self.attention.fetch_or(FAILING, Relaxed);
        if attention & COUNTS != 0 {
            self.requests.fetch_add(1, Relaxed);
            self.errors.fetch_add(1, Relaxed);
        }
        if attention & TIMES != 0 {
            self.latency.fail(0, clock::millis(Instant::now()));
        }
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// What was counted since the last call.
    pub fn take_window(&self) -> Window {
        Window {
            requests: self.requests.swap(0, Relaxed),
            errors: self.errors.swap(0, Relaxed),
            micros: self.micros.swap(0, Relaxed),
        }
    }

    /// It begins anew: nothing of before counts against it.
    pub fn forgive(&self) {
        self.failures.store(0, Relaxed);
        self.server_errors.store(0, Relaxed);
        self.take_window();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_plain_answer_needs_no_attention() {
        let observed = Observed::default();
        assert!(!observed.wants_attention());
        observed.watch(Watch { counts: true, ..Watch::default() });
        assert!(observed.wants_attention());
        observed.watch(Watch::default());
        assert!(!observed.wants_attention());
    }

    #[test]
    fn an_answer_ends_a_row_of_failures() {
        let observed = Observed::default();
        assert_eq!((observed.failed(), observed.failed()), (1, 2));
        assert!(observed.wants_attention());
        observed.answered(200, MS);
        assert!(!observed.wants_attention());
        assert_eq!(observed.failed(), 1);
    }

    #[test]
    fn server_errors_in_a_row_are_counted_on_request() {
        let observed = Observed::default();
        assert_eq!(observed.answered(500, MS), 0);
        observed.watch(Watch { server_errors: true, ..Watch::default() });
        assert_eq!((observed.answered(500, MS), observed.answered(503, MS)), (1, 2));
        assert_eq!((observed.answered(404, MS), observed.answered(500, MS)), (0, 1));
    }

    #[test]
    fn a_window_holds_what_came_since_the_last() {
        let observed = Observed::default();
        observed.watch(Watch { counts: true, ..Watch::default() });
        observed.answered(200, 3 * MS);
        observed.answered(500, 5 * MS);
        observed.failed();
        assert_eq!(observed.take_window(), Window { requests: 3, errors: 2, micros: 3000 });
        assert_eq!(observed.take_window(), Window::default());
    }
}
