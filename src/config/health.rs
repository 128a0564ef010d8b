//! `health`, `outlier` and `breaker` of an upstream.

use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text, Zero};
use super::values::{Parsed, shown, wrong};
use super::{host, pattern};
use crate::message::StatusSet;
use crate::upstream::health::{HealthOptions, Initial, OutlierOptions, Probe};
use crate::upstream::{BreakerOptions, Protocol};

pub fn lower(fields: &Fields<'_>, protocol: Protocol) -> HealthOptions {
    let probe = grpc(fields, protocol).unwrap_or_else(|| probe(fields));
    let duration = |name, default| {
        fields.duration(name, Zero::Refused).unwrap_or(std::time::Duration::from_secs(default))
    };
    HealthOptions {
        probe,
        port: fields.integer("port"),
        interval: duration("interval", 5),
        timeout: duration("timeout", 2),
        fall: fields.integer("fall").unwrap_or(3),
        rise: fields.integer("rise").unwrap_or(2),
        start: match fields.text("start").map(|text| text.value) {
            Some("down") => Initial::Down,
            _ => Initial::Up,
        },
    }
}

/// A check by gRPC, when that is asked for.
fn grpc(fields: &Fields<'_>, protocol: Protocol) -> Option<Probe> {
    /// Bytes of the name of a service.
    const LONGEST: usize = 127;
    let place = fields.key("grpc")?;
    let service = match (fields.text("grpc"), fields.boolean("grpc")) {
        (Some(text), _) => text.value,
        (None, Some(true)) => "",
        _ => return None,
    };
    if service.len() > LONGEST {
        let message = format!("the name of a service has at most {LONGEST} bytes");
        fields.problems.add(Diagnostic::error(place, message));
    }
    if matches!(protocol, Protocol::Http1 | Protocol::FastCgi) {
        let message = "`grpc` needs HTTP/2";
        let hint = "add `protocol = \"http2\"` to the upstream";
        fields.problems.add(Diagnostic::error(place, message).hint(hint));
    }
    for name in ["path", "host", "headers", "status", "body"] {
        if let Some(other) = fields.key(name) {
            let message = format!("`{name}` cannot stand beside `grpc`");
            fields.problems.add(Diagnostic::error(other, message).hint("leave one of them out"));
        }
    }
    Some(Probe::Grpc { service: service.to_owned() })
}

fn probe(fields: &Fields<'_>) -> Probe {
    let path = fields.text("path").and_then(|text| fields.parsed(text, asked_path));
    let host = fields.text("host").and_then(|text| fields.parsed(text, host::upstream_host));
    let headers = headers(fields);
    let status = status(fields);
    let body = fields.text("body").map(|text| text.value.to_owned());
    match path {
        Some(path) => Probe::Http { path, host, headers, status, body },
        None => {
            // They would say something about a request that is not sent.
            for name in ["host", "headers", "status", "body"] {
                if let (Some(place), None) = (fields.key(name), fields.key("path")) {
                    let message = format!("`{name}` does nothing in a check without `path`");
                    let hint = "without a path a check only connects; add path = \"/health\"";
                    fields.problems.add(Diagnostic::error(place, message).hint(hint));
                }
            }
            Probe::Connect
        }
    }
}

/// With its query, as it is sent.
fn asked_path(text: &str) -> Parsed<String> {
    if let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) {
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        return Err(wrong(format!("{} is not a path", shown(text)), format!("write \"{path}\"")));
    }
    if !text.starts_with('/') {
        return Err(wrong(format!("{} is not a path", shown(text)), format!("write \"/{text}\"")));
    }
    if text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'#') {
        return Err(wrong(
            format!("{} is not a path", shown(text)),
            "write it as it is sent, with %20 for a space",
        ));
    }
    Ok(text.to_owned())
}

