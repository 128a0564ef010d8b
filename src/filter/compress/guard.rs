//! How much work compression may be, by how busy the worker is: it is the first thing to go when time is short,
//! since an answer that is not compressed is still an answer.

use std::cell::RefCell;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::observe::{self, compression};
use crate::wire::worker;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Nothing more is compressed; what has begun goes on.
    Off,
    /// The fastest level of each encoder.
    Fast,
    /// The levels of the configuration.
    Full,
}

/// The effort of now, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    effort: Effort,
    since: Instant,
}

/// Less at once, more one step at a time, and only when the load has left room for it.
fn next(standing: Standing, busy_percent: u32, now: Instant) -> Standing {
    let allowed = |margin: u32| match busy_percent + margin {
        ..FAST_FROM => Effort::Full,
        FAST_FROM..OFF_FROM => Effort::Fast,
        _ => Effort::Off,
    };
    let rested = now.saturating_duration_since(standing.since) >= REST;
    let effort = match standing.effort {
        effort if allowed(0) < effort => allowed(0),
        Effort::Off if rested && allowed(MARGIN) > Effort::Off => Effort::Fast,
        Effort::Fast if rested && allowed(MARGIN) > Effort::Fast => Effort::Full,
        effort => effort,
    };
    if effort == standing.effort { standing } else { Standing { effort, since: now } }
}

/// Percent of the time that the worker is not waiting.
const FAST_FROM: u32 = 70;
const OFF_FROM: u32 = 90;
/// The load has to be as much lower before more is tried, or it would go to and fro.
const MARGIN: u32 = 10;
/// And for so long nothing more is tried.
const REST: Duration = Duration::from_secs(1);
/// The load is measured over at least this time.
const WINDOW: Duration = Duration::from_millis(250);
/// Lines for the operator are at least so far apart.
const QUIET: Duration = Duration::from_secs(10);

thread_local! {
    static GUARD: RefCell<Option<Guard>> = const { RefCell::new(None) };
}

/// What this worker may do now. Looks at the clock, so it is called for what would be compressed, not for each
/// request.
pub fn effort() -> Effort {
    let now = Instant::now();
    GUARD.with_borrow_mut(|guard| guard.get_or_insert_with(|| Guard::new(now)).look(now))
}

struct Guard {
    standing: Standing,
    measured: Instant,
    /// In the life of the worker.
    busy: Duration,
    /// What the operator was told last, and when.
    told: Standing,
}

impl Guard {
    fn new(now: Instant) -> Guard {
        let standing = Standing { effort: Effort::Full, since: now };
        let long_ago = now.checked_sub(QUIET).unwrap_or(now);
        let told = Standing { effort: Effort::Full, since: long_ago };
        Guard { standing, measured: now, busy: busy(), told }
    }

    fn look(&mut self, now: Instant) -> Effort {
        let window = now.saturating_duration_since(self.measured);
        if window >= WINDOW {
            let total = busy();
            let percent = percent(total.saturating_sub(self.busy), window);
            (self.measured, self.busy) = (now, total);
            let before = self.standing;
            self.standing = next(before, percent, now);
            if self.standing != before {
                compression::set_effort(worker::index(), self.standing.effort as u64);
            }
            self.tell(percent, now);
        }
        self.standing.effort
    }

    fn tell(&mut self, percent: u32, now: Instant) {
        let effort = self.standing.effort;
        if effort == self.told.effort || now.saturating_duration_since(self.told.since) < QUIET {
            return;
        }
        self.told = Standing { effort, since: now };
        let what = match effort {
            Effort::Off => "nothing is compressed",
            Effort::Fast => "compression takes its fastest levels",
            Effort::Full => "compression takes its usual levels again",
        };
        observe::notice(&format!("worker {} is {percent} % busy: {what}", worker::index()));
    }
}

fn percent(part: Duration, whole: Duration) -> u32 {
    let percent = part.as_micros() * 100 / whole.as_micros().max(1);
    percent.min(100) as u32
}

/// The time in which the worker had something to do, the time included in which another thread had its core. The
/// runtime counts it anyway, with each turn.
fn busy() -> Duration {
    let metrics = Handle::try_current().map(|handle| handle.metrics());
    metrics.map_or(Duration::ZERO, |metrics| metrics.worker_total_busy_duration(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Effort::{Fast, Full, Off};

    #[test]
    fn less_at_once_and_more_step_by_step() {
        let start = Instant::now();
        // Milliseconds since the last change, load, what follows.
        let cases = [
            (Full, 0, 0, Full),
            (Full, 5000, 69, Full),
            (Full, 0, 70, Fast),
            (Full, 0, 89, Fast),
            (Full, 0, 90, Off),
            (Full, 0, 100, Off),
            (Fast, 0, 89, Fast),
            (Fast, 0, 90, Off),
            (Fast, 5000, 60, Fast),
            (Fast, 5000, 59, Full),
            (Fast, 999, 0, Fast),
            (Fast, 1000, 0, Full),
            (Off, 5000, 80, Off),
            (Off, 5000, 79, Fast),
            (Off, 999, 0, Off),
            (Off, 1000, 0, Fast),
        ];
        for (effort, millis, busy, wanted) in cases {
            let now = start + Duration::from_millis(millis);
            let after = next(Standing { effort, since: start }, busy, now);
            let since = if effort == wanted { start } else { now };
            assert_eq!(after, Standing { effort: wanted, since }, "{effort:?} {millis} ms {busy} %");
        }
    }

    /// A load that is only there while something is compressed does not make it flicker.
    #[test]
    fn it_settles() {
        let mut now = Instant::now();
        let mut standing = Standing { effort: Full, since: now };
        let mut changes = 0;
        for _ in 0..400 {
            now += WINDOW;
            let busy = match standing.effort {
                Full => 95,
                Fast => 75,
                Off => 72,
            };
            let after = next(standing, busy, now);
            changes += u32::from(after.effort != standing.effort);
            standing = after;
        }
        assert_eq!((standing.effort, changes), (Fast, 2));
    }

    #[test]
    fn a_worker_that_works_is_busy() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let spin = |time: Duration| {
            let start = std::time::Instant::now();
            while start.elapsed() < time {
                std::hint::spin_loop();
            }
        };
        runtime.block_on(async {
            let before = busy();
            spin(Duration::from_millis(30));
            tokio::time::sleep(Duration::from_millis(20)).await;
            let after = busy() - before;
            assert!(after >= Duration::from_millis(30), "{after:?}");
        });
        assert_eq!(percent(Duration::from_millis(30), Duration::from_millis(40)), 75);
        assert_eq!(percent(Duration::from_millis(50), Duration::from_millis(40)), 100);
    }
}
