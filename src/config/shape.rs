//! The shape of what was written, against the table of keys: no unknown key, every value of the right kind.
//! Lowering can then read values without asking again.

use super::diagnostic::{Diagnostic, Place, Problems};
use super::keys::{Key, Kind, ROOT, SECTIONS, Section};
use super::suggest::{self, closest};
use super::tree::{Entry, Node, Table, Value};
use super::values::shown;

pub fn check(root: &Table, problems: &Problems) {
    for entry in &root.entries {
        if let Some(section) = SECTIONS.iter().find(|section| section.name == entry.key) {
            check_section(section, entry, problems);
        } else if let Some(key) = ROOT.iter().find(|key| key.name == entry.key) {
            check_kind(key.name, &key.kind, &entry.node, problems);
        } else {
            problems.add(unknown_section(entry));
        }
    }
}

fn check_section(section: &Section, entry: &Entry, problems: &Problems) {
    let Value::Table(table) = &entry.node.value else {
        problems.add(not_a_section(section, entry));
        return;
    };
    let Some(noun) = section.noun else {
        check_table(section.name, section.keys, table, problems);
        return;
    };
    let stray: Vec<&Entry> =
        table.entries.iter().filter(|entry| !matches!(entry.node.value, Value::Table(_))).collect();
    if let Some(first) = stray.first() {
        let example = format!("[{}.{}]", section.name, example_name(section.name));
        let message = format!("`{}` stands outside of a {noun}", first.key);
        problems.add(
            Diagnostic::error(&first.place, message).hint(format!("every {noun} has a name: `{example}`")),
        );
    }
    for entry in &table.entries {
        if let Value::Table(table) = &entry.node.value {
            check_name(noun, entry, problems);
            check_table(section.name, section.keys, table, problems);
        }
    }
}

fn not_a_section(section: &Section, entry: &Entry) -> Diagnostic {
    let name = section.name;
    let (header, many) = match section.noun {
        Some(noun) => (format!("[{name}.NAME]"), format!(" for each {noun}")),
        None => (format!("[{name}]"), String::new()),
    };
    let message = format!("`{name}` is a section, not {}", entry.node.value.kind());
    Diagnostic::error(&entry.place, message).hint(format!("write `{header}`{many}"))
}

/// Names become labels of metrics and words of log lines.
fn check_name(noun: &str, entry: &Entry, problems: &Problems) {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = &entry.key;
    if name.is_empty() {
        problems.add(Diagnostic::error(&entry.place, format!("the name of this {noun} is empty")));
    } else if name.len() > 100 {
        let message = format!("the name of this {noun} is longer than 100 characters");
        problems.add(Diagnostic::error(&entry.place, message));
    } else if let Some(bad) = name.chars().find(|c| !good(*c)) {
        let message = format!("`{}` cannot be in the name of a {noun}", bad.escape_debug());
        problems.add(
            Diagnostic::error(&entry.place, message).hint("names have letters, digits, `-`, `_` and `.`"),
        );
    }
}

/// `context` is the name that aliases are listed under: a section or a table in one.
fn check_table(context: &str, keys: &[Key], table: &Table, problems: &Problems) {
    for entry in &table.entries {
        match keys.iter().find(|key| key.name == entry.key) {
            Some(key) => check_kind(key.name, &key.kind, &entry.node, problems),
            None => problems.add(unknown_key(context, keys, entry)),
        }
    }
}

fn check_kind(name: &str, kind: &Kind, node: &Node, problems: &Problems) {
    if !fits(kind, node) {
        problems.add(wrong_kind(name, kind, node));
        return;
    }
    match (kind, &node.value) {
        (Kind::Integer { min, max }, _) => check_range(name, *min, *max, node, problems),
        (Kind::Number(numbers), _) => check_number(name, numbers, node, problems),
        (Kind::OneOf(words), Value::Text(text)) => check_word(name, words, text, &node.place, problems),
        (Kind::ListOf(inner), Value::Array(items)) => {
            for item in items {
                check_kind(name, inner, item, problems);
            }
        }
        (Kind::MapOf(inner), Value::Table(table)) => {
            for entry in &table.entries {
                match (inner, &entry.node.value) {
                    // By the name of the map, what other programs call its keys is known.
                    (Kind::Table(keys), Value::Table(table)) => check_table(name, keys, table, problems),
                    _ => check_kind(&entry.key, inner, &entry.node, problems),
                }
            }
        }
        (Kind::Table(keys), Value::Table(table)) => check_table(name, keys, table, problems),
        (Kind::Either(kinds), _) => {
            if let Some(kind) = kinds.iter().find(|kind| fits(kind, node)) {
                check_kind(name, kind, node, problems);
            }
        }
        _ => {}
    }
}

fn fits(kind: &Kind, node: &Node) -> bool {
    match (kind, &node.value) {
        (_, Value::Unknown) | (Kind::Any, _) => true,
        (Kind::Boolean, _) => node.as_boolean().is_some(),
        (Kind::Integer { .. } | Kind::Number(_), _) => node.as_integer().is_some(),
        (Kind::Duration | Kind::Text(_) | Kind::OneOf(_), Value::Text(_)) => true,
        (Kind::Size { .. } | Kind::Rate, Value::Text(_) | Value::Integer(_)) => true,
        (Kind::ListOf(_), Value::Array(_)) => true,
        (Kind::MapOf(_) | Kind::Table(_), Value::Table(_)) => true,
        (Kind::Either(kinds), _) => kinds.iter().any(|kind| fits(kind, node)),
        _ => false,
    }
}

