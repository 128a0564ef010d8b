//! JSON as a tree that loses nothing: numbers and strings stay as they were written, members stay in their order.
//! Our own, since what a general library makes of a number is not what was sent, and of two members with one name it
//! keeps one. Such a text is refused here: two readers could take different ones (RFC 8259 section 4).

mod parse;

use std::borrow::Cow;

pub use parse::{JsonError, parse};

use super::MediaRange;

/// Objects and arrays within each other; more is refused.
pub const DEEPEST: usize = 128;

/// A value; `'t` is the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'t> {
    /// A number, string, `true`, `false` or `null`, as written.
    Scalar(Cow<'t, str>),
    Array(Vec<Json<'t>>),
    Object(Vec<Member<'t>>),
}

/// One of an object: no two have the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'t> {
    /// Without escapes.
    pub name: Cow<'t, str>,
    pub value: Json<'t>,
}

impl Json<'_> {
    /// Appends the text, without white space.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Scalar(text) => out.extend_from_slice(text.as_bytes()),
            Json::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Json::Object(members) => {
                out.push(b'{');
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(&member.name, out);
                    out.push(b':');
                    member.value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Whether a `Content-Type` is `application/json` or built on it.
pub fn is_type(content_type: &[u8]) -> bool {
    let ranges = ["application/json", "application/*+json"].into_iter().filter_map(MediaRange::parse);
    ranges.into_iter().any(|range| range.covers(content_type))
}

/// Appends a string with its quotes (RFC 8259 section 7).
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            control if control < ' ' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
