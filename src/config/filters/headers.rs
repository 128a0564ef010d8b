//! `request_headers` and `response_headers`.

use super::rewrite::check_groups;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text};
use crate::config::health::statuses;
use crate::config::matches;
use crate::config::pattern;
use crate::config::template;
use crate::config::tree::{Entry, Node, Value};
use crate::config::values::{Parsed, shown, wrong};
use crate::filter::{HeaderEdits, NamePattern, ValueRewrite, When};
use crate::message::{FieldName, MediaRange, Moment, StatusSet, Template};

/// Edits as written in one place, and whether those of `[defaults]` hold too.
#[derive(Debug, Clone)]
pub struct Written {
    edits: Vec<HeaderEdits>,
    /// `false`, in place of edits.
    alone: bool,
}

/// The value of `key`; `None` when it is not there.
pub fn lower(fields: &Fields<'_>, key: &str) -> Option<Written> {
    let entry = fields.entry(key)?;
    let moment = if key == "request_headers" { Moment::Request } else { Moment::Answer };
    let edits = |node: &Node| fields.table_in(key, node).map(|table| edits(&table, moment));
    match &entry.node.value {
        Value::Array(items) => {
            let edits = items.iter().filter_map(edits).collect();
            Some(Written { edits, alone: false })
        }
        Value::Table(_) => Some(Written { edits: edits(&entry.node).into_iter().collect(), alone: false }),
        _ => {
            if entry.node.as_boolean() == Some(true) {
                let message = format!("`{key} = true` does not say what to change");
                let hint = format!("write {key} = {{ set = {{ X-Client = \"{{client_ip}}\" }} }}");
                fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(hint));
            }
            Some(Written { edits: Vec::new(), alone: true })
        }
    }
}

/// Those of `[defaults]` first.
pub fn merge(defaults: &Option<Written>, own: Option<Written>) -> Vec<HeaderEdits> {
    let before = match (defaults, &own) {
        (Some(defaults), own) if !own.as_ref().is_some_and(|own| own.alone) => defaults.edits.clone(),
        _ => Vec::new(),
    };
    before.into_iter().chain(own.into_iter().flat_map(|own| own.edits)).collect()
}

fn edits(table: &Fields<'_>, moment: Moment) -> HeaderEdits {
    let edits = HeaderEdits {
        when: table.table("when").map(|when| Box::new(lower_when(&when, moment))),
        remove: table.texts("remove").into_iter().filter_map(|text| removed(table, text)).collect(),
        rewrite: table
            .nodes("rewrite")
            .iter()
            .filter_map(|node| rewrite(&table.table_in("rewrite", node)?))
            .collect(),
        set: templates(table, "set", moment),
        default: templates(table, "default", moment),
        add: templates(table, "add", moment),
    };
    let names = ["remove", "rewrite", "set", "default", "add"];
    if names.iter().all(|name| table.key(name).is_none()) {
        table.missing(&names, "`set`, `add` or `remove`", "write { set = { X-Client = \"{client_ip}\" } }");
    }
    edits
}

/// `when` of filters; `status` and `content_type` need an answer.
fn lower_when(table: &Fields<'_>, moment: Moment) -> When {
    if moment == Moment::Request {
        for name in ["status", "content_type"] {
            if let Some(place) = table.key(name) {
                let message = format!("`{name}` is not known before there is an answer");
                table
                    .problems
                    .add(Diagnostic::error(place, message).hint("it can stand in `response_headers`"));
            }
        }
    }
    let status: Vec<(u16, u16)> =
        table.texts("status").into_iter().filter_map(|text| table.parsed(text, statuses)).collect();
    When {
        methods: table
            .texts("methods")
            .into_iter()
            .filter_map(|text| table.parsed(text, pattern::method))
            .collect(),
        secure: table.text("scheme").map(|text| text.value == "https"),
        path: matches::path(table, "condition").condition(),
        headers: matches::headers(table),
        query: matches::query(table),
        status: table.key("status").map(|_| StatusSet(status)),
        content_types: media_ranges(table, "content_type"),
    }
}

/// A list of media types.
pub fn media_ranges(table: &Fields<'_>, name: &str) -> Vec<MediaRange> {
    table.texts(name).into_iter().filter_map(|text| table.parsed(text, media_range)).collect()
}

