//! Facts of requests for logs, metrics and traces.

mod options;
mod record;

pub use options::{AccessLogFormat, AccessLogOptions, LogDestination};
pub use record::Record;
