//! Waiting for something that another thread or process does.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Asks `condition` again and again until it holds. Panics with `what` when it does not hold within `deadline`.
///
/// For states that have no event to wait for: a counter in another process, a file that appears.
#[track_caller]
pub fn poll_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !condition() {
        assert!(Instant::now() < end, "waited {deadline:?} in vain for: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// For what happens at once unless it never does.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits until `counter` has moved and then not moved for a while; gives where it stands. For a stream that is
/// held up: that nothing more comes has no event.
#[track_caller]
pub fn until_still(counter: &AtomicUsize) -> usize {
    const WHILE: Duration = Duration::from_millis(300);
    let (mut last, mut since) = (0, Instant::now());
    poll_until(SOON, "the counter to stand still", || {
        let now = counter.load(SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        last > 0 && since.elapsed() > WHILE
    });
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_as_soon_as_the_condition_holds() {
        let mut asked = 0;
        poll_until(Duration::from_secs(10), "the third question", || {
            asked += 1;
            asked == 3
        });
        assert_eq!(asked, 3);
    }

    #[test]
    #[should_panic(expected = "in vain for: pigs that fly")]
    fn names_what_did_not_happen() {
        poll_until(Duration::from_millis(5), "pigs that fly", || false);
    }
}
