//! What happens between a route and its upstream: the options that `[defaults]` can set as well.

use std::time::Duration;

use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Zero};
use super::filters;
use super::host;
use super::retry::{self, RetrySettings};
use super::values::{self, Parsed, shown, wrong};
use crate::filter::FilterOptions;
use crate::message::PathPattern;
use crate::upstream::{BodyMode, RetryOptions, Timeouts};

const DEFAULT_MAX_BODY: u64 = 1 << 30;

/// Options as written in one place; what is absent comes from `[defaults]`, then from us.
#[derive(Default, Clone)]
pub struct Settings {
    filters: filters::Written,
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
        filters: filters::lower(fields),
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
        let upstream_host = self.upstream_host.or_else(|| defaults.upstream_host.clone());
        Complete {
            filters: self.filters.complete(&defaults.filters, path, upstream_host.as_deref()),
            upstream_host,
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
    // What becomes of the path holds for files as well.
    let is_held =
        |name: &&str| target != "files" || !matches!(*name, "strip_prefix" | "rewrite" | "add_prefix");
    for name in NEED_AN_UPSTREAM.into_iter().filter(is_held) {
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

const NEED_ONE_UPSTREAM: [&str; 11] = [
    "strip_prefix",
    "rewrite",
    "add_prefix",
    "rewrite_location",
    "cookies",
    "grpc_web",
    "request_json",
    "request_body",
    "max_body_size",
    "mirror",
    "fallback",
];

const NEED_AN_UPSTREAM: [&str; 19] = [
    "mirror",
    "fallback",
    "request_headers",
    "strip_prefix",
    "rewrite",
    "add_prefix",
    "rewrite_location",
    "cookies",
    "replace",
    "request_json",
    "response_json",
    "grpc_web",
    "decompress",
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
