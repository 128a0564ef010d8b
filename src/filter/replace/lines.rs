//! Regexes that are replaced line by line. The end of a line is no part of it; a line that is longer than
//! [`LONGEST_LINE`] is taken in pieces of that length.

use std::sync::Arc;

use regex::bytes::Regex;

/// In bytes.
pub const LONGEST_LINE: usize = 64 << 10;
/// A line that grows beyond this is not changed any further.
const MOST: usize = 1 << 20;

/// One regex and what stands in place of what it matches: `$1` and `${name}` are groups.
#[derive(Debug, Clone)]
pub struct LineRule {
    pub regex: Regex,
    pub to: String,
}

/// The lines of one body.
pub struct Lines {
    rules: Arc<[LineRule]>,
    /// Which of them have replaced something, where that is once.
    used: Vec<bool>,
    once: bool,
    /// A line that has no end yet.
    held: Vec<u8>,
    /// So much of it has no line break.
    searched: usize,
}

impl Lines {
    pub fn new(rules: Arc<[LineRule]>, once: bool) -> Lines {
        Lines { used: vec![false; rules.len()], rules, once, held: Vec::new(), searched: 0 }
    }

    /// Appends the lines that are complete.
    pub fn push(&mut self, data: &[u8], last: bool, out: &mut Vec<u8>) {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(data);
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let unseen = rest.get(self.searched..).unwrap_or_default();
            let end = memchr::memchr(b'\n', unseen).map(|index| self.searched + index);
            let count = match end {
                Some(end) if end < LONGEST_LINE => end + 1,
                _ if rest.len() >= LONGEST_LINE => LONGEST_LINE,
                _ if last => rest.len(),
                _ => {
                    self.searched = rest.len();
                    break;
                }
            };
            self.searched = 0;
            if count == 0 {
                break;
            }
            self.line(rest.get(..count).unwrap_or_default(), out);
            at += count;
        }
        bytes.drain(..at);
        self.held = bytes;
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let text = line.strip_suffix(b"\n").map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
        let mut changed: Option<Vec<u8>> = None;
        for (rule, used) in self.rules.iter().zip(&mut self.used) {
            if self.once && *used {
                continue;
            }
            if let Some(next) = rule.replace(changed.as_deref().unwrap_or(text), self.once) {
                *used = true;
                changed = Some(next);
            }
        }
        out.extend_from_slice(changed.as_deref().unwrap_or(text));
        out.extend_from_slice(line.get(text.len()..).unwrap_or_default());
    }
}

impl LineRule {
    /// `None` when nothing matches.
    fn replace(&self, text: &[u8], once: bool) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut at = 0;
        for groups in self.regex.captures_iter(text) {
            let Some(whole) = groups.get(0) else { continue };
            out.extend_from_slice(text.get(at..whole.start()).unwrap_or_default());
            groups.expand(self.to.as_bytes(), &mut out);
            at = whole.end();
            if once || out.len() > MOST {
                break;
            }
            // An empty match at the end of what is left, too, is a match.
        }
        let is_match = at > 0 || !out.is_empty() || self.regex.is_match(text);
        is_match.then(|| {
            out.extend_from_slice(text.get(at..).unwrap_or_default());
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(rules: &[(&str, &str)], once: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let rules: Arc<[LineRule]> = rules
            .iter()
            .map(|(regex, to)| LineRule { regex: Regex::new(regex).unwrap(), to: (*to).to_owned() })
            .collect();
        let (mut lines, mut out) = (Lines::new(rules, once), Vec::new());
        pieces.iter().for_each(|piece| lines.push(piece, false, &mut out));
        lines.push(b"", true, &mut out);
        out
    }

    #[test]
    fn lines_are_changed_and_their_ends_are_not() {
        for (rules, once, text, expected) in [
            (&[("a(.)", "${1}a")][..], false, "ab\r\nacd\n", "ba\r\ncad\n"),
            (&[("^x", "y")], false, "xx\nxx", "yx\nyx"),
            (&[("x$", "y")], false, "xx\r\nxx", "xy\r\nxy"),
            (&[("a", "b"), ("b", "c")], false, "aab", "ccc"),
            (&[("a", "b"), ("c", "d")], true, "aa\nacc", "ba\nadc"),
            (&[("a\\nb", "x")], false, "a\nb", "a\nb"),
            (&[("", "-")], false, "ab\n\n", "-a-b-\n-\n"),
            (&[("(?i)HTTP://(old)", "https://new-${1}")], false, "http://OLD", "https://new-OLD"),
        ] {
            let got = replaced(rules, once, &[text.as_bytes()]);
            assert_eq!(String::from_utf8(got).unwrap(), expected, "{rules:?} {text:?}");
        }
    }

    #[test]
    fn a_long_line_is_taken_in_pieces_and_growth_has_an_end() {
        let long = "a".repeat(LONGEST_LINE + 10);
        let got = replaced(&[("a+", "<$0>")], false, &[long.as_bytes(), b"\naa"]);
        let expected = format!("<{}><{}>\n<aa>", "a".repeat(LONGEST_LINE), "a".repeat(10));
        assert_eq!(got.len(), expected.len());
        assert!(got == expected.as_bytes());
        let got = replaced(&[("a", &"b".repeat(1000))], false, &[long.as_bytes()]);
        assert!(got.len() < 2 * MOST, "{}", got.len());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec("[ab\r\n]{0,6}", 0..8), once: bool) {
            let rules = [("ab*", "x$0"), ("^b", "y")];
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            prop_assert_eq!(replaced(&rules, once, &pieces), replaced(&rules, once, &[whole.as_bytes()]));
        }
    }
}
