//! What can be asked of a request's path, header fields and query: by routes, and by what is done only under a
//! condition.

use std::borrow::Cow;

use http1::Fields;
use regex::bytes::Regex;

use super::path;

/// Paths are compared in canonical form, without the `;parameters` of their segments, byte for byte.
#[derive(Debug, Clone, Default)]
pub enum PathPattern {
    #[default]
    Any,
    /// Whole segments: `/api` covers `/api` and `/api/...`, not `/apis`.
    Prefix(String),
    Exact(String),
    /// Anchored only where the user anchors it.
    Regex(Regex),
}

#[derive(Debug, Clone)]
pub struct HeaderCondition {
    /// Lower case.
    pub name: String,
    pub value: ValuePattern,
}

#[derive(Debug, Clone)]
pub struct QueryCondition {
    /// Compared percent-decoded.
    pub name: String,
    pub value: ValuePattern,
}

#[derive(Debug, Clone)]
pub enum ValuePattern {
    /// `X-Debug = true`: there, whatever its value.
    Present,
    /// `X-Debug = false`: not there.
    Absent,
    Exact(String),
    /// `X-Version = { regex = "^2" }`.
    Regex(Regex),
}

/// A [`PathPattern`] as it is asked for each request: its path is canonical already.
#[derive(Debug, Clone, Default)]
pub enum PathCondition {
    #[default]
    Any,
    Prefix(Vec<u8>),
    Exact(Vec<u8>),
    Regex(Regex),
    /// The pattern is no path: it takes none.
    None,
}

impl PathPattern {
    /// Made once, for the requests to come.
    pub fn condition(&self) -> PathCondition {
        match self {
            PathPattern::Any => PathCondition::Any,
            PathPattern::Prefix(prefix) => {
                path::prefix(prefix).map_or(PathCondition::None, PathCondition::Prefix)
            }
            PathPattern::Exact(exact) => {
                path::pattern(exact).map_or(PathCondition::None, PathCondition::Exact)
            }
            PathPattern::Regex(regex) => PathCondition::Regex(regex.clone()),
        }
    }
}

impl PathCondition {
    /// Whether it takes this path, which is canonical.
    pub fn fits(&self, path: &[u8]) -> bool {
        let bare = path::without_parameters(path);
        let path = bare.as_deref().unwrap_or(path);
        match self {
            PathCondition::Any => true,
            PathCondition::Prefix(prefix) => path::covers(prefix, path),
            PathCondition::Exact(exact) => exact == path,
            PathCondition::Regex(regex) => regex.is_match(path),
            PathCondition::None => false,
        }
    }
}

impl HeaderCondition {
    /// Every field line, and every member of a comma-separated one (RFC 9110 section 5.3), is looked at on its own;
    /// one that fits is enough. Joined values would hide `admin` in `user, admin`.
    pub fn holds(&self, fields: &Fields) -> bool {
        self.value.holds(fields.all_named(self.name.as_bytes()), |pattern, line| {
            pattern.fits(line)
                || line
                    .split(|byte| *byte == b',')
                    .any(|member| member.len() < line.len() && pattern.fits(member.trim_ascii()))
        })
    }
}

impl QueryCondition {
    /// One pass over the query, without its question mark, which the limit on heads bounds; a repeated name holds if
    /// one value fits.
    pub fn holds(&self, query: &[u8]) -> bool {
        let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
            let equals = memchr::memchr(b'=', pair);
            (&pair[..equals.unwrap_or(pair.len())], &pair[equals.map_or(pair.len(), |at| at + 1)..])
        });
        let values =
            pairs.filter(|(name, _)| form_decode(name) == self.name.as_bytes()).map(|(_, value)| value);
        self.value.holds(values, |pattern, value| pattern.fits(&form_decode(value)))
    }
}

