//! Connections that wait for their next request: most of them, most of the time.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// A connection waits for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub since: Instant,
    /// Whoever keeps the list of connections closes it then: so a thousand idle connections need no timer.
    pub until: Instant,
}

/// How a connection stands between its requests. Small: ten thousand idle ones have one each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    since: Instant,
    /// In milliseconds.
    patience: u32,
    waits: bool,
    /// It has had a request, or the beginning of one.
    served: bool,
    /// It says goodbye by itself when it is told that connections end.
    ends_itself: bool,
}

impl Rest {
    pub(super) fn new(now: Instant) -> Rest {
        Rest { since: now, patience: 0, waits: false, served: false, ends_itself: false }
    }

    pub(super) fn waits(self, since: Instant, patience: Duration) -> Rest {
        let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        Rest { since, patience, waits: true, ..self }
    }

    pub(super) fn at_work(self) -> Rest {
        Rest { waits: false, ..self }
    }

    /// Something came.
    pub(super) fn served(self) -> Rest {
        Rest { waits: false, served: true, ..self }
    }

    pub(super) fn that_ends_itself(self) -> Rest {
        Rest { ends_itself: true, ..self }
    }

    pub(super) fn ends_itself(self) -> bool {
        self.ends_itself
    }

    pub(super) fn has_served(self) -> bool {
        self.served
    }

    pub(super) fn waiting(self) -> Option<Waiting> {
        let until = self.since + Duration::from_millis(u64::from(self.patience));
        self.waits.then_some(Waiting { since: self.since, until })
    }
}

/// One of the few idle connections of a worker that keep their box.
pub(super) struct Warm;

/// A box has about 3 KiB.
const MAX_WARM: usize = 128;

thread_local! {
    static WARM: Cell<usize> = const { Cell::new(0) };
}

impl Warm {
    pub(super) fn enter() -> Option<Warm> {
        let count = WARM.get();
        (count < MAX_WARM).then(|| {
            WARM.set(count + 1);
            Warm
        })
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        let _ = WARM.try_with(|count| count.set(count.get() - 1));
    }
}
