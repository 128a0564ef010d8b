//! What happens between a route and its upstream: the options that `[defaults]` can set as well.

use std::sync::Arc;
use std::time::Duration;

use regex::bytes::Regex;

use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text, Zero};
use super::headers;
use super::host;
use super::json_edits;
use super::matches::prefix;
use super::pattern;
use super::replace;
use super::retry::{self, RetrySettings};
use super::tree::Value;
use super::values::{self, Parsed, shown, wrong};
use crate::filter::{FilterOptions, JsonEdits, Replace, Rewrite};
use crate::route::PathPattern;
use crate::upstream::{BodyMode, RetryOptions, Timeouts};

const DEFAULT_MAX_BODY: u64 = 1 << 30;

/// Options as written in one place; what is absent comes from `[defaults]`, then from us.
#[derive(Default, Clone)]
pub struct Settings {
    rewrite: Option<RewriteChoice>,
    request_headers: Option<headers::Written>,
    response_headers: Option<headers::Written>,
    /// `None` in it: not what `[defaults]` says.
    replace: Option<Option<Replace>>,
    request_json: Option<Option<Arc<JsonEdits>>>,
    response_json: Option<Option<Arc<JsonEdits>>>,
    grpc_web: Option<bool>,
    upstream_host: Option<String>,
    forwarded: Option<bool>,
    forward_client_certificate: Option<bool>,
    connect: Option<Duration>,
    send: Option<Duration>,
    read: Option<Duration>,
    retry: RetrySettings,
    request_body: Option<BodyMode>,
    max_body_size: Option<u64>,
}

#[derive(Clone)]
enum RewriteChoice {
    /// `strip_prefix = false`: not what `[defaults]` says.
    Nothing,
    /// `strip_prefix = true`
    StripOwnPath,
    StripPrefix(String),
    Regex(Regex, String),
}

/// All that a route needs beside match and target.
pub struct Complete {
    pub filters: FilterOptions,
    pub upstream_host: Option<String>,
    pub forwarded: bool,
    pub forward_client_certificate: bool,
    pub timeouts: Timeouts,
    pub retry: RetryOptions,
    pub request_body: BodyMode,
    pub max_body_size: u64,
}

pub fn lower(fields: &Fields<'_>) -> Settings {
    let timeouts = fields.table("timeouts");
    let patience = |name: &str| timeouts.as_ref().and_then(|table| table.duration(name, Zero::Refused));
    Settings {
        rewrite: rewrite_choice(fields),
        request_headers: headers::lower(fields, "request_headers"),
        response_headers: headers::lower(fields, "response_headers"),
        replace: replace::lower(fields),
        request_json: json_edits::lower(fields, "request_json"),
        response_json: json_edits::lower(fields, "response_json"),
        grpc_web: fields.boolean("grpc_web"),
        upstream_host: fields.text("upstream_host").and_then(|text| fields.parsed(text, host::upstream_host)),
        forwarded: fields.boolean("forwarded"),
        forward_client_certificate: fields.boolean("forward_client_certificate"),
        connect: patience("connect"),
        send: patience("send"),
        read: patience("read"),
        retry: fields.table("retry").map(|table| retry::lower(&table)).unwrap_or_default(),
        request_body: fields.text("request_body").map(|text| match text.value {
            "stream" => BodyMode::Stream,
            _ => BodyMode::Buffer,
        }),
        max_body_size: max_body_size(fields),
    }
}

impl Settings {
    /// These win over `defaults`.
    pub fn complete(self, defaults: &Settings, path: &PathPattern) -> Complete {
        let timeouts = Timeouts::default();
        let rewrite = self.rewrite.or_else(|| defaults.rewrite.clone());
        Complete {
            filters: FilterOptions {
                response_headers: headers::merge(&defaults.response_headers, self.response_headers),
                rewrite: rewrite.and_then(|choice| choice.for_path(path)),
                request_headers: headers::merge(&defaults.request_headers, self.request_headers),
                replace: self.replace.or_else(|| defaults.replace.clone()).flatten(),
                request_json: self.request_json.or_else(|| defaults.request_json.clone()).flatten(),
                response_json: self.response_json.or_else(|| defaults.response_json.clone()).flatten(),
                grpc_web: self.grpc_web.or(defaults.grpc_web).unwrap_or(false),
            },
            upstream_host: self.upstream_host.or_else(|| defaults.upstream_host.clone()),
            forwarded: self.forwarded.or(defaults.forwarded).unwrap_or(false),
            forward_client_certificate: self
                .forward_client_certificate
                .or(defaults.forward_client_certificate)
                .unwrap_or(false),
            timeouts: Timeouts {
                connect: self.connect.or(defaults.connect).unwrap_or(timeouts.connect),
                send: self.send.or(defaults.send).unwrap_or(timeouts.send),
                read: self.read.or(defaults.read).unwrap_or(timeouts.read),
            },
            retry: self.retry.complete(&defaults.retry),
            request_body: self.request_body.or(defaults.request_body).unwrap_or_default(),
            max_body_size: self.max_body_size.or(defaults.max_body_size).unwrap_or(DEFAULT_MAX_BODY),
        }
    }
}

