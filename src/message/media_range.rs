//! Media types as a list of the configuration names them: `text/html`, `text/*`, `*/*`, `application/*+json`.

use std::fmt;

/// A set of media types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    /// Lower case; empty for any.
    kind: String,
    subtype: Subtype,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtype {
    Any,
    Exact(String),
    /// `*+json`: its end, with the plus.
    Suffix(String),
}

impl MediaRange {
    /// `None` for what is no media type.
    pub fn parse(text: &str) -> Option<MediaRange> {
        let (kind, subtype) = text.split_once('/')?;
        let is_token = |text: &str| http1::fields::is_token(text.as_bytes()) && !text.contains('*');
        let subtype = match subtype.strip_prefix('*') {
            Some("") => Subtype::Any,
            Some(suffix) if suffix.len() > 1 && suffix.starts_with('+') && is_token(suffix) => {
                Subtype::Suffix(suffix.to_ascii_lowercase())
            }
            None if is_token(subtype) => Subtype::Exact(subtype.to_ascii_lowercase()),
            _ => return None,
        };
        match kind {
            "*" if subtype == Subtype::Any => Some(MediaRange { kind: String::new(), subtype }),
            _ if is_token(kind) => Some(MediaRange { kind: kind.to_ascii_lowercase(), subtype }),
            _ => None,
        }
    }

    /// Whether the value of a `Content-Type`, with parameters or without, is in the set.
    pub fn covers(&self, content_type: &[u8]) -> bool {
        let media = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let Some(slash) = memchr::memchr(b'/', media) else { return false };
        let (kind, subtype) = (&media[..slash], &media[slash + 1..]);
        if !self.kind.is_empty() && !kind.eq_ignore_ascii_case(self.kind.as_bytes()) {
            return false;
        }
        match &self.subtype {
            Subtype::Any => true,
            Subtype::Exact(wanted) => subtype.eq_ignore_ascii_case(wanted.as_bytes()),
            Subtype::Suffix(suffix) => subtype
                .len()
                .checked_sub(suffix.len())
                .and_then(|start| subtype.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes())),
        }
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind.is_empty() { "*" } else { &self.kind };
        match &self.subtype {
            Subtype::Any => write!(f, "{kind}/*"),
            Subtype::Exact(subtype) => write!(f, "{kind}/{subtype}"),
            Subtype::Suffix(suffix) => write!(f, "{kind}/*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_covers_its_types() {
        let covers = |range: &str, media: &str| MediaRange::parse(range).unwrap().covers(media.as_bytes());
        for (range, media, expected) in [
            ("text/html", "text/html", true),
            ("text/html", "TEXT/HTML; charset=utf-8", true),
            ("Text/HTML", "text/html;x=y", true),
            ("text/html", "text/htm", false),
            ("text/*", "text/event-stream", true),
            ("text/*", "textual/x", false),
            ("*/*", "a/b", true),
            ("*/*", "nothing", false),
            ("application/*+json", "application/problem+json", true),
            ("application/*+json", "application/json", false),
            ("application/*+json", "application/n", false),
        ] {
            assert_eq!(covers(range, media), expected, "{range} {media}");
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in ["", "text", "text/", "/html", "*/html", "text/ht ml", "text/*json", "text/*+", "a/b/c"] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
    }
}
