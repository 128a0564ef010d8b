//! The TOML text as a tree of values that know their place, with the environment filled in.
//!
//! The `toml` crate parses; its tree is copied into ours so that files can be merged.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Place, Problems, Source};
use super::environment::{Environment, expand};
use super::syntax;

/// A value and where it is.
#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    pub place: Place,
}

#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    /// Larger than 64 bit only when the text was; every use checks a range.
    Integer(i128),
    Float,
    Boolean(bool),
    Date,
    Array(Vec<Node>),
    Table(Table),
    /// A string whose `${NAME}` could not be filled in; that was reported.
    Unknown,
}

/// Entries in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    /// Of the key.
    pub place: Place,
    pub node: Node,
}

impl Table {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Node {
    /// A string is a number only when a `${NAME}` in it made it one: TOML has no other way to write that.
    pub fn as_integer(&self) -> Option<i128> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            Value::Text(text) if self.is_from_environment() => text.parse().ok(),
            _ => None,
        }
    }

    pub fn as_boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Boolean(value) => Some(*value),
            Value::Text(text) if self.is_from_environment() => text.parse().ok(),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_from_environment(&self) -> bool {
        self.place.text().contains("${")
    }
}

impl Value {
    /// With its article, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) | Value::Unknown => "a string",
            Value::Integer(_) => "a number",
            Value::Float => "a decimal number",
            Value::Boolean(_) => "a boolean",
            Value::Date => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// `None` when the text is not TOML; what is wrong with it was reported then.
pub fn parse(source: &Arc<Source>, environment: Environment<'_>, problems: &Problems) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let usable = syntax::report(source, &errors, problems);
    let copy = Copy { source, environment, problems };
    usable.then(|| copy.table(document.get_ref()))
}

struct Copy<'a> {
    source: &'a Arc<Source>,
    environment: Environment<'a>,
    problems: &'a Problems,
}

impl Copy<'_> {
    fn table(&self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                place: Place::new(self.source, key.span()),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.place.range.start);
        Table { entries }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = Place::new(self.source, value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => self.text(text, &place),
            DeValue::Integer(number) => integer(number.as_str(), number.radix()),
            DeValue::Float(_) => Value::Float,
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(items) => Value::Array(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { value, place }
    }

    fn text(&self, text: &str, place: &Place) -> Value {
        match expand(text, self.environment) {
            Ok(text) => Value::Text(text),
            Err(wrong) => {
                let place = place.part(&wrong.part);
                self.problems.add(Diagnostic::error(&place, wrong.message).hint(wrong.hint));
                Value::Unknown
            }
        }
    }
}

/// Saturates: a number beyond 128 bit is beyond every limit as well.
fn integer(digits: &str, radix: u32) -> Value {
    let digits = digits.replace('_', "");
    let saturated = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    Value::Integer(i128::from_str_radix(&digits, radix).unwrap_or(saturated))
}
