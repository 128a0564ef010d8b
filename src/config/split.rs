//! `split`, `mirror` and `fallback` of a route: what several upstreams have to do with one request.

use std::collections::BTreeSet;

use super::balance;
use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text};
use super::targets::{known_upstream, respond};
use crate::route::FallbackOptions;
use crate::upstream::mirror::MirrorOptions;
use crate::upstream::split::{OverrideOptions, SplitOptions};

pub fn lower(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<SplitOptions> {
    let entries = fields.entries("split");
    let mut shares = Vec::new();
    for entry in entries {
        let name = Text { value: &entry.key, place: &entry.place };
        let share = entry.node.as_integer().and_then(|share| u32::try_from(share).ok());
        if let (Some(name), Some(share)) = (known_upstream(fields, name, upstreams), share) {
            shares.push((name, share));
        }
    }
    if shares.len() < entries.len() {
        return None;
    }
    if shares.iter().all(|(_, share)| *share == 0) {
        let place = fields.key("split").unwrap_or(fields.place);
        let message = "nobody has a share in this split";
        fields.problems.add(Diagnostic::error(place, message).hint("write { stable = 95, canary = 5 }"));
        return None;
    }
    let by = balance::hash_source(fields, "split_by");
    let over = match fields.table("split_override") {
        Some(table) => Some(override_of(&table, &shares)?),
        None => None,
    };
    Some(SplitOptions { shares, by, over })
}

fn override_of(table: &Fields<'_>, shares: &[(String, u32)]) -> Option<OverrideOptions> {
    let on = balance::source_in(table)?;
    let Some(name) = table.text("upstream") else {
        if table.key("upstream").is_none() {
            let hint = "write { header = \"X-Canary\", upstream = \"canary\" }";
            table.missing(&["upstream"], "`upstream`", hint);
        }
        return None;
    };
    if !shares.iter().any(|(share, _)| share == name.value) {
        let message = format!("`{}` has no share in this split", name.value);
        let known: Vec<String> = shares.iter().map(|(share, _)| format!("`{share}`")).collect();
        let hint = format!("shares are of {}; one may be 0", known.join(", "));
        table.problems.add(Diagnostic::error(name.place, message).hint(hint));
        return None;
    }
    Some(OverrideOptions { on, upstream: name.value.to_owned() })
}

/// Keys that mean something with `split` only.
pub fn check_alone(fields: &Fields<'_>) {
    for name in ["split_by", "split_override"] {
        if let (Some(place), None) = (fields.key(name), fields.key("split")) {
            let message = format!("`{name}` does nothing without `split`");
            fields
                .problems
                .add(Diagnostic::error(place, message).hint("add split = { stable = 95, canary = 5 }"));
        }
    }
}

pub fn mirror(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<MirrorOptions> {
    if let Some(text) = fields.text("mirror") {
        let upstream = known_upstream(fields, text, upstreams)?;
        return Some(MirrorOptions { upstream, percent: 100 });
    }
    let table = fields.table("mirror")?;
    let Some(text) = table.text("upstream") else {
        if table.key("upstream").is_none() {
            table.missing(&["upstream"], "`upstream`", "write { upstream = \"shadow\", percent = 10 }");
        }
        return None;
    };
    let upstream = known_upstream(&table, text, upstreams)?;
    Some(MirrorOptions { upstream, percent: table.integer("percent").unwrap_or(100) })
}

pub fn fallback(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<FallbackOptions> {
    if let Some(text) = fields.text("fallback") {
        return fallback_upstream(fields, text, upstreams);
    }
    let table = fields.table("fallback")?;
    match (table.text("upstream"), table.key("status").or(table.key("body")).or(table.key("content_type"))) {
        (Some(_), Some(place)) => {
            let message = "a fallback is another upstream or a page";
            let hint = "keep `upstream`, or `status` and `body`";
            table.problems.add(Diagnostic::error(place, message).hint(hint));
            None
        }
        (Some(text), None) => fallback_upstream(fields, text, upstreams),
        (None, Some(_)) => respond(&table).map(FallbackOptions::Page),
        (None, None) => {
            let hint = "write { upstream = \"other\" } or { status = 503, body = \"back soon\" }";
            table.missing(&["upstream", "status"], "fallback", hint);
            None
        }
    }
}

fn fallback_upstream(
    fields: &Fields<'_>,
    text: Text<'_>,
    upstreams: &BTreeSet<&str>,
) -> Option<FallbackOptions> {
    let name = known_upstream(fields, text, upstreams)?;
    if fields.text("upstream").is_some_and(|own| own.value == name) {
        let message = format!("`{name}` is its own fallback");
        fields
            .problems
            .add(Diagnostic::error(text.place, message).hint("name another upstream, or leave it out"));
        return None;
    }
    Some(FallbackOptions::Upstream(name))
}

/// Every upstream that a route names.
pub fn named(fields: &Fields<'_>) -> Vec<String> {
    let mut names: Vec<String> = fields.entries("split").iter().map(|entry| entry.key.clone()).collect();
    let members = fields.entries("merge").iter().filter_map(|member| fields.table_in("merge", &member.node));
    names.extend(members.filter_map(|member| Some(member.text("upstream")?.value.to_owned())));
    names.extend(fields.text("upstream").map(|text| text.value.to_owned()));
    for key in ["mirror", "fallback"] {
        let text = fields.text(key).or(fields.table(key).and_then(|table| table.text("upstream")));
        names.extend(text.map(|text| text.value.to_owned()));
    }
    names
}
