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
    /// The date of now, and when its second is over.
    static DATE: Cell<Option<(Instant, HttpDate)>> = const { Cell::new(None) };
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

/// Now (RFC 9110 section 5.6.7). The wall clock is looked at once a second: to compare two moments of the
/// monotonic one costs 40 instructions less than to count the seconds of the wall clock.
pub fn http_date() -> HttpDate {
    let now = Instant::now();
    if let Some((until, date)) = DATE.get()
        && now < until
    {
        return date;
    }
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(wall.as_secs()));
    let mut date = [b' '; 29];
    for (place, byte) in date.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    let rest = Duration::from_secs(wall.as_secs() + 1) - wall;
    DATE.set(Some((now + rest, date)));
    date
}
