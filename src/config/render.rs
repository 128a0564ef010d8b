//! Diagnostics as a person reads them (the form rustc made familiar) and as a program reads them.

use std::fmt::{self, Write};

use super::diagnostic::{Diagnostic, Place, Report, Severity};
use super::json::Json;

/// More than this many are not shown one by one: the first ones usually explain the rest.
const SHOWN: usize = 100;
/// A longer line is cut around the place.
const WIDTH: usize = 120;

impl Report {
    /// Text for a terminal (`colour`) or for anything else.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for diagnostic in self.diagnostics.iter().take(SHOWN) {
            out.push_str(&diagnostic.render(colour));
            out.push('\n');
        }
        let errors = self.count(Severity::Error);
        let warnings = self.count(Severity::Warning);
        let more = self.diagnostics.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(out, "... and {more} more\n");
        }
        let counts = match (errors, warnings) {
            (0, w) => counted(w, "warning"),
            (e, 0) => counted(e, "error"),
            (e, w) => format!("{}, {}", counted(e, "error"), counted(w, "warning")),
        };
        out.push_str(&counts);
        out.push('\n');
        out
    }

    /// One JSON object per line and diagnostic.
    pub fn to_json_lines(&self) -> String {
        self.diagnostics.iter().map(|d| format!("{}\n", d.to_json())).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Diagnostic {
    pub fn render(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let main = match self.severity {
            Severity::Error => paint.red(),
            Severity::Warning => paint.yellow(),
        };
        let mut out = String::new();
        let name = self.severity.name();
        let _ = writeln!(out, "{main}{name}{}{}: {}{}", paint.off(), paint.bold(), self.message, paint.off());
        let gutter = self.places().map(|p| p.line_column().0.to_string().len()).max().unwrap_or(1);
        let sheet = Sheet { paint, gutter };
        if let Some(place) = &self.place {
            sheet.snippet(&mut out, "-->", place, ('^', main), "");
        }
        for (place, note) in &self.also {
            let arrow = if self.same_file(place) { "-->" } else { ":::" };
            sheet.snippet(&mut out, arrow, place, ('-', paint.blue()), note);
        }
        if let Some(hint) = &self.hint {
            sheet.hint(&mut out, hint, self.place.is_some());
        }
        out
    }

    pub fn to_json(&self) -> Json {
        let mut object = vec![
            ("severity".to_string(), Json::from(self.severity.name())),
            ("message".to_string(), Json::from(self.message.as_str())),
        ];
        if let Some(place) = &self.place {
            object.extend(place_json(place));
        }
        if !self.also.is_empty() {
            let also = self.also.iter().map(|(place, note)| {
                let mut other = vec![("message".to_string(), Json::from(note.as_str()))];
                other.extend(place_json(place));
                Json::Object(other)
            });
            object.push(("also".to_string(), Json::Array(also.collect())));
        }
        if let Some(hint) = &self.hint {
            object.push(("hint".to_string(), Json::from(hint.as_str())));
        }
        Json::Object(object)
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.place.iter().chain(self.also.iter().map(|(place, _)| place))
    }

    fn same_file(&self, other: &Place) -> bool {
        self.place.as_ref().is_some_and(|place| place.source.order == other.source.order)
    }
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

fn place_json(place: &Place) -> [(String, Json); 5] {
    let (line, column) = place.line_column();
    let end = Place::new(&place.source, place.range.end..place.range.end);
    let (end_line, end_column) = end.line_column();
    [
        ("file".to_string(), Json::from(place.source.name.as_str())),
        ("line".to_string(), Json::from(line)),
        ("column".to_string(), Json::from(column)),
        ("end_line".to_string(), Json::from(end_line)),
        ("end_column".to_string(), Json::from(end_column)),
    ]
}

pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Where the columns of one diagnostic are.
struct Sheet {
    paint: Paint,
    gutter: usize,
}

impl Sheet {
    fn snippet(&self, out: &mut String, arrow: &str, place: &Place, mark: (char, &str), note: &str) {
        let (blue, off, gutter) = (self.paint.blue(), self.paint.off(), self.gutter);
        let (line, column) = place.line_column();
        let (text, before, marked) = excerpt(place);
        let file = printable(&place.source.name);
        let _ = writeln!(out, "{:gutter$}{blue}{arrow}{off} {file}:{line}:{column}", "");
        let _ = writeln!(out, "{:gutter$} {blue}|{off}", "");
        let _ = writeln!(out, "{blue}{line:>gutter$} |{off} {text}");
        let (mark, colour) = mark;
        let marks = mark.to_string().repeat(marked);
        let note = if note.is_empty() { String::new() } else { format!(" {note}") };
        let _ = writeln!(out, "{:gutter$} {blue}|{off} {:before$}{colour}{marks}{note}{off}", "", "");
    }

    fn hint(&self, out: &mut String, hint: &str, below_snippet: bool) {
        let (blue, bold, off, gutter) = (self.paint.blue(), self.paint.bold(), self.paint.off(), self.gutter);
        if below_snippet {
            let _ = writeln!(out, "{:gutter$} {blue}|{off}", "");
        }
        let mut lines = hint.lines();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(out, "{:gutter$} {blue}={off} {bold}help{off}: {first}", "");
        for line in lines {
            let _ = writeln!(out, "{:gutter$}         {line}", "");
        }
    }
}

/// The first line of the place, how many columns lie before it, and how many it covers.
fn excerpt(place: &Place) -> (String, usize, usize) {
    let text = &place.source.text;
    let (_, line) = place.source.line_at(place.range.start);
    let start = place.range.start.clamp(line.start, line.end);
    let end = place.range.end.clamp(start, line.end);
    let before = printable(&text[line.start..start]);
    let marked = printable(&text[start..end]);
    let after = printable(&text[end..line.end]);
    let columns = before.chars().count();
    let width = marked.chars().count().clamp(1, WIDTH);
    let cut = columns.saturating_sub(WIDTH / 2);
    if cut == 0 && columns + width + after.chars().count() <= WIDTH {
        return (before + &marked + &after, columns, width);
    }
    let (lead, cut) = if cut > 3 { ("...", cut) } else { ("", 0) };
    let shown: String =
        before.chars().chain(marked.chars()).chain(after.chars()).skip(cut).take(WIDTH).collect();
    let tail =
        if columns - cut + marked.chars().count() + after.chars().count() > WIDTH { "..." } else { "" };
    (format!("{lead}{shown}{tail}"), lead.len() + columns - cut, width.min(WIDTH - (columns - cut)))
}

/// Tabs as spaces; control characters cannot reach the terminal.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn red(self) -> &'static str {
        self.code("\x1b[1;31m")
    }
    fn yellow(self) -> &'static str {
        self.code("\x1b[1;33m")
    }
    fn blue(self) -> &'static str {
        self.code("\x1b[1;34m")
    }
    fn bold(self) -> &'static str {
        self.code("\x1b[1m")
    }
    fn off(self) -> &'static str {
        self.code("\x1b[0m")
    }
    fn code(self, code: &'static str) -> &'static str {
        if self.colour { code } else { "" }
    }
}
