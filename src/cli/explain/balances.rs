//! How an upstream chooses, in words; and whom it would choose, where that does not depend on what other
//! requests do.

use std::net::IpAddr;

use http1::RequestHead;

use super::Text;
use crate::route::{FallbackOptions, RouteOptions};
use crate::upstream::balance::{Balancer, Bound, Candidate, View, hash_key};
use crate::upstream::health::BACKUP;
use crate::upstream::pin::HashOn;
use crate::upstream::split::SplitOptions;
use crate::upstream::{Balance, EndpointAddress, EndpointOptions, UpstreamOptions};

/// "round robin over a, b (weight 2)"
pub fn told(upstream: &UpstreamOptions) -> String {
    let endpoints: Vec<String> = upstream.endpoints.iter().map(endpoint).collect();
    format!("{} over {}", balance(&upstream.balance), endpoints.join(", "))
}

fn balance(balance: &Balance) -> String {
    match balance {
        Balance::RoundRobin => "round robin".to_owned(),
        Balance::LeastConnections => "fewest requests under way".to_owned(),
        Balance::Random => "by chance".to_owned(),
        Balance::TwoChoices => "the less busy of two by chance".to_owned(),
        Balance::LeastTime => "the quicker of two by chance".to_owned(),
        Balance::Hash(on, _) => format!("consistent hash of {}", key(on)),
    }
}

fn key(on: &HashOn) -> String {
    match on {
        HashOn::ClientIp => "the client's address".to_owned(),
        HashOn::Path => "the path".to_owned(),
        HashOn::Header(name) => format!("the header {name}"),
        HashOn::Cookie(name) => format!("the cookie {name}"),
        HashOn::Query(name) => format!("the parameter {name}"),
    }
}

fn endpoint(endpoint: &EndpointOptions) -> String {
    let mut notes = Vec::new();
    if endpoint.weight != 1 {
        notes.push(format!("weight {}", endpoint.weight));
    }
    match endpoint.tier {
        0 => {}
        BACKUP => notes.push("backup".to_owned()),
        priority => notes.push(format!("priority {priority}")),
    }
    match notes.as_slice() {
        [] => endpoint.address.to_string(),
        notes => format!("{} ({})", endpoint.address, notes.join(", ")),
    }
}

/// Lines on who would be picked while all endpoints are up.
pub fn pick(text: &mut Text, upstream: &UpstreamOptions, head: &RequestHead, client: IpAddr) {
    if let Some(sticky) = &upstream.sticky {
        text.line("sticky", &format!("by the cookie {}, while its endpoint takes requests", sticky.name));
    }
    let first = upstream.endpoints.iter().map(|endpoint| endpoint.tier).min();
    let used: Vec<&EndpointOptions> =
        upstream.endpoints.iter().filter(|endpoint| Some(endpoint.tier) == first).collect();
    let named = |endpoint: &&EndpointOptions| matches!(endpoint.address, EndpointAddress::Name { .. });
    let picked = match (&upstream.balance, used.as_slice()) {
        (_, [only]) if !named(only) => Some(only.address.to_string()),
        (Balance::Hash(on, _), used) if !used.iter().any(named) => hashed(used, on.key(head, client)),
        _ => None,
    };
    if let Some(picked) = picked {
        text.line("picks", &format!("{picked}, while it is up"));
    }
}

/// "stable 95 %, canary 5 %, by the cookie session"
pub fn split_told(split: &SplitOptions) -> String {
    let total: u64 = split.shares.iter().map(|(_, share)| u64::from(*share)).sum();
    let shares: Vec<String> = split
        .shares
        .iter()
        .map(|(name, share)| format!("{name} {} %", u64::from(*share) * 100 / total.max(1)))
        .collect();
    let by = split.by.as_ref().map_or("by turns".to_owned(), |on| format!("by {}", key(on)));
    let over = split
        .over
        .as_ref()
        .map_or(String::new(), |over| format!("; {} can ask for {}", key(&over.on), over.upstream));
    format!("{}, {by}{over}", shares.join(", "))
}

/// Whom it chooses, where that is not a matter of turns.
pub fn split_pick<'s>(split: &'s SplitOptions, head: &RequestHead, client: IpAddr) -> Option<&'s str> {
    let place = split.place_of(head, client, None)?;
    split.shares.get(place).map(|(name, _)| name.as_str())
}

/// Lines on what else happens to a request.
pub fn beside(text: &mut Text, route: &RouteOptions) {
    let retry = &route.retry;
    if retry.attempts > 0 {
        let mut after = Vec::new();
        for (is_on, word) in
            [(retry.on_connect, "connect"), (retry.on_reset, "reset"), (retry.on_timeout, "timeout")]
        {
            after.extend(is_on.then(|| word.to_owned()));
        }
        after.extend(retry.on_status.0.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        }));
        let times = if retry.attempts == 1 { "once".to_owned() } else { format!("{} times", retry.attempts) };
        text.line("retry", &format!("{times} after {}", after.join(", ")));
    }
    if let Some(mirror) = &route.mirror {
        text.line("mirror", &format!("{} % to {}", mirror.percent, mirror.upstream));
    }
    match &route.fallback {
        Some(FallbackOptions::Upstream(name)) => text.line("fallback", name),
        Some(FallbackOptions::Page(page)) => text.line("fallback", &format!("a page with {}", page.status)),
        None => {}
    }
}

fn hashed(endpoints: &[&EndpointOptions], key: u64) -> Option<String> {
    let candidates: Vec<Candidate> = endpoints
        .iter()
        .map(|endpoint| Candidate {
            identity: hash_key(endpoint.address.to_string().as_bytes()),
            weight: u32::from(endpoint.weight),
        })
        .collect();
    let kind = Balance::Hash(HashOn::ClientIp, Bound::None).kind();
    let idle = View { load: &|_| 0, latency: &|_| 0, usable: &|_| true };
    let index = Balancer::new(kind, &candidates, 0).pick(&idle, key)?;
    endpoints.get(index).map(|endpoint| endpoint.address.to_string())
}