impl ValuePattern {
    fn holds<'v>(
        &self,
        mut values: impl Iterator<Item = &'v [u8]>,
        fits: impl Fn(&ValuePattern, &[u8]) -> bool,
    ) -> bool {
        match self {
            ValuePattern::Present => values.next().is_some(),
            ValuePattern::Absent => values.next().is_none(),
            ValuePattern::Exact(_) | ValuePattern::Regex(_) => values.any(|value| fits(self, value)),
        }
    }

    fn fits(&self, value: &[u8]) -> bool {
        match self {
            ValuePattern::Present => true,
            ValuePattern::Absent => false,
            ValuePattern::Exact(wanted) => value == wanted.as_bytes(),
            ValuePattern::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Percent escapes decoded, `+` is a space. What is no escape stays.
fn form_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => match (path::hex_value(*high), path::hex_value(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use http1::RequestHead;

    use super::*;

    fn head(text: &str) -> RequestHead {
        let mut head = RequestHead::default();
        head.parse(text.as_bytes()).unwrap();
        head
    }

    #[test]
    fn every_value_of_a_field_is_looked_at_on_its_own() {
        let role = |value| HeaderCondition { name: "x-role".to_owned(), value };
        let exact = role(ValuePattern::Exact("admin".to_owned()));
        let regex = role(ValuePattern::Regex(Regex::new("^admin$").unwrap()));
        let whole = role(ValuePattern::Exact("user, admin".to_owned()));
        let twice = head("GET / HTTP/1.1\r\nHost: a\r\nX-Role: user\r\nX-ROLE: admin\r\n\r\n").fields;
        let one_line = head("GET / HTTP/1.1\r\nHost: a\r\nX-Role: user, admin\r\n\r\n").fields;
        let other = head("GET / HTTP/1.1\r\nHost: a\r\nX-Role: administrator\r\n\r\n").fields;
        for (fields, expected) in [(&twice, true), (&one_line, true), (&other, false)] {
            assert_eq!(exact.holds(fields), expected);
            assert_eq!(regex.holds(fields), expected);
        }
        assert!(whole.holds(&one_line), "a value with commas can be named whole");
        assert!(!whole.holds(&twice), "lines are not joined");
    }

    #[test]
    fn queries_are_compared_decoded() {
        let query = b"a+b=%31&flag&&x=1&x=2&odd=%25";
        let named = |name: &str, value| QueryCondition { name: name.to_owned(), value };
        let exact = |name: &str, value: &str| named(name, ValuePattern::Exact(value.to_owned())).holds(query);
        assert!(exact("a b", "1"));
        assert!(exact("flag", ""));
        assert!(exact("x", "1") && exact("x", "2"));
        assert!(exact("odd", "%"));
        assert!(!exact("x", "12") && !exact("a+b", "1") && !exact("", ""));
        assert!(named("flag", ValuePattern::Present).holds(query));
        assert!(named("none", ValuePattern::Absent).holds(query));
        assert!(!named("flag", ValuePattern::Absent).holds(query));
        assert!(!named("q", ValuePattern::Present).holds(b""));
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(form_decode(b"%zz%4").as_ref(), b"%zz%4");
        assert_eq!(form_decode(b"%2541+").as_ref(), b"%41 ");
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        let prefix = |text: &str| PathPattern::Prefix(text.to_owned());
        for (pattern, path, expected) in [
            (PathPattern::Any, "/a", true),
            (prefix("/"), "/a", true),
            (prefix("/a"), "/a", true),
            (prefix("/a"), "/a/b", true),
            (prefix("/a"), "/a;v=1/b", true),
            (prefix("/a"), "/ab", false),
            (PathPattern::Exact("/a".to_owned()), "/a/b", false),
            (PathPattern::Exact("/a".to_owned()), "/a;v=1", true),
            (PathPattern::Regex(Regex::new("b$").unwrap()), "/a/b", true),
        ] {
            assert_eq!(pattern.condition().fits(path.as_bytes()), expected, "{pattern:?} {path}");
        }
    }
}
