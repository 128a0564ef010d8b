//! JSON to write: for `check --format json` and for the schema. Nothing here reads JSON.

use std::fmt::{self, Write};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Boolean(bool),
    Integer(i64),
    Text(String),
    Array(Vec<Json>),
    /// Kept in the given order.
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn object<const N: usize>(entries: [(&str, Json); N]) -> Json {
        Json::Object(entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
    }

    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Json {
        if let Json::Object(entries) = &mut self {
            entries.push((key.to_string(), value.into()));
        }
        self
    }

    /// Over many lines, for people; `Display` is one line.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out, Some(0));
        out.push('\n');
        out
    }

    fn write(&self, out: &mut dyn Write, indent: Option<usize>) -> fmt::Result {
        match self {
            Json::Boolean(value) => write!(out, "{value}"),
            Json::Integer(value) => write!(out, "{value}"),
            Json::Text(text) => write_text(out, text),
            Json::Array(items) => {
                write_items(out, indent, '[', ']', items, |out, item, indent| item.write(out, indent))
            }
            Json::Object(entries) => {
                write_items(out, indent, '{', '}', entries, |out, (key, value), indent| {
                    write_text(out, key)?;
                    out.write_str(if indent.is_some() { ": " } else { ":" })?;
                    value.write(out, indent)
                })
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_string())
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Json {
        Json::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Json {
        Json::Integer(value)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Boolean(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::Array(items)
    }
}

fn write_items<T>(
    out: &mut dyn Write,
    indent: Option<usize>,
    open: char,
    close: char,
    items: &[T],
    write_item: impl Fn(&mut dyn Write, &T, Option<usize>) -> fmt::Result,
) -> fmt::Result {
    out.write_char(open)?;
    let inner = indent.map(|depth| depth + 1);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        line(out, inner)?;
        write_item(out, item, inner)?;
    }
    if !items.is_empty() {
        line(out, indent)?;
    }
    out.write_char(close)
}

fn line(out: &mut dyn Write, indent: Option<usize>) -> fmt::Result {
    match indent {
        Some(depth) => write!(out, "\n{:1$}", "", depth * 2),
        None => Ok(()),
    }
}

fn write_text(out: &mut dyn Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\t' => out.write_str("\\t")?,
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32)?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}
