//! Upstreams and their endpoints: a table for people, JSON for machines, and the operator's orders.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use crate::observe::json;
use crate::observe::metrics::{EndpointFacts, UpstreamFacts};
use crate::upstream::health::Operator;
use crate::upstream::verdict::Order;
use crate::upstream::{Endpoint, Upstream};

/// A line for each endpoint: state, connections, and why it is not "up".
pub fn table(upstreams: &[Arc<Upstream>]) -> String {
    let mut table = format!(
        "{:<20} {:<28} {:<9} {:>6} {:>6} {:>6} {:>8}  {}\n",
        "UPSTREAM", "ENDPOINT", "STATE", "WEIGHT", "OPEN", "IDLE", "WAITING", "WHY"
    );
    for row in rows(upstreams) {
        let line = format!(
            "{:<20} {:<28} {:<9} {:>6} {:>6} {:>6} {:>8}  {}",
            row.upstream,
            row.endpoint,
            row.state,
            row.weight,
            row.numbers.map_or(0, |numbers| numbers.open),
            row.numbers.map_or(0, |numbers| numbers.idle),
            row.numbers.map_or(0, |numbers| numbers.waiting),
            row.why
        );
        table.push_str(line.trim_end());
        table.push('\n');
    }
    for upstream in upstreams {
        if upstream.group.published().panic {
            let name = &upstream.name;
            table.push_str(&format!(
                "\n{name}: too few endpoints are fit, ejected ones are used all the same\n"
            ));
        }
        if let state @ ("open" | "half open") = upstream.group.breaker.state() {
            table.push_str(&format!("\n{}: the circuit breaker is {state}\n", upstream.name));
        }
    }
    table
}

