//! Names of fields as the configuration has them, and changes to a list of fields by such a name.

use std::fmt;

use http1::connection::is_nominated;
use http1::fields::{is_safe_value, is_token};
use http1::name::same_name;
use http1::{Fields, Name};

use crate::observe::metrics;

/// The name of a field; two are equal when they name the same field.
#[derive(Clone, Eq)]
pub struct FieldName {
    pub known: Name,
    /// As written.
    spelled: Box<str>,
    lower: Box<str>,
}

impl FieldName {
    /// `None` for what no field can be called (RFC 9110 section 5.1).
    pub fn new(text: &str) -> Option<FieldName> {
        is_token(text.as_bytes()).then(|| FieldName {
            known: Name::classify(text.as_bytes()),
            spelled: text.into(),
            lower: text.to_ascii_lowercase().into(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.spelled
    }

    pub fn lower(&self) -> &str {
        &self.lower
    }

    /// All values, in order: of fields that were received and of those that the proxy has set.
    pub fn values<'f>(&'f self, fields: &'f Fields) -> impl Iterator<Item = &'f [u8]> {
        fields.all_named(self.lower.as_bytes())
    }

    /// Appends the values, with commas between (RFC 9110 section 5.2).
    pub fn write_joined(&self, fields: &Fields, out: &mut Vec<u8>) {
        for (index, value) in self.values(fields).enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value);
        }
    }

    pub fn is_in(&self, fields: &Fields) -> bool {
        self.values(fields).next().is_some()
    }

    /// Takes all fields with this name off; says whether there was one.
    pub fn remove(&self, fields: &mut Fields) -> bool {
        let before = fields.len();
        fields.retain(|field| !same_name(field.name, self.lower.as_bytes()));
        fields.len() != before
    }

    /// Adds a field at the end; a value that cannot stand in one is left out and counted. Says whether it was
    /// added.
    pub fn push(&self, fields: &mut Fields, value: &[u8]) -> bool {
        // Whoever sent the message may have named it as one of its own connection, which this one is not.
        let is_own = matches!(
            self.known,
            Name::Other
                | Name::Forwarded
                | Name::XForwardedFor
                | Name::XForwardedHost
                | Name::XForwardedPort
                | Name::XForwardedProto
                | Name::XRealIp
                | Name::XRequestId
        ) || is_nominated(fields, self.known, self.lower.as_bytes());
        let known = if is_own { Name::Own } else { self.known };
        push_checked(fields, known, self.spelled.as_bytes(), value)
    }
}

/// Adds a field unless its value has a byte that cannot stand in one: that is counted (RFC 9110 section 5.5).
pub fn push_checked(fields: &mut Fields, known: Name, name: &[u8], value: &[u8]) -> bool {
    let is_safe = is_safe_value(value);
    if is_safe {
        fields.push(known, name, value.trim_ascii());
    } else {
        metrics::note_unsafe_value();
    }
    is_safe
}

impl PartialEq for FieldName {
    fn eq(&self, other: &FieldName) -> bool {
        self.lower == other.lower
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}
