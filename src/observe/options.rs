//! What a user sets about seeing: `[log]`.

use std::path::PathBuf;

/// `[log]`; without `access` there is no access log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessLogOptions {
    pub access: Option<LogDestination>,
    pub format: AccessLogFormat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogDestination {
    Stdout,
    Stderr,
    /// Opened for appending, and again on SIGUSR1.
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLogFormat {
    #[default]
    Json,
    /// Apache's "combined" line.
    Combined,
}
