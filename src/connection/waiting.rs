//! Connections that wait for their next request: most of them, most of the time.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// A connection waits for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub since: Instant,
    /// In milliseconds: with a second moment here the connection would not fit into 192 bytes.
    patience: u32,
}

impl Waiting {
    pub(super) fn new(since: Instant, patience: Duration) -> Waiting {
        Waiting { since, patience: u32::try_from(patience.as_millis()).unwrap_or(u32::MAX) }
    }

    /// Whoever keeps the list of connections closes it then: so a thousand idle connections need no timer.
    pub fn until(self) -> Instant {
        self.since + Duration::from_millis(u64::from(self.patience))
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
