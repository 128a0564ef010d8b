//! What the filters of a route would do, in the order in which a request and then its answer meet them.

use super::Text;
use crate::filter::{
    Cookies, Cors, FilterOptions, HeaderEdits, NamePattern, Origins, Redirect, Rewrite, Secure, Spelling,
    TrailingSlash, When, Www,
};
use crate::message::{FieldName, Template};

pub fn told(text: &mut Text, filters: &FilterOptions) {
    if let Some(cors) = &filters.cors {
        text.line("cors", &cors_told(cors));
    }
    if let Some(maintenance) = &filters.maintenance {
        let allowed: Vec<String> = maintenance.allow.iter().map(ToString::to_string).collect();
        let but = if allowed.is_empty() { String::new() } else { format!(" but {}", allowed.join(", ")) };
        text.line("maintenance", &format!("503 for everybody{but}"));
    }
    spelling(text, filters.spelling);
    for rule in &filters.redirects {
        let Redirect { to, status } = &rule.redirect;
        text.line("redirects", &format!("{status} to {to}, where the path matches `{}`", rule.regex));
    }
    rewrite(text, &filters.rewrite);
    header_edits(text, "request", &filters.request_headers);
    if filters.grpc_web {
        text.line("grpc_web", "calls of gRPC-Web become calls of gRPC");
    }
    if let Some(location) = &filters.location {
        let scope = if location.relative { "all of them" } else { "those to its own address" };
        text.line("location", &format!("of the upstream's redirects {scope} are made the client's"));
    }
    if let Some(cookies) = &filters.cookies {
        text.line("cookies", &cookies_told(cookies));
    }
    header_edits(text, "answer", &filters.response_headers);
}

fn cors_told(cors: &Cors) -> String {
    let origins = match &cors.origins {
        Origins::Any => "any origin".to_owned(),
        Origins::These(patterns) => patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let cookies = if cors.credentials { ", with cookies" } else { "" };
    format!("pages of {origins} may use it by {}{cookies}", cors.methods.join(", "))
}

fn spelling(text: &mut Text, spelling: Spelling) {
    match spelling.slash {
        Some(TrailingSlash::Add) => text.line("spelling", "308 to the path with a slash at its end"),
        Some(TrailingSlash::Remove) => text.line("spelling", "308 to the path without a slash at its end"),
        None => {}
    }
    match spelling.www {
        Some(Www::Add) => text.line("spelling", "308 to the host with `www.` in front"),
        Some(Www::Remove) => text.line("spelling", "308 to the host without `www.`"),
        None => {}
    }
}

fn rewrite(text: &mut Text, rewrite: &Rewrite) {
    if let Some(prefix) = &rewrite.strip_prefix {
        text.line("rewrite", &format!("{prefix} is taken off the path"));
    }
    for rule in &rewrite.rules {
        let query = rule.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
        text.line(
            "rewrite",
            &format!("where the path matches `{}`, that becomes {}{query}", rule.regex, rule.path),
        );
    }
    if let Some(prefix) = &rewrite.add_prefix {
        text.line("rewrite", &format!("{prefix} is put before the path"));
    }
}

fn cookies_told(cookies: &Cookies) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (what, pairs) in [("domain", &cookies.domain), ("path", &cookies.path)] {
        for (from, to) in pairs {
            let to = if to.is_empty() { "none" } else { to };
            parts.push(format!("{what} {from} becomes {to}"));
        }
    }
    match cookies.secure {
        Some(Secure::Always) => parts.push("Secure".to_owned()),
        Some(Secure::Never) => parts.push("not Secure".to_owned()),
        Some(Secure::Auto) => parts.push("Secure where the client came by https".to_owned()),
        None => {}
    }
    match cookies.http_only {
        Some(true) => parts.push("HttpOnly".to_owned()),
        Some(false) => parts.push("not HttpOnly".to_owned()),
        None => {}
    }
    if let Some(same_site) = cookies.same_site {
        parts.push(format!("SameSite={same_site}"));
    }
    parts.join(", ")
}

fn header_edits(text: &mut Text, side: &str, edits: &[HeaderEdits]) {
    for edits in edits {
        let condition = when(&edits.when);
        for pattern in &edits.remove {
            let name = match pattern {
                NamePattern::Name(name) => name.to_string(),
                NamePattern::Prefix(prefix) => format!("{prefix}*"),
            };
            text.line(side, &format!("without {name}{condition}"));
        }
        for rewrite in &edits.rewrite {
            let (name, regex, to) = (&rewrite.name, &rewrite.regex, &rewrite.to);
            text.line(side, &format!("in {name} `{regex}` becomes `{to}`{condition}"));
        }
        let mut lines = |verb: &str, fields: &[(FieldName, Template)], which: &str| {
            for (name, template) in fields {
                text.line(side, &format!("{verb} {name}: {template}{which}{condition}"));
            }
        };
        lines("with", &edits.set, "");
        lines("with", &edits.default, ", unless it has one");
        lines("with also", &edits.add, "");
    }
}

/// The condition as the end of a sentence; empty when there is none.
pub fn when(when: &When) -> String {
    let mut parts = Vec::new();
    if !when.methods.is_empty() {
        parts.push(format!("the method is {}", when.methods.join(" or ")));
    }
    if let Some(secure) = when.secure {
        parts.push(format!("the client came by {}", if secure { "https" } else { "http" }));
    }
    if let Some(status) = &when.status {
        parts.push(format!("the status is {status}"));
    }
    if !when.content_types.is_empty() {
        let types: Vec<String> = when.content_types.iter().map(ToString::to_string).collect();
        parts.push(format!("it is {}", types.join(" or ")));
    }
    if parts.is_empty() { String::new() } else { format!(", when {}", parts.join(" and ")) }
}
