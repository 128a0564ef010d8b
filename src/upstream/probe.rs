//! A TCP connect now and then while connections to an endpoint are idle: when it fails the pool is
//! emptied, so that no request meets a connection to a machine that is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, interval, timeout};

use super::EndpointAddress;
use super::endpoint::{Endpoint, Endpoints};
use crate::observe;

const TICK: Duration = Duration::from_millis(250);
/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs for ever, on the runtime that is not a worker's.
pub async fn probe_idle_pools(endpoints: Arc<Endpoints>) {
    let mut due: HashMap<usize, Instant> = HashMap::new();
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        let now = Instant::now();
        for endpoint in endpoints.all() {
            let every = endpoint.probe_interval();
            if every.is_zero() || endpoint.idle_connections() == 0 {
                due.remove(&endpoint.slot);
                continue;
            }
            if *due.entry(endpoint.slot).or_insert(now + every) <= now {
                due.insert(endpoint.slot, now + every);
                tokio::spawn(probe(endpoint));
            }
        }
    }
}

async fn probe(endpoint: Arc<Endpoint>) {
    let reached = timeout(PATIENCE, reach(&endpoint)).await.unwrap_or(false);
    if !reached {
        endpoint.counters.probe_failures.fetch_add(1, Relaxed);
        endpoint.empty_pool();
        observe::notice(&format!(
            "endpoint {} does not take connections: its idle ones are closed",
            endpoint.label
        ));
    }
}

async fn reach(endpoint: &Endpoint) -> bool {
    if let EndpointAddress::Unix(path) = &endpoint.address {
        return UnixStream::connect(path).await.is_ok();
    }
    for address in endpoint.addresses().iter() {
        if TcpStream::connect(address).await.is_ok() {
            return true;
        }
    }
    false
}
