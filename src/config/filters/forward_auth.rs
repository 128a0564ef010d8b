//! `forward_auth`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http1::Name;
use http1::fields::Field;

use super::Switched;
use super::headers::field_name;
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::{Fields, Text, Zero};
use crate::config::targets::known_upstream;
use crate::config::values::wrong;
use crate::config::{host, merge};
use crate::filter::auth::{Ask, ForwardAuthOptions, Identity, STATED, is_alike, is_withheld};
use crate::message::FieldName;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const EXAMPLE: &str = "write { upstream = \"auth\", path = \"/verify\" }";

/// `Some(None)` for `false`; `None` when it is not there, or wrong, which was reported.
pub fn lower(fields: &Fields<'_>) -> Option<Switched<Arc<ForwardAuthOptions>>> {
    let entry = fields.entry("forward_auth")?;
    match entry.node.as_boolean() {
        Some(false) => return Some(None),
        Some(true) => {
            let diagnostic =
                Diagnostic::error(&entry.node.place, "`forward_auth = true` does not say who is asked");
            fields.problems.add(diagnostic.hint(EXAMPLE));
            return None;
        }
        None => {}
    }
    let table = fields.table("forward_auth")?;
    for key in ["upstream", "path"] {
        if table.key(key).is_none() {
            table.missing(&[key], &format!("`{key}`"), EXAMPLE);
        }
    }
    let path = table.text("path").and_then(|text| merge::path(&table, text));
    let identity = names(&table, "identity", identity_name);
    let required = names(&table, "require_identity", field_name);
    check_required(&table, &identity);
    let told = names(&table, "request_headers", told_name);
    let response_fields = names(&table, "response_headers", answer_name);
    let host = table.text("upstream_host").and_then(|text| table.parsed(text, host::upstream_host));
    let timeout = table.duration("timeout", Zero::Refused).unwrap_or(DEFAULT_TIMEOUT);
    let options = ForwardAuthOptions {
        upstream: table.text("upstream")?.value.to_owned(),
        host,
        ask: Ask {
            path: path?,
            same_method: table.text("method").is_some_and(|text| text.value == "same"),
            fields: table.key("request_headers").map(|_| told),
        },
        timeout,
        identity: Arc::new(Identity { names: identity, required }),
        response_fields,
    };
    Some(Some(Arc::new(options)))
}

/// The upstream that is asked, as written.
pub fn asked(fields: &Fields<'_>) -> Option<String> {
    Some(fields.table("forward_auth")?.text("upstream")?.value.to_owned())
}

/// Reports one that is not defined.
pub fn check(fields: &Fields<'_>, upstreams: &BTreeSet<&str>) {
    if let Some(table) = fields.table("forward_auth")
        && let Some(text) = table.text("upstream")
    {
        known_upstream(&table, text, upstreams);
    }
}

/// A list in which no name stands twice.
fn names(
    table: &Fields<'_>,
    key: &str,
    read: impl Fn(&Fields<'_>, Text<'_>) -> Option<FieldName>,
) -> Vec<FieldName> {
    let mut found: Vec<FieldName> = Vec::new();
    for text in table.texts(key) {
        let Some(name) = read(table, text) else { continue };
        if found.iter().any(|other| is_alike(other.as_str().as_bytes(), name.as_str().as_bytes())) {
            let message = format!("`{name}` stands twice in `{key}`");
            table.problems.add(Diagnostic::error(text.place, message).hint("leave one out"));
            continue;
        }
        found.push(name);
    }
    found
}

fn check_required(table: &Fields<'_>, identity: &[FieldName]) {
    for text in table.texts("require_identity") {
        let is_known = identity.iter().any(|name| name.lower() == text.value.to_ascii_lowercase());
        if !is_known && FieldName::new(text.value).is_some() {
            let message = format!("`{}` is required and not in `identity`", text.value);
            let hint = format!("add it: identity = [\"{}\"]", text.value);
            table.problems.add(Diagnostic::error(text.place, message).hint(hint));
        }
    }
}

/// The name of a field that the target gets from the auth service.
fn identity_name(table: &Fields<'_>, text: Text<'_>) -> Option<FieldName> {
    let name = field_name(table, text)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    table.parsed(text, |written| match owned(&name) {
        _ if !written.bytes().all(is_plain) => Err(wrong(
            format!("`{written}` is lost on its way to some servers"),
            "write letters, digits and hyphens, as in X-Auth-User",
        )),
        Some(hint) => Err(wrong(format!("`{written}` is the proxy's own"), hint)),
        None if is_about_a_body(&name) => Err(wrong(
            format!("`{written}` does not say who sends a request"),
            "write a name such as X-Auth-User",
        )),
        None => Ok(name.clone()),
    })
}

/// The name of a field that the auth service is told.
fn told_name(table: &Fields<'_>, text: Text<'_>) -> Option<FieldName> {
    let name = field_name(table, text)?;
    let hint =
        "the question has X-Forwarded-Method, -Host, -Uri, -Proto, -For and X-Request-ID anyway, and no body";
    table.parsed(text, |written| match owned(&name).is_some() || is_withheld(field(&name)) {
        true => Err(wrong(format!("`{written}` of the client is never told"), hint)),
        false => Ok(name.clone()),
    })
}

/// The name of a field that the client gets from the auth service.
fn answer_name(table: &Fields<'_>, text: Text<'_>) -> Option<FieldName> {
    let name = field_name(table, text)?;
    table.parsed(text, |written| match is_about_a_body(&name) {
        true => {
            Err(wrong(format!("`{written}` is about the body"), "the body of the answer is the target's"))
        }
        false => Ok(name.clone()),
    })
}

fn field(name: &FieldName) -> Field<'_> {
    Field { known: name.known, name: name.lower().as_bytes(), value: b"" }
}

/// What the proxy itself says of a client, and what to do instead.
fn owned(name: &FieldName) -> Option<&'static str> {
    const ANYWAY: &str = "the target gets it anyway, from the proxy";
    match name.known {
        Name::XForwardedFor
        | Name::XForwardedHost
        | Name::XForwardedPort
        | Name::XForwardedProto
        | Name::XRealIp
        | Name::XRequestId => return Some(ANYWAY),
        Name::Forwarded => return Some("write forwarded = true for it"),
        _ => {}
    }
    if name.lower().starts_with("client-cert") || name.lower().starts_with("x-client-cert") {
        return Some("write forward_client_certificate = true for it");
    }
    let is_stated = STATED.iter().any(|stated| stated.eq_ignore_ascii_case(name.as_str()));
    is_stated.then_some("only the question has it")
}

fn is_about_a_body(name: &FieldName) -> bool {
    let lower = name.lower();
    (lower.starts_with("content-") && !lower.starts_with("content-security-policy"))
        || matches!(lower, "etag" | "last-modified" | "accept-ranges" | "date")
}
