//! `merge` of a route: one answer of several upstreams.

use std::collections::BTreeSet;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Fields, Text, Zero};
use super::targets::known_upstream;
use super::template;
use super::values::shown;
use crate::merge::{MemberOptions, MergeOptions};
use crate::message::path::{Canonical, canonicalise};
use crate::message::{Moment, Template, Variable};

const MOST_MEMBERS: usize = 16;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const EXAMPLE: &str = "write { user = { upstream = \"users\", path = \"/users/{query.id}\" } }";

/// `None` when one of them is wrong, which was reported.
pub fn lower(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<MergeOptions> {
    let entries = fields.entries("merge");
    let place = fields.key("merge").unwrap_or(fields.place);
    if entries.is_empty() {
        fields.problems.add(Diagnostic::error(place, "this has no members").hint(EXAMPLE));
        return None;
    }
    if let Some(entry) = entries.get(MOST_MEMBERS) {
        let message = format!("`merge` has more than {MOST_MEMBERS} members");
        let hint = "each of them is a request for every request";
        fields.problems.add(Diagnostic::error(&entry.place, message).hint(hint));
        return None;
    }
    let members: Vec<MemberOptions> = entries
        .iter()
        .filter_map(|entry| member(&entry.key, &fields.table_in("merge", &entry.node)?, upstreams))
        .collect();
    let timeout = fields.duration("merge_timeout", Zero::Refused).unwrap_or(DEFAULT_TIMEOUT);
    (members.len() == entries.len()).then_some(MergeOptions { members, timeout })
}

/// A key that means something with `merge` only.
pub fn check_alone(fields: &Fields<'_>) {
    if let (Some(place), None) = (fields.key("merge_timeout"), fields.key("merge")) {
        let message = "`merge_timeout` does nothing without `merge`";
        let hint = "for one upstream there is `timeouts`";
        fields.problems.add(Diagnostic::error(place, message).hint(hint));
    }
}

fn member(name: &str, table: &Fields<'_>, upstreams: &BTreeSet<&str>) -> Option<MemberOptions> {
    for key in ["upstream", "path"] {
        if table.key(key).is_none() {
            table.missing(&[key], &format!("`{key}`"), EXAMPLE);
        }
    }
    let upstream = table.text("upstream").and_then(|text| known_upstream(table, text, upstreams));
    let path = table.text("path").and_then(|text| path(table, text));
    let optional = table.boolean("optional").unwrap_or(false);
    Some(MemberOptions { name: name.to_owned(), upstream: upstream?, path: path?, optional })
}

/// A template of a path, and maybe a query, that is asked of another server.
pub fn path(table: &Fields<'_>, text: Text<'_>) -> Option<Template> {
    let refuse = |message: String, hint: &str| {
        table.problems.add(Diagnostic::error(text.place, message).hint(hint));
        None
    };
    if !text.value.starts_with('/') {
        return refuse(format!("{} is not a path", shown(text.value)), "a path begins with a slash");
    }
    if text.value.contains('#') || text.value.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        return refuse("this cannot stand in a path".to_owned(), "write it percent-encoded: %20 is a space");
    }
    let template = template::lower(table, text, Moment::Request)?;
    // As with a plain word in the place of each value: no request could have another path.
    let example = template.with_each("x");
    let path = example.split('?').next().unwrap_or_default();
    match canonicalise(path.as_bytes(), &mut Vec::new()) {
        Ok(Canonical::Same) => {}
        Ok(Canonical::Changed) => {
            let message = format!("{} is not a path as requests have it", shown(text.value));
            return refuse(message, "write it without `//`, `/./` and `/../`, and letters as they are");
        }
        Err(error) => {
            return refuse(format!("{} is not a path: {error}", shown(text.value)), "write \"/users\"");
        }
    }
    let whole = |variable: &Variable| matches!(variable, Variable::Path | Variable::Query | Variable::Target);
    if template.variables().any(whole) {
        let hint =
            "what a variable has is percent-encoded, a slash and a `?` too: name parameters, {query.NAME}";
        return refuse("a path or query as a whole cannot be put into a path".to_owned(), hint);
    }
    Some(template)
}
