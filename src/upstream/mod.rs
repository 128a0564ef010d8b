//! Choose an endpoint and send: groups of servers, their pools and their connections.

mod options;

pub use options::{Balance, EndpointAddress, EndpointOptions, PoolOptions, UpstreamOptions};
