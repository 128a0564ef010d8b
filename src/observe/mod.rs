//! Facts of requests for logs, metrics and traces.

mod options;

pub use options::{AccessLogFormat, AccessLogOptions, LogDestination};
