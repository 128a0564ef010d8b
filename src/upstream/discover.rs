//! Names of endpoints become addresses: at start, and again and again in the background. The last good
//! answer is kept when a look-up fails; a name that never resolved leaves its endpoint down, and the
//! proxy serves on.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use tokio::time::{Instant, sleep_until, timeout};

use super::endpoint::Address;
use super::group::{Found, Group, Groups};
use super::{EndpointAddress, EndpointOptions};
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
pub async fn resolve_all(groups: &Groups) {
    let lookups: Vec<_> =
        names(groups).into_iter().map(|name| tokio::spawn(async move { resolve(&name).await })).collect();
    for lookup in lookups {
        let _ = lookup.await;
    }
}

/// Keeps the addresses of names fresh; runs for ever, on the runtime that is not a worker's.
pub async fn keep_resolving(groups: Arc<Groups>) {
    let mut due: HashMap<(usize, EndpointAddress), Instant> = HashMap::new();
    loop {
        for name in names(&groups) {
            let now = Instant::now();
            let key = (name.group.slot.index, name.options.address.clone());
            if *due.entry(key.clone()).or_insert(now) <= now {
                let next = resolve(&name).await;
                due.insert(key, Instant::now() + next);
            }
        }
        sleep_until(Instant::now() + TICK).await;
    }
}

/// A name in the list of endpoints.
struct Name {
    group: Arc<Group>,
    options: EndpointOptions,
}

fn names(groups: &Groups) -> Vec<Name> {
    let mut names = Vec::new();
    for group in groups.all() {
        for options in &group.options().endpoints {
            if matches!(options.address, EndpointAddress::Name { .. }) {
                names.push(Name { group: group.clone(), options: options.clone() });
            }
        }
    }
    names
}

/// Looks a name up and hands the addresses over; returns how long they hold.
async fn resolve(name: &Name) -> Duration {
    let EndpointOptions { address, weight, tier } = &name.options;
    let EndpointAddress::Name { host, port } = address else { return CEILING };
    let (outcome, next) = match look_up(host, *port).await {
        Ok((addresses, holds)) if !addresses.is_empty() => {
            let found = |address| Found { address: Address::Tcp(address), weight: *weight, tier: *tier };
            let mut found: Vec<Found> = addresses.into_iter().map(found).collect();
            found.sort();
            (Ok(found), holds.clamp(FLOOR, CEILING))
        }
        Ok(_) => (Err("it has no address".to_owned()), RETRY),
        Err(error) => (Err(error), RETRY),
    };
    if let Err(why) = &outcome {
        observe::notice(&format!("upstream {}: {address} is not resolved: {why}", name.group.name));
    }
    name.group.discovered(address, outcome);
    next
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