/// One endpoint, or an entry of the configuration that stands for none right now.
struct Row {
    upstream: String,
    endpoint: String,
    state: &'static str,
    why: String,
    weight: u16,
    /// Of an endpoint that is there.
    numbers: Option<Numbers>,
    events: Vec<(&'static str, u64)>,
}

#[derive(Clone, Copy)]
struct Numbers {
    open: u32,
    idle: u32,
    waiting: u32,
}

fn rows(upstreams: &[Arc<Upstream>]) -> Vec<Row> {
    let now = Instant::now();
    let mut rows = Vec::new();
    for upstream in upstreams {
        for member in upstream.group.members() {
            let endpoint = &member.endpoint;
            let (state, why) = upstream.group.told(endpoint, now);
            rows.push(Row {
                upstream: upstream.name.clone(),
                endpoint: endpoint.label.clone(),
                state,
                why,
                weight: upstream.group.weight(&member),
                numbers: Some(Numbers {
                    open: endpoint.open_connections(),
                    idle: endpoint.idle_connections(),
                    waiting: endpoint.waiting_requests(),
                }),
                events: events(endpoint),
            });
        }
        for (endpoint, trouble) in upstream.group.unresolved() {
            let why = trouble.unwrap_or_else(|| "not resolved yet".to_owned());
            let upstream = upstream.name.clone();
            rows.push(Row {
                upstream,
                endpoint,
                state: "down",
                why,
                weight: 0,
                numbers: None,
                events: Vec::new(),
            });
        }
    }
    rows
}

/// `[{"upstream": ..., "endpoint": ..., "state": ..., ...}]`
pub fn json(upstreams: &[Arc<Upstream>]) -> String {
    let mut out = b"[".to_vec();
    for (index, row) in rows(upstreams).into_iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\n{" } else { b",\n{" });
        out.extend_from_slice(b"\"upstream\":");
        json::string(&mut out, row.upstream.as_bytes());
        for (name, value) in [("endpoint", row.endpoint.as_str()), ("state", row.state), ("why", &row.why)] {
            out.extend(json::member(name, value));
        }
        out.extend(format!(",\"weight\":{}", row.weight).bytes());
        if let Some(Numbers { open, idle, waiting }) = row.numbers {
            out.extend(format!(",\"open\":{open},\"idle\":{idle},\"waiting\":{waiting}").bytes());
        }
        for (name, count) in row.events {
            out.extend(format!(",\"{name}\":{count}").bytes());
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"\n]\n");
    String::from_utf8_lossy(&out).into_owned()
}

/// Does what `?upstream=NAME&endpoint=ADDRESS&order=drain|disable|enable|weight[&weight=N]` says; gives what
/// there is to say about it. The operator's own command writes it, so nothing is percent-encoded.
pub fn order(upstreams: &[Arc<Upstream>], query: Option<&[u8]>) -> Result<String, String> {
    let query = query.and_then(|query| std::str::from_utf8(query).ok()).unwrap_or_default();
    let value = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    let (name, label) = (value("upstream").unwrap_or_default(), value("endpoint").unwrap_or_default());
    let (order, done) = match (value("order").unwrap_or_default(), value("weight")) {
        ("drain", _) => (Order::Be(Operator::Draining), "takes no new requests".to_owned()),
        ("disable", _) => (Order::Be(Operator::Disabled), "takes no requests".to_owned()),
        ("enable", _) => (Order::Be(Operator::Enabled), "takes requests".to_owned()),
        ("weight", Some(weight)) => match weight.parse() {
            Ok(weight) if weight > 0 => (Order::Weigh(weight), format!("has weight {weight}")),
            _ => return Err(format!("{weight:?} is no weight: it is 1 to 65535\n")),
        },
        (other, _) => return Err(format!("{other:?} is no order: drain, disable, enable or weight\n")),
    };
    let Some(upstream) = upstreams.iter().find(|upstream| upstream.name == name) else {
        let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        return Err(format!("there is no upstream {name:?}; there are {}\n", known.join(", ")));
    };
    if !upstream.group.order(label, order, Instant::now()) {
        let known: Vec<String> =
            upstream.group.endpoints().iter().map(|endpoint| endpoint.label.clone()).collect();
        return Err(format!("{name} has no endpoint {label:?}; it has {}\n", known.join(", ")));
    }
    Ok(format!("{name}: {label} {done}, until the next reload\n"))
}

/// For the metrics page.
pub fn facts(upstreams: &[Arc<Upstream>]) -> Vec<UpstreamFacts> {
    let facts = |upstream: &Arc<Upstream>| UpstreamFacts {
        upstream: upstream.name.clone(),
        retries_refused: upstream.group.counters.budget_exhausted.load(Relaxed),
        panic: upstream.group.published().panic,
        breaker: match upstream.group.breaker.state() {
            "open" => 2,
            "half open" => 1,
            _ => 0,
        },
        breaker_opened: upstream.group.breaker.opened.load(Relaxed),
        breaker_refused: upstream.group.breaker.refused.load(Relaxed),
        fallbacks: upstream.group.counters.fallbacks.load(Relaxed),
        mirrored: [
            ("answered", upstream.group.counters.mirror.answered.load(Relaxed)),
            ("failed", upstream.group.counters.mirror.failed.load(Relaxed)),
            ("skipped", upstream.group.counters.mirror.skipped.load(Relaxed)),
        ],
    };
    upstreams.iter().map(facts).collect()
}

/// For the metrics page.
pub fn endpoint_facts(upstreams: &[Arc<Upstream>]) -> Vec<EndpointFacts> {
    let endpoints = upstreams.iter().flat_map(|upstream| {
        upstream.group.endpoints().into_iter().map(move |endpoint| (upstream, endpoint))
    });
    endpoints.map(|(upstream, endpoint)| facts_of(upstream, &endpoint)).collect()
}

fn facts_of(upstream: &Upstream, endpoint: &Endpoint) -> EndpointFacts {
    EndpointFacts {
        upstream: upstream.name.clone(),
        endpoint: endpoint.label.clone(),
        up: upstream.group.takes_requests(endpoint),
        open: u64::from(endpoint.open_connections()),
        idle: u64::from(endpoint.idle_connections()),
        waiting: u64::from(endpoint.waiting_requests()),
        events: events(endpoint),
    }
}

/// What happened at an endpoint, by name.
fn events(endpoint: &Endpoint) -> Vec<(&'static str, u64)> {
    let counters = &endpoint.counters;
    vec![
        ("connect", counters.connects.load(Relaxed)),
        ("connect_failure", counters.connect_failures.load(Relaxed)),
        ("handshake", counters.handshakes.load(Relaxed)),
        ("handshake_resumed", counters.handshakes_resumed.load(Relaxed)),
        ("handshake_failure", counters.handshake_failures.load(Relaxed)),
        ("queued", counters.queued.load(Relaxed)),
        ("queue_refused", counters.queue_refused.load(Relaxed)),
        ("queue_timeout", counters.queue_timeouts.load(Relaxed)),
        ("taken_over", counters.taken_over.load(Relaxed)),
        ("resend", counters.resends.load(Relaxed)),
        ("retry", counters.retries.load(Relaxed)),
        ("hedge", counters.hedges.load(Relaxed)),
        ("probe_failure", counters.probe_failures.load(Relaxed)),
        ("check_pass", counters.check_passes.load(Relaxed)),
        ("check_failure", counters.check_failures.load(Relaxed)),
        ("ejection", counters.ejections.load(Relaxed)),
        ("application_error", counters.complaints.load(Relaxed)),
    ]
}
