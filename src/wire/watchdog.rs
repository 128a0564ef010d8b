//! Deadlines that cost nothing while all goes well: one timer per connection, armed rarely.
//!
//! Whoever waits asks [`Watchdog::expired`] each time it finds itself waiting. The timer is touched only
//! when it is not armed or armed too late; a deadline that moved further away is noticed when the timer
//! fires early and is armed again. So a request on a busy connection touches no timer at all.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

#[derive(Debug, Default)]
pub struct Watchdog {
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Watchdog {
    pub fn new() -> Watchdog {
        Watchdog::default()
    }

    /// True when `deadline` has passed. Otherwise the task of `cx`, which must be the same one at every
    /// call, is polled again when it passes.
    pub fn expired(&self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let mut timer = self.timer.borrow_mut();
        if let Some(timer) = &*timer
            && timer.deadline() <= deadline
            && !timer.is_elapsed()
        {
            return false;
        }
        if Instant::now() >= deadline {
            return true;
        }
        let timer = match &mut *timer {
            Some(timer) => {
                timer.as_mut().reset(deadline);
                timer
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        // Registers the task; ready only when the deadline passed since the look at the clock. Not subject to
        // the task's budget: with that used up the timer would be left without anybody to wake.
        pin!(tokio::task::unconstrained(timer.as_mut())).poll(cx).is_ready()
    }

    /// Gives the timer back: nothing is waited for for a while.
    pub fn rest(&self) {
        *self.timer.borrow_mut() = None;
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

/// The deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;
