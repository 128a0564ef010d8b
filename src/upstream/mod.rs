//! Choose an endpoint and send: groups of servers, their pools and their connections.

mod approach;
mod attempt;
pub mod balance;
mod breaker;
mod budget;
mod client_certificate;
mod connect;
mod desk;
pub mod discover;
mod endpoint;
pub mod fastcgi;
mod forward;
mod generator;
pub mod group;
pub mod health;
mod hedge;
mod http1;
mod http2;
mod latencies;
mod loop_guard;
pub mod mirror;
mod observed;
mod options;
mod permit;
pub mod pin;
pub mod pool;
mod probe;
mod retry;
mod send;
mod shortage;
mod slots;
pub mod split;
mod spool;
pub mod sticky;
pub mod tls;
pub mod verdict;

pub use approach::Protocol;
pub use breaker::BreakerOptions;
pub use discover::{Discovery, DnsOptions, Families};
pub use endpoint::{Address, Endpoint};
pub use group::{Group, Groups};
pub use hedge::Hedge;
pub use loop_guard::is_loop;
pub use options::{
    Balance, BodyMode, EndpointAddress, EndpointOptions, PoolOptions, Timeouts, UpstreamOptions,
};
pub use probe::probe_idle_pools;
pub use retry::RetryOptions;
pub use send::{Sending, Upstream};
pub use spool::SpoolSpace;
