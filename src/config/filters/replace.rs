//! `replace` of a route.

use std::sync::Arc;

use super::super::diagnostic::Diagnostic;
use super::super::fields::{Fields, Text};
use super::super::pattern;
use super::super::template;
use super::Switched;
use super::headers::media_ranges;
use super::rewrite::check_groups;
use crate::filter::{LineRule, Literals, Replace, Rules};
use crate::message::{MediaRange, Moment, Template};

const MOST_RULES: usize = 64;
const LONGEST_TEXT: usize = 1 << 10;
const EXAMPLE: &str = "write { rules = [{ from = \"http://old\", to = \"https://{host}\" }] }";

/// `Some(None)` for `false`; `None` when it is not there, or wrong, which was reported.
pub fn lower(fields: &Fields<'_>) -> Option<Switched<Replace>> {
    let entry = fields.entry("replace")?;
    match entry.node.as_boolean() {
        Some(false) => return Some(None),
        Some(true) => {
            let message = "`replace = true` does not say what to replace";
            fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(EXAMPLE));
            return None;
        }
        None => {}
    }
    let table = fields.table("replace")?;
    let nodes = table.nodes("rules");
    if nodes.is_empty() {
        let place = table.key("rules").unwrap_or(table.place);
        fields.problems.add(Diagnostic::error(place, "nothing is replaced by this").hint(EXAMPLE));
        return None;
    }
    if let Some(node) = nodes.get(MOST_RULES) {
        let message = format!("`replace` has more than {MOST_RULES} rules");
        fields.problems.add(Diagnostic::error(&node.place, message).hint("one regex can stand for several"));
        return None;
    }
    let rules: Vec<Rule> = nodes.iter().filter_map(|node| rule(&table.table_in("rules", node)?)).collect();
    let types = match table.key("types") {
        Some(_) => media_ranges(&table, "types"),
        None => MediaRange::parse("text/html").into_iter().collect(),
    };
    if rules.len() != nodes.len() {
        return None;
    }
    let (mut texts, mut to, mut regexes) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        match rule {
            Rule::Literal(text, template) => {
                texts.push(text);
                to.push(template);
            }
            Rule::Regex(rule) => regexes.push(rule),
        }
    }
    // A thousand bytes each, and 64 of them, are few.
    let literals = Arc::new(Literals::new(texts)?);
    let once = table.boolean("once").unwrap_or(false);
    Some(Some(Replace(Arc::new(Rules { literals, to, regexes: regexes.into(), types, once }))))
}

enum Rule {
    Literal(Box<[u8]>, Template),
    Regex(LineRule),
}

fn rule(table: &Fields<'_>) -> Option<Rule> {
    if table.key("to").is_none() {
        table.missing(&["to"], "`to`", "write { from = \"http://old\", to = \"https://{host}\" }");
    }
    match (table.text("from"), table.text("regex")) {
        (Some(from), Some(regex)) => {
            let diagnostic = Diagnostic::error(regex.place, "a rule has a `from` or a `regex`");
            table.problems.add(diagnostic.also(from.place, "the other one").hint("make two rules"));
            None
        }
        (Some(from), None) => literal(table, from),
        (None, Some(regex)) => {
            let regex = pattern::regex(table, regex)?;
            let to = table.text("to")?;
            check_groups(table, &regex, to).then(|| Rule::Regex(LineRule { regex, to: to.value.to_owned() }))
        }
        (None, None) => {
            if table.key("from").or(table.key("regex")).is_none() {
                let hint = "write { from = \"http://old\", to = \"https://{host}\" }";
                table.missing(&["from", "regex"], "`from`", hint);
            }
            None
        }
    }
}

fn literal(table: &Fields<'_>, from: Text<'_>) -> Option<Rule> {
    let wrong = match from.value.len() {
        0 => Some("an empty text is everywhere".to_owned()),
        1..=LONGEST_TEXT => None,
        _ => Some(format!("a text to look for has at most {LONGEST_TEXT} bytes")),
    };
    if let Some(message) = wrong {
        table.problems.add(Diagnostic::error(from.place, message).hint("name what is to be replaced"));
        return None;
    }
    let to = template::lower(table, table.text("to")?, Moment::Answer)?;
    Some(Rule::Literal(from.value.as_bytes().into(), to))
}
