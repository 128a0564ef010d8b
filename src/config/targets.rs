//! What answers a route: exactly one of `upstream`, `split`, `merge`, `redirect`, `respond`.

use std::collections::BTreeSet;

use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text};
use super::matches::one_of;
use super::merge;
use super::split;
use super::suggest::closest;
use super::values::shown;
use crate::route::{FixedAnswer, RedirectOptions, RedirectTemplate, TargetOptions};

const TARGETS: [&str; 5] = ["upstream", "split", "merge", "redirect", "respond"];
const DEFAULT_REDIRECT: u16 = 308;
const VARIABLES: [&str; 4] = ["scheme", "host", "path", "query"];
const DEFAULT_TYPE: &str = "text/plain; charset=utf-8";

/// `upstreams` are the names that are defined, also wrongly.
pub fn lower(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<TargetOptions> {
    one_of(fields, &TARGETS);
    if TARGETS.iter().all(|name| fields.key(name).is_none()) {
        let hint =
            "add one of `upstream = \"NAME\"`, `redirect = \"https://...\"` and `respond = { status = 403 }`";
        fields.missing(&TARGETS, "target", hint);
        return None;
    }
    if fields.key("upstream").is_some() {
        return upstream(fields, upstreams);
    }
    if fields.key("split").is_some() {
        return split::lower(fields, upstreams).map(TargetOptions::Split);
    }
    if fields.key("merge").is_some() {
        return merge::lower(fields, upstreams).map(TargetOptions::Merge);
    }
    if fields.key("redirect").is_some() {
        return redirect(fields).map(TargetOptions::Redirect);
    }
    fields.table("respond").and_then(|table| respond(&table)).map(TargetOptions::Fixed)
}

fn upstream(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<TargetOptions> {
    known_upstream(fields, fields.text("upstream")?, upstreams).map(TargetOptions::Upstream)
}

/// The name of an upstream that is defined, also wrongly; anything else is reported.
pub fn known_upstream(fields: &Fields<'_>, text: Text<'_>, upstreams: &BTreeSet<&str>) -> Option<String> {
    if upstreams.contains(text.value) {
        return Some(text.value.to_string());
    }
    let hint = if let Some(name) = closest(text.value, upstreams.iter().copied()) {
        format!("did you mean `{name}`?")
    } else if super::address::endpoint(text.value).is_ok() || text.value.contains("://") {
        "an upstream is named here; its addresses stand in `[upstreams.NAME]`".to_string()
    } else if upstreams.is_empty() {
        format!("add a section `[upstreams.{}]`", text.value)
    } else {
        let names: Vec<String> = upstreams.iter().take(10).map(|name| format!("`{name}`")).collect();
        format!("defined are {}", names.join(", "))
    };
    let message = format!("there is no upstream {}", shown(text.value));
    fields.problems.add(Diagnostic::error(text.place, message).hint(hint));
    None
}

fn redirect(fields: &Fields<'_>) -> Option<RedirectOptions> {
    let (to, status) = match fields.table("redirect") {
        Some(table) => {
            if table.key("to").is_none() {
                table.missing(&["to"], "`to`", "write { to = \"https://{host}{path}{query}\" }");
            }
            (table.text("to"), redirect_status(&table))
        }
        None => (fields.text("redirect"), Some(DEFAULT_REDIRECT)),
    };
    let to = to.filter(|to| is_template(fields, *to))?;
    let options = RedirectOptions { to: to.value.to_string(), status: status? };
    // The route's own reading has the last word, should it know a mistake that was not told above.
    if let Err(why) = RedirectTemplate::compile(&options) {
        fields.problems.add(Diagnostic::error(to.place, why));
        return None;
    }
    Some(options)
}

fn redirect_status(table: &Fields<'_>) -> Option<u16> {
    match table.entry("status") {
        Some(_) => table.integer("status"),
        None => Some(DEFAULT_REDIRECT),
    }
}

/// Reports what is wrong with a redirect template.
fn is_template(fields: &Fields<'_>, text: Text<'_>) -> bool {
    if text.value.is_empty() {
        let diagnostic = Diagnostic::error(text.place, "this redirect goes nowhere");
        fields.problems.add(diagnostic.hint("write \"https://{host}{path}{query}\""));
        return false;
    }
    if let Some(bad) = text.value.chars().find(|c| !c.is_ascii_graphic()) {
        let escaped: String = bad.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        let message = format!("a redirect cannot have `{}`", bad.escape_debug());
        let place = text.place.part(&bad.to_string());
        fields.problems.add(Diagnostic::error(&place, message).hint(format!("write {escaped}")));
        return false;
    }
    if let Some(diagnostic) = wrong_variable(text) {
        fields.problems.add(diagnostic);
        return false;
    }
    let value = text.value;
    let absolute = value.contains("://") || ["/", "{path}"].iter().any(|start| value.starts_with(start));
    if !absolute {
        let looks_like_host = value.split('/').next().is_some_and(|first| first.contains(['.', ':', '{']));
        let fixed = if looks_like_host { format!("https://{value}") } else { format!("/{value}") };
        let message = format!("a redirect to {} depends on the path it comes from", shown(value));
        fields.problems.add(Diagnostic::error(text.place, message).hint(format!("write \"{fixed}\"")));
    }
    absolute
}

fn wrong_variable(text: Text<'_>) -> Option<Diagnostic> {
    let mut rest = text.value;
    while let Some(at) = rest.find(['{', '}']) {
        let inside = &rest[at + 1..];
        let end = inside.find(['{', '}']).filter(|end| inside[*end..].starts_with('}'));
        let (true, Some(end)) = (rest[at..].starts_with('{'), end) else {
            return Some(
                Diagnostic::error(text.place, "`{` and `}` stand around a variable")
                    .hint("for the character itself write %7B or %7D"),
            );
        };
        let name = &inside[..end];
        if !VARIABLES.contains(&name) {
            let place = text.place.part(&format!("{{{name}}}"));
            return Some(
                Diagnostic::error(&place, format!("unknown variable `{{{name}}}`")).hint(variable_hint(name)),
            );
        }
        rest = &inside[end + 1..];
    }
    if let Some(at) =
        text.value.find('$').filter(|at| text.value[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()))
    {
        let name: String =
            text.value[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let place = text.place.part(&format!("${name}"));
        return Some(
            Diagnostic::error(&place, format!("unknown variable `${name}`")).hint(variable_hint(&name)),
        );
    }
    None
}

/// Includes what nginx and Caddy call the same thing.
fn variable_hint(name: &str) -> String {
    let instead = match name {
        "request_uri" | "uri" | "http.request.uri" => "{path}{query}",
        "args" | "query_string" | "is_args" => "{query}",
        "server_name" | "http_host" | "http.request.host" => "{host}",
        "proto" | "protocol" => "{scheme}",
        _ => match closest(name, VARIABLES) {
            Some(variable) => return format!("did you mean {{{variable}}}?"),
            None => return "the variables are {scheme}, {host}, {path} and {query}".to_string(),
        },
    };
    format!("write {instead}")
}

pub fn respond(table: &Fields<'_>) -> Option<FixedAnswer> {
    let status = match table.entry("status") {
        Some(_) => table.integer("status")?,
        None => 200,
    };
    let body = table.text("body");
    let content_type = table.text("content_type");
    if let Some(text) = content_type.filter(|text| !is_media_type(text.value)) {
        let message = format!("{} is not a media type", shown(text.value));
        table.problems.add(Diagnostic::error(text.place, message).hint("write \"text/html; charset=utf-8\""));
        return None;
    }
    if let (204 | 304, Some(body)) = (status, body.filter(|body| !body.value.is_empty())) {
        warn_no_body(table, status, body.place);
    }
    Some(FixedAnswer {
        status,
        body: body.map_or("", |body| body.value).to_string(),
        content_type: content_type.map_or(DEFAULT_TYPE, |text| text.value).to_string(),
    })
}

/// RFC 9110 sections 15.3.5 and 15.4.5.
fn warn_no_body(table: &Fields<'_>, status: u16, place: &Place) {
    let message = format!("an answer with status {status} has no body");
    table
        .problems
        .add(Diagnostic::warning(place, message).hint("the body is not sent; leave it out or use 200"));
}

pub fn is_media_type(text: &str) -> bool {
    let (media_type, _) = text.split_once(';').unwrap_or((text, ""));
    let tokens = media_type.trim().split_once('/');
    let sound =
        tokens.is_some_and(|(kind, sub)| super::pattern::is_token(kind) && super::pattern::is_token(sub));
    sound && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}