fn check_range(name: &str, min: i64, max: i64, node: &Node, problems: &Problems) {
    let Some(number) = node.as_integer() else { return };
    if !(i128::from(min)..=i128::from(max)).contains(&number) {
        let message = format!("`{name}` cannot be {number}");
        problems.add(Diagnostic::error(&node.place, message).hint(format!("it is {min} to {max}")));
    }
}

fn check_number(name: &str, numbers: &[i64], node: &Node, problems: &Problems) {
    let Some(number) = node.as_integer() else { return };
    if !numbers.iter().any(|allowed| i128::from(*allowed) == number) {
        let all: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let message = format!("`{name}` cannot be {number}");
        problems
            .add(Diagnostic::error(&node.place, message).hint(format!("it is one of {}", all.join(", "))));
    }
}

fn check_word(name: &str, words: &[&str], text: &str, place: &Place, problems: &Problems) {
    if words.contains(&text) {
        return;
    }
    let all: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let hint = match closest(text, words.iter().copied()) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("supported: {}", all.join(", ")),
    };
    problems.add(Diagnostic::error(place, format!("`{name}` cannot be {}", shown(text))).hint(hint));
}

fn wrong_kind(name: &str, kind: &Kind, node: &Node) -> Diagnostic {
    let found = match (kind, &node.value) {
        (Kind::Integer { .. } | Kind::Number(_) | Kind::Boolean, Value::Text(text)) => format!("\"{text}\""),
        _ => node.value.kind().to_string(),
    };
    let message = format!("`{name}` is {}, not {found}", expected(kind));
    let written = node.place.text();
    let hint = match (kind, &node.value) {
        (Kind::Duration, Value::Integer(_)) => Some(format!("add a unit: \"{written}s\" or \"{written}ms\"")),
        (Kind::Text("address"), Value::Integer(_)) => Some(format!("write \":{written}\"")),
        (Kind::Text(_), Value::Integer(_) | Value::Boolean(_)) => Some(format!("write \"{written}\"")),
        (Kind::Integer { .. } | Kind::Number(_), Value::Text(text)) => {
            text.parse::<i64>().ok().map(|number| format!("write it without quotes: {number}"))
        }
        (Kind::Boolean, Value::Text(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some("write true".to_string()),
            "false" | "no" | "off" => Some("write false".to_string()),
            _ => Some("write true or false".to_string()),
        },
        (Kind::ListOf(inner), _) if fits(inner, node) => Some(format!("write [{written}]")),
        (Kind::Table(keys), _) => Some(table_hint(keys, node)),
        (Kind::Either(kinds), Value::Text(_)) => kinds.iter().find_map(|kind| match kind {
            Kind::Table(keys) => Some(table_hint(keys, node)),
            _ => None,
        }),
        (Kind::MapOf(_), _) => Some("write { NAME = \"value\" }".to_string()),
        _ => None,
    };
    Diagnostic::error(&node.place, message).maybe_hint(hint)
}

/// A value that stands where a table should: it probably belongs in it.
fn table_hint(keys: &[Key], node: &Node) -> String {
    let written = node.place.text();
    let entry = |key: &Key| match (&key.kind, fits(&key.kind, node)) {
        (Kind::Duration | Kind::Integer { .. }, true) => format!("{} = {written}", key.name),
        _ => format!("{} = ...", key.name),
    };
    let entries: Vec<String> = keys.iter().map(entry).collect();
    format!("write {{ {} }}", entries.join(", "))
}

/// With its article.
fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "true or false".to_string(),
        Kind::Integer { .. } | Kind::Number(_) => "a number".to_string(),
        Kind::Duration => "a duration".to_string(),
        Kind::Size { .. } => "a size".to_string(),
        Kind::Rate => "a rate".to_string(),
        Kind::Any => "a value".to_string(),
        Kind::Text(_) | Kind::OneOf(_) => "a string".to_string(),
        Kind::ListOf(_) => "a list".to_string(),
        Kind::MapOf(_) | Kind::Table(_) => "a table".to_string(),
        Kind::Either(kinds) => {
            let choices: Vec<String> = kinds.iter().map(expected).collect();
            let joined = choices.join(", ").replace("true or false, ", "true, false, ");
            match joined.rsplit_once(", ") {
                Some((most, last)) => format!("{most} or {last}"),
                None => joined,
            }
        }
    }
}

fn unknown_section(entry: &Entry) -> Diagnostic {
    let what = if matches!(entry.node.value, Value::Table(_)) { "section" } else { "key" };
    let message = format!("unknown {what} {}", shown(&entry.key));
    Diagnostic::error(&entry.place, message).hint(suggest::section_hint(&entry.key))
}

fn unknown_key(context: &str, keys: &[Key], entry: &Entry) -> Diagnostic {
    let message = format!("unknown key {}", shown(&entry.key));
    Diagnostic::error(&entry.place, message).hint(suggest::hint(context, keys, &entry.key))
}

fn example_name(section: &str) -> &'static str {
    match section {
        "listeners" => "http",
        "upstreams" => "backend",
        _ => "api",
    }
}
