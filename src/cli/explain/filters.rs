//! What the filters of a route would do, in the order in which a request and then its answer meet them.

use super::Text;
use crate::filter::{FilterOptions, HeaderEdits, JsonEdits, NamePattern, Operation, Replace, When};
use crate::message::{FieldName, Template};

pub fn told(text: &mut Text, filters: &FilterOptions) {
    header_edits(text, "request", &filters.request_headers);
    if filters.grpc_web {
        text.line("grpc_web", "calls of gRPC-Web become calls of gRPC");
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

fn header_edits(text: &mut Text, side: &str, edits: &[HeaderEdits]) {
    for edits in edits {
        let condition = when(&edits.when);
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
pub fn when(when: &When) -> String {
    let mut parts = Vec::new();
    if !when.methods.is_empty() {
        parts.push(format!("the method is {}", when.methods.join(" or ")));
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
