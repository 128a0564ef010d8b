//! The date of now as HTTP writes it, made once per second and worker.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub type HttpDate = [u8; 29];

thread_local! {
    static LAST: Cell<(u64, HttpDate)> = const { Cell::new((u64::MAX, [b' '; 29])) };
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
