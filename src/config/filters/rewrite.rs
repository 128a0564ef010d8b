//! What becomes of the path: `strip_prefix`, `rewrite`, `add_prefix`.

use regex::bytes::Regex;

use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text};
use crate::config::matches::prefix;
use crate::config::tree::{Node, Value};
use crate::config::values::shown;
use crate::config::{pattern, template};
use crate::filter::{Rewrite, RewriteRule};
use crate::message::PathPattern;

/// As written in one place.
#[derive(Clone, Default)]
pub struct Written {
    choice: Option<Choice>,
    add_prefix: Option<String>,
}

#[derive(Clone)]
enum Choice {
    /// `strip_prefix = false`: not what `[defaults]` says.
    Nothing,
    /// `strip_prefix = true`
    StripOwnPath,
    StripPrefix(String),
    Rules(Vec<RewriteRule>),
}

pub fn lower(fields: &Fields<'_>) -> Written {
    let add = fields.text("add_prefix").and_then(|text| fields.parsed(text, pattern::path_pattern));
    Written { choice: choice(fields), add_prefix: add.map(prefix) }
}

impl Written {
    pub fn complete(self, defaults: &Written, path: &PathPattern) -> Rewrite {
        let (strip_prefix, rules) = match (self.choice.or_else(|| defaults.choice.clone()), path) {
            (Some(Choice::StripOwnPath), PathPattern::Prefix(prefix)) if prefix != "/" => {
                (Some(prefix.clone()), Vec::new())
            }
            (Some(Choice::StripPrefix(prefix)), _) => (Some(prefix), Vec::new()),
            (Some(Choice::Rules(rules)), _) => (None, rules),
            (Some(Choice::StripOwnPath | Choice::Nothing) | None, _) => (None, Vec::new()),
        };
        let add_prefix = self.add_prefix.or_else(|| defaults.add_prefix.clone());
        Rewrite { strip_prefix, rules, add_prefix: add_prefix.filter(|prefix| prefix != "/") }
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

fn choice(fields: &Fields<'_>) -> Option<Choice> {
    let strip = fields.entry("strip_prefix");
    let rewrite = fields.entry("rewrite").map(|entry| (entry, rules(fields, &entry.node)));
    match (strip, rewrite) {
        (Some(strip), Some((rewrite, _))) if strip.node.as_boolean() != Some(false) => {
            let message = "`strip_prefix` and `rewrite` cannot be in one route";
            let hint = "the regex can do both: rewrite = { regex = \"^/api(/.*)?$\", to = \"$1\" }";
            let diagnostic = Diagnostic::error(&rewrite.node.place, message);
            fields.problems.add(diagnostic.also(&strip.place, "the other one").hint(hint));
            None
        }
        (_, Some((_, rules))) => Some(Choice::Rules(rules)),
        (Some(strip), None) => match (&strip.node.value, strip.node.as_boolean()) {
            (_, Some(true)) => Some(Choice::StripOwnPath),
            (_, Some(false)) => Some(Choice::Nothing),
            (Value::Text(value), None) => {
                let path = fields.parsed(Text { value, place: &strip.node.place }, pattern::path_pattern)?;
                Some(Choice::StripPrefix(prefix(path)))
            }
            _ => None,
        },
        (None, None) => None,
    }
}

/// A table, or a list of them.
fn rules(fields: &Fields<'_>, node: &Node) -> Vec<RewriteRule> {
    let nodes = match &node.value {
        Value::Array(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    nodes.iter().filter_map(|node| rule(&fields.table_in("rewrite", node)?)).collect()
}

fn rule(table: &Fields<'_>) -> Option<RewriteRule> {
    for name in ["regex", "to"] {
        if table.key(name).is_none() {
            let hint = "write { regex = \"^/old/(.*)$\", to = \"/new/$1\" }";
            table.missing(&[name], &format!("`{name}`"), hint);
        }
    }
    let to = table.text("to");
    let regex = pattern::regex(table, table.text("regex")?)?;
    let to = to.filter(|to| is_path(table, *to) && check_groups(table, &regex, *to))?;
    let (path, query) = match to.value.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (to.value, None),
    };
    let part = |value| template::lower_with_groups(table, Text { value, place: to.place });
    let query = match query {
        Some(query) => Some(part(query)?),
        None => None,
    };
    Some(RewriteRule { regex, path: part(path)?, query })
}

fn is_path(table: &Fields<'_>, to: Text<'_>) -> bool {
    let (path, _) = to.value.split_once('?').unwrap_or((to.value, ""));
    let wrong = if !path.starts_with(['/', '$']) && !path.starts_with("{path}") {
        let message = format!("{} is not a path", shown(to.value));
        Diagnostic::error(to.place, message).hint(format!("a path begins with a slash: \"/{}\"", to.value))
    } else if to.value.bytes().any(|b| b <= b' ' || b == 0x7f) {
        Diagnostic::error(to.place, "a path has no spaces").hint("write %20")
    } else if ["//", "/./", "/../"].iter().any(|part| path.contains(part)) {
        let message = format!("{} is not a path as requests have it", shown(to.value));
        Diagnostic::error(to.place, message).hint("write it without `//`, `/./` and `/../`")
    } else {
        return true;
    };
    table.problems.add(wrong);
    false
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
