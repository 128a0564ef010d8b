//! What is wrong with a configuration, where, and what would be right. Rendering is in `render.rs`.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One mistake or doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    /// Where it is; `None` when it concerns a whole file or the whole configuration.
    pub place: Option<Place>,
    /// Other places that belong to it, each with what is there ("first defined here").
    pub also: Vec<(Place, String)>,
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Diagnostic {
    pub fn error(place: &Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::everywhere(Severity::Error, message).at(place)
    }

    pub fn warning(place: &Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::everywhere(Severity::Warning, message).at(place)
    }

    /// A mistake without a place in a text, such as a file that cannot be read.
    pub fn everywhere(severity: Severity, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity, message: message.into(), place: None, also: Vec::new(), hint: None }
    }

    pub fn also(mut self, place: &Place, note: impl Into<String>) -> Diagnostic {
        self.also.push((place.clone(), note.into()));
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    pub fn maybe_hint(mut self, hint: Option<String>) -> Diagnostic {
        self.hint = hint.or(self.hint);
        self
    }

    fn at(mut self, place: &Place) -> Diagnostic {
        self.place = Some(place.clone());
        self
    }
}

/// One text that was read; `order` is its turn among the files of a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
    pub order: usize,
    line_starts: Vec<usize>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>, order: usize) -> Arc<Source> {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        let line_starts = line_starts.collect();
        Arc::new(Source { name: name.into(), text, order, line_starts })
    }

    /// Line (from 0), and the range of that line in the text without its line end.
    pub(super) fn line_at(&self, offset: usize) -> (usize, Range<usize>) {
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let start = self.line_starts[line];
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        (line, start..end)
    }
}

/// A range of bytes in a source.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<Source>,
    pub range: Range<usize>,
}

impl Place {
    /// The range is moved to character borders inside the text, so that no place can be rendered wrongly.
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Place {
        let text = &source.text;
        let start = text.floor_char_boundary(range.start.min(text.len()));
        let end = text.ceil_char_boundary(range.end.clamp(start, text.len()));
        Place { source: source.clone(), range: start..end }
    }

    /// Line and column as editors count them: from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let (line, range) = self.source.line_at(self.range.start);
        let before = &self.source.text[range.start..self.range.start.max(range.start)];
        (line + 1, before.chars().count() + 1)
    }

    /// What the user wrote there.
    pub fn text(&self) -> &str {
        &self.source.text[self.range.clone()]
    }

    /// The first occurrence of `part` inside this place, or the place itself: points at the wrong word
    /// instead of at the whole string.
    pub fn part(&self, part: &str) -> Place {
        match self.text().find(part) {
            Some(at) if !part.is_empty() => {
                let start = self.range.start + at;
                Place { source: self.source.clone(), range: start..start + part.len() }
            }
            _ => self.clone(),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// Collects what is found on the way, so that one run reports everything.
#[derive(Debug, Default)]
pub struct Problems {
    found: RefCell<Vec<Diagnostic>>,
}

impl Problems {
    pub fn add(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|d| d.severity == Severity::Error)
    }

    pub fn into_report(self) -> Report {
        let mut diagnostics = self.found.into_inner();
        diagnostics.sort_by_key(|d| d.place.as_ref().map(|p| (p.source.order, p.range.start)));
        diagnostics.dedup();
        Report { diagnostics }
    }
}

/// All that was found in one go, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }
}

impl std::error::Error for Report {}
