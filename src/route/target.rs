//! What is made from the path of a chosen route: the location of a redirect, the path for the upstream.

use http1::RequestHead;

use super::options::RedirectOptions;
use crate::message::path::push_escape;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::path::canonicalise;

    fn template(to: &str) -> Result<RedirectTemplate, String> {
        RedirectTemplate::compile(&RedirectOptions { to: to.to_owned(), status: 301 })
    }

    fn head(target: &str) -> RequestHead {
        let mut head = RequestHead::default();
        head.parse(format!("GET {target} HTTP/1.1\r\nHost: Old.Test:8080\r\n\r\n").as_bytes()).unwrap();
        head
    }

    fn location(to: &str, head: &RequestHead) -> String {
        let mut out = Vec::new();
        template(to).unwrap().location("https", head, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_location_is_filled_in() {
        let with_query = head("/a/b?x=1&y=%20");
        assert_eq!(location("https://new.test{path}", &with_query), "https://new.test/a/b");
        assert_eq!(location("{scheme}://{host}{path}{query}", &with_query), "https://old.test/a/b?x=1&y=%20");
        assert_eq!(location("/new{path}{query}", &head("/a")), "/new/a");
        assert_eq!(location("/{query}", &head("/a?")), "/?");
        assert!(template("https://{host}/").unwrap().needs_host());
        assert!(!template("https://new.test{path}").unwrap().needs_host());
    }

    #[test]
    fn what_is_no_template_is_explained() {
        assert!(template("https://new.test{uri}").unwrap_err().contains("unknown `{uri}`"));
        for (to, part) in [
            ("/{path", "brace"),
            ("/path}", "brace"),
            ("/{{path}}", "unknown"),
            ("", "empty"),
            ("/a b", "percent-encoded"),
            ("/\r\nSet-Cookie: a=b", "percent-encoded"),
        ] {
            let error = template(to).unwrap_err();
            assert!(error.contains(part), "{to}: {error}");
        }
    }

    /// The canonical path cannot hold them; should another part of the program let them in, they stay out
    /// of the field all the same.
    #[test]
    fn no_line_break_gets_into_a_location() {
        assert!(canonicalise(b"/x%0d%0aSet-Cookie:a=b", &mut Vec::new()).is_err());
        let mut out = Vec::new();
        let mut hostile = head("/");
        hostile.set_path(b"/x\r\nSet-Cookie: a=b\0");
        hostile.set_query(Some(b"q\r\n\xff"));
        template("{path}{query}").unwrap().location("h\n", &hostile, &mut out);
        assert_eq!(out, b"/x%0D%0ASet-Cookie:%20a=b%00?q%0D%0A%FF");
    }
}
