//! `security_headers`: fields that most sites should have, unless the upstream says them itself.

use super::Switched;
use super::switched;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text};
use crate::config::template;
use crate::config::tree::Value;
use crate::filter::{HeaderEdits, When};
use crate::message::{FieldName, Moment, Template};

/// Key, field, and what is said when the key is not there.
const FIELDS: &[(&str, &str, Option<&str>)] = &[
    ("content_type_options", "X-Content-Type-Options", Some("nosniff")),
    ("frame_options", "X-Frame-Options", Some("SAMEORIGIN")),
    ("referrer_policy", "Referrer-Policy", Some("strict-origin-when-cross-origin")),
    ("csp", "Content-Security-Policy", None),
    ("permissions_policy", "Permissions-Policy", None),
    ("cross_origin_opener_policy", "Cross-Origin-Opener-Policy", None),
    ("cross_origin_resource_policy", "Cross-Origin-Resource-Policy", None),
];
/// Two years.
const HSTS: &str = "max-age=63072000";

pub fn lower(fields: &Fields<'_>) -> Option<Switched<Vec<HeaderEdits>>> {
    switched(fields, "security_headers", |table| {
        let always =
            FIELDS.iter().filter_map(|(key, field, preset)| said(table, key, field, *preset)).collect();
        let hsts = said(table, "hsts", "Strict-Transport-Security", Some(HSTS)).into_iter().collect();
        // Over plain HTTP browsers ignore it (RFC 6797 section 7.2).
        let secure = Some(Box::new(When { secure: Some(true), ..When::default() }));
        Some(vec![
            HeaderEdits { default: always, ..HeaderEdits::default() },
            HeaderEdits { default: hsts, when: secure, ..HeaderEdits::default() },
        ])
    })
}

/// What is said in the field; `None` for nothing.
fn said(
    table: Option<&Fields<'_>>,
    key: &str,
    field: &str,
    preset: Option<&str>,
) -> Option<(FieldName, Template)> {
    let name = FieldName::new(field)?;
    let Some((table, entry)) = table.and_then(|table| Some((table, table.entry(key)?))) else {
        return Some((name, Template::compile(preset?, Moment::Answer).ok()?));
    };
    let text = match (&entry.node.value, entry.node.as_boolean()) {
        (Value::Text(value), _) => Text { value, place: &entry.node.place },
        (_, Some(true)) => match preset {
            Some(preset) => return Some((name, Template::compile(preset, Moment::Answer).ok()?)),
            None => {
                let message = format!("`{key} = true` does not say what to send");
                let diagnostic = Diagnostic::error(&entry.node.place, message);
                table.problems.add(diagnostic.hint(format!("write the value of {field}")));
                return None;
            }
        },
        _ => return None,
    };
    if !http1::fields::is_safe_value(text.value.as_bytes()) {
        let diagnostic = Diagnostic::error(text.place, "a header field has no control characters");
        table.problems.add(diagnostic.hint("write it in one line"));
        return None;
    }
    Some((name, template::lower(table, text, Moment::Answer)?))
}
