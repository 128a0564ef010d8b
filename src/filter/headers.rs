//! Changes to the fields of a request on its way to the target, and of the answer on its way back. First fields
//! are removed, then values rewritten, then fields set, then those that are missing, then added.

use http1::Fields;
use regex::bytes::Regex;

use super::when::When;
use crate::message::{Exchange, FieldName, Request, Response, Template, Values};

/// Changes that are made when a condition holds.
#[derive(Debug, Clone, Default)]
pub struct HeaderEdits {
    /// Always without one.
    pub when: Option<Box<When>>,
    pub remove: Vec<NamePattern>,
    pub rewrite: Vec<ValueRewrite>,
    /// In place of what is there. An empty value leaves the field out.
    pub set: Vec<(FieldName, Template)>,
    /// When there is none.
    pub default: Vec<(FieldName, Template)>,
    /// Beside what is there.
    pub add: Vec<(FieldName, Template)>,
}

/// Which fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    Name(FieldName),
    /// `X-Internal-*`; lower case, without the star.
    Prefix(String),
}

/// What the regex matches in a value is replaced, wherever it does.
#[derive(Debug, Clone)]
pub struct ValueRewrite {
    pub name: FieldName,
    pub regex: Regex,
    /// With `$1` and `${name}` for what groups caught.
    pub to: String,
}

/// Changes a request.
pub fn edit_request(edits: &[HeaderEdits], exchange: Exchange<'_>, request: &mut Request<'_>) {
    for edits in edits {
        if edits.hold_for(exchange, request) {
            let values = edits.fill(&Values::of_request(exchange, request));
            edits.apply(&values, &mut request.head.fields, Side::Request);
        }
    }
}

/// Which of up to [`MOST_TOGETHER`] changes the request allows, a bit for each: an answer is changed by what the client
/// asked, whatever became of the request on its way.
#[derive(Debug, Clone, Copy)]
pub struct Allowed(u64);

/// Changes that are looked at together.
pub const MOST_TOGETHER: usize = u64::BITS as usize;

impl Allowed {
    pub fn by(edits: &[HeaderEdits], exchange: Exchange<'_>, request: &Request<'_>) -> Allowed {
        let bits = edits.iter().rev();
        Allowed(bits.fold(0, |bits, edits| bits << 1 | u64::from(edits.hold_for(exchange, request))))
    }

    fn each(self) -> impl Iterator<Item = bool> {
        (0..MOST_TOGETHER).map(move |index| self.0 >> index & 1 == 1)
    }
}

/// Changes an answer.
pub fn edit_answer(
    edits: &[HeaderEdits],
    allowed: Allowed,
    exchange: Exchange<'_>,
    request: &Request<'_>,
    response: &mut Response<'_>,
) {
    for (edits, allowed) in edits.iter().zip(allowed.each()) {
        if allowed && edits.when.as_ref().is_none_or(|when| when.holds_for_answer(&response.head)) {
            let values = edits.fill(&Values::of_answer(exchange, request, response));
            edits.apply(&values, &mut response.head.fields, Side::Answer);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Answer,
}

/// What the templates are for one message, one behind the other.
struct Filled {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl HeaderEdits {
    fn hold_for(&self, exchange: Exchange<'_>, request: &Request<'_>) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds_for_request(exchange.client, request))
    }

    /// Before anything is changed: every template sees the message as it came.
    fn fill(&self, values: &Values<'_, '_>) -> Filled {
        let mut filled = Filled { text: Vec::new(), ends: Vec::new() };
        for (_, template) in self.set.iter().chain(&self.default).chain(&self.add) {
            template.write(values, &mut filled.text);
            filled.ends.push(filled.text.len());
        }
        filled
    }

    fn apply(&self, filled: &Filled, fields: &mut Fields, side: Side) {
        for pattern in &self.remove {
            pattern.remove(fields, side);
        }
        for rewrite in &self.rewrite {
            rewrite.apply(fields);
        }
        let mut values = filled.values();
        for ((name, _), value) in self.set.iter().zip(&mut values) {
            name.remove(fields);
            if value.is_empty() {
                leave_out(name, fields, side);
            } else {
                name.push(fields, value);
            }
        }
        for ((name, _), value) in self.default.iter().zip(&mut values) {
            if !value.is_empty() && !name.is_in(fields) {
                name.push(fields, value);
            }
        }
        for ((name, _), value) in self.add.iter().zip(&mut values) {
            if !value.is_empty() {
                name.push(fields, value);
            }
        }
    }
}

impl Filled {
    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let value = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            value
        })
    }
}

/// What an origin gets from the proxy itself, unless a route says otherwise.
const WRITTEN_ANEW: [&str; 6] =
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "X-Request-ID", "Forwarded"];

/// An origin would get some fields from the proxy itself: not these.
fn leave_out(name: &FieldName, fields: &mut Fields, side: Side) {
    let is_written_anew = WRITTEN_ANEW.iter().any(|known| known.eq_ignore_ascii_case(name.lower()));
    if side == Side::Request && is_written_anew {
        name.push(fields, b"");
    }
}

impl NamePattern {
    fn remove(&self, fields: &mut Fields, side: Side) {
        match self {
            NamePattern::Name(name) => {
                name.remove(fields);
                leave_out(name, fields, side);
            }
            NamePattern::Prefix(prefix) => {
                let begins = |name: &[u8]| {
                    name.get(..prefix.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
                };
                fields.retain(|field| !begins(field.name));
                let ours = WRITTEN_ANEW.iter().filter(|name| begins(name.as_bytes()));
                ours.filter_map(|name| FieldName::new(name)).for_each(|name| leave_out(&name, fields, side));
            }
        }
    }
}

impl ValueRewrite {
    fn apply(&self, fields: &mut Fields) {
        let changed = |value: &[u8]| self.regex.is_match(value);
        if !self.name.values(fields).any(changed) {
            return;
        }
        let values: Vec<Vec<u8>> = self
            .name
            .values(fields)
            .map(|value| self.regex.replace_all(value, self.to.as_bytes()).into_owned())
            .collect();
        self.name.remove(fields);
        for value in values {
            self.name.push(fields, &value);
        }
    }
}

#[cfg(test)]
mod tests;