impl RewriteChoice {
    fn for_path(self, path: &PathPattern) -> Option<Rewrite> {
        match (self, path) {
            (RewriteChoice::StripOwnPath, PathPattern::Prefix(prefix)) if prefix != "/" => {
                Some(Rewrite::StripPrefix(prefix.clone()))
            }
            (RewriteChoice::StripOwnPath | RewriteChoice::Nothing, _) => None,
            (RewriteChoice::StripPrefix(prefix), _) => Some(Rewrite::StripPrefix(prefix)),
            (RewriteChoice::Regex(regex, to), _) => Some(Rewrite::Regex { regex, to }),
        }
    }
}

/// `strip_prefix` of a route against its own path. `[defaults]` is not held to it: there it means the routes
/// that have such a path.
pub fn check_strip_prefix(fields: &Fields<'_>, path: &PathPattern) {
    let Some(entry) = fields.entry("strip_prefix") else { return };
    if entry.node.as_boolean() == Some(true) && fields.key("path").is_none() {
        let message = "`strip_prefix = true` needs a `path`: its value is what is taken off";
        fields.problems.add(Diagnostic::error(&entry.place, message).hint("write strip_prefix = \"/api\""));
    }
    let (Some(text), PathPattern::Prefix(path) | PathPattern::Exact(path)) = (entry.node.as_text(), path)
    else {
        return;
    };
    if pattern::path_pattern(text).is_ok() && !covers(text, path) && !covers(path, text) {
        let message = format!("{} is never at the start of `{path}`", shown(text));
        fields
            .problems
            .add(Diagnostic::warning(&entry.node.place, message).hint("nothing would be taken off"));
    }
}

