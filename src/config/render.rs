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
        let mut marks: Vec<Mark<'_>> =
            self.place.iter().map(|place| Mark { place, sign: '^', colour: main, note: "" }).collect();
        marks.extend(self.also.iter().map(|(place, note)| Mark {
            place,
            sign: '-',
            colour: paint.blue(),
            note,
        }));
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            marks.into_iter().partition(|mark| self.same_file(mark.place));
        sheet.file(&mut out, "-->", &here);
        for mark in elsewhere {
            sheet.file(&mut out, ":::", &[mark]);
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

/// One place to show: what it is underlined with, and what is said there.
struct Mark<'a> {
    place: &'a Place,
    sign: char,
    colour: &'a str,
    note: &'a str,
}

/// Where the columns of one diagnostic are.
struct Sheet {
    paint: Paint,
    gutter: usize,
}

impl Sheet {
    /// Lines of one file, in their order; the first mark names the place.
    fn file(&self, out: &mut String, arrow: &str, marks: &[Mark<'_>]) {
        let Some(first) = marks.first() else { return };
        let (blue, off, gutter) = (self.paint.blue(), self.paint.off(), self.gutter);
        let (line, column) = first.place.line_column();
        let file = printable(&first.place.source.name);
        let _ = writeln!(out, "{:gutter$}{blue}{arrow}{off} {file}:{line}:{column}", "");
        let _ = writeln!(out, "{:gutter$} {blue}|{off}", "");
        let mut sorted: Vec<&Mark<'_>> = marks.iter().collect();
        sorted.sort_by_key(|mark| mark.place.range.start);
        let mut last_line = None;
        for mark in sorted {
            let line = mark.place.line_column().0;
            if last_line.is_some_and(|last| line > last + 1) {
                let _ = writeln!(out, "{blue}...{off}");
            }
            self.line(out, mark, last_line != Some(line));
            last_line = Some(line);
        }
    }

    fn line(&self, out: &mut String, mark: &Mark<'_>, with_text: bool) {
        let (blue, off, gutter) = (self.paint.blue(), self.paint.off(), self.gutter);
        let excerpt = excerpt(mark.place);
        if with_text || excerpt.is_cut {
            let line = mark.place.line_column().0;
            let _ = writeln!(out, "{blue}{line:>gutter$} |{off} {}", excerpt.text);
        }
        let signs = mark.sign.to_string().repeat(excerpt.marked);
        let note = if mark.note.is_empty() { String::new() } else { format!(" {}", mark.note) };
        let (colour, before) = (mark.colour, excerpt.before);
        let _ = writeln!(out, "{:gutter$} {blue}|{off} {:before$}{colour}{signs}{note}{off}", "", "");
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

/// The first line of a place.
struct Excerpt {
    text: String,
    /// Columns before the marked part.
    before: usize,
    marked: usize,
    is_cut: bool,
}

fn excerpt(place: &Place) -> Excerpt {
    let text = &place.source.text;
    let (_, line) = place.source.line_at(place.range.start);
    let start = place.range.start.clamp(line.start, line.end);
    let end = place.range.end.clamp(start, line.end);
    let before = printable(&text[line.start..start]);
    let marked = printable(&text[start..end]);
    let whole = format!("{before}{marked}{}", printable(&text[end..line.end]));
    let (columns, total) = (before.chars().count(), whole.chars().count());
    let width = marked.chars().count().clamp(1, WIDTH);
    if total <= WIDTH {
        return Excerpt { text: whole, before: columns, marked: width, is_cut: false };
    }
    let cut = columns.saturating_sub(WIDTH / 2);
    let lead = if cut > 0 { "..." } else { "" };
    let shown: String = whole.chars().skip(cut).take(WIDTH).collect();
    let tail = if total - cut > WIDTH { "..." } else { "" };
    let before = lead.len() + columns - cut;
    Excerpt {
        text: format!("{lead}{shown}{tail}"),
        before,
        marked: width.min(WIDTH + lead.len() - before),
        is_cut: true,
    }
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
