//! Facts of requests for logs and metrics. Rooms hand them in; nothing is decided here.

mod access_log;
pub mod compression;
pub mod forward_auth;
pub mod json;
pub mod metrics;
mod options;
mod record;

use http1::RequestHead;
use tokio::time::Instant;

pub use access_log::{AccessLog, flush_worker};
pub use options::{AccessLogFormat, AccessLogOptions, LogDestination};
pub use record::{Authentication, Record};

use crate::message::RequestId;
use crate::wire::clock;

/// One request that is over.
#[derive(Debug)]
pub struct Line<'l> {
    pub record: &'l Record,
    pub head: &'l RequestHead,
    pub id: &'l RequestId,
    /// The route's member of the log line, see [`json::member`]; empty when none was found.
    pub route: &'l [u8],
    /// Number of the route in the metrics; 0 when none was found.
    pub series: usize,
    /// The endpoint's member of the log line; empty when none was asked.
    pub endpoint: &'l [u8],
    /// False for what the operator asks about the proxy itself: it is counted, but the log is about the
    /// traffic.
    pub logged: bool,
}

/// Counts a request that is over at `now` and writes its log line. Touches only what belongs to this
/// worker.
pub fn note(line: &Line<'_>, now: Instant) {
    let duration = now - line.record.started;
    metrics::count(line, duration);
    if line.logged {
        access_log::write(line, duration, clock::since_epoch(now));
    }
}

/// A line for the operator on standard error. It never fails and never panics, whoever closed the other
/// end.
pub fn notice(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "palisade: {text}");
}
