//! `[upstreams.NAME]`, with its endpoints and its pool.

use std::path::Path;

use super::address;
use super::diagnostic::{Diagnostic, Place};
use super::endpoints_file;
use super::fields::{Fields, Text, Zero};
use super::origin_tls::{self, SystemRoots};
use super::tree::{Node, Value};
use super::{balance, fastcgi, health};
use crate::upstream::health::{BACKUP, PlanRules};
use crate::upstream::{
    BreakerOptions, EndpointAddress, EndpointOptions, PoolOptions, Protocol, UpstreamOptions,
};

pub fn lower(
    name: &str,
    fields: &Fields<'_>,
    workers: usize,
    system: &SystemRoots,
) -> Option<UpstreamOptions> {
    let protocol = match fields.text("protocol").map(|text| text.value) {
        Some("http2") => Protocol::Http2,
        Some("auto") => Protocol::Auto,
        Some("fastcgi") => Protocol::FastCgi,
        _ => Protocol::Http1,
    };
    let tls = match protocol {
        Protocol::FastCgi => None,
        _ => origin_tls::lower(name, fields, protocol, system),
    };
    let application = fastcgi::lower(fields, protocol);
    let balance = balance::lower(fields);
    let sticky = balance::lower_sticky(fields);
    let shares = protocol == Protocol::Http2 || (protocol == Protocol::Auto && tls.is_some());
    let pool = fields.table("pool").map(|pool| lower_pool(&pool, shares, workers)).unwrap_or_default();
    let health = fields.table("health").map(|table| health::lower(&table, protocol));
    let outlier = health::lower_outlier(fields);
    let slow_start = fields.duration("slow_start", Zero::Allowed).unwrap_or_default();
    let percent = |name, default| fields.integer(name).unwrap_or(default);
    let rules = PlanRules::default();
    Some(UpstreamOptions {
        name: name.to_string(),
        protocol,
        tls,
        application,
        balance,
        sticky,
        slow_start,
        min_healthy: percent("min_healthy", rules.min_healthy),
        panic_below: percent("panic_below", rules.panic_below),
        retry_budget: percent("retry_budget", 20),
        max_endpoints: fields.integer("max_endpoints").unwrap_or(1000),
        endpoints: endpoints(fields)?,
        pool,
        health,
        outlier,
        breaker: fields.table("breaker").map(|table| lower_breaker(&table, shares, workers)),
    })
}

fn endpoints(fields: &Fields<'_>) -> Option<Vec<EndpointOptions>> {
    let example = "add `endpoints = [\"10.0.0.1:8080\"]`";
    let file = fields.text("endpoints_file");
    let Some(entry) = fields.entry("endpoints") else {
        if fields.key("endpoints_file").is_none() {
            fields.missing(&["endpoints"], "`endpoints`", example);
        }
        return endpoints_file(fields, file?).map(|file| vec![file]);
    };
    let Value::Array(nodes) = &entry.node.value else { return None };
    if nodes.is_empty() && file.is_none() {
        let message = "an upstream needs at least one endpoint";
        fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(example));
        return None;
    }
    let mut all: Vec<(EndpointOptions, &Place)> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some((endpoint, place)) = endpoint(fields, node) else { continue };
        match all.iter().find(|(other, _)| other.address == endpoint.address) {
            Some((_, first)) => {
                let message = format!("the endpoint `{}` is there twice", endpoint.address);
                let hint = "for a larger share of the requests write { address = \"...\", weight = 2 }";
                fields.problems.add(Diagnostic::error(place, message).also(first, "first here").hint(hint));
            }
            None => all.push((endpoint, place)),
        }
    }
    let listed = file.and_then(|file| endpoints_file(fields, file));
    Some(all.into_iter().map(|(endpoint, _)| endpoint).chain(listed).collect())
}

fn endpoint<'a>(fields: &Fields<'a>, node: &'a Node) -> Option<(EndpointOptions, &'a Place)> {
    if let Some(value) = node.as_text() {
        let address = fields.parsed(Text { value, place: &node.place }, address::endpoint)?;
        return Some((EndpointOptions { address, weight: 1, tier: 0 }, &node.place));
    }
    let table = fields.table_in("endpoints", node)?;
    let weight = table.integer("weight").unwrap_or(1);
    let tier = tier(&table);
    if let Some(name) = table.text("srv") {
        return srv(&table, name);
    }
    if table.key("address").is_none() {
        table.missing(&["address", "srv"], "`address`", "write { address = \"10.0.0.1:8080\", weight = 1 }");
        return None;
    }
    let text = table.text("address")?;
    let address = table.parsed(text, address::endpoint)?;
    Some((EndpointOptions { address, weight, tier }, text.place))
}

