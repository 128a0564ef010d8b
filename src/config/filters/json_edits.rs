//! `request_json` and `response_json` of a route.

use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Place};
use super::super::fields::{Fields, Text};
use super::super::template;
use super::super::tree::{Node, Value};
use super::super::values::{Parsed, shown, wrong};
use super::Switched;
use crate::filter::{EACH, JsonEdits, JsonValue, MOST_STEPS, OnError, Operation, Pointer};
use crate::message::Moment;

const DEFAULT_SIZE: u64 = 1 << 20;
const MAX_SIZE: u64 = 16 << 20;
const EXAMPLE: &str = "write { edits = [{ remove = \"/secret\" }] }";
const OPERATIONS: [&str; 6] = ["remove", "rename", "set", "wrap", "unwrap", "keep"];

/// `Some(None)` for `false`; `None` when it is not there, or wrong, which was reported.
pub fn lower(fields: &Fields<'_>, key: &str) -> Option<Switched<Arc<JsonEdits>>> {
    let entry = fields.entry(key)?;
    match entry.node.as_boolean() {
        Some(false) => return Some(None),
        Some(true) => {
            let message = format!("`{key} = true` does not say what to change");
            fields.problems.add(Diagnostic::error(&entry.node.place, message).hint(EXAMPLE));
            return None;
        }
        None => {}
    }
    let moment = if key == "request_json" { Moment::Request } else { Moment::Answer };
    let table = fields.table(key)?;
    let nodes = table.nodes("edits");
    if nodes.is_empty() {
        let place = table.key("edits").unwrap_or(table.place);
        table.problems.add(Diagnostic::error(place, "nothing is changed by this").hint(EXAMPLE));
    }
    let edits = nodes.iter().filter_map(|node| operation(&table.table_in("edits", node)?, moment));
    let operations: Vec<_> = edits.collect();
    let max_size = match table.key("max_size") {
        Some(place) => sized(&table, place, table.size("max_size")?)?,
        None => DEFAULT_SIZE,
    };
    let on_error = match table.text("on_error") {
        Some(text) if text.value == "pass" => OnError::Pass,
        _ => OnError::Fail,
    };
    let max_size = usize::try_from(max_size).ok()?;
    (!operations.is_empty() && operations.len() == nodes.len())
        .then(|| Some(Arc::new(JsonEdits { operations, max_size, on_error })))
}

fn sized(table: &Fields<'_>, place: &Place, size: u64) -> Option<u64> {
    let is_sound = (1..=MAX_SIZE).contains(&size);
    if !is_sound {
        let diagnostic = Diagnostic::error(place, "this is not from 1 byte to 16 MiB");
        table.problems.add(diagnostic.hint("a body is held in memory while it is changed"));
    }
    is_sound.then_some(size)
}

fn operation(table: &Fields<'_>, moment: Moment) -> Option<Operation<JsonValue>> {
    let named: Vec<(&str, &Place)> =
        OPERATIONS.iter().filter_map(|name| Some((*name, table.key(name)?))).collect();
    let (name, place) = match named.as_slice() {
        [] => {
            let hint = "write one of { remove = ... }, { rename = ..., to = ... }, { set = ..., value = ... }, \
                        { wrap = ... }, { unwrap = ... } and { keep = [...] }";
            table.missing(&OPERATIONS, "what is done", hint);
            return None;
        }
        [one] => *one,
        [(first, first_place), (second, second_place), ..] => {
            let message = format!("`{first}` and `{second}` are two edits");
            let diagnostic = Diagnostic::error(second_place, message).also(first_place, "the other one");
            table.problems.add(diagnostic.hint("put each in braces of its own"));
            return None;
        }
    };
    for (key, with) in [("to", "rename"), ("value", "set")] {
        match table.key(key) {
            Some(stray) if name != with => {
                let message = format!("`{key}` does nothing without `{with}`");
                table.problems.add(Diagnostic::error(stray, message));
                return None;
            }
            None if name == with => {
                let message = format!("`{with}` without `{key}`");
                let hint = match key {
                    "to" => "write { rename = \"/name\", to = \"/full_name\" }",
                    _ => "write { set = \"/source\", value = \"{route}\" }",
                };
                table.problems.add(Diagnostic::error(place, message).hint(hint));
                return None;
            }
            _ => {}
        }
    }
    let at = |key: &str| table.text(key).and_then(|text| pointer(table, text));
    match name {
        "remove" => not_whole(table, place, at("remove")?).map(Operation::Remove),
        "rename" => rename(table, place, at("rename")?, at("to")?),
        "set" => {
            let node = &table.entry("value")?.node;
            Some(Operation::Set(at("set")?, value(table, node, moment)?))
        }
        "wrap" => one_place(table, place, at("wrap")?).map(Operation::Wrap),
        "unwrap" => one_place(table, place, at("unwrap")?).map(Operation::Unwrap),
        _ => {
            let texts = table.texts("keep");
            if texts.is_empty() {
                let diagnostic = Diagnostic::error(place, "`keep` is empty: nothing would be left");
                table.problems.add(diagnostic.hint("name what stays: keep = [\"/id\"]"));
                return None;
            }
            let pointers: Vec<Pointer> = texts.iter().filter_map(|text| pointer(table, *text)).collect();
            (pointers.len() == texts.len()).then_some(Operation::Keep(pointers))
        }
    }
}

