//! What a user sets about an upstream: endpoints, balance, pool.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::balance::{BalanceKind, Bound, Measure};
use super::fastcgi::Application;
use super::health::{HealthOptions, OutlierOptions};
use super::observed::Watch;
use super::pin::HashOn;
use super::sticky::StickyOptions;
use super::tls::Tls;
use super::{BreakerOptions, Protocol};

/// One `[upstreams.NAME]`, checked: at least one endpoint, no endpoint twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamOptions {
    pub name: String,
    pub protocol: Protocol,
    /// Set when the servers speak TLS.
    pub tls: Option<Arc<Tls>>,
    /// Set when they speak FastCGI.
    pub application: Option<Arc<Application>>,
    pub endpoints: Vec<EndpointOptions>,
    /// Most endpoints that names and files may bring.
    pub max_endpoints: usize,
    pub balance: Balance,
    pub sticky: Option<StickyOptions>,
    /// An endpoint that comes back takes its whole share after so long.
    pub slow_start: Duration,
    /// Percent: with a smaller share of a priority fit, the next one takes requests too.
    pub min_healthy: u8,
    /// Percent: with a smaller share fit, ejected ones are used again.
    pub panic_below: u8,
    /// Percent of all requests that may be sent again.
    pub retry_budget: u8,
    pub pool: PoolOptions,
    pub health: Option<HealthOptions>,
    pub outlier: OutlierOptions,
    pub breaker: Option<BreakerOptions>,
}

impl UpstreamOptions {
    /// What workers count and time beside what they always do.
    pub fn watch(&self) -> Watch {
        Watch {
            times: self.balance == Balance::LeastTime,
            counts: self.outlier.has_window(),
            server_errors: self.outlier.server_errors > 0,
        }
    }
}

/// How the next endpoint is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Balance {
    /// Smooth weighted round robin: 5/2/1 gives 5, 2, 1 of every 8, interleaved.
    #[default]
    RoundRobin,
    LeastConnections,
    Random,
    /// Of two by chance the one with fewer requests.
    TwoChoices,
    /// Of two by chance the one that would answer sooner.
    LeastTime,
    /// The same key goes to the same endpoint.
    Hash(HashOn, Bound),
}

impl Balance {
    pub fn kind(&self) -> BalanceKind {
        match self {
            Balance::RoundRobin => BalanceKind::RoundRobin,
            Balance::LeastConnections => BalanceKind::LeastConnections,
            Balance::Random => BalanceKind::Random,
            Balance::TwoChoices => BalanceKind::TwoChoices(Measure::Load),
            Balance::LeastTime => BalanceKind::TwoChoices(Measure::Time),
            Balance::Hash(_, bound) => BalanceKind::Hash(*bound),
        }
    }

    /// Where the key comes from, when there is one.
    pub fn hash_on(&self) -> Option<&HashOn> {
        match self {
            Balance::Hash(on, _) => Some(on),
            _ => None,
        }
    }
}

/// An entry of a group: one server, or a way to find servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointOptions {
    pub address: EndpointAddress,
    /// Share of the requests, 1 to 65535.
    pub weight: u16,
    /// Its `priority`, or that of a backup; see [`super::health::Candidate`].
    pub tier: u16,
}

/// Where an endpoint lives, or what tells it; `Display` gives it as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    Socket(SocketAddr),
    /// A DNS name, resolved at start and again in the background.
    Name {
        host: String,
        port: u16,
    },
    /// Written `unix:/run/app.sock`.
    Unix(PathBuf),
    /// A name whose SRV records tell hosts, ports, weights and priorities.
    Srv(String),
    /// A file of endpoints, which is watched.
    File(PathBuf),
}

impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EndpointAddress::Socket(address) => address.fmt(f),
            EndpointAddress::Name { host, port } => write!(f, "{host}:{port}"),
            EndpointAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            EndpointAddress::Srv(name) => f.write_str(name),
            EndpointAddress::File(path) => path.display().fmt(f),
        }
    }
}

/// `[upstreams.NAME.pool]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolOptions {
    /// Open connections per endpoint over all workers.
    pub max_connections: u32,
    /// A connection unused for this long is closed.
    pub idle_timeout: Duration,
    /// While connections are idle, a TCP connect checks the endpoint this often; zero is never.
    pub probe_interval: Duration,
    /// How long a request waits for a connection when `max_connections` are busy.
    pub queue_timeout: Duration,
    /// How many requests may wait for a connection of one endpoint.
    pub max_queue: u32,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions {
            max_connections: 100,
            idle_timeout: Duration::from_secs(60),
            probe_interval: Duration::from_secs(10),
            queue_timeout: Duration::from_secs(5),
            max_queue: 100_000,
        }
    }
}

/// Patience with the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// Between two bytes that the upstream takes.
    pub send: Duration,
    /// Until the head of the answer, then between two bytes of it.
    pub read: Duration,
}

impl Timeouts {
    /// Those of a call of gRPC: it has bounds of its own, which are within this.
    pub fn of_call(self) -> Timeouts {
        const NEVER: Duration = Duration::from_secs(u32::MAX as u64);
        Timeouts { send: NEVER, read: NEVER, ..self }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            send: Duration::from_secs(60),
            read: Duration::from_secs(60),
        }
    }
}

/// `request_body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyMode {
    /// The whole body is read, in memory then on disk, before an upstream connection is taken.
    #[default]
    Buffer,
    /// The body is passed on as it arrives.
    Stream,
}
