//! `[dns]`.

use super::address;
use super::diagnostic::Diagnostic;
use super::fields::{Fields, Zero};
use crate::upstream::{DnsOptions, Families};

pub fn lower(fields: &Fields<'_>) -> DnsOptions {
    let default = DnsOptions::default();
    let servers = fields.texts("servers").into_iter();
    let options = DnsOptions {
        servers: servers.filter_map(|text| fields.parsed(text, address::name_server)).collect(),
        min_ttl: fields.duration("min_ttl", Zero::Refused).unwrap_or(default.min_ttl),
        max_ttl: fields.duration("max_ttl", Zero::Refused).unwrap_or(default.max_ttl),
        timeout: fields.duration("timeout", Zero::Refused).unwrap_or(default.timeout),
        keep_stale: fields.duration("keep_stale", Zero::Allowed).unwrap_or(default.keep_stale),
        addresses: families(fields),
    };
    if options.min_ttl > options.max_ttl {
        refuse_crossed_bounds(fields, &options);
    }
    options
}

/// The check of shapes has refused every other word.
fn families(fields: &Fields<'_>) -> Families {
    match fields.text("addresses").map(|text| text.value) {
        Some("v4_first") => Families::V4First,
        Some("v6_first") => Families::V6First,
        Some("v4") => Families::V4,
        Some("v6") => Families::V6,
        _ => Families::All,
    }
}

fn refuse_crossed_bounds(fields: &Fields<'_>, options: &DnsOptions) {
    let written = [fields.entry("min_ttl"), fields.entry("max_ttl")];
    let Some(entry) = written.into_iter().flatten().next() else { return };
    let (min, max) = (options.min_ttl.as_secs_f64(), options.max_ttl.as_secs_f64());
    let message = format!("`min_ttl` is {min} s and `max_ttl` is {max} s");
    fields
        .problems
        .add(Diagnostic::error(&entry.node.place, message).hint("the first one is the shorter one"));
}
