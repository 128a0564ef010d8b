//! Tables in Markdown, and numbers as they stand in them.

use std::fmt::Write as _;

/// A Markdown table in the making; numbers go to the right.
pub struct Table {
    text: String,
}

impl Table {
    pub fn new(titles: &[&str]) -> Table {
        let mut table = Table { text: String::new() };
        table.line(titles);
        table.line(
            &titles
                .iter()
                .enumerate()
                .map(|(at, _)| if at == 0 { "---" } else { "---:" })
                .collect::<Vec<_>>(),
        );
        table
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn line(&mut self, cells: &[impl AsRef<str>]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

/// With commas between thousands and so many digits after the point.
pub fn number(value: Option<f64>, digits: usize) -> String {
    let Some(value) = value else { return NOT_MEASURED.to_string() };
    let text = format!("{:.digits$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{grouped}{fraction}")
}

/// What stands where no number could be had.
pub const NOT_MEASURED: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_thousands() {
        assert_eq!(number(Some(1234567.0), 0), "1,234,567");
        assert_eq!(number(Some(123.456), 2), "123.46");
        assert_eq!(number(Some(-1000.0), 0), "-1,000");
        assert_eq!(number(None, 0), "-");
    }
}
