//! Mistakes against TOML itself, told in our words where the parser's are for parser writers.

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::de::Error;

use super::diagnostic::{Diagnostic, Place, Problems, Source};
use super::keys;
use super::values::shown;

/// So many are told; a file with more is no configuration, and finding the first of two costs a walk.
const MOST: usize = 200;

/// Reports the parser's errors; tells whether the tree is worth reading on. A key that is there twice does
/// not spoil the rest of the tree, everything else may.
pub fn report(source: &Arc<Source>, errors: &[Error], problems: &Problems) -> bool {
    let mut usable = true;
    let places =
        errors.iter().take(MOST).map(|error| (error, Place::new(source, error.span().unwrap_or(0..0))));
    // From such a brace on the parser reads sections as entries of a table.
    let unclosed = places.filter_map(|(error, place)| open_brace(error.message(), &place)).next();
    if let Some(open) = &unclosed {
        problems.add(Diagnostic::error(open, "this table has no end").hint("add `}`"));
    }
    let mut told_lines = BTreeSet::new();
    let mut section_twice = false;
    for error in errors.iter().take(MOST) {
        let place = Place::new(source, error.span().unwrap_or(0..0));
        if error.message() == "duplicate key" {
            let first = first_definition(&place);
            section_twice |= header_path(line_of(&place)).is_some();
            // Below a section that is there twice, the parser meets its keys again; that is one mistake.
            if first.is_some() || !section_twice {
                problems.add(duplicate(&place, first));
            }
            continue;
        }
        usable = false;
        // One wrong character often upsets the parser several times on its line.
        let line = place.line_column().0;
        let misled = unclosed.as_ref().is_some_and(|open| place.range.start > open.range.start);
        if !misled && told_lines.insert(line) && line_of(&place).trim() != "}" {
            problems.add(told(error.message(), &place));
        }
    }
    usable
}

fn told(message: &str, place: &Place) -> Diagnostic {
    let line = line_of(place).trim();
    if message.contains("recursion") {
        return Diagnostic::error(place, "values are nested too deeply");
    }
    if let Some(diagnostic) = unquoted(place) {
        return diagnostic;
    }
    let error = |message: &str| Diagnostic::error(place, message);
    if line.ends_with('{') && !line.contains('=') {
        return error("this is not TOML").hint(block_hint(line));
    }
    if line.ends_with(';') {
        return error("this is not TOML").hint("a line is `key = value`, without `;`");
    }
    let key_only = message.starts_with("key with no value") || message.starts_with("invalid unquoted key");
    if let Some((key, value)) = line.split_once(':').filter(|_| key_only && !line.contains('=')) {
        return error("this is not TOML").hint(match value.trim() {
            "" if line_of(place).starts_with([' ', '\t']) => {
                format!("a section in a section begins with a line `[OUTER.{}]`", key.trim())
            }
            "" => format!("a section begins with a line `[{}]`", key.trim()),
            value => format!("write `{} = {value}`", key.trim()),
        });
    }
    let start = |text: &str| message.starts_with(text);
    if start("key with no value") {
        return error("a key without a value")
            .hint("write `key = value`, or `[section]` for the start of a section");
    }
    if start("unclosed table") || start("unclosed array table") {
        return error("the header of this section has no end").hint("add `]`");
    }
    if start("unclosed array") {
        return error("this list has no end").hint("add `]`");
    }
    if start("unclosed inline table") {
        return error("this table has no end").hint("add `}`");
    }
    if message.contains("expected `\"`") || message.contains("expected `'`") {
        return error("this string has no end").hint("add the closing quote");
    }
    Diagnostic::error(place, format!("this is not TOML: {message}"))
}

/// The brace that is still open when the parser stumbles on a later line.
fn open_brace(message: &str, place: &Place) -> Option<Place> {
    let in_table =
        ["missing key for inline table", "missing comma between key-value", "unclosed inline table"];
    if !in_table.iter().any(|start| message.starts_with(start)) {
        return None;
    }
    let (_, own) = place.source.line_at(place.range.start);
    let before = &place.source.text[..own.start];
    let at = before.rfind('{').filter(|at| !before[*at..].contains('}'))?;
    Some(Place::new(&place.source, at..at + 1))
}

