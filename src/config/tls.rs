//! The TLS of listeners, and what routes ask for their hosts.

use std::collections::HashMap;

use super::certificates::{file, report};
use super::diagnostic::{Diagnostic, Place, Problems};
use super::fields::{Fields, Text, Zero};
use super::tree::Value;
use super::values::{Parsed, shown, wrong};
use crate::certificates::{
    ClientAuthOptions, ClientDemand, HostTlsOptions, Material, TlsOptions, TlsVersion, UnknownSni,
};
use crate::listen::ListenerOptions;
use crate::message::{Http2, PathPattern};
use crate::route::{ClientCertificateMatch, Glob, HostPattern, RouteMatch, RouteOptions};

const CLIENT_KEYS: [&str; 4] = ["client_ca", "client_auth", "client_crl", "client_crl_unknown"];

/// What a listener has of TLS: the options, whether it takes HTTP/2, whether it redirects.
pub fn lower_listener(fields: &Fields<'_>, material: &mut Material) -> (Option<TlsOptions>, Http2, bool) {
    let http2 = match (fields.boolean("http2"), fields.text("http2")) {
        (None, Some(_)) => Some(Http2::Only),
        (Some(true), _) => Some(Http2::Beside),
        (Some(false), _) => Some(Http2::Off),
        (None, None) => None,
    };
    let redirect = fields.boolean("redirect_to_https").unwrap_or(false);
    let Some(mut tls) = tls(fields, material) else {
        for place in CLIENT_KEYS.iter().filter_map(|name| fields.key(name)) {
            let message = format!("`{}` does nothing without `tls`", place.text());
            fields.problems.add(Diagnostic::error(place, message).hint("add `tls = true`"));
        }
        return (None, http2.unwrap_or_default(), redirect);
    };
    tls.http2 = http2.unwrap_or(tls.http2);
    if let Some(place) = fields.key("redirect_to_https").filter(|_| redirect) {
        let message = "`redirect_to_https` and `tls`: clients would be sent where they are";
        fields.problems.add(Diagnostic::error(place, message).hint("it is for the listener on port 80"));
    }
    (Some(tls.clone()), tls.http2, redirect)
}

/// `None` when it has none.
fn tls(fields: &Fields<'_>, material: &mut Material) -> Option<TlsOptions> {
    let mut tls = TlsOptions::default();
    match fields.table("tls") {
        Some(table) => {
            tls.min_version = version(&table, "min_version").unwrap_or(tls.min_version);
            if let Some(Text { value: "reject", .. }) = table.text("unknown_sni") {
                tls.unknown_sni = UnknownSni::Reject;
            }
            tls.handshake_timeout =
                table.duration("handshake_timeout", Zero::Refused).unwrap_or(tls.handshake_timeout);
            tls.max_handshakes_per_client =
                table.integer("max_handshakes_per_client").unwrap_or(tls.max_handshakes_per_client);
            tls.hsts = hsts(&table);
            tls.ticket_keys = file(&table, "ticket_keys");
            if let Some(Err(flaw)) = tls.ticket_keys.as_ref().map(|path| material.add_ticket_keys(path)) {
                report(&table, flaw);
            }
        }
        None if fields.boolean("tls") == Some(true) => {}
        None => return None,
    }
    tls.client_auth = client_auth(fields, material);
    Some(tls)
}

/// The value of the field: a time alone, or a table.
fn hsts(fields: &Fields<'_>) -> Option<String> {
    let Some(table) = fields.table("hsts") else {
        let max_age = fields.duration("hsts", Zero::Allowed)?;
        return Some(format!("max-age={}", max_age.as_secs()));
    };
    if table.key("max_age").is_none() {
        table.missing(&["max_age"], "`max_age`", "add `max_age = \"8760h\"`");
    }
    let mut value = format!("max-age={}", table.duration("max_age", Zero::Allowed)?.as_secs());
    for (key, directive) in [("include_subdomains", "; includeSubDomains"), ("preload", "; preload")] {
        if table.boolean(key) == Some(true) {
            value.push_str(directive);
        }
    }
    Some(value)
}

fn version(fields: &Fields<'_>, name: &str) -> Option<TlsVersion> {
    match fields.text(name)?.value {
        "1.3" => Some(TlsVersion::V1_3),
        "1.2" => Some(TlsVersion::V1_2),
        _ => None,
    }
}

