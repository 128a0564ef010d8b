//! What answers a route: exactly one of `upstream`, `split`, `merge`, `redirect`, `respond`, `files`.

use std::collections::BTreeSet;

use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text};
use super::files;
use super::filters::redirect_target;
use super::matches::one_of;
use super::merge;
use super::split;
use super::suggest::closest;
use super::values::shown;
use crate::message::SharedText;
use crate::route::{FixedAnswer, TargetOptions};

const TARGETS: [&str; 6] = ["upstream", "split", "merge", "redirect", "respond", "files"];
const DEFAULT_TYPE: &str = "text/plain; charset=utf-8";

/// `upstreams` are the names that are defined, also wrongly.
pub fn lower(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<TargetOptions> {
    one_of(fields, &TARGETS, "route");
    if TARGETS.iter().all(|name| fields.key(name).is_none()) {
        let hint = "add one of `upstream = \"NAME\"`, `redirect = \"https://...\"`, `respond = { status = 403 }` and `files = \"/srv/www\"`";
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
        return redirect_target(fields).map(TargetOptions::Redirect);
    }
    if fields.key("files").is_some() {
        return files::lower(fields).map(|files| TargetOptions::Files(Box::new(files)));
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

pub fn respond(table: &Fields<'_>) -> Option<FixedAnswer> {
    let status = match table.entry("status") {
        Some(_) => table.integer("status")?,
        None => 200,
    };
    let body = table.text("body");
    let content_type = content_type(table)?;
    if let (204 | 304, Some(body)) = (status, body.filter(|body| !body.value.is_empty())) {
        warn_no_body(table, status, body.place);
    }
    let body = SharedText::new(body.map_or("", |body| body.value));
    Some(FixedAnswer { status, body, content_type })
}

/// The value of `content_type`, or the type of plain text; `None` when it is wrong, which was reported.
pub fn content_type(table: &Fields<'_>) -> Option<String> {
    let text = table.text("content_type");
    if let Some(text) = text.filter(|text| !is_media_type(text.value)) {
        let message = format!("{} is not a media type", shown(text.value));
        table.problems.add(Diagnostic::error(text.place, message).hint("write \"text/html; charset=utf-8\""));
        return None;
    }
    Some(text.map_or(DEFAULT_TYPE, |text| text.value).to_string())
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
