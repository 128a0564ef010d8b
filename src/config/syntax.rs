//! Mistakes against TOML itself, told in our words where the parser's are for parser writers.

use std::sync::Arc;

use toml::de::Error;

use super::diagnostic::{Diagnostic, Place, Problems, Source};

/// Reports the parser's errors; tells whether the tree is worth reading on. A key that is there twice does
/// not spoil the rest of the tree, everything else may.
pub fn report(source: &Arc<Source>, errors: &[Error], problems: &Problems) -> bool {
    let mut usable = true;
    let mut last_line = usize::MAX;
    for error in errors {
        let place = Place::new(source, error.span().unwrap_or(0..0));
        if error.message() == "duplicate key" {
            problems.add(duplicate(&place));
            continue;
        }
        usable = false;
        // One wrong character often upsets the parser several times on its line.
        let line = place.line_column().0;
        if line != last_line {
            problems.add(told(error.message(), &place));
        }
        last_line = line;
    }
    usable
}

fn told(message: &str, place: &Place) -> Diagnostic {
    let (_, line) = place.source.line_at(place.range.start);
    let line = place.source.text[line].trim();
    let word = place.text().trim();
    if message.starts_with("string values must be quoted") {
        return Diagnostic::error(place, format!("the value `{word}` needs quotes"))
            .hint(format!("write \"{}\"", word.trim_end_matches(';')));
    }
    let diagnostic = Diagnostic::error(place, format!("this is not TOML: {message}"));
    if line.ends_with('{') && !line.contains('=') {
        return diagnostic.hint(block_hint(line));
    }
    if line.ends_with(';') {
        return diagnostic.hint("lines end without `;`: write `key = value`");
    }
    if message.starts_with("key with no value") {
        return diagnostic.hint("write `key = value`, or `[section]` for the start of a section");
    }
    if message.contains("recursion") {
        return Diagnostic::error(place, "values are nested too deeply");
    }
    diagnostic
}

/// Who writes `server {` has read another proxy's manual.
fn block_hint(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    let section = match word {
        "server" => "[listeners.NAME]` and `[routes.NAME]",
        "upstream" | "backend" => "[upstreams.NAME]",
        "location" => "[routes.NAME]",
        "frontend" => "[listeners.NAME]",
        _ => "[section.NAME]",
    };
    format!("there are no blocks with braces: a section begins with a line `{section}`")
}

fn duplicate(place: &Place) -> Diagnostic {
    let key = place.text();
    let diagnostic = Diagnostic::error(place, format!("`{key}` is defined twice"));
    match first_definition(place) {
        Some(first) => diagnostic.also(&first, "first defined here"),
        None => diagnostic,
    }
}

/// The parser does not tell where the first one is; it is found again in the lines above.
fn first_definition(place: &Place) -> Option<Place> {
    let text = &place.source.text;
    let (_, own) = place.source.line_at(place.range.start);
    let line = &text[own.clone()];
    let header = header_path(line);
    let mut offset = 0;
    let mut found = None;
    for candidate in text[..own.start].split_inclusive('\n') {
        let here = match (&header, header_path(candidate)) {
            (Some(wanted), Some(path)) if *wanted == path => candidate.find('[').map(|at| at + 1),
            // A new section begins: the first key must be below it.
            (None, Some(_)) => {
                found = None;
                None
            }
            (None, None) => key_in(candidate, place.text()),
            _ => None,
        };
        if let Some(at) = here {
            let length = header.as_ref().map_or(place.text().len(), |_| header_length(candidate, at));
            found = found.or(Some(offset + at..offset + at + length));
        }
        offset += candidate.len();
    }
    let found = found.or_else(|| {
        // Both in one line, as in an inline table.
        let before = &line[..place.range.start.saturating_sub(own.start).min(line.len())];
        let at = key_in_inline_table(before, place.text())?;
        Some(own.start + at..own.start + at + place.text().len())
    })?;
    Some(Place::new(&place.source, found))
}

/// `[ routes . "api" ]` as `routes.api`.
fn header_path(line: &str) -> Option<String> {
    let inside = line.trim_start().strip_prefix('[')?;
    let inside = inside.split(']').next()?;
    Some(inside.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '[')).collect())
}

fn header_length(line: &str, start: usize) -> usize {
    line[start..].find(']').unwrap_or(0)
}

fn key_in(line: &str, key: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let rest = line[start..].strip_prefix(key)?;
    rest.trim_start().starts_with('=').then_some(start)
}

fn key_in_inline_table(before: &str, key: &str) -> Option<usize> {
    before
        .match_indices(key)
        .find(|(at, _)| {
            let lead = before[..*at].trim_end();
            let rest = before[at + key.len()..].trim_start();
            (lead.ends_with('{') || lead.ends_with(',')) && rest.starts_with('=')
        })
        .map(|(at, _)| at)
}
