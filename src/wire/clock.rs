//! Wall time for logs and dates. Decisions and deadlines use the monotonic clock.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub type HttpDate = [u8; 29];

thread_local! {
    /// The same moment on both clocks.
    static BASE: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    static LAST: Cell<(u64, HttpDate)> = const { Cell::new((u64::MAX, [b' '; 29])) };
}

/// Time since 1970 at `now`. The wall clock is looked at once a second; in between the monotonic one, which
/// the caller has read anyway, tells how much has passed.
pub fn since_epoch(now: Instant) -> Duration {
    if let Some((at, wall)) = BASE.get() {
        let passed = now.saturating_duration_since(at);
        if passed.as_secs() == 0 {
            return wall + passed;
        }
    }
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    BASE.set(Some((now, wall)));
    wall
}

/// Milliseconds from a moment in the life of this process to `now`; the same moment for all workers. Wraps
/// around after 49 days.
pub fn millis(now: Instant) -> u32 {
    static START: OnceLock<Instant> = OnceLock::new();
    now.saturating_duration_since(*START.get_or_init(Instant::now)).as_millis() as u32
}

/// Now (RFC 9110 section 5.6.7).
pub fn http_date() -> HttpDate {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (second, date) = LAST.get();
    if second == now {
        return date;
    }
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
    let mut date = [b' '; 29];
    for (place, byte) in date.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    LAST.set((now, date));
    date
}
