//! The circuit breaker of a group: limits on what is under way to it, and a stop when too much goes wrong. A
//! group in trouble gets time to recover, and clients an answer at once instead of one more time-out.
//!
//! ```text
//!            error rate reached                    open_time over
//!  Closed ───────────────────────> Open ──────────────────────────────> Half open
//!    ^                              ^                                      │  │
//!    │                              └──────── one of the trickle fails ────┘  │
//!    └──────────────────────────── all of the trickle goes well ─────────────┘
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// `[upstreams.NAME.breaker]`. Without a limit the breaker does not look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Requests under way over all endpoints and workers, the waiting ones among them.
    pub max_requests: Option<u32>,
    /// Requests that wait for a connection, over all endpoints.
    pub max_pending: Option<u32>,
    /// Open connections over all endpoints.
    pub max_connections: Option<u32>,
    /// Percent of failures and answers 500 to 599 at which it opens; 0 is never.
    pub error_rate: u8,
    /// The requests of so long are looked at.
    pub window: Duration,
    /// Fewer requests in a window are no reason to open.
    pub min_requests: u32,
    /// It stays open so long before it lets a few requests through.
    pub open_time: Duration,
    /// So many of them must go well.
    pub trickle: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        BreakerOptions {
            max_requests: None,
            max_pending: None,
            max_connections: None,
            error_rate: 50,
            window: Duration::from_secs(10),
            min_requests: 20,
            open_time: Duration::from_secs(5),
            trickle: 3,
        }
    }
}

/// What all workers share of it; it survives a reload.
#[derive(Debug, Default)]
pub struct Breaker {
    /// The state is not `Closed`: a look without the lock.
    is_tripped: AtomicBool,
    circuit: Mutex<Circuit>,
    pub opened: AtomicU64,
    pub refused: AtomicU64,
}

/// A request that was let through.
#[derive(Debug)]
pub struct Admitted<'b> {
    breaker: &'b Breaker,
    admission: Admission,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Plain,
    /// It is one of those that tell whether the group has recovered.
    Trickle,
}

/// How a request ended, as far as it says something about the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Well,
    Badly,
    /// A client that went away, a full queue: nothing is known.
    Nothing,
}

impl Breaker {
    /// `None` while it is open.
    pub fn admit(&self, options: &BreakerOptions, now: Instant) -> Option<Admitted<'_>> {
        if !self.is_tripped.load(Relaxed) || options.error_rate == 0 {
            return Some(Admitted { breaker: self, admission: Admission::Plain });
        }
        let admission = self.circuit.lock().expect("no panic while held").admit(options, now);
        if admission.is_none() {
            self.refused.fetch_add(1, Relaxed);
        }
        admission.map(|admission| Admitted { breaker: self, admission })
    }

    /// True while nothing is let through.
    pub fn is_open(&self, now: Instant) -> bool {
        let is_open = |state| matches!(state, State::Open { until } if now < until);
        self.is_tripped.load(Relaxed) && is_open(self.circuit.lock().expect("no panic while held").state)
    }

    /// Closed, with nothing counted: other options hold, or none.
    pub fn reset(&self) {
        *self.circuit.lock().expect("no panic while held") = Circuit::default();
        self.is_tripped.store(false, Relaxed);
    }

    pub fn state(&self) -> &'static str {
        self.circuit.lock().expect("no panic while held").state.name()
    }
}

impl Admitted<'_> {
    /// The request is over. Gives the new state's name when it changed.
    pub fn note(mut self, verdict: Verdict, options: &BreakerOptions, now: Instant) -> Option<&'static str> {
        let went_well = match verdict {
            _ if options.error_rate == 0 => return None,
            // Its place is given back.
            Verdict::Nothing => return None,
            Verdict::Well => true,
            Verdict::Badly => false,
        };
        let breaker = self.breaker;
        let mut circuit = breaker.circuit.lock().expect("no panic while held");
        let before = circuit.state.name();
        circuit.note(self.admission, went_well, options, now);
        self.admission = Admission::Plain;
        let after = circuit.state.name();
        breaker.is_tripped.store(after != State::Closed.name(), Relaxed);
        if before == after {
            return None;
        }
        if matches!(circuit.state, State::Open { .. }) {
            breaker.opened.fetch_add(1, Relaxed);
        }
        Some(after)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.admission == Admission::Trickle
            && let Ok(mut circuit) = self.breaker.circuit.lock()
        {
            circuit.give_back();
        }
    }
}