fn pointer(table: &Fields<'_>, text: Text<'_>) -> Option<Pointer> {
    table.parsed(text, |text| -> Parsed<Pointer> {
        let pointer = Pointer::parse(text).ok_or_else(|| {
            let hint = match text.strip_prefix("$.") {
                Some(path) => format!("write \"/{}\"", path.replace('.', "/")),
                None if text.contains('~') => "`~` is written `~0`, and a slash in a name `~1`".to_owned(),
                None => format!("write \"/{}\"", text.trim_start_matches('#').trim_start_matches('/')),
            };
            wrong(format!("{} is not a JSON pointer", shown(text)), hint)
        })?;
        if pointer.0.len() > MOST_STEPS {
            return Err(wrong("this pointer is too long", format!("it has at most {MOST_STEPS} steps")));
        }
        Ok(pointer)
    })
}

fn not_whole(table: &Fields<'_>, place: &Place, pointer: Pointer) -> Option<Pointer> {
    if pointer.0.is_empty() {
        let diagnostic = Diagnostic::error(place, "this is the whole");
        table.problems.add(diagnostic.hint("name a part of it: \"/secret\""));
        return None;
    }
    Some(pointer)
}

fn one_place(table: &Fields<'_>, place: &Place, pointer: Pointer) -> Option<Pointer> {
    if pointer.0.iter().any(|step| step == EACH) {
        let diagnostic = Diagnostic::error(place, "`*` is many places, and the whole has one");
        table.problems.add(diagnostic.hint("name one: \"/data\""));
        return None;
    }
    not_whole(table, place, pointer)
}

fn rename(table: &Fields<'_>, place: &Place, from: Pointer, to: Pointer) -> Option<Operation<JsonValue>> {
    let ((from_way, from_rest), (to_way, to_rest)) = (from.split(), to.split());
    let wrong = if from_way != to_way {
        Some((
            "the steps up to the last `*` differ",
            "write { rename = \"/items/*/a\", to = \"/items/*/b\" }",
        ))
    } else if from_rest.is_empty() || to_rest.is_empty() {
        Some(("this is no name", "name a member: \"/name\""))
    } else if to_rest.starts_with(from_rest) {
        Some(("this would be moved into itself", "use `wrap`, or two steps over another name"))
    } else {
        None
    };
    if let Some((message, hint)) = wrong {
        table.problems.add(Diagnostic::error(place, message).hint(hint));
        return None;
    }
    Some(Operation::Rename(from, to))
}

fn value(table: &Fields<'_>, node: &Node, moment: Moment) -> Option<JsonValue> {
    let refuse = |message: &str, hint: &str| {
        table.problems.add(Diagnostic::error(&node.place, message).hint(hint));
        None
    };
    match &node.value {
        Value::Text(text) => {
            let text = Text { value: text, place: &node.place };
            template::lower(table, text, moment).map(JsonValue::Text)
        }
        Value::Integer(number) => Some(JsonValue::Scalar(number.to_string())),
        Value::Boolean(value) => Some(JsonValue::Scalar(value.to_string())),
        Value::Float => {
            // TOML writes them as JSON does, but for signs and underscores.
            let text = node.place.text().replace('_', "");
            let text = text.trim_start_matches('+');
            match crate::message::json::parse(text.as_bytes()) {
                Ok(_) => Some(JsonValue::Scalar(text.to_owned())),
                Err(_) => refuse("JSON has no such number", "write a number with digits, or a string"),
            }
        }
        Value::Date => refuse("JSON has no dates", "write it as a string"),
        Value::Array(items) => {
            let lowered: Vec<_> = items.iter().filter_map(|item| value(table, item, moment)).collect();
            (lowered.len() == items.len()).then_some(JsonValue::Array(lowered))
        }
        Value::Table(members) => {
            let lowered: Vec<_> = members
                .entries
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), value(table, &entry.node, moment)?)))
                .collect();
            (lowered.len() == members.entries.len()).then_some(JsonValue::Object(lowered))
        }
        Value::Unknown => None,
    }
}
