//! `retry` of a route.

use std::time::Duration;

use super::fields::{Fields, Text, Zero};
use super::health;
use super::values::{self, Parsed, Wrong, shown, wrong};
use crate::upstream::{Hedge, RetryOptions};

/// As written in one place; what is absent comes from `[defaults]`, then from us.
#[derive(Default, Clone)]
pub struct RetrySettings {
    attempts: Option<u8>,
    on: Option<Vec<Condition>>,
    try_timeout: Option<Duration>,
    backoff: Option<Duration>,
    hedge: Option<Hedge>,
}

#[derive(Clone, Copy)]
enum Condition {
    Connect,
    Reset,
    Timeout,
    Status(u16, u16),
}

pub fn lower(fields: &Fields<'_>) -> RetrySettings {
    let on = fields.entry("on").map(|_| {
        let texts: Vec<Text<'_>> = fields.texts("on");
        texts.into_iter().filter_map(|text| fields.parsed(text, condition)).collect()
    });
    RetrySettings {
        attempts: fields.integer("attempts"),
        on,
        try_timeout: fields.duration("try_timeout", Zero::Refused),
        backoff: fields.duration("backoff", Zero::Allowed),
        hedge: fields.text("hedge").and_then(|text| fields.parsed(text, hedge)),
    }
}

/// "50ms", "p95".
fn hedge(text: &str) -> Parsed<Hedge> {
    let Some(percent) = text.strip_prefix('p') else {
        return match values::duration(text) {
            Ok(delay) if !delay.is_zero() => Ok(Hedge::After(delay)),
            _ => {
                let message = format!("{} does not say when an answer is late", shown(text));
                Err(wrong(message, "write \"p95\", or a time such as \"50ms\""))
            }
        };
    };
    match percent.parse() {
        Ok(percent @ 50..=99) => Ok(Hedge::Quantile(percent)),
        _ => Err(wrong(format!("{} is no quantile", shown(text)), "write \"p50\" to \"p99\"")),
    }
}

fn condition(text: &str) -> Parsed<Condition> {
    match text {
        "connect" => Ok(Condition::Connect),
        "reset" => Ok(Condition::Reset),
        "timeout" => Ok(Condition::Timeout),
        _ if text.starts_with(|first: char| first.is_ascii_digit()) => {
            let (first, last) = health::statuses(text)?;
            if last < 400 {
                let message = format!("{} is no failure", shown(text));
                return Err(wrong(message, "a request is sent again after statuses of 400 and above"));
            }
            Ok(Condition::Status(first.max(400), last))
        }
        _ => Err(unknown(text)),
    }
}

/// The words of nginx, Envoy and HAProxy, in ours.
fn unknown(text: &str) -> Wrong {
    let instead = match text {
        "error" | "connect-failure" | "conn-failure" | "refused" => Some("connect"),
        "reset-before-request" | "empty-response" | "response-timeout" | "closed" => Some("reset"),
        "timed_out" | "per-try-timeout" | "deadline-exceeded" => Some("timeout"),
        "gateway-error" | "http_502" | "http_503" | "http_504" => Some("502-504"),
        "http_500" | "server_error" | "all-retryable-errors" => Some("5xx"),
        _ => None,
    };
    let message = format!("{} is nothing to send a request again after", shown(text));
    match instead {
        Some(instead) => wrong(message, format!("write \"{instead}\"")),
        None => wrong(message, "known are \"connect\", \"reset\", \"timeout\" and statuses such as \"503\""),
    }
}

impl RetrySettings {
    /// These win over `defaults`, key by key.
    pub fn complete(self, defaults: &RetrySettings) -> RetryOptions {
        let known = RetryOptions::default();
        let mut options = RetryOptions {
            attempts: self.attempts.or(defaults.attempts).unwrap_or(known.attempts),
            try_timeout: self.try_timeout.or(defaults.try_timeout),
            backoff: self.backoff.or(defaults.backoff).unwrap_or(known.backoff),
            hedge: self.hedge.or(defaults.hedge),
            ..known
        };
        if let Some(on) = self.on.as_ref().or(defaults.on.as_ref()) {
            (options.on_connect, options.on_reset) = (false, false);
            for condition in on {
                match condition {
                    Condition::Connect => options.on_connect = true,
                    Condition::Reset => options.on_reset = true,
                    Condition::Timeout => options.on_timeout = true,
                    Condition::Status(first, last) => options.on_status.0.push((*first, *last)),
                }
            }
        }
        options
    }
}
