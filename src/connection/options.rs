//! What a user sets about clients: how many, how slow, how much.

use std::path::PathBuf;
use std::time::Duration;

/// Limits towards clients, from `[server]`; the same for every listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Open client connections over all workers.
    pub max_connections: usize,
    /// Open client connections of one address (an IPv6 client counts by its /64); 0 is no limit.
    pub max_connections_per_client: usize,
    /// From the first byte of a request head to its last; absolute.
    pub head_timeout: Duration,
    /// An idle keep-alive connection is closed after this.
    pub idle_timeout: Duration,
    /// Bytes per second a request body, or a client that reads an answer, must reach after
    /// `rate_grace`; 0 is no minimum.
    pub min_rate: u64,
    /// Time before `min_rate` is enforced.
    pub rate_grace: Duration,
    /// A client that takes no byte of an answer for this long is cut off.
    pub send_timeout: Duration,
    /// A tunnel (WebSocket) without a byte in either direction is closed after this.
    pub tunnel_idle_timeout: Duration,
    /// A client that sends nothing more while its answer is awaited.
    pub half_close: HalfClose,
    /// Memory for buffered request bodies, over all requests, in bytes.
    pub body_memory: u64,
    /// Disk for buffered request bodies, over all requests, in bytes.
    pub body_disk: u64,
    /// Folder of the unlinked temporary files for buffered request bodies.
    pub body_folder: PathBuf,
}

/// What a FIN of a client means while its answer is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HalfClose {
    /// That it has said all, as it may: it gets its answer.
    #[default]
    Serve,
    /// That it is gone.
    Cancel,
}

impl Default for ClientLimits {
    fn default() -> Self {
        ClientLimits {
            max_connections: 10_000,
            max_connections_per_client: 0,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            min_rate: 1024,
            rate_grace: Duration::from_secs(10),
            send_timeout: Duration::from_secs(60),
            tunnel_idle_timeout: Duration::from_secs(3600),
            half_close: HalfClose::default(),
            body_memory: 256 << 20,
            body_disk: 8 << 30,
            body_folder: std::env::temp_dir(),
        }
    }
}
