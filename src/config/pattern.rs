//! Regexes, paths, methods and the conditions made of them.

use regex::bytes::Regex;

use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text};
use super::values::{Parsed, shown, wrong};
use crate::route::path;

/// A regex; what is wrong with it is told with the place inside it.
pub fn regex(fields: &Fields<'_>, text: Text<'_>) -> Option<Regex> {
    match Regex::new(text.value) {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            let message = "this regex is too large".to_string();
            fields
                .problems
                .add(Diagnostic::error(text.place, message).hint("repetitions such as {1000} multiply it"));
            None
        }
        Err(error) => {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let place = place_in_regex(&error, text);
            fields.problems.add(
                Diagnostic::error(&place, format!("this is not a regex: {why}")).maybe_hint(regex_hint(why)),
            );
            None
        }
    }
}

/// The regex crate draws its own caret below the pattern; the same spot in our file, if the pattern stands
/// there letter by letter.
fn place_in_regex(error: &str, text: Text<'_>) -> Place {
    let caret = error
        .lines()
        .find(|line| line.trim_start().starts_with('^') && line.trim().chars().all(|c| c == '^'));
    let columns = caret.map(|line| (line.find('^').unwrap_or(0).saturating_sub(4), line.trim().len()));
    let (Some((column, length)), Some(start)) = (columns, text.place.text().find(text.value)) else {
        return text.place.clone();
    };
    let offset =
        |columns: usize| text.value.char_indices().nth(columns).map_or(text.value.len(), |(at, _)| at);
    let base = text.place.range.start + start;
    Place::new(&text.place.source, base + offset(column)..base + offset(column + length))
}

fn regex_hint(why: &str) -> Option<String> {
    if why.starts_with("look-around") {
        return Some(
            "look-ahead and look-behind are not supported: they cannot be matched in linear time".to_string(),
        );
    }
    if why.starts_with("backreferences") {
        return Some("backreferences are not supported: they cannot be matched in linear time".to_string());
    }
    None
}

/// A path as requests have it after canonicalisation.
pub fn path_pattern(text: &str) -> Parsed<String> {
    let not = || format!("{} is not a path", shown(text));
    if !text.starts_with('/') {
        if let Some((_, rest)) = text.split_once("://") {
            let path = rest.find('/').map_or("/", |at| &rest[at..]);
            return Err(wrong(not(), format!("write only the path: \"{path}\"")));
        }
        return Err(wrong(not(), format!("a path begins with a slash: \"/{text}\"")));
    }
    if let Some(at) = text.find(['?', '#']) {
        let hint = format!("write only the path, \"{}\"; for parameters there is `query`", &text[..at]);
        return Err(wrong(not(), hint));
    }
    if let Some(prefix) = text.strip_suffix("/*") {
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        return Err(wrong(not(), format!("`path` is a prefix already: \"{prefix}\" covers all below it")));
    }
    let canonical = path::pattern(text).map_err(|error| wrong(not(), error.reason()))?;
    let canonical = String::from_utf8_lossy(&canonical).into_owned();
    if canonical != text {
        return Err(wrong(
            format!("no request has the path `{text}`"),
            format!("paths are compared in their canonical form: \"{canonical}\""),
        ));
    }
    Ok(canonical)
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// RFC 9110 section 9.1: a token, and case-sensitive.
pub fn method(text: &str) -> Parsed<String> {
    if !is_token(text) {
        return Err(wrong(format!("{} is not a method", shown(text)), "write one word, such as \"GET\""));
    }
    let upper = text.to_ascii_uppercase();
    if upper != text && METHODS.contains(&upper.as_str()) {
        return Err(wrong(format!("no client sends the method `{text}`"), format!("write \"{upper}\"")));
    }
    Ok(text.to_string())
}

/// RFC 9110 section 5.6.2.
pub fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for text in ["/", "/api", "/api/", "/a/b.c", "/caf%C3%A9", "/a:b@c", "/..."] {
            assert_eq!(path_pattern(text), Ok(text.to_string()));
        }
        for (text, hint) in [
            ("/a/../b", "paths are compared in their canonical form: \"/b\""),
            ("/a/./b", "paths are compared in their canonical form: \"/a/b\""),
            ("/%7eme", "paths are compared in their canonical form: \"/~me\""),
            ("/a%2e%2e", "paths are compared in their canonical form: \"/a..\""),
            ("/café", "paths are compared in their canonical form: \"/caf%C3%A9\""),
            ("/a b", "paths are compared in their canonical form: \"/a%20b\""),
            ("//a//b/", "paths are compared in their canonical form: \"/a/b/\""),
            ("/a/..", "paths are compared in their canonical form: \"/\""),
            ("/..", "the path goes above the root"),
            ("/a%2fb", "the path holds an encoded slash"),
            ("/a;v=1", "a path pattern cannot hold `;`: parameters are not matched"),
            ("/100%", "the path holds a percent sign without two hex digits"),
            ("api", "a path begins with a slash: \"/api\""),
            ("/api/*", "`path` is a prefix already: \"/api\" covers all below it"),
        ] {
            assert_eq!(path_pattern(text).unwrap_err().hint.as_deref(), Some(hint), "{text}");
        }
    }

    #[test]
    fn methods() {
        assert_eq!(method("GET"), Ok("GET".to_string()));
        assert_eq!(method("M-SEARCH"), Ok("M-SEARCH".to_string()));
        assert_eq!(method("get").unwrap_err().hint.as_deref(), Some("write \"GET\""));
        assert!(method("GET POST").is_err());
    }
}
