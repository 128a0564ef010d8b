//! What a route matches: host, path, methods, headers, query, clients.

use super::address;
use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text};
use super::host;
use super::pattern;
use super::tls;
use super::tree::Entry;
use super::values::{Parsed, wrong};
use crate::message::{HeaderCondition, PathPattern, QueryCondition, ValuePattern};
use crate::route::{HostPattern, RouteMatch};

pub fn lower(fields: &Fields<'_>) -> RouteMatch {
    RouteMatch {
        hosts: hosts(fields),
        path: path(fields, "route"),
        methods: distinct(fields, "methods", pattern::method),
        headers: headers(fields),
        query: query(fields),
        clients: distinct(fields, "clients", address::network),
        client_certificate: tls::lower_certificate_match(fields),
    }
}

fn hosts(fields: &Fields<'_>) -> Vec<HostPattern> {
    one_of(fields, &["host", "hosts"], "route");
    let mut hosts = distinct(fields, "hosts", host::pattern);
    if let Some(text) = fields.text("host") {
        hosts.extend(fields.parsed(text, host::pattern));
    }
    hosts
}

/// `whole` is what the keys stand in.
pub fn path(fields: &Fields<'_>, whole: &str) -> PathPattern {
    one_of(fields, &["path", "path_exact", "path_regex"], whole);
    if let Some(text) = fields.text("path") {
        return fields
            .parsed(text, pattern::path_pattern)
            .map_or(PathPattern::Any, |path| PathPattern::Prefix(prefix(path)));
    }
    if let Some(text) = fields.text("path_exact") {
        return fields.parsed(text, pattern::path_pattern).map_or(PathPattern::Any, PathPattern::Exact);
    }
    if let Some(text) = fields.text("path_regex") {
        return pattern::regex(fields, text).map_or(PathPattern::Any, PathPattern::Regex);
    }
    PathPattern::Any
}

pub fn headers(fields: &Fields<'_>) -> Vec<HeaderCondition> {
    let conditions = conditions(fields, "headers", header_name).into_iter();
    conditions.map(|(name, value)| HeaderCondition { name, value }).collect()
}

pub fn query(fields: &Fields<'_>) -> Vec<QueryCondition> {
    let conditions = conditions(fields, "query", query_name).into_iter();
    conditions.map(|(name, value)| QueryCondition { name, value }).collect()
}

/// `/api/` and `/api` are the same whole segments.
pub fn prefix(mut path: String) -> String {
    if path.len() > 1 && path.ends_with('/') {
        path.pop();
    }
    path
}

/// A list in which nothing is there twice, and which is not empty: an empty list would match nothing to a
/// reader and everything to the table.
fn distinct<T: PartialEq>(fields: &Fields<'_>, name: &str, parse: fn(&str) -> Parsed<T>) -> Vec<T> {
    if let Some(entry) = fields.entry(name)
        && matches!(&entry.node.value, super::tree::Value::Array(items) if items.is_empty())
    {
        let message = format!("`{name}` is empty");
        let hint = format!("leave `{name}` out to match all");
        fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(hint));
    }
    let mut values: Vec<(T, Text<'_>)> = Vec::new();
    for text in fields.texts(name) {
        let Some(value) = fields.parsed(text, parse) else { continue };
        match values.iter().find(|(other, _)| *other == value) {
            Some((_, first)) => {
                let message = format!("`{}` is in `{name}` twice", text.value);
                fields.problems.add(Diagnostic::error(text.place, message).also(first.place, "first here"));
            }
            None => values.push((value, text)),
        }
    }
    values.into_iter().map(|(value, _)| value).collect()
}

fn conditions(
    fields: &Fields<'_>,
    name: &str,
    parse: fn(&str) -> Parsed<String>,
) -> Vec<(String, ValuePattern)> {
    let mut found: Vec<(String, ValuePattern, &Entry)> = Vec::new();
    for entry in fields.entries(name) {
        let key = Text { value: &entry.key, place: &entry.place };
        let Some(key) = fields.parsed(key, parse) else { continue };
        if let Some((_, _, first)) = found.iter().find(|(other, _, _)| *other == key) {
            let message = format!("`{}` is the same header as `{}`", entry.key, first.key);
            fields.problems.add(Diagnostic::error(&entry.place, message).also(&first.place, "first here"));
            continue;
        }
        if let Some(value) = condition(fields, name, entry) {
            found.push((key, value, entry));
        }
    }
    found.into_iter().map(|(key, value, _)| (key, value)).collect()
}

fn condition(fields: &Fields<'_>, name: &str, entry: &Entry) -> Option<ValuePattern> {
    if let Some(present) = entry.node.as_boolean() {
        return Some(if present { ValuePattern::Present } else { ValuePattern::Absent });
    }
    if let Some(text) = entry.node.as_text() {
        return Some(ValuePattern::Exact(text.to_string()));
    }
    let table = fields.table_in(name, &entry.node)?;
    if table.key("regex").is_none() {
        table.missing(&["regex"], "`regex`", "write { regex = \"^2\" }");
    }
    pattern::regex(&table, table.text("regex")?).map(ValuePattern::Regex)
}

fn header_name(text: &str) -> Parsed<String> {
    if !pattern::is_token(text) {
        return Err(wrong(format!("`{text}` is not the name of a header"), "write a name such as X-Version"));
    }
    if text.eq_ignore_ascii_case("host") {
        return Err(wrong(
            "the host is not matched as a header",
            "a route has `host = \"example.com\"` for it",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

fn query_name(text: &str) -> Parsed<String> {
    Ok(text.to_string())
}

/// Reports every key beyond the first; `whole` is what they stand in.
pub fn one_of(fields: &Fields<'_>, names: &[&str], whole: &str) {
    let mut there: Vec<(&str, &super::diagnostic::Place)> =
        names.iter().filter_map(|name| Some((*name, fields.key(name)?))).collect();
    there.sort_by_key(|(_, place)| place.range.start);
    for (name, place) in there.iter().skip(1) {
        let (first_name, first) = there[0];
        let message = format!("`{name}` and `{first_name}` cannot be in one {whole}");
        let hint = match names {
            ["host", "hosts"] => {
                "write one list: `hosts = [\"a.example.com\", \"b.example.com\"]`".to_owned()
            }
            _ => format!("keep one of them, or make two {whole}s"),
        };
        fields.problems.add(Diagnostic::error(place, message).also(first, "the other one").hint(hint));
    }
}
