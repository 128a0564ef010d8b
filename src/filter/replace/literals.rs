//! Several literal texts looked for at the same time in bytes that come in pieces. At each place the first rule that
//! fits wins; what was replaced is not looked at again.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

/// The texts that are looked for; none is empty.
#[derive(Debug)]
pub struct Literals {
    texts: Vec<Box<[u8]>>,
    finder: Option<AhoCorasick>,
}

impl Literals {
    /// `None` when the texts are more than can be looked for at once.
    pub fn new(texts: Vec<Box<[u8]>>) -> Option<Literals> {
        let finder = if texts.is_empty() { None } else { Some(finder(texts.iter())?) };
        Some(Literals { texts, finder })
    }

    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.texts.iter().map(AsRef::as_ref)
    }
}

fn finder<'t>(texts: impl Iterator<Item = &'t Box<[u8]>>) -> Option<AhoCorasick> {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts).ok()
}

/// The search in one body.
pub struct Search {
    literals: Arc<Literals>,
    /// What the rules put in place.
    to: Vec<Vec<u8>>,
    once: bool,
    /// Numbers of the rules that still hold, in order; `finder` knows them by their place in here.
    active: Vec<usize>,
    finder: Option<AhoCorasick>,
    /// The end of what came, where it may be the beginning of a text.
    held: Vec<u8>,
}

impl Search {
    /// `to` has one text for each rule.
    pub fn new(literals: Arc<Literals>, to: Vec<Vec<u8>>, once: bool) -> Search {
        let (active, finder) = ((0..to.len()).collect(), literals.finder.clone());
        Search { literals, to, once, active, finder, held: Vec::new() }
    }

    /// Appends to `out` what no further byte can change.
    pub fn push(&mut self, data: &[u8], last: bool, out: &mut Vec<u8>) {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(data);
        let mut at = 0;
        let mut sure = self.sure(&bytes, at, last);
        while let Some((start, end, rule)) = self.find(&bytes, at).filter(|(start, ..)| *start < sure) {
            out.extend_from_slice(bytes.get(at..start).unwrap_or_default());
            out.extend_from_slice(self.to.get(rule).map_or(&[], Vec::as_slice));
            at = end;
            if self.once {
                self.use_up(rule);
            }
            if at > sure || self.once {
                sure = self.sure(&bytes, at, last);
            }
        }
        out.extend_from_slice(bytes.get(at..sure).unwrap_or_default());
        bytes.drain(..sure.max(at));
        self.held = bytes;
    }

    /// The next place from `at` on, and its rule.
    fn find(&self, bytes: &[u8], at: usize) -> Option<(usize, usize, usize)> {
        let found = self.finder.as_ref()?.find(bytes.get(at..)?)?;
        let rule = *self.active.get(found.pattern().as_usize())?;
        Some((at + found.start(), at + found.end(), rule))
    }

    /// Where the first text may begin, from `at` on, that is not complete: before that everything is sure.
    fn sure(&self, bytes: &[u8], at: usize, last: bool) -> usize {
        let texts = || self.active.iter().filter_map(|rule| self.literals.texts.get(*rule));
        let longest = texts().map(|text| text.len()).max().unwrap_or(0);
        if last || longest == 0 {
            return bytes.len();
        }
        let from = at.max((bytes.len() + 1).saturating_sub(longest));
        let begins = |place: &usize| {
            let rest = bytes.get(*place..).unwrap_or_default();
            texts().any(|text| text.len() > rest.len() && text.starts_with(rest))
        };
        (from..bytes.len()).find(begins).unwrap_or(bytes.len())
    }

    fn use_up(&mut self, rule: usize) {
        self.active.retain(|active| *active != rule);
        let texts = self.active.iter().filter_map(|rule| self.literals.texts.get(*rule));
        // Fewer texts than those of which one was built.
        self.finder = if self.active.is_empty() { None } else { finder(texts) };
    }

    /// How much larger a piece may become: what is put in place may be many times longer.
    pub fn growth(&self) -> usize {
        let ratio = |(text, to): (&[u8], &Vec<u8>)| to.len() / text.len().max(1);
        self.literals.texts().zip(&self.to).map(ratio).max().unwrap_or(0) + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(rules: &[(&str, &str)], once: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let texts = rules.iter().map(|(from, _)| from.as_bytes().into()).collect();
        let to = rules.iter().map(|(_, to)| to.as_bytes().to_vec()).collect();
        let mut search = Search::new(Arc::new(Literals::new(texts).unwrap()), to, once);
        let mut out = Vec::new();
        for piece in pieces {
            search.push(piece, false, &mut out);
            let longest = rules.iter().map(|(from, _)| from.len()).max().unwrap_or(0);
            assert!(search.held.len() < longest.max(1), "{} held", search.held.len());
        }
        search.push(b"", true, &mut out);
        out
    }

    /// What is meant, place by place.
    fn naive(rules: &[(&str, &str)], once: bool, text: &[u8]) -> Vec<u8> {
        let mut rules: Vec<_> = rules.to_vec();
        let (mut out, mut at) = (Vec::new(), 0);
        while at < text.len() {
            match rules.iter().position(|(from, _)| text[at..].starts_with(from.as_bytes())) {
                Some(index) => {
                    out.extend_from_slice(rules[index].1.as_bytes());
                    at += rules[index].0.len();
                    if once {
                        rules.remove(index);
                    }
                }
                None => {
                    out.push(text[at]);
                    at += 1;
                }
            }
        }
        out
    }

    #[test]
    fn what_cannot_begin_a_text_goes_on_at_once() {
        let literals = Literals::new(vec![b"http://old".to_vec().into(), b"hold".to_vec().into()]).unwrap();
        let mut search = Search::new(Arc::new(literals), vec![b"new".to_vec(), b"take".to_vec()], false);
        for (piece, sure) in [
            (&b"<a href=x>"[..], &b"<a href=x>"[..]),
            (b"see ht", b"see "),
            (b"tp://o", b""),
            (b"ther, h", b"http://other, "),
            (b"old http://old", b"take new"),
            (b"!", b"!"),
        ] {
            let mut out = Vec::new();
            search.push(piece, false, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(sure.to_vec()).unwrap());
        }
    }

    /// Every cut of every text, in two and in single bytes, gives what the whole does.
    #[test]
    fn every_cut_gives_the_same() {
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[("ab", "x")], "aababba"),
            (&[("abcd", "1"), ("bc", "2")], "abcabcdabce"),
            (&[("bc", "2"), ("abcd", "1")], "abcabcdabce"),
            (&[("a", "aa"), ("aa", "b")], "aaaaa"),
            (&[("aa", "b"), ("a", "")], "aaaaa"),
            (&[("needle", "pin")], "needlneedleneedl"),
        ];
        for (rules, text) in cases {
            for once in [false, true] {
                let expected = naive(rules, once, text.as_bytes());
                for cut in 0..=text.len() {
                    let (before, after) = text.as_bytes().split_at(cut);
                    assert_eq!(replaced(rules, once, &[before, after]), expected, "{rules:?} {text} {cut}");
                }
                let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
                assert_eq!(replaced(rules, once, &bytes), expected, "{rules:?} {text}");
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            rules in prop::collection::vec(("[ab]{1,4}", "[abc]{0,3}"), 1..5),
            pieces in prop::collection::vec("[abc]{0,7}", 0..8),
            once: bool,
        ) {
            let rules: Vec<(&str, &str)> = rules.iter().map(|(from, to)| (&**from, &**to)).collect();
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            prop_assert_eq!(replaced(&rules, once, &pieces), naive(&rules, once, &pieces.concat()));
        }
    }
}
