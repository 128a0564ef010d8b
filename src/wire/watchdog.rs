//! Deadlines that cost nothing while all goes well: one timer per connection, armed rarely.
//!
//! Whoever waits asks [`Watchdog::expired`] each time it finds itself waiting. The timer is touched only
//! when it is not armed or armed too late; a deadline that moved further away is noticed when the timer
//! fires early and is armed again. So a request on a busy connection touches no timer at all.
//!
//! Whoever waits for long may want to look around now and then: between [`Watchdog::begin_ticks`] and
//! [`Watchdog::end_ticks`] the timer is armed for a second at most, and [`Watchdog::ticked`] says that it
//! went off. A wait that is over within a second sets one byte twice for this.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Between two ticks.
const TICK: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Watchdog {
    /// Out of its place only while it is looked at.
    timer: Cell<Option<Pin<Box<Sleep>>>>,
    ticks: Cell<Ticks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ticks {
    /// Not wanted; the timer is not armed, or for a second at most.
    #[default]
    Off,
    /// Not wanted; the timer may be armed for long.
    OffForLong,
    Wanted,
    /// Wanted, and one was not asked for yet.
    Due,
}

impl Watchdog {
    pub fn new() -> Watchdog {
        Watchdog::default()
    }

    /// True when `deadline` has passed. Otherwise the task of `cx`, which must be the same one at every
    /// call, is polled again when it passes.
    pub fn expired(&self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let timer = self.timer.take();
        if let Some(armed) = &timer
            && armed.deadline() <= deadline
            && !armed.is_elapsed()
        {
            self.timer.set(timer);
            return false;
        }
        self.expired_by_clock(timer, cx, deadline)
    }

    #[cold]
    fn expired_by_clock(
        &self,
        timer: Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
        deadline: Instant,
    ) -> bool {
        let now = Instant::now();
        if now >= deadline {
            self.timer.set(timer);
            return true;
        }
        let mut until = deadline;
        if self.has_ticks() {
            until = until.min(now + TICK);
            if timer.as_ref().is_some_and(|timer| timer.is_elapsed()) {
                self.ticks.set(Ticks::Due);
            }
        } else {
            self.ticks.set(Ticks::OffForLong);
        }
        let mut timer = match timer {
            Some(mut timer) => {
                timer.as_mut().reset(until);
                timer
            }
            None => Box::pin(tokio::time::sleep_until(until)),
        };
        // Registers the task; ready only when the deadline passed since the look at the clock. Not subject to
        // the task's budget: with that used up the timer would be left without anybody to wake.
        let passed = pin!(tokio::task::unconstrained(timer.as_mut())).poll(cx).is_ready();
        self.timer.set(Some(timer));
        if passed && until < deadline {
            // A tick that is over already, and that nobody would hear of.
            cx.waker().wake_by_ref();
            return false;
        }
        passed
    }

    /// Gives the timer back: nothing is waited for for a while.
    pub fn rest(&self) {
        self.timer.set(None);
        self.ticks.set(Ticks::Off);
    }

    /// From here on whoever waits is polled once a second at least.
    #[inline]
    pub fn begin_ticks(&self) {
        if self.ticks.replace(Ticks::Wanted) == Ticks::OffForLong {
            self.timer.set(None);
        }
    }

    #[inline]
    pub fn end_ticks(&self) {
        self.ticks.set(Ticks::Off);
    }

    /// Between begin and end of the ticks.
    pub fn has_ticks(&self) -> bool {
        matches!(self.ticks.get(), Ticks::Wanted | Ticks::Due)
    }

    /// True once after each tick.
    #[inline]
    pub fn ticked(&self) -> bool {
        let due = self.ticks.get() == Ticks::Due;
        if due {
            self.ticks.set(Ticks::Wanted);
        }
        due
    }

    /// Polls `step` until it is ready or the deadline has passed.
    pub async fn limit<T>(
        &self,
        deadline: Instant,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Expired> {
        poll_fn(|cx| match step(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.expired(cx, deadline) => Poll::Ready(Err(Expired)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watchdog({:?})", self.ticks.get())
    }
}

/// The deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;