/// The pure part.
#[derive(Debug, Clone, Default)]
struct Circuit {
    state: State,
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        /// Of those that were let through and did not come back by then nothing is expected any more.
        until: Instant,
        admitted: u32,
        passed: u32,
    },
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half open",
        }
    }
}

/// Counts of this half of the window and of the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Option<Instant>,
    now: Counts,
    before: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u32,
    errors: u32,
}

impl Circuit {
    fn admit(&mut self, options: &BreakerOptions, now: Instant) -> Option<Admission> {
        match &mut self.state {
            State::Closed => Some(Admission::Plain),
            State::Open { until } if now < *until => None,
            State::HalfOpen { until, admitted, .. } if now < *until => {
                if *admitted >= options.trickle {
                    return None;
                }
                *admitted += 1;
                Some(Admission::Trickle)
            }
            // Its time is over; or the trickle went away without an outcome.
            State::Open { .. } | State::HalfOpen { .. } => {
                self.state = State::HalfOpen { until: now + options.open_time, admitted: 1, passed: 0 };
                Some(Admission::Trickle)
            }
        }
    }

    fn note(&mut self, admission: Admission, went_well: bool, options: &BreakerOptions, now: Instant) {
        match (&mut self.state, admission) {
            (State::Closed, _) => {
                let reached = self.window.note(went_well, options, now);
                if reached {
                    self.open(options, now);
                }
            }
            (State::HalfOpen { .. }, Admission::Trickle) if !went_well => self.open(options, now),
            (State::HalfOpen { passed, .. }, Admission::Trickle) => {
                *passed += 1;
                if *passed >= options.trickle {
                    *self = Circuit::default();
                }
            }
            // Sent before it opened: that is known already.
            (State::Open { .. }, _) | (State::HalfOpen { .. }, Admission::Plain) => {}
        }
    }

    /// One of the trickle ended without telling anything: another one may go.
    fn give_back(&mut self) {
        if let State::HalfOpen { admitted, .. } = &mut self.state {
            *admitted = admitted.saturating_sub(1);
        }
    }

    fn open(&mut self, options: &BreakerOptions, now: Instant) {
        self.state = State::Open { until: now + options.open_time };
        self.window = Window::default();
    }
}

