//! Names of endpoints become addresses: at start, and again and again in the background. The last good
//! answer is kept when a look-up fails; a name that never resolved leaves its endpoint down, and the
//! proxy serves on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use tokio::time::{Instant, sleep_until, timeout};

use super::EndpointAddress;
use super::endpoint::{Endpoint, Endpoints};
use crate::observe;

/// A name is asked for again when its answer's time to live is over, but not more and not less often.
const FLOOR: Duration = Duration::from_secs(1);
const CEILING: Duration = Duration::from_secs(300);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses taken from one answer.
const MAX_ADDRESSES: usize = 64;
const TICK: Duration = Duration::from_millis(500);

/// Resolves every name once, all at the same time; waits for the answers, but not long.
pub async fn resolve_all(endpoints: &Endpoints) {
    let lookups: Vec<_> = endpoints
        .all()
        .into_iter()
        .filter(|endpoint| !endpoint.is_usable())
        .map(|endpoint| tokio::spawn(async move { resolve(&endpoint).await }))
        .collect();
    for lookup in lookups {
        let _ = lookup.await;
    }
}

/// Keeps the addresses of names fresh; runs for ever, on the runtime that is not a worker's.
pub async fn keep_resolving(endpoints: Arc<Endpoints>) {
    let mut due: HashMap<usize, Instant> = HashMap::new();
    loop {
        for endpoint in endpoints.all() {
            let is_name = matches!(endpoint.address, EndpointAddress::Name { .. }) && !endpoint.is_retired();
            let now = Instant::now();
            if is_name && *due.entry(endpoint.slot).or_insert(now) <= now {
                let next = resolve(&endpoint).await;
                due.insert(endpoint.slot, Instant::now() + next);
            }
        }
        sleep_until(Instant::now() + TICK).await;
    }
}

/// Looks a name up and notes the addresses; returns how long they hold.
async fn resolve(endpoint: &Endpoint) -> Duration {
    let EndpointAddress::Name { host, port } = &endpoint.address else { return CEILING };
    match look_up(host, *port).await {
        Ok((addresses, holds)) if !addresses.is_empty() => {
            endpoint.set_addresses(addresses);
            holds.clamp(FLOOR, CEILING)
        }
        Ok(_) => {
            warn(endpoint, "has no address");
            RETRY
        }
        Err(error) => {
            warn(endpoint, &error);
            RETRY
        }
    }
}

fn warn(endpoint: &Endpoint, why: &str) {
    let state = if endpoint.is_usable() { "the last addresses are kept" } else { "the endpoint is down" };
    observe::notice(&format!("endpoint {}: name not resolved ({why}): {state}", endpoint.label));
}

async fn look_up(host: &str, port: u16) -> Result<(Vec<SocketAddr>, Duration), String> {
    // Made anew each time, so that a change of resolv.conf is seen.
    let resolver = TokioResolver::builder_tokio()
        .and_then(|builder| builder.build())
        .map_err(|error| error.to_string())?;
    let found = timeout(PATIENCE, resolver.lookup_ip(host))
        .await
        .map_err(|_| "no answer".to_string())?
        .map_err(|error| error.to_string())?;
    let holds = found.valid_until().saturating_duration_since(std::time::Instant::now());
    let addresses = found.iter().take(MAX_ADDRESSES).map(|ip| SocketAddr::new(ip, port)).collect();
    Ok((addresses, holds))
}
