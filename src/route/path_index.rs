//! The path patterns of every host, in flat lists: a look-up reads a handful of neighbouring cache lines
//! and costs what the path's depth costs, plus the logarithm of the host's patterns.
//!
//! A host's patterns are sorted with `/` as the least byte, so that everything under a prefix stands
//! directly behind it. The pattern nearest before a path is then the longest prefix that covers it, or
//! has that prefix among its parents.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::path;

/// One route as it stands in a list of candidates: its index, and whether anything is left to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate(u32);

impl Candidate {
    /// `unconditional`: the route takes the request once host and path fit.
    pub(super) fn new(route: usize, unconditional: bool) -> Candidate {
        Candidate(route as u32 | if unconditional { UNCONDITIONAL } else { 0 })
    }

    pub(super) fn route(self) -> usize {
        (self.0 & !UNCONDITIONAL) as usize
    }

    pub(super) fn is_unconditional(self) -> bool {
        self.0 & UNCONDITIONAL != 0
    }
}

/// The patterns of one host before they are laid out. Each list is in the order of trial.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// By exact path.
    pub exact: BTreeMap<Vec<u8>, Vec<Candidate>>,
    /// By prefix without slash at its end.
    pub prefix: BTreeMap<Vec<u8>, Vec<Candidate>>,
    /// Regexes, then routes for any path.
    pub rest: Vec<Candidate>,
}

/// Where the patterns of one host are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    nodes: Range,
    rest: Range,
}

#[derive(Debug, Default)]
pub(super) struct PathIndex {
    text: Vec<u8>,
    nodes: Vec<Node>,
    candidates: Vec<Candidate>,
}

/// One string that is an exact path, a prefix, or both.
#[derive(Debug)]
struct Node {
    text: Range,
    /// The nearest shorter prefix of the same host that covers this string.
    parent: Option<u32>,
    exact: Range,
    prefix: Range,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    start: u32,
    len: u32,
}

impl PathIndex {
    /// Adds the patterns of one host.
    pub(super) fn add(&mut self, patterns: &Patterns) -> Site {
        let mut strings: Vec<&Vec<u8>> = patterns.exact.keys().chain(patterns.prefix.keys()).collect();
        strings.sort_by(|a, b| compare(a, b));
        strings.dedup();
        let first = self.nodes.len();
        for string in strings {
            let parent = self.longest_prefix(first, string);
            let text = append(&mut self.text, string);
            let exact = append(&mut self.candidates, candidates(&patterns.exact, string));
            let prefix = append(&mut self.candidates, candidates(&patterns.prefix, string));
            self.nodes.push(Node { text, parent, exact, prefix });
        }
        let nodes = Range { start: first as u32, len: (self.nodes.len() - first) as u32 };
        Site { nodes, rest: append(&mut self.candidates, &patterns.rest) }
    }

    /// The longest prefix that covers `string`, among the nodes from `first` on, all of them before it.
    fn longest_prefix(&self, first: usize, string: &[u8]) -> Option<u32> {
        let last = self.nodes.len().checked_sub(1).filter(|last| *last >= first)?;
        let mut at = Some(last as u32);
        while let Some(index) = at {
            let node = &self.nodes[index as usize];
            if node.prefix.len > 0 && path::covers(&self.text[node.text.bounds()], string) {
                break;
            }
            at = node.parent;
        }
        at
    }

    /// The first candidate for which `takes` holds, in order: exact path, prefixes from the longest to the
    /// shortest, regexes, any path. `takes` checks what is not the path, and regexes.
    pub(super) fn find(
        &self,
        site: Site,
        path: &[u8],
        takes: impl Fn(Candidate) -> bool,
    ) -> Option<Candidate> {
        let first =
            |range: Range| self.candidates[range.bounds()].iter().copied().find(|found| takes(*found));
        let nodes = &self.nodes[site.nodes.bounds()];
        let behind = nodes.partition_point(|node| compare(self.text_of(node), path) != Ordering::Greater);
        let mut at = behind.checked_sub(1).map(|index| &nodes[index]);
        if let Some(node) = at
            && self.text_of(node) == path
            && let Some(found) = first(node.exact)
        {
            return Some(found);
        }
        while let Some(node) = at {
            if path::covers(self.text_of(node), path)
                && let Some(found) = first(node.prefix)
            {
                return Some(found);
            }
            at = node.parent.map(|parent| &self.nodes[parent as usize]);
        }
        first(site.rest)
    }

    fn text_of(&self, node: &Node) -> &[u8] {
        &self.text[node.text.bounds()]
    }
}

impl Range {
    fn bounds(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

fn append<T: Copy>(list: &mut Vec<T>, items: &[T]) -> Range {
    let start = list.len() as u32;
    list.extend_from_slice(items);
    Range { start, len: items.len() as u32 }
}

fn candidates<'c>(map: &'c BTreeMap<Vec<u8>, Vec<Candidate>>, string: &[u8]) -> &'c [Candidate] {
    map.get(string).map_or(&[], Vec::as_slice)
}

/// Byte order, but `/` before every other byte.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => rank(*a).cmp(&rank(*b)),
        None => a.len().cmp(&b.len()),
    }
}

const UNCONDITIONAL: u32 = 1 << 31;