fn srv<'a>(table: &Fields<'a>, name: Text<'a>) -> Option<(EndpointOptions, &'a Place)> {
    for other in ["address", "weight", "backup", "priority"] {
        if let Some(place) = table.key(other) {
            let message = format!("`{other}` cannot stand beside `srv`");
            let hint = "SRV records tell addresses, weights and priorities themselves";
            table.problems.add(Diagnostic::error(place, message).hint(hint));
        }
    }
    let address = EndpointAddress::Srv(table.parsed(name, address::service)?);
    Some((EndpointOptions { address, weight: 1, tier: 0 }, name.place))
}

/// The file is checked like what stands here.
fn endpoints_file(fields: &Fields<'_>, file: Text<'_>) -> Option<EndpointOptions> {
    if file.value.is_empty() || file.value.contains('\0') {
        fields.problems.add(Diagnostic::error(file.place, "`endpoints_file` is not a file name"));
        return None;
    }
    let here = Path::new(&file.place.source.name).parent().unwrap_or(Path::new(""));
    let path = here.join(file.value);
    if let Err(why) = endpoints_file::load(&path, usize::MAX, fields.problems) {
        fields.problems.add(Diagnostic::error(file.place, why));
    }
    Some(EndpointOptions { address: EndpointAddress::File(path), weight: 1, tier: 0 })
}

/// The number by which groups within an upstream take turns.
fn tier(table: &Fields<'_>) -> u16 {
    let (backup, priority) = (table.boolean("backup"), table.integer("priority"));
    if let (Some(true), Some(_), Some(place)) = (backup, priority, table.key("priority")) {
        let message = "an endpoint cannot have a `priority` and be a `backup`";
        let hint = "a backup comes behind all priorities; leave one of them out";
        table.problems.add(Diagnostic::error(place, message).hint(hint));
    }
    if backup == Some(true) { BACKUP } else { priority.unwrap_or(0) }
}

/// `shares`: requests may share connections.
fn lower_pool(fields: &Fields<'_>, shares: bool, workers: usize) -> PoolOptions {
    let default = PoolOptions::default();
    let pool = PoolOptions {
        max_connections: fields.integer("max_connections").unwrap_or(default.max_connections),
        idle_timeout: fields.duration("idle_timeout", Zero::Refused).unwrap_or(default.idle_timeout),
        probe_interval: fields.duration("probe_interval", Zero::Allowed).unwrap_or(default.probe_interval),
        queue_timeout: fields.duration("queue_timeout", Zero::Allowed).unwrap_or(default.queue_timeout),
        max_queue: fields.integer("max_queue").unwrap_or(default.max_queue),
    };
    if (pool.max_connections as usize) < workers {
        warn_few_connections(fields, pool.max_connections, shares, workers);
    }
    pool
}

fn lower_breaker(fields: &Fields<'_>, shares: bool, workers: usize) -> BreakerOptions {
    let breaker = health::lower_breaker(fields);
    if let Some(most) = breaker.max_connections
        && shares
        && (most as usize) < workers
        && let Some(entry) = fields.entry("max_connections")
    {
        let message = format!("`max_connections` of the breaker is {most}, with {workers} workers");
        let hint =
            "a connection that requests share belongs to a worker: one that gets none answers with 503";
        fields.problems.add(Diagnostic::warning(&entry.node.place, message).hint(hint));
    }
    breaker
}

fn warn_few_connections(fields: &Fields<'_>, connections: u32, shares: bool, workers: usize) {
    let Some(entry) = fields.entry("max_connections") else { return };
    if entry.node.as_integer() != Some(i128::from(connections)) {
        return;
    }
    let message = format!("`max_connections` is {connections}, with {workers} workers");
    let hint = match shares {
        true => format!(
            "each worker may open one for the requests that it has: up to {workers}; for fewer set `server.workers`"
        ),
        false => {
            "an idle connection belongs to a worker: fewer than one each means that they wait for each other"
                .to_owned()
        }
    };
    fields.problems.add(Diagnostic::warning(&entry.node.place, message).hint(hint));
}
