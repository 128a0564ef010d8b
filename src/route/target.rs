//! What is made from the path of a chosen route: the location of a redirect, the path for the upstream.

use http1::RequestHead;

use super::options::{RedirectOptions, Rewrite};
use super::path::{self, Canonical, PathError, canonicalise, push_escape};

/// A redirect's `to`, cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Scheme,
    Host,
    Path,
    Query,
}

impl RedirectTemplate {
    /// Reads `to`; the error is a sentence for the user.
    pub fn compile(options: &RedirectOptions) -> Result<RedirectTemplate, String> {
        if let Some(bad) = options.to.chars().find(|character| !character.is_ascii_graphic()) {
            return Err(format!("a location cannot hold {bad:?}; write it percent-encoded"));
        }
        let mut pieces = Vec::new();
        let mut rest = options.to.as_str();
        while let Some(brace) = rest.find(['{', '}']) {
            push_text(&mut pieces, &rest[..brace]);
            let (name, after) = rest[brace..]
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or("a brace without its partner; a literal brace is written %7B or %7D")?;
            pieces.push(Piece::named(name)?);
            rest = after;
        }
        push_text(&mut pieces, rest);
        if pieces.is_empty() {
            Err("the location is empty".to_owned())
        } else {
            Ok(RedirectTemplate { pieces })
        }
    }

    /// Appends the location to `out`. The path of `head` is canonical. Bytes that cannot stand in a
    /// location are percent-encoded, wherever they come from: no CR, LF or NUL gets into the field.
    pub fn location(&self, scheme: &str, head: &RequestHead, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Scheme => push_safe(scheme.as_bytes(), out),
                Piece::Host => push_safe(head.host(), out),
                Piece::Path => push_safe(head.path(), out),
                Piece::Query => {
                    if let Some(query) = head.query() {
                        out.push(b'?');
                        push_safe(query, out);
                    }
                }
            }
        }
    }

    /// True when `{host}` is used: a request that names no host (HTTP/1.0) cannot be given a location.
    pub fn needs_host(&self) -> bool {
        self.pieces.contains(&Piece::Host)
    }
}

impl Piece {
    fn named(name: &str) -> Result<Piece, String> {
        match name {
            "scheme" => Ok(Piece::Scheme),
            "host" => Ok(Piece::Host),
            "path" => Ok(Piece::Path),
            "query" => Ok(Piece::Query),
            _ => Err(format!("unknown `{{{name}}}`; there are {{scheme}}, {{host}}, {{path}} and {{query}}")),
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn push_safe(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_graphic() { out.push(byte) } else { push_escape(byte, out) }
    }
}

/// Writes the path for the upstream to `out` (replacing what it held), from the canonical path that was
/// matched. `Same`: the path stays, nothing to read in `out`.
///
/// The result has to be canonical as it is: a rewrite that would make `..` or `//` is an error.
pub fn apply_rewrite(rewrite: &Rewrite, path: &[u8], out: &mut Vec<u8>) -> Result<Canonical, PathError> {
    out.clear();
    match rewrite {
        Rewrite::StripPrefix(prefix) => match path::covered_by(prefix.trim_end_matches('/').as_bytes(), path)
        {
            Some(0) | None => return Ok(Canonical::Same),
            Some(covered) if covered == path.len() => out.push(b'/'),
            Some(covered) => out.extend_from_slice(&path[covered..]),
        },
        Rewrite::Regex { regex, to } => {
            let Some(captures) = regex.captures(path) else {
                return Ok(Canonical::Same);
            };
            let matched = captures.get_match();
            out.extend_from_slice(&path[..matched.start()]);
            captures.expand(to.as_bytes(), out);
            out.extend_from_slice(&path[matched.end()..]);
        }
    }
    match canonicalise(out, &mut Vec::new()) {
        Ok(Canonical::Same) => Ok(Canonical::Changed),
        Ok(Canonical::Changed) | Err(_) => Err(PathError::RewrittenPath),
    }
}