/// Whole segments.
pub fn covers(prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn rewrite_choice(fields: &Fields<'_>) -> Option<RewriteChoice> {
    let strip = fields.entry("strip_prefix");
    let rewrite = fields.table("rewrite").map(|table| (regex_rewrite(&table), table.place));
    match (strip, rewrite) {
        (Some(strip), Some((_, place))) if strip.node.as_boolean() != Some(false) => {
            let message = "`strip_prefix` and `rewrite` cannot be in one route";
            let hint = "the regex can do both: rewrite = { regex = \"^/api(/.*)?$\", to = \"$1\" }";
            fields
                .problems
                .add(Diagnostic::error(place, message).also(&strip.place, "the other one").hint(hint));
            None
        }
        (_, Some((rewrite, _))) => rewrite,
        (Some(strip), None) => match (&strip.node.value, strip.node.as_boolean()) {
            (_, Some(true)) => Some(RewriteChoice::StripOwnPath),
            (_, Some(false)) => Some(RewriteChoice::Nothing),
            (Value::Text(value), None) => {
                let path = fields.parsed(Text { value, place: &strip.node.place }, pattern::path_pattern)?;
                Some(RewriteChoice::StripPrefix(prefix(path)))
            }
            _ => None,
        },
        (None, None) => None,
    }
}

fn regex_rewrite(table: &Fields<'_>) -> Option<RewriteChoice> {
    for name in ["regex", "to"] {
        if table.key(name).is_none() {
            table.missing(
                &[name],
                &format!("`{name}`"),
                "write { regex = \"^/old/(.*)$\", to = \"/new/$1\" }",
            );
        }
    }
    let to = table.text("to");
    let regex = pattern::regex(table, table.text("regex")?)?;
    let to = to?;
    if !to.value.starts_with(['/', '$']) {
        let message = format!("{} is not a path", shown(to.value));
        table.problems.add(
            Diagnostic::error(to.place, message)
                .hint(format!("a path begins with a slash: \"/{}\"", to.value)),
        );
        return None;
    }
    if to.value.bytes().any(|b| b <= b' ' || b == 0x7f) {
        table.problems.add(Diagnostic::error(to.place, "a path has no spaces").hint("write %20"));
        return None;
    }
    if ["//", "/./", "/../"].iter().any(|part| to.value.contains(part)) {
        let message = format!("{} is not a path as requests have it", shown(to.value));
        table
            .problems
            .add(Diagnostic::error(to.place, message).hint("write it without `//`, `/./` and `/../`"));
        return None;
    }
    check_groups(table, &regex, to).then(|| RewriteChoice::Regex(regex, to.value.to_string()))
}

/// Every `$1`, `$name` and `${name}` must be a group of the regex; an unknown one would silently be empty.
pub fn check_groups(table: &Fields<'_>, regex: &Regex, to: Text<'_>) -> bool {
    let groups = regex.captures_len() - 1;
    let mut sound = true;
    for (written, name) in references(to.value) {
        let known = match name.parse::<usize>() {
            Ok(number) => number <= groups,
            Err(_) => regex.capture_names().flatten().any(|group| group == name),
        };
        if known {
            continue;
        }
        sound = false;
        let has = match groups {
            0 => "the regex has no group: put parentheses around what `$1` shall be".to_string(),
            1 => "the regex has one group, `$1`".to_string(),
            n => format!("the regex has {n} groups, `$1` to `${n}`"),
        };
        let digits = name.chars().take_while(char::is_ascii_digit).count();
        let hint = match digits {
            0 => has,
            n if n < name.len() => {
                format!(
                    "`{written}` is the name of a group; for `${}` write `$${{{}}}{}`",
                    &name[..n],
                    &name[..n],
                    &name[n..]
                )
            }
            _ => has,
        };
        let message = format!("`{written}` is no group of the regex");
        table.problems.add(Diagnostic::error(&to.place.part(&written), message).hint(hint));
    }
    sound
}

/// As the regex crate reads a replacement: `$$` is a dollar, a name is as long as it can be.
fn references(to: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = to;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let name = match braced {
            Some((name, _)) => name,
            None => &after[..after.find(word).unwrap_or(after.len())],
        };
        if !name.is_empty() {
            let written = if braced.is_some() { format!("${{{name}}}") } else { format!("${name}") };
            found.push((written, name.to_string()));
        }
        rest = after;
    }
    found
}

fn max_body_size(fields: &Fields<'_>) -> Option<u64> {
    match fields.text("max_body_size") {
        Some(text) => fields.parsed(text, size_or_unlimited),
        None => fields.size("max_body_size"),
    }
}

fn size_or_unlimited(text: &str) -> Parsed<u64> {
    match text {
        "unlimited" => Ok(u64::MAX),
        "none" | "off" | "infinite" | "no" => {
            Err(wrong(format!("{} is not a size", shown(text)), "for no limit write \"unlimited\""))
        }
        _ => values::size(text),
    }
}

/// Options that only mean something with an upstream, on a route that has none.
pub fn refuse_without_upstream(fields: &Fields<'_>, target: &str) {
    for name in NEED_AN_UPSTREAM {
        if let Some(place) = fields.key(name) {
            refuse(fields, place, name, target);
        }
    }
}

/// Options that mean nothing where one answer is made of several.
pub fn refuse_with_merge(fields: &Fields<'_>) {
    for name in NEED_ONE_UPSTREAM {
        if let Some(place) = fields.key(name) {
            let message = format!("`{name}` does nothing in a route with `merge`");
            let hint = "it is about requests to one upstream; leave it out";
            fields.problems.add(Diagnostic::error(place, message).hint(hint));
        }
    }
}

const NEED_ONE_UPSTREAM: [&str; 8] = [
    "strip_prefix",
    "rewrite",
    "grpc_web",
    "request_json",
    "request_body",
    "max_body_size",
    "mirror",
    "fallback",
];

const NEED_AN_UPSTREAM: [&str; 13] = [
    "request_headers",
    "strip_prefix",
    "rewrite",
    "replace",
    "request_json",
    "response_json",
    "grpc_web",
    "upstream_host",
    "forwarded",
    "forward_client_certificate",
    "timeouts",
    "retry",
    "request_body",
];

fn refuse(fields: &Fields<'_>, place: &Place, name: &str, target: &str) {
    let message = format!("`{name}` does nothing in a route with `{target}`");
    fields.problems.add(Diagnostic::error(place, message).hint("it is about an upstream; leave it out"));
}
