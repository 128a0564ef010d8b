//! What a user sets about looking names up.

use std::net::SocketAddr;
use std::time::Duration;

/// `[dns]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsOptions {
    /// Asked instead of those in `/etc/resolv.conf`; empty for those.
    pub servers: Vec<SocketAddr>,
    /// An answer is asked for again when its time to live is over, but not more often than this.
    pub min_ttl: Duration,
    /// And not less often than this.
    pub max_ttl: Duration,
    /// Patience with one look-up, over all tries and servers.
    pub timeout: Duration,
    /// How long the last good answer is used while look-ups fail.
    pub keep_stale: Duration,
    pub addresses: Families,
}

/// Which addresses of a name are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Families {
    #[default]
    All,
    /// IPv6 only where there is no IPv4.
    V4First,
    /// IPv4 only where there is no IPv6.
    V6First,
    V4,
    V6,
}

impl Default for DnsOptions {
    fn default() -> Self {
        DnsOptions {
            servers: Vec::new(),
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(300),
            timeout: Duration::from_secs(5),
            // RFC 8767, section 5 suggests one to three days.
            keep_stale: Duration::from_secs(24 * 3600),
            addresses: Families::All,
        }
    }
}
