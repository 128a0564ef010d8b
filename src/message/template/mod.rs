//! Text with variables that each request fills in: `https://{host}{path}`. Braces of the text itself are doubled; but
//! in a page, which has many of its own, it is the variables that have two: `{{status}}`.
//! What a variable has not got is empty. Nothing here makes a value safe for where it goes: a field checks it, a
//! location and a page escape it.

mod variable;

use std::fmt;

use variable::Group;
pub use variable::{Moment, Variable};

use super::Values;

/// A text cut into pieces; made when the configuration is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    written: Box<str>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Variable),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// This brace has no partner.
    LoneBrace(char),
    /// No variable has this name.
    Unknown(String),
    /// The variable is known only once there is an answer.
    NeedsAnswer(String),
    /// No header can have this name.
    BadFieldName(String),
}

impl Template {
    /// Reads a text whose variables are wanted at `moment`.
    pub fn compile(text: &str, moment: Moment) -> Result<Template, TemplateError> {
        if moment == Moment::Page {
            return Template::compile_page(text);
        }
        Template::read(text, moment, &['{', '}'])
    }

    /// The same for a text that stands for what a regex matched: `$1` and `${name}` are what its groups caught,
    /// `$$` is a dollar.
    pub fn compile_with_groups(text: &str, moment: Moment) -> Result<Template, TemplateError> {
        Template::read(text, moment, &['{', '}', '$'])
    }

    fn read(text: &str, moment: Moment, marks: &[char]) -> Result<Template, TemplateError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(marks) {
            push_text(&mut pieces, &rest[..at]);
            rest = &rest[at..];
            if let Some(pair) = ["{{", "}}", "$$"].iter().find(|pair| rest.starts_with(**pair)) {
                push_text(&mut pieces, &pair[1..]);
                rest = &rest[2..];
                continue;
            }
            if let Some(after) = rest.strip_prefix('$') {
                let (piece, after) = group(after);
                match piece {
                    Some(variable) => pieces.push(Piece::Variable(variable)),
                    None => push_text(&mut pieces, "$"),
                }
                rest = after;
                continue;
            }
            let inside = rest.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let Some((name, after)) = inside.filter(|(name, _)| !name.contains('{')) else {
                return Err(TemplateError::LoneBrace(if rest.starts_with('{') { '{' } else { '}' }));
            };
            pieces.push(Piece::Variable(Variable::parse(name, moment)?));
            rest = after;
        }
        push_text(&mut pieces, rest);
        Ok(Template { written: text.into(), pieces })
    }

    /// A single brace is text, and so are two that close nothing: style sheets and JSON stay as they are.
    fn compile_page(text: &str) -> Result<Template, TemplateError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            // Of three the first one is text: `{{{status}}}` is a number in braces.
            let at = at + rest[at..].bytes().take_while(|byte| *byte == b'{').count() - 2;
            push_text(&mut pieces, &rest[..at]);
            let inside = rest[at + 2..].split_once("}}").filter(|(name, _)| !name.contains(['{', '\n']));
            let Some((name, after)) = inside else { return Err(TemplateError::LoneBrace('{')) };
            pieces.push(Piece::Variable(Variable::parse(name.trim(), Moment::Page)?));
            rest = after;
        }
        push_text(&mut pieces, rest);
        Ok(Template { written: text.into(), pieces })
    }

    /// Appends the text to `out`.
    pub fn write(&self, values: &Values<'_, '_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Variable(variable) => variable.write(values, out),
            }
        }
    }

    /// The same; `escape` appends what a variable has in a form that is safe where the text goes.
    pub fn write_escaped(
        &self,
        values: &Values<'_, '_>,
        out: &mut Vec<u8>,
        escape: impl Fn(&Variable, &[u8], &mut Vec<u8>),
    ) {
        let mut value = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Variable(variable) => {
                    value.clear();
                    variable.write(values, &mut value);
                    escape(variable, &value, out);
                }
            }
        }
    }

    /// The text with a word in the place of each variable: an example.
    pub fn with_each(&self, word: &str) -> String {
        let text = |piece: &'_ Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(_) => word.to_owned(),
        };
        self.pieces.iter().map(text).collect()
    }

    /// The whole text, when it has no variable.
    pub fn as_text(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The variables in it, in order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            Piece::Text(_) => None,
        })
    }
}

/// Which group stands behind a dollar, as the regex crate reads it: a name is as long as it can be. `None` for a
/// dollar that is one.
fn group(after: &str) -> (Option<Variable>, &str) {
    let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
    let (name, rest) = match braced {
        Some(braced) => braced,
        None => {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()))
        }
    };
    match (name, name.parse()) {
        ("", _) => (None, after),
        (_, Ok(number)) => (Some(Variable::Group(Group::Number(number))), rest),
        (name, Err(_)) => (Some(Variable::Group(Group::Name(name.to_owned()))), rest),
    }
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Neighbouring texts become one.
fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
