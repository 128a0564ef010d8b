//! What the filters of a route would do, in the order in which a request and then its answer meet them.

use http1::RequestHead;

use super::{Text, size};
use crate::filter::auth::ForwardAuthOptions;
use crate::filter::{
    Accepted, CompressOptions, Cookies, Cors, FilterOptions, HeaderEdits, JsonEdits, NamePattern, Operation,
    Origins, Redirect, Replace, Rewrite, Secure, Spelling, TrailingSlash, Types, When, Www,
};
use crate::message::{FieldName, HeaderCondition, PathCondition, QueryCondition, Template, ValuePattern};

pub fn told(text: &mut Text, filters: &FilterOptions, head: &RequestHead) {
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
    if let Some(auth) = &filters.forward_auth {
        forward_auth(text, auth);
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
    for (side, edits) in [("request", &filters.request_json), ("answer", &filters.response_json)] {
        if let Some(edits) = edits {
            json_edits(text, side, edits);
        }
    }
    if let Some(replace) = &filters.replace {
        replaced(text, replace);
    }
    header_edits(text, "answer", &filters.response_headers);
    if filters.decompress {
        text.line("decompress", "what the client does not take: gzip, deflate, br and zstd");
    }
    if let Some(options) = &filters.compress {
        text.line("compress", &compression(options, head));
    }
}

fn forward_auth(text: &mut Text, auth: &ForwardAuthOptions) {
    let listed = |names: &[FieldName]| names.iter().map(FieldName::to_string).collect::<Vec<_>>().join(", ");
    let method = if auth.ask.same_method { "the same method for" } else { "GET" };
    let fields = match &auth.ask.fields {
        None => "the fields of the client".to_owned(),
        Some(names) if names.is_empty() => "no field of the client".to_owned(),
        Some(names) => listed(names),
    };
    let (path, upstream, timeout) = (&auth.ask.path, &auth.upstream, auth.timeout);
    text.line("auth", &format!("asks {upstream}, {method} {path} with {fields}, within {timeout:?}"));
    if !auth.identity.names.is_empty() {
        let required = match auth.identity.required.as_slice() {
            [] => String::new(),
            names => format!("; no pass without {}", listed(names)),
        };
        let names = listed(&auth.identity.names);
        text.line("identity", &format!("{names} of its answer, never of the client{required}"));
    }
    if !auth.response_fields.is_empty() {
        text.line("answer", &format!("with {} of its answer", listed(&auth.response_fields)));
    }
}

/// What the client would get, of what.
fn compression(options: &CompressOptions, head: &RequestHead) -> String {
    let accepted = Accepted::of(&head.fields);
    let Some(coding) = accepted.choose(&options.encodings) else {
        let has: Vec<&str> = options.encodings.iter().map(|coding| coding.token()).collect();
        return format!("nothing: Accept-Encoding does not ask for {}", has.join(" or "));
    };
    let types = match options.types == Types::default() {
        true => "text of any kind".to_owned(),
        false => options.types.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
    };
    let (coding, level) = (coding.token(), options.levels.of(coding));
    format!("{coding} at level {level}, when it is {types} of {} or more", size(options.min_size))
}

fn json_edits(text: &mut Text, side: &str, edits: &JsonEdits) {
    for operation in &edits.operations {
        let told = match operation {
            Operation::Remove(pointer) => format!("JSON without {pointer}"),
            Operation::Rename(from, to) => format!("JSON with {from} at {to}"),
            Operation::Set(pointer, _) => format!("JSON with a value at {pointer}"),
            Operation::Wrap(pointer) => format!("JSON as a whole at {pointer}"),
            Operation::Unwrap(pointer) => format!("of JSON what is at {pointer}"),
            Operation::Keep(pointers) => {
                let pointers: Vec<String> = pointers.iter().map(ToString::to_string).collect();
                format!("of JSON only {}", pointers.join(" and "))
            }
        };
        text.line(side, &told);
    }
}

fn replaced(text: &mut Text, Replace(rules): &Replace) {
    let types: Vec<String> = rules.types.iter().map(ToString::to_string).collect();
    let (types, once) = (types.join(" or "), if rules.once { ", once" } else { "" });
    for (from, to) in rules.literals.texts().zip(&rules.to) {
        let from = String::from_utf8_lossy(from);
        text.line("answer", &format!("`{from}` becomes `{to}` in {types}{once}"));
    }
    for rule in rules.regexes.iter() {
        text.line("answer", &format!("regex `{}` becomes `{}` in {types}{once}", rule.regex, rule.to));
    }
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
        let condition = edits.when.as_deref().map_or(String::new(), when);
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
fn when(when: &When) -> String {
    let mut parts = Vec::new();
    if !when.methods.is_empty() {
        parts.push(format!("the method is {}", when.methods.join(" or ")));
    }
    if let Some(secure) = when.secure {
        parts.push(format!("the client came by {}", if secure { "https" } else { "http" }));
    }
    match &when.path {
        PathCondition::Any => {}
        PathCondition::Prefix(prefix) if prefix.is_empty() => parts.push("the path is under /".to_owned()),
        PathCondition::Prefix(prefix) => {
            parts.push(format!("the path is under {}", String::from_utf8_lossy(prefix)))
        }
        PathCondition::Exact(exact) => parts.push(format!("the path is {}", String::from_utf8_lossy(exact))),
        PathCondition::Regex(regex) => parts.push(format!("the path matches `{regex}`")),
        PathCondition::None => parts.push("no path".to_owned()),
    }
    for HeaderCondition { name, value } in &when.headers {
        parts.push(format!("the header {name} {}", wanted(value)));
    }
    for QueryCondition { name, value } in &when.query {
        parts.push(format!("the query parameter {name} {}", wanted(value)));
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

fn wanted(value: &ValuePattern) -> String {
    match value {
        ValuePattern::Present => "is there".to_owned(),
        ValuePattern::Absent => "is not there".to_owned(),
        ValuePattern::Exact(value) => format!("is `{value}`"),
        ValuePattern::Regex(regex) => format!("matches `{regex}`"),
    }
}
