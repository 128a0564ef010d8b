//! A TCP connect now and then while connections to an endpoint are idle: when it fails the pool is
//! emptied, so that no request meets a connection to a machine that is gone.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, interval, timeout};

use super::endpoint::{Address, Endpoint};
use super::group::Groups;
use super::shortage;
use crate::observe;

const TICK: Duration = Duration::from_millis(250);
/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs for ever, on the runtime that is not a worker's.
pub async fn probe_idle_pools(groups: Arc<Groups>) {
    let mut due: HashMap<usize, Instant> = HashMap::new();
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        let now = Instant::now();
        for endpoint in groups.endpoints() {
            let every = endpoint.probe_interval();
            if every.is_zero() || endpoint.idle_connections() == 0 {
                due.remove(&endpoint.slot.index);
                continue;
            }
            if *due.entry(endpoint.slot.index).or_insert(now + every) <= now {
                due.insert(endpoint.slot.index, now + every);
                tokio::spawn(probe(endpoint));
            }
        }
    }
}

async fn probe(endpoint: Arc<Endpoint>) {
    let timed_out = |_| Err(io::ErrorKind::TimedOut.into());
    let Err(error) = timeout(PATIENCE, reach(&endpoint.address)).await.unwrap_or_else(timed_out) else {
        return;
    };
    if shortage::is_ours(&error) {
        shortage::complain(&error);
        return;
    }
    endpoint.counters.probe_failures.fetch_add(1, Relaxed);
    endpoint.empty_pool();
    observe::notice(&format!(
        "endpoint {} does not take connections: its idle ones are closed",
        endpoint.label
    ));
}

async fn reach(address: &Address) -> io::Result<()> {
    match address {
        Address::Tcp(address) => TcpStream::connect(address).await.map(drop),
        Address::Unix(path) => UnixStream::connect(path).await.map(drop),
    }
}