fn client_auth(fields: &Fields<'_>, material: &mut Material) -> Option<ClientAuthOptions> {
    let demand = match fields.text("client_auth") {
        Some(Text { value: "optional", .. }) => ClientDemand::Optional,
        _ => ClientDemand::Required,
    };
    let crl = file(fields, "client_crl");
    let allow_unknown_revocation =
        matches!(fields.text("client_crl_unknown"), Some(Text { value: "allow", .. }));
    if fields.key("client_ca").is_none() {
        for place in CLIENT_KEYS.iter().filter_map(|name| fields.key(name)) {
            let message = format!("`{}` does nothing without `client_ca`", place.text());
            let hint = "add `client_ca = \"clients.pem\"`: the authorities whose certificates are taken";
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
        }
        return None;
    }
    if let Some(place) = fields.key("client_crl_unknown").filter(|_| fields.key("client_crl").is_none()) {
        let message = "`client_crl_unknown` does nothing without `client_crl`";
        fields.problems.add(Diagnostic::error(place, message));
    }
    let options = ClientAuthOptions { ca: file(fields, "client_ca")?, crl, allow_unknown_revocation, demand };
    if let Err(flaw) = material.add_authority(&options) {
        report(fields, flaw);
    }
    Some(options)
}

/// What a route asks for its hosts.
pub fn lower_route(fields: &Fields<'_>, material: &mut Material) -> HostTlsOptions {
    let options = HostTlsOptions {
        client_auth: client_auth(fields, material),
        min_version: version(fields, "min_tls_version"),
    };
    let without_host = fields.key("host").is_none() && fields.key("hosts").is_none();
    let asking = ["client_ca", "min_tls_version"];
    if let Some(place) = asking.iter().find_map(|name| fields.key(name)).filter(|_| without_host) {
        let message = format!("`{}` in a route without `host`", place.text());
        let hint = "TLS is agreed on for a name: add `host = \"example.com\"`, or set it for the listener";
        fields.problems.add(Diagnostic::error(place, message).hint(hint));
    }
    options
}

/// `client_certificate` of a route.
pub fn lower_certificate_match(fields: &Fields<'_>) -> Option<ClientCertificateMatch> {
    let entry = fields.entry("client_certificate")?;
    let table = fields.table("client_certificate")?;
    let globs = |name| texts(&table, name).into_iter().map(|text| Glob::new(text.value)).collect();
    let asked = ClientCertificateMatch {
        subject: globs("subject"),
        issuer: globs("issuer"),
        san: globs("san"),
        spiffe: globs("spiffe"),
        fingerprint: texts(&table, "fingerprint")
            .into_iter()
            .filter_map(|text| table.parsed(text, fingerprint))
            .collect(),
    };
    if matches!(&entry.node.value, Value::Table(table) if table.entries.is_empty()) {
        let message = "`client_certificate` asks for nothing";
        let hint = "for any certificate write `client_certificate = { subject = \"*\" }`";
        fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(hint));
    }
    Some(asked)
}

/// One string, or several in a list.
fn texts<'a>(table: &Fields<'a>, name: &str) -> Vec<Text<'a>> {
    match table.text(name) {
        Some(text) => vec![text],
        None => {
            let texts = table.texts(name);
            if let Some(entry) = table.entry(name)
                && matches!(&entry.node.value, Value::Array(items) if items.is_empty())
            {
                let message = format!("`{name}` is empty");
                table.problems.add(Diagnostic::error(&entry.node.place, message));
            }
            texts
        }
    }
}

fn fingerprint(text: &str) -> Parsed<String> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    let hint = "`openssl x509 -noout -fingerprint -sha256 -in client.pem` tells it: 64 hexadecimal digits";
    Err(wrong(format!("{} is not a SHA-256 fingerprint", shown(text)), hint))
}

