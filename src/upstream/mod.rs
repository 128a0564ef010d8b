//! Choose an endpoint and send: groups of servers, their pools and their connections.

mod balance;
mod connect;
pub mod discover;
mod endpoint;
mod forward;
mod http1;
mod loop_guard;
mod options;
pub mod pool;
mod probe;
mod retry;
mod send;
mod spool;

pub use discover::{Discovery, DnsOptions, Families};
pub use endpoint::{Endpoint, Endpoints};
pub use loop_guard::is_loop;
pub use options::{
    Balance, BodyMode, EndpointAddress, EndpointOptions, PoolOptions, Timeouts, UpstreamOptions,
};
pub use probe::probe_idle_pools;
pub use send::{Sending, Upstream};
pub use spool::SpoolSpace;