fn headers(fields: &Fields<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for entry in fields.entries("headers") {
        let Some(value) = entry.node.as_text() else { continue };
        let own = ["host", "connection", "content-length", "transfer-encoding"];
        if !pattern::is_token(&entry.key) {
            let message = format!("{} is not the name of a header field", shown(&entry.key));
            fields.problems.add(Diagnostic::error(&entry.place, message));
        } else if own.iter().any(|name| entry.key.eq_ignore_ascii_case(name)) {
            let message = format!("the check sends `{}` itself", entry.key);
            let diagnostic = Diagnostic::error(&entry.place, message);
            fields.problems.add(match entry.key.eq_ignore_ascii_case("host") {
                true => diagnostic.hint("write host = \"name\" beside `headers`"),
                false => diagnostic.hint("leave it out"),
            });
        } else if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            let message = "a header field has no control characters";
            fields.problems.add(Diagnostic::error(&entry.node.place, message));
        } else {
            headers.push((entry.key.clone(), value.trim().to_owned()));
        }
    }
    headers
}

fn status(fields: &Fields<'_>) -> StatusSet {
    if fields.entry("status").is_none() {
        return StatusSet::default();
    }
    let mut ranges = Vec::new();
    for node in fields.nodes("status") {
        if let Some(number) = node.as_integer() {
            ranges.extend(u16::try_from(number).ok().map(|status| (status, status)));
        } else if let Some(value) = node.as_text() {
            ranges.extend(fields.parsed(Text { value, place: &node.place }, statuses));
        }
    }
    StatusSet(ranges)
}

/// "204", "2xx", "200-204".
pub fn statuses(text: &str) -> Parsed<(u16, u16)> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|status| (100..=599).contains(status));
    if let Some(status) = number(text) {
        return Ok((status, status));
    }
    if let [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] = text.as_bytes() {
        let first = u16::from(class - b'0') * 100;
        return Ok((first, first + 99));
    }
    if let Some((first, last)) = text.split_once('-')
        && let (Some(first), Some(last)) = (number(first.trim()), number(last.trim()))
        && first <= last
    {
        return Ok((first, last));
    }
    Err(wrong(format!("{} is no status", shown(text)), "write \"204\", \"2xx\" or \"200-204\""))
}

/// `outlier`, which may also be `true` or `false`.
pub fn lower_outlier(fields: &Fields<'_>) -> OutlierOptions {
    let default = OutlierOptions::default();
    if fields.boolean("outlier") == Some(false) {
        return OutlierOptions { failures: 0, ..default };
    }
    let Some(fields) = fields.table("outlier") else { return default };
    let duration = |name, default| fields.duration(name, Zero::Refused).unwrap_or(default);
    OutlierOptions {
        failures: fields.integer("failures").unwrap_or(default.failures),
        server_errors: fields.integer("server_errors").unwrap_or(default.server_errors),
        success_rate: fields.integer("success_rate").unwrap_or(default.success_rate),
        slow_factor: fields.integer("slow_factor").unwrap_or(default.slow_factor),
        slow_min: fields.duration("slow_min", Zero::Allowed).unwrap_or(default.slow_min),
        interval: duration("interval", default.interval),
        min_requests: fields.integer("min_requests").unwrap_or(default.min_requests),
        ejection_time: duration("ejection_time", default.ejection_time),
        max_ejection_time: duration("max_ejection_time", default.max_ejection_time),
        max_ejected: fields.integer("max_ejected").unwrap_or(default.max_ejected),
    }
}

pub fn lower_breaker(fields: &Fields<'_>) -> BreakerOptions {
    let default = BreakerOptions::default();
    let duration = |name, default| fields.duration(name, Zero::Refused).unwrap_or(default);
    BreakerOptions {
        max_requests: fields.integer("max_requests"),
        max_pending: fields.integer("max_pending"),
        max_connections: fields.integer("max_connections"),
        error_rate: fields.integer("error_rate").unwrap_or(default.error_rate),
        window: duration("window", default.window),
        min_requests: fields.integer("min_requests").unwrap_or(default.min_requests),
        open_time: duration("open_time", default.open_time),
        trickle: fields.integer("trickle").unwrap_or(default.trickle),
    }
}
