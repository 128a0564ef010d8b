//! Typed reading of one table. A value of the wrong kind reads as absent: the check of shapes reported it.

use std::time::Duration;

use super::diagnostic::{Diagnostic, Place, Problems};
use super::keys::{self, Key};
use super::suggest;
use super::tree::{Entry, Node, Table, Value};
use super::values::{self, Parsed, Wrong};

pub struct Fields<'a> {
    table: &'a Table,
    keys: &'static [Key],
    /// Where in the configuration: "upstreams.NAME.pool".
    path: String,
    /// Of the table: its header or its braces.
    pub place: &'a Place,
    pub problems: &'a Problems,
}

/// A string and where it is.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub value: &'a str,
    pub place: &'a Place,
}

/// Whether "0s" makes sense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// Means "never" or "none".
    Allowed,
    /// Nothing could ever happen in time.
    Refused,
}

impl<'a> Fields<'a> {
    pub fn new(
        path: impl Into<String>,
        keys: &'static [Key],
        table: &'a Table,
        place: &'a Place,
        problems: &'a Problems,
    ) -> Fields<'a> {
        Fields { table, keys, path: path.into(), place, problems }
    }

    pub fn entry(&self, name: &str) -> Option<&'a Entry> {
        debug_assert!(self.keys.iter().any(|key| key.name == name), "{}.{name} is not in keys.rs", self.path);
        #[cfg(test)]
        tests::note_read(&self.path, name);
        self.table.get(name)
    }

    /// The place of the key, if it is there, whatever its value.
    pub fn key(&self, name: &str) -> Option<&'a Place> {
        self.entry(name).map(|entry| &entry.place)
    }

    pub fn text(&self, name: &str) -> Option<Text<'a>> {
        self.entry(name).and_then(|entry| text_of(&entry.node))
    }

    /// The strings of a list.
    pub fn texts(&self, name: &str) -> Vec<Text<'a>> {
        self.nodes(name).iter().filter_map(text_of).collect()
    }

    pub fn nodes(&self, name: &str) -> &'a [Node] {
        match self.entry(name).map(|entry| &entry.node.value) {
            Some(Value::Array(items)) => items,
            _ => &[],
        }
    }

    /// The entries of a table with names of the user's choice.
    pub fn entries(&self, name: &str) -> &'a [Entry] {
        match self.entry(name).map(|entry| &entry.node.value) {
            Some(Value::Table(table)) => &table.entries,
            _ => &[],
        }
    }

    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.entry(name)?.node.as_boolean()
    }

    /// In the range of the key, which fits `T`.
    pub fn integer<T: TryFrom<i128>>(&self, name: &str) -> Option<T> {
        let number = self.entry(name)?.node.as_integer()?;
        T::try_from(number).ok()
    }

    pub fn duration(&self, name: &str, zero: Zero) -> Option<Duration> {
        let text = self.text(name)?;
        let duration = self.parsed(text, values::duration)?;
        if duration.is_zero() && zero == Zero::Refused {
            let message = format!("`{name}` cannot be zero");
            self.problems.add(Diagnostic::error(text.place, message).hint("nothing would be in time"));
            return None;
        }
        Some(duration)
    }

    pub fn size(&self, name: &str) -> Option<u64> {
        self.amount(name, values::size)
    }

    pub fn rate(&self, name: &str) -> Option<u64> {
        self.amount(name, values::rate)
    }

    pub fn table(&self, name: &str) -> Option<Fields<'a>> {
        let entry = self.entry(name)?;
        self.table_in(name, &entry.node)
    }

    /// The table `node`, which is the value of the key `name` or stands in it.
    pub fn table_in(&self, name: &str, node: &'a Node) -> Option<Fields<'a>> {
        let Value::Table(table) = &node.value else { return None };
        let key = self.keys.iter().find(|key| key.name == name)?;
        let path = format!("{}.{name}", self.path);
        Some(Fields::new(path, key.kind.table_keys()?, table, &node.place, self.problems))
    }

    /// A value that `parse` understands; else its error is reported here.
    pub fn parsed<T>(&self, text: Text<'_>, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        parse(text.value)
            .map_err(|Wrong { message, hint }| {
                self.problems.add(Diagnostic::error(text.place, message).maybe_hint(hint));
            })
            .ok()
    }

    /// None of `names` is there; `what` is how a message calls them. Says nothing when an unknown key is
    /// there whose hint leads to them: one mistake, one message.
    pub fn missing(&self, names: &[&str], what: &str, hint: &str) {
        let context = suggest::context(&self.path);
        let leads_here = |entry: &Entry| {
            let unknown = !self.keys.iter().any(|key| key.name == entry.key);
            let hint = suggest::hint(context, self.keys, &entry.key);
            unknown && !hint.starts_with("known") && names.iter().any(|name| hint.contains(name))
        };
        if self.table.entries.iter().any(leads_here) {
            return;
        }
        let noun = keys::section(context).and_then(|section| section.noun);
        let message = match noun {
            Some(noun) => format!("the {noun} `{}` has no {what}", self.place.text()),
            None => format!("{what} is missing"),
        };
        self.problems.add(Diagnostic::error(self.place, message).hint(hint));
    }

    fn amount(&self, name: &str, parse: impl FnOnce(&str) -> Parsed<u64>) -> Option<u64> {
        let node = &self.entry(name)?.node;
        match &node.value {
            Value::Integer(number) => {
                u64::try_from(*number).ok().filter(|n| *n <= i64::MAX as u64).or_else(|| {
                    let message = format!("`{name}` cannot be {}", node.place.text());
                    self.problems.add(Diagnostic::error(&node.place, message));
                    None
                })
            }
            Value::Text(text) => self.parsed(Text { value: text, place: &node.place }, parse),
            _ => None,
        }
    }
}

fn text_of(node: &Node) -> Option<Text<'_>> {
    node.as_text().map(|value| Text { value, place: &node.place })
}

#[cfg(test)]
pub mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::super::keys::{Key, SECTIONS};

    thread_local! {
        static READ: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub fn note_read(path: &str, name: &str) {
        READ.with_borrow_mut(|read| read.insert(format!("{path}.{name}")));
    }

    fn add_paths(path: &str, keys: &[Key], paths: &mut BTreeSet<String>) {
        for key in keys {
            let path = format!("{path}.{}", key.name);
            if let Some(keys) = key.kind.table_keys() {
                add_paths(&path, keys, paths);
            }
            paths.insert(path);
        }
    }

    /// Nothing is accepted and then ignored.
    #[test]
    fn every_key_is_read() {
        let dir = crate::config::files_of_every_key();
        let name = dir.join("every_key.toml").display().to_string();
        let text = include_str!("every_key.toml");
        crate::config::parse(&name, text).unwrap_or_else(|report| panic!("{report}"));
        // Only one of `strip_prefix` and `rewrite` can be in one place.
        let text = text.replace("strip_prefix = \"/defaults\"", "rewrite = { regex = \"^a\", to = \"/b\" }");
        crate::config::parse(&name, &text).unwrap_or_else(|report| panic!("{report}"));
        let mut all = BTreeSet::new();
        for section in SECTIONS {
            let path = if section.noun.is_some() {
                format!("{}.NAME", section.name)
            } else {
                section.name.to_string()
            };
            add_paths(&path, section.keys, &mut all);
        }
        let read = READ.take();
        assert_eq!(all.difference(&read).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