impl Window {
    /// True when the error rate is reached.
    fn note(&mut self, went_well: bool, options: &BreakerOptions, now: Instant) -> bool {
        let half = options.window / 2;
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed >= half {
            self.before = if passed < options.window { self.now } else { Counts::default() };
            self.now = Counts::default();
            self.began = Some(now);
        }
        self.now.requests = self.now.requests.saturating_add(1);
        self.now.errors = self.now.errors.saturating_add(u32::from(!went_well));
        let requests = u64::from(self.now.requests) + u64::from(self.before.requests);
        let errors = u64::from(self.now.errors) + u64::from(self.before.errors);
        !went_well
            && requests >= u64::from(options.min_requests)
            && errors * 100 >= requests * u64::from(options.error_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> BreakerOptions {
        BreakerOptions { min_requests: 4, trickle: 2, ..BreakerOptions::default() }
    }

    /// `+` went well, `-` did not; one each `step`.
    fn run(circuit: &mut Circuit, outcomes: &str, start: Instant, step: Duration) -> &'static str {
        let mut now = start;
        for outcome in outcomes.chars() {
            if let Some(admission) = circuit.admit(&options(), now) {
                circuit.note(admission, outcome == '+', &options(), now);
            }
            now += step;
        }
        circuit.state.name()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_opens_when_the_rate_is_reached_over_enough_requests() {
        let now = Instant::now();
        assert_eq!(run(&mut Circuit::default(), "---", now, MS), "closed");
        assert_eq!(run(&mut Circuit::default(), "----", now, MS), "open");
        assert_eq!(run(&mut Circuit::default(), "++-+-", now, MS), "closed");
        assert_eq!(run(&mut Circuit::default(), "++--", now, MS), "open");
    }

    #[test]
    fn errors_of_long_ago_do_not_count() {
        let now = Instant::now();
        // Two of a half window ago count, those of two windows ago do not.
        assert_eq!(run(&mut Circuit::default(), "----", now, Duration::from_secs(4)), "open");
        assert_eq!(run(&mut Circuit::default(), "--------", now, Duration::from_secs(20)), "closed");
    }

    #[test]
    fn it_refuses_until_its_time_is_over_and_then_lets_a_few_through() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        run(&mut circuit, "----", now, MS);
        assert_eq!(circuit.admit(&options(), now + Duration::from_secs(4)), None);
        let later = now + Duration::from_secs(6);
        assert_eq!(circuit.admit(&options(), later), Some(Admission::Trickle));
        assert_eq!(circuit.admit(&options(), later), Some(Admission::Trickle));
        assert_eq!(circuit.admit(&options(), later), None);
        circuit.note(Admission::Trickle, true, &options(), later);
        assert_eq!(circuit.state.name(), "half open");
        circuit.note(Admission::Trickle, true, &options(), later);
        assert_eq!(circuit.state.name(), "closed");
        // What was counted before is forgotten.
        assert_eq!(run(&mut circuit, "--", later, MS), "closed");
    }

    #[test]
    fn one_of_the_trickle_that_fails_opens_it_again() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        run(&mut circuit, "----", now, MS);
        let later = now + Duration::from_secs(6);
        circuit.admit(&options(), later);
        circuit.note(Admission::Trickle, false, &options(), later);
        assert_eq!(circuit.state, State::Open { until: later + Duration::from_secs(5) });
        // A request of before says nothing new.
        circuit.note(Admission::Plain, true, &options(), later);
        assert_eq!(circuit.state.name(), "open");
    }

    #[test]
    fn a_place_in_the_trickle_is_given_back_when_nothing_came_of_it() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for _ in 0..4 {
            breaker.admit(&options(), now).expect("closed").note(Verdict::Badly, &options(), now);
        }
        assert!(breaker.admit(&options(), now).is_none());
        let later = now + Duration::from_secs(6);
        let [first, second] = [(); 2].map(|()| breaker.admit(&options(), later).expect("a trickle"));
        assert!(breaker.admit(&options(), later).is_none());
        drop(first);
        assert_eq!(second.note(Verdict::Nothing, &options(), later), None);
        let [first, second] = [(); 2].map(|()| breaker.admit(&options(), later).expect("a trickle"));
        first.note(Verdict::Well, &options(), later);
        assert_eq!(second.note(Verdict::Well, &options(), later), Some("closed"));
    }

    #[test]
    fn without_an_error_rate_it_is_never_open() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for _ in 0..4 {
            breaker.admit(&options(), now).expect("closed").note(Verdict::Badly, &options(), now);
        }
        let never = BreakerOptions { error_rate: 0, ..options() };
        assert!(breaker.admit(&never, now).is_some());
        breaker.reset();
        assert_eq!(breaker.state(), "closed");
        assert!(breaker.admit(&options(), now).is_some());
    }

    #[test]
    fn a_trickle_that_never_comes_back_does_not_block_it_for_ever() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        run(&mut circuit, "----", now, MS);
        let later = now + Duration::from_secs(6);
        circuit.admit(&options(), later);
        circuit.admit(&options(), later);
        assert_eq!(circuit.admit(&options(), later), None);
        assert_eq!(circuit.admit(&options(), later + Duration::from_secs(5)), Some(Admission::Trickle));
    }
}