/// `address = :80` and its like, whatever the parser took the value for.
fn unquoted(place: &Place) -> Option<Diagnostic> {
    let source = &place.source;
    let (_, line) = source.line_at(place.range.start);
    let text = &source.text[line.clone()];
    let (key, rest) = text.split_once('=')?;
    if !key.trim().chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
        return None;
    }
    let value = rest.split(" #").next().unwrap_or(rest).trim().trim_end_matches([';', ',']);
    let first = value.chars().next()?;
    if "\"'[{#".contains(first)
        || value.contains(['"', '\''])
        || value.chars().all(|c| c.is_ascii_digit() || "_+-".contains(c))
    {
        return None;
    }
    let start = line.start + key.len() + 1 + rest.find(value)?;
    let value_place = Place::new(source, start..start + value.len());
    let boolean = match value {
        "yes" | "on" | "True" | "TRUE" => Some("write true"),
        "no" | "off" | "False" | "FALSE" => Some("write false"),
        _ => None,
    };
    Some(match boolean {
        Some(hint) => Diagnostic::error(&value_place, format!("`{value}` is not a value")).hint(hint),
        None => Diagnostic::error(&value_place, format!("the value {} needs quotes", shown(value)))
            .hint(format!("write \"{value}\"")),
    })
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

fn duplicate(place: &Place, first: Option<Place>) -> Diagnostic {
    let key = place.text();
    let section = header_path(line_of(place)).and_then(|path| {
        let section = keys::section(path.split('.').next()?)?;
        Some(match section.noun {
            Some(noun) => format!("the {noun} `{key}` is defined twice"),
            None => format!("the section `[{path}]` is there twice"),
        })
    });
    let message = section.unwrap_or_else(|| format!("`{key}` is defined twice"));
    let diagnostic = Diagnostic::error(place, message);
    match first {
        Some(first) => diagnostic.also(&first, "first defined here"),
        None => diagnostic,
    }
}

fn line_of(place: &Place) -> &str {
    let (_, line) = place.source.line_at(place.range.start);
    &place.source.text[line]
}

/// The parser does not tell where the first one is; it is found again in the lines above.
fn first_definition(place: &Place) -> Option<Place> {
    let text = &place.source.text;
    let (_, own) = place.source.line_at(place.range.start);
    let found = match header_path(line_of(place)) {
        Some(path) => first_header(&text[..own.start], &path),
        None => first_key(&text[..own.start], place.text()),
    };
    let found = found.or_else(|| {
        // Both in one line, as in an inline table.
        let before = &text[own.start..place.range.start.max(own.start)];
        let at = key_in_inline_table(before, place.text())?;
        Some((own.start + at, place.text().len()))
    });
    found.map(|(start, length)| Place::new(&place.source, start..start + length))
}

/// Start and length.
type Found = Option<(usize, usize)>;

fn first_header(text: &str, path: &str) -> Found {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if header_path(line).is_some_and(|other| other == path) {
            let start = line.find('[')? + 1;
            let inside = &line[start..start + line[start..].find(']')?];
            let name = inside.rsplit('.').next().unwrap_or(inside);
            return Some((offset + start + inside.len() - name.len(), name.len()));
        }
        offset += line.len();
    }
    None
}

/// In the section that the text ends in.
fn first_key(text: &str, key: &str) -> Found {
    let mut offset = 0;
    let mut found = None;
    for line in text.split_inclusive('\n') {
        if header_path(line).is_some() {
            found = None;
        } else if let Some(at) = key_in(line, key) {
            found = found.or(Some((offset + at, key.len())));
        }
        offset += line.len();
    }
    found
}

/// `[ routes . "api" ]` as `routes.api`.
fn header_path(line: &str) -> Option<String> {
    let inside = line.trim_start().strip_prefix('[')?;
    let inside = inside.split(']').next()?;
    Some(inside.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '[')).collect())
}

fn key_in(line: &str, key: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let rest = line[start..].strip_prefix(key)?;
    rest.trim_start().starts_with('=').then_some(start)
}

fn key_in_inline_table(before: &str, key: &str) -> Option<usize> {
    if key.is_empty() {
        return None;
    }
    let found = before.match_indices(key).find(|(at, _)| {
        let lead = before[..*at].trim_end();
        let rest = before[at + key.len()..].trim_start();
        (lead.ends_with('{') || lead.ends_with(',')) && rest.starts_with('=')
    });
    found.map(|(at, _)| at)
}
