//! The configuration: `ConfigFile` as the user wrote it becomes `Config`, which cannot be wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::listen::{ClientLimits, ListenerOptions};
use crate::observe::AccessLogOptions;
use crate::route::RouteOptions;
use crate::upstream::UpstreamOptions;

/// A configuration that passed every check. Names that refer to something refer to something that is there.
#[derive(Debug, Clone)]
pub struct Config {
    pub listeners: Vec<ListenerOptions>,
    pub upstreams: Vec<UpstreamOptions>,
    pub routes: Vec<RouteOptions>,
    pub server: ServerOptions,
    pub admin: AdminOptions,
    pub log: AccessLogOptions,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Worker threads; one per core when not set.
    pub workers: usize,
    /// Peers whose `X-Forwarded-*` and `X-Request-ID` are believed.
    pub trusted_proxies: Vec<IpNet>,
    pub clients: ClientLimits,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminOptions {
    /// Metrics, readiness and liveness for machines; off when not set.
    pub address: Option<SocketAddr>,
    /// Unix socket (mode 0600) for `palisade reload`, `status` and `stop`; off when not set.
    pub socket: Option<PathBuf>,
}
