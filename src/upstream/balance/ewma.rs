//! How slow an endpoint is now: a moving average of its latency that believes bad news at once and good news
//! slowly (peak EWMA). All workers write to one of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Times are milliseconds of any monotonic clock that all callers share; it may wrap around at 2^32. Workers
/// that observe at the same moment may lose one of their observations, which an average can bear.
#[derive(Debug, Default)]
pub struct PeakEwma {
    /// Microseconds as the bits of an `f32`, then the time of the last observation; 0 before the first one.
    state: AtomicU64,
}

impl PeakEwma {
    /// An answer took `latency` microseconds. More than the average replaces it, less draws it down the more, the
    /// longer the last observation is ago.
    pub fn observe(&self, latency: u32, now: u32) {
        let latency = latency.max(1) as f32;
        let (average, at) = self.load();
        let average = if latency >= average {
            latency
        } else {
            let kept = kept_since(at, now);
            average * kept + latency * (1.0 - kept)
        };
        self.state.store((u64::from(average.to_bits()) << 32) | u64::from(now), Relaxed);
    }

    /// A request failed after so many microseconds. It counts as a latency that is four times the average, at
    /// least a second and at most a minute, so that who refuses quickly does not look like the fastest.
    pub fn fail(&self, took: u32, now: u32) {
        let worse = self.value(now).saturating_mul(4);
        self.observe(took.max(worse).clamp(FAILURE, WORST), now);
    }

    /// Microseconds; 0 when unknown. It goes down while nobody observes anything, so that who was slow once is
    /// tried again, and is unknown at last.
    pub fn value(&self, now: u32) -> u32 {
        let (average, at) = self.load();
        (average * kept_since(at, now)).round() as u32
    }

    fn load(&self) -> (f32, u32) {
        let state = self.state.load(Relaxed);
        (f32::from_bits((state >> 32) as u32), state as u32)
    }
}

/// The part of an average that is left after the time since `at`.
fn kept_since(at: u32, now: u32) -> f32 {
    let passed = now.wrapping_sub(at);
    // Another worker read the clock a moment later, but wrote first.
    let passed = if passed > u32::MAX - SKEW { 0 } else { passed };
    (-(passed as f32) / WINDOW).exp()
}

/// After so many milliseconds a part of 1/e is left of an average.
const WINDOW: f32 = 10_000.0;

/// Milliseconds by which two workers may differ in what they call now.
const SKEW: u32 = 60_000;

/// Microseconds.
const FAILURE: u32 = 1_000_000;
const WORST: u32 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    enum Event {
        Took(u32),
        Failed(u32),
        Nothing,
    }

    /// What happens, at which second, and the value right after it.
    type Story = &'static [(Event, u32, u32)];

    #[test]
    fn it_jumps_up_at_once_and_comes_down_slowly() {
        use Event::{Failed, Nothing, Took};
        let cases: &[(&str, Story)] = &[
            ("unknown", &[(Nothing, 0, 0), (Nothing, 1000, 0)]),
            ("the first is taken as it is", &[(Took(500), 3, 500)]),
            ("no latency is not unknown", &[(Took(0), 3, 1)]),
            ("worse replaces", &[(Took(500), 0, 500), (Took(9000), 0, 9000)]),
            ("better at the same moment changes nothing", &[(Took(9000), 5, 9000), (Took(10), 5, 9000)]),
            ("better after one window", &[(Took(1000), 0, 1000), (Took(100), 10, 431)]),
            ("better after ten windows", &[(Took(1000), 0, 1000), (Took(100), 100, 100)]),
            ("silence", &[(Took(1000), 0, 1000), (Nothing, 10, 368), (Nothing, 60, 2), (Nothing, 100, 0)]),
            ("a quick failure is not quick", &[(Took(500), 0, 500), (Failed(3), 0, 1_000_000)]),
            ("failures add up", &[(Failed(3), 0, 1_000_000), (Failed(3), 0, 4_000_000)]),
            ("a slow failure took its time", &[(Failed(30_000_000), 0, 30_000_000)]),
            ("no failure is for ever", &[(Took(50_000_000), 0, 50_000_000), (Failed(3), 0, 60_000_000)]),
        ];
        // The second beginning is just before the clock wraps around.
        for beginning in [1_000_000, u32::MAX - 2_000] {
            for (case, events) in cases {
                let ewma = PeakEwma::default();
                for (event, second, expected) in *events {
                    let now = u32::wrapping_add(beginning, second * 1000);
                    match event {
                        Took(latency) => ewma.observe(*latency, now),
                        Failed(latency) => ewma.fail(*latency, now),
                        Nothing => {}
                    }
                    assert_eq!(ewma.value(now), *expected, "{case}, second {second} from {beginning}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_behind_does_not_forget() {
        let ewma = PeakEwma::default();
        ewma.observe(1000, 5_000);
        assert_eq!(ewma.value(4_990), 1000);
        ewma.observe(10, 4_990);
        assert_eq!(ewma.value(4_990), 1000);
    }

    proptest::proptest! {
        #[test]
        fn it_stays_between_what_was_observed(
            observed in proptest::collection::vec((1_u32.., 0_u32..100_000), 1..40),
        ) {
            let ewma = PeakEwma::default();
            let mut now = 7_u32;
            for (latency, passed) in &observed {
                now = now.wrapping_add(*passed);
                ewma.observe(*latency, now);
                // A float has 24 bits of a latency.
                assert!(f64::from(ewma.value(now)) >= f64::from(*latency) * 0.999_999);
            }
            let most = observed.iter().map(|(latency, _)| *latency).max().unwrap_or(0);
            assert!(f64::from(ewma.value(now)) <= f64::from(most) * 1.000_001);
        }
    }
}