/// What several sections together get wrong.
pub fn check(
    listeners: &[(&ListenerOptions, &Place)],
    routes: &[(RouteOptions, &Place)],
    certificates: Option<&Place>,
    has_certificates: bool,
    problems: &Problems,
) {
    let mut with_tls = listeners.iter().filter(|(options, _)| options.tls.is_some()).peekable();
    match (with_tls.peek(), certificates) {
        (None, Some(place)) => {
            let message = "there are certificates, but no listener has `tls`";
            problems.add(
                Diagnostic::warning(place, message).hint("add `tls = true` to the listener on port 443"),
            );
        }
        (Some((options, place)), _) if !has_certificates => {
            let message = format!("the listener `{}` has `tls`, but there is no certificate", options.name);
            let hint = "add `[certificates.NAME]` with `certificate = \"fullchain.pem\"` and `key = \"privkey.pem\"`";
            problems.add(Diagnostic::error(place, message).hint(hint));
        }
        _ => {}
    }
    let asking = |(route, _): &&(RouteOptions, &Place)| !route.tls.is_empty();
    if let Some((route, place)) = routes.iter().find(asking).filter(|_| with_tls.peek().is_none()) {
        let message = format!("the route `{}` asks for TLS, but no listener has `tls`", route.name);
        problems.add(Diagnostic::error(place, message).hint("add `tls = true` to a listener"));
    }
    let asks_everybody = listeners
        .iter()
        .any(|(options, _)| options.tls.as_ref().is_some_and(|tls| tls.client_auth.is_some()));
    let never_shown = |(route, _): &&(RouteOptions, &Place)| {
        route.matches.client_certificate.is_some() && route.tls.client_auth.is_none() && !asks_everybody
    };
    for (route, place) in routes.iter().filter(never_shown) {
        let message =
            format!("nobody takes the route `{}`: no client is asked for a certificate", route.name);
        let hint = "add `client_ca = \"clients.pem\"` to the route, or to a listener";
        problems.add(Diagnostic::error(place, message).hint(hint));
    }
    check_hosts(routes, problems);
}

/// All of the routes of one host.
struct Host<'a> {
    first: &'a RouteOptions,
    place: &'a Place,
    /// One of them takes every request.
    takes_all: bool,
}

/// A client has agreed on TLS before its request is known: routes of one host must ask for the same, and no
/// request may fall from the routes of one host to those of a wildcard that asks for more.
fn check_hosts(routes: &[(RouteOptions, &Place)], problems: &Problems) {
    let mut hosts: HashMap<&HostPattern, Host<'_>> = HashMap::new();
    for (route, place) in routes {
        for pattern in &route.matches.hosts {
            let host = hosts.entry(pattern).or_insert(Host { first: route, place, takes_all: false });
            host.takes_all |= takes_all(&route.matches);
            if host.first.tls != route.tls {
                let (one, two) = (&host.first.name, &route.name);
                let message = format!(
                    "the routes `{one}` and `{two}` ask different things of clients of {}",
                    shown_host(pattern)
                );
                let hint = "TLS is agreed on before the path is known: give both the same `client_ca`, `client_auth`, \
                            `client_crl` and `min_tls_version`";
                problems.add(Diagnostic::error(place, message).also(host.place, "the other one").hint(hint));
            }
        }
    }
    let mut patterns: Vec<_> = hosts.iter().collect();
    patterns.sort_by_key(|(pattern, host)| (host.place.range.start, shown_host(pattern)));
    for (pattern, host) in patterns {
        if let Some((wildcard, other)) = falls_to(pattern, host, &hosts) {
            let (name, outer) = (shown_host(pattern), shown_host(wildcard));
            let message = format!(
                "requests for {name} that its routes do not take would come to the route `{}` for {outer}, which asks \
                 other things of clients",
                other.first.name
            );
            let hint = format!("add a route for {name} without a path, or give both the same `client_ca`");
            problems.add(Diagnostic::error(host.place, message).also(other.place, "this route").hint(hint));
        }
    }
}

/// The wildcard with another demand to which requests for the pattern may come.
fn falls_to<'h, 'a>(
    pattern: &HostPattern,
    host: &Host<'_>,
    hosts: &'h HashMap<&'a HostPattern, Host<'a>>,
) -> Option<(&'a HostPattern, &'h Host<'a>)> {
    let (HostPattern::Exact(name) | HostPattern::Wildcard(name)) = pattern;
    let mut rest = name.as_str();
    let mut takes_all = host.takes_all;
    while let Some((_, parent)) = rest.split_once('.').filter(|_| !takes_all) {
        rest = parent;
        let Some((wildcard, other)) = hosts.get_key_value(&HostPattern::Wildcard(parent.to_string())) else {
            continue;
        };
        if !other.first.tls.is_empty() && other.first.tls != host.first.tls {
            return Some((wildcard, other));
        }
        takes_all = other.takes_all;
    }
    None
}

fn takes_all(matches: &RouteMatch) -> bool {
    let every_path = match &matches.path {
        PathPattern::Any => true,
        PathPattern::Prefix(prefix) => prefix == "/",
        PathPattern::Exact(_) | PathPattern::Regex(_) => false,
    };
    every_path
        && matches.methods.is_empty()
        && matches.headers.is_empty()
        && matches.query.is_empty()
        && matches.clients.is_empty()
        && matches.client_certificate.is_none()
}

fn shown_host(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => format!("`{name}`"),
        HostPattern::Wildcard(name) => format!("`*.{name}`"),
    }
}
