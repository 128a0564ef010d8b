//! Redirects: the target `redirect`, the rules of `redirects`, and the one spelling of an address.

use regex::bytes::Regex;

use super::rewrite::check_groups;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text};
use crate::config::values::shown;
use crate::config::{pattern, template};
use crate::filter::{Redirect, RedirectRule, TrailingSlash, Www};
use crate::message::Moment;

const DEFAULT_STATUS: u16 = 308;

/// `trailing_slash`; nothing for `"keep"`.
#[derive(Clone, Copy)]
pub struct Slash(pub Option<TrailingSlash>);

/// `www`; nothing for `"keep"`.
#[derive(Clone, Copy)]
pub struct Prefix(pub Option<Www>);

pub fn trailing_slash(fields: &Fields<'_>) -> Option<Slash> {
    fields.text("trailing_slash").map(|text| match text.value {
        "add" => Slash(Some(TrailingSlash::Add)),
        "remove" => Slash(Some(TrailingSlash::Remove)),
        _ => Slash(None),
    })
}

pub fn www(fields: &Fields<'_>) -> Option<Prefix> {
    fields.text("www").map(|text| match text.value {
        "add" => Prefix(Some(Www::Add)),
        "remove" => Prefix(Some(Www::Remove)),
        _ => Prefix(None),
    })
}

/// `redirects`.
pub fn rules(fields: &Fields<'_>) -> Option<Vec<RedirectRule>> {
    fields.key("redirects")?;
    let nodes = fields.nodes("redirects").iter();
    Some(nodes.filter_map(|node| rule(&fields.table_in("redirects", node)?)).collect())
}

fn rule(table: &Fields<'_>) -> Option<RedirectRule> {
    for name in ["regex", "to"] {
        if table.key(name).is_none() {
            let hint = "write { regex = \"^/old/(.*)$\", to = \"/new/$1\", status = 301 }";
            table.missing(&[name], &format!("`{name}`"), hint);
        }
    }
    let regex = pattern::regex(table, table.text("regex")?)?;
    let redirect = to(table, table.text("to")?, status(table)?, Some(&regex))?;
    Some(RedirectRule { regex, redirect })
}

/// The target: a string, or a table with `to` and `status`.
pub fn target(fields: &Fields<'_>) -> Option<Redirect> {
    let Some(table) = fields.table("redirect") else {
        return to(fields, fields.text("redirect")?, DEFAULT_STATUS, None);
    };
    if table.key("to").is_none() {
        table.missing(&["to"], "`to`", "write { to = \"https://{host}{path}{query}\" }");
    }
    let status = status(&table);
    to(&table, table.text("to")?, status?, None)
}

fn status(table: &Fields<'_>) -> Option<u16> {
    match table.entry("status") {
        Some(_) => table.integer("status"),
        None => Some(DEFAULT_STATUS),
    }
}

/// With a regex, what its groups caught can stand in the text.
fn to(fields: &Fields<'_>, text: Text<'_>, status: u16, regex: Option<&Regex>) -> Option<Redirect> {
    if text.value.is_empty() {
        let diagnostic = Diagnostic::error(text.place, "this redirect goes nowhere");
        fields.problems.add(diagnostic.hint("write \"https://{host}{path}{query}\""));
        return None;
    }
    if let Some(bad) = text.value.chars().find(|c| !c.is_ascii_graphic()) {
        let escaped: String = bad.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        let message = format!("a redirect cannot have `{}`", bad.escape_debug());
        let place = text.place.part(&bad.to_string());
        fields.problems.add(Diagnostic::error(&place, message).hint(format!("write {escaped}")));
        return None;
    }
    let template = match regex {
        Some(regex) => {
            check_groups(fields, regex, text).then_some(())?;
            template::lower_with_groups(fields, text)?
        }
        None => template::lower(fields, text, Moment::Request)?,
    };
    is_absolute(fields, text, regex.is_some()).then_some(Redirect { to: template, status })
}

fn is_absolute(fields: &Fields<'_>, text: Text<'_>, groups: bool) -> bool {
    let value = text.value;
    let absolute = value.contains("://")
        || ["/", "{path}", "{target}"].iter().any(|start| value.starts_with(start))
        || (groups && value.starts_with('$'));
    if !absolute {
        let looks_like_host = value.split('/').next().is_some_and(|first| first.contains(['.', ':', '{']));
        let fixed = if looks_like_host { format!("https://{value}") } else { format!("/{value}") };
        let message = format!("a redirect to {} depends on the path it comes from", shown(value));
        fields.problems.add(Diagnostic::error(text.place, message).hint(format!("write \"{fixed}\"")));
    }
    absolute
}