fn media_range(text: &str) -> Parsed<MediaRange> {
    MediaRange::parse(text).ok_or_else(|| {
        wrong(format!("{} is not a media type", shown(text)), "write \"text/html\", \"text/*\" or \"*/*\"")
    })
}

fn removed(table: &Fields<'_>, text: Text<'_>) -> Option<NamePattern> {
    match text.value.strip_suffix('*') {
        Some("") => {
            let message = "this would take off every field";
            let hint = "name them, or what they begin with: \"X-Internal-*\"";
            table.problems.add(Diagnostic::error(text.place, message).hint(hint));
            None
        }
        Some(prefix) if pattern::is_token(prefix) => Some(NamePattern::Prefix(prefix.to_ascii_lowercase())),
        _ => field_name(table, text).map(NamePattern::Name),
    }
}

fn rewrite(table: &Fields<'_>) -> Option<ValueRewrite> {
    for name in ["name", "regex", "to"] {
        if table.key(name).is_none() {
            let hint = "write { name = \"Location\", regex = \"^http:\", to = \"https:\" }";
            table.missing(&[name], &format!("`{name}`"), hint);
        }
    }
    let name = table.text("name").and_then(|text| field_name(table, text));
    let regex = pattern::regex(table, table.text("regex")?)?;
    let to = table.text("to").filter(|text| is_printable(table, *text))?;
    check_groups(table, &regex, to).then_some(())?;
    Some(ValueRewrite { name: name?, regex, to: to.value.to_owned() })
}

fn templates(table: &Fields<'_>, key: &str, moment: Moment) -> Vec<(FieldName, Template)> {
    let mut found: Vec<(FieldName, Template, &Entry)> = Vec::new();
    for entry in table.entries(key) {
        let Some(name) = field_name(table, Text { value: &entry.key, place: &entry.place }) else { continue };
        if let Some((_, _, first)) = found.iter().find(|(other, _, _)| *other == name) {
            let message = format!("`{}` is the same header as `{}`", entry.key, first.key);
            table.problems.add(Diagnostic::error(&entry.place, message).also(&first.place, "first here"));
            continue;
        }
        let Some(value) = entry.node.as_text() else { continue };
        let text = Text { value, place: &entry.node.place };
        if is_printable(table, text)
            && let Some(template) = template::lower(table, text, moment)
        {
            found.push((name, template, entry));
        }
    }
    found.into_iter().map(|(name, template, _)| (name, template)).collect()
}

/// A value with a line break would be two fields.
fn is_printable(table: &Fields<'_>, text: Text<'_>) -> bool {
    let sound = http1::fields::is_safe_value(text.value.as_bytes());
    if !sound {
        let message = "a header field has no control characters";
        table.problems.add(Diagnostic::error(text.place, message).hint("write it in one line"));
    }
    sound
}

/// The name of a field that may be changed.
pub fn field_name(table: &Fields<'_>, text: Text<'_>) -> Option<FieldName> {
    table.parsed(text, |written| {
        let name = FieldName::new(written).ok_or_else(|| {
            wrong(format!("{} is not the name of a header", shown(written)), "write a name such as X-Version")
        })?;
        if written.contains('_') {
            let hint = format!("write {}: many servers take `_` for `-`", written.replace('_', "-"));
            return Err(wrong(format!("`{written}` has an underscore"), hint));
        }
        match reserved(name.lower()) {
            Some(hint) => Err(wrong(format!("`{written}` is the proxy's own"), hint)),
            None => Ok(name),
        }
    })
}

/// What no filter may touch, and what to do instead.
fn reserved(lower: &str) -> Option<&'static str> {
    match lower {
        "host" => Some("for the upstream write `upstream_host = \"...\"`"),
        "content-length" | "transfer-encoding" | "trailer" | "te" => {
            Some("how a body is framed follows from the body")
        }
        "connection" | "keep-alive" | "proxy-connection" | "upgrade" | "http2-settings" => {
            Some("it is about one connection, and each side has its own")
        }
        "proxy-authenticate" | "proxy-authorization" => Some("it is never passed on"),
        "expect" => Some("the proxy answers it itself"),
        "cdn-loop" => Some("it keeps requests from going round in circles"),
        _ => None,
    }
}
