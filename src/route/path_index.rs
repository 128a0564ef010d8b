//! The path patterns of every host, in flat lists: a look-up reads a few neighbouring cache lines and
//! costs what the path's depth costs, plus the logarithm of the host's patterns.
//!
//! A host's patterns are sorted with `/` as the least byte, so that everything under a prefix stands
//! directly behind it. The pattern nearest before a path is then the longest prefix that covers it, or
//! has that prefix among its parents. The first bytes of a pattern are kept as a number beside it: most
//! comparisons are one instruction and do not touch the text.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use crate::message::path;

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
    /// The host's candidates: those of its nodes, in the order of the nodes, begin here.
    first: u32,
    rest: Range,
}

#[derive(Debug, Default)]
pub(super) struct PathIndex {
    text: Vec<u8>,
    nodes: Vec<Node>,
    candidates: Vec<Candidate>,
    /// Hosts with the same paths share their nodes: many hosts then need little memory, and the nodes
    /// stay in the cache.
    shapes: HashMap<Shape, Range>,
}

/// Strings, with the numbers of candidates for the exact path and for the prefix.
type Shape = Vec<(Vec<u8>, u32, u32)>;

/// One string that is an exact path, a prefix, or both.
#[derive(Debug)]
struct Node {
    key: u64,
    text: Range,
    /// The nearest shorter prefix of the same host that covers this string: its place among the host's
    /// nodes, or `NO_PARENT`.
    parent: u32,
    /// Where the candidates are, counted from the host's first: for the exact path, then for the prefix.
    first: u32,
    exact: u32,
    prefix: u32,
}

impl Node {
    fn exact(&self, site: Site) -> Range {
        Range { start: site.first + self.first, len: self.exact }
    }

    fn prefix(&self, site: Site) -> Range {
        Range { start: site.first + self.first + self.exact, len: self.prefix }
    }
}

/// A path and its first bytes as a number that sorts as the path does.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    key: u64,
    path: &'p [u8],
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
        let first = self.candidates.len() as u32;
        let mut shape = Shape::new();
        for string in strings {
            let exact = append(&mut self.candidates, candidates(&patterns.exact, string));
            let prefix = append(&mut self.candidates, candidates(&patterns.prefix, string));
            shape.push((string.clone(), exact.len, prefix.len));
        }
        let rest = append(&mut self.candidates, &patterns.rest);
        Site { nodes: self.nodes_for(shape), first, rest }
    }

    fn nodes_for(&mut self, shape: Shape) -> Range {
        if let Some(nodes) = self.shapes.get(&shape) {
            return *nodes;
        }
        let start = self.nodes.len();
        let mut first = 0;
        for (string, exact, prefix) in &shape {
            let parent = self.longest_prefix(start, string);
            let text = append(&mut self.text, string);
            self.nodes.push(Node { key: key(string), text, parent, first, exact: *exact, prefix: *prefix });
            first += exact + prefix;
        }
        let nodes = Range { start: start as u32, len: shape.len() as u32 };
        self.shapes.insert(shape, nodes);
        nodes
    }

    /// The longest prefix that covers `string`, among the nodes from `start` on, all of them before it.
    fn longest_prefix(&self, start: usize, string: &[u8]) -> u32 {
        let nodes = &self.nodes[start..];
        let mut at = (nodes.len() as u32).checked_sub(1).unwrap_or(NO_PARENT);
        while let Some(node) = nodes.get(at as usize) {
            if node.prefix > 0 && path::covers(self.text_of(node), string) {
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
        let wanted = Wanted { key: key(path), path };
        let nodes = &self.nodes[site.nodes.bounds()];
        let behind = nodes.partition_point(|node| !self.is_behind(node, wanted));
        let mut at = behind.checked_sub(1).map(|index| &nodes[index]);
        if let Some(node) = at
            && node.exact > 0
            && self.text_of(node) == path
            && let Some(found) = first(node.exact(site))
        {
            return Some(found);
        }
        while let Some(node) = at {
            if node.prefix > 0
                && self.covers(node, wanted)
                && let Some(found) = first(node.prefix(site))
            {
                return Some(found);
            }
            at = nodes.get(node.parent as usize);
        }
        first(site.rest)
    }

    /// True when the node's string sorts behind the path.
    fn is_behind(&self, node: &Node, wanted: Wanted<'_>) -> bool {
        if node.key != wanted.key {
            return node.key > wanted.key;
        }
        // Both end within the key or both go on: behind an end the key has zeros.
        compare(behind_key(self.text_of(node)), behind_key(wanted.path)) == Ordering::Greater
    }

    /// [`path::covers`], by the number alone where it holds the whole prefix.
    fn covers(&self, node: &Node, wanted: Wanted<'_>) -> bool {
        let len = node.text.len as usize;
        if !(2..=KEY_END).contains(&len) {
            return path::covers(self.text_of(node), wanted.path);
        }
        let differing = (node.key ^ wanted.key) >> (8 * (KEY_END - len));
        differing == 0 && wanted.path.get(len).is_none_or(|next| *next == b'/')
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

/// The eight bytes behind the first slash, `/` as the least of them and 0 behind the end.
fn key(path: &[u8]) -> u64 {
    let bytes = match path.get(1..KEY_END) {
        Some(bytes) => u64::from_be_bytes(*bytes.first_chunk().unwrap_or(&[0; 8])),
        None => {
            let mut bytes = [0; 8];
            let start = path.get(1..).unwrap_or_default();
            bytes[..start.len()].copy_from_slice(start);
            u64::from_be_bytes(bytes)
        }
    };
    slashes_to_least(bytes)
}

fn behind_key(path: &[u8]) -> &[u8] {
    path.get(KEY_END..).unwrap_or_default()
}

/// Replaces each byte that is `/` by 1. Canonical paths have no byte below 0x21.
fn slashes_to_least(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let differing = bytes ^ (EACH * b'/' as u64);
    // The high bit of every byte that differs from a slash; no carry crosses a byte.
    let others = ((differing & (EACH * 0x7f)) + EACH * 0x7f) | differing;
    let slashes = (!others >> 7) & EACH;
    bytes ^ (slashes * (b'/' ^ 1) as u64)
}

/// Byte order, but `/` before every other byte.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => rank(*a).cmp(&rank(*b)),
        None => a.len().cmp(&b.len()),
    }
}

/// Where the bytes of a key end in a path: a slash, then eight bytes.
const KEY_END: usize = 9;
const NO_PARENT: u32 = u32::MAX;
const UNCONDITIONAL: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_the_paths_do() {
        let texts =
            ["/", "/a", "/a/", "/a/b", "/a-b", "/ab", "/abcdefgh", "/abcdefgh/", "/abcdefgh!", "/~~~~~~~~~"];
        for (a, b) in texts.iter().flat_map(|a| texts.iter().map(move |b| (a.as_bytes(), b.as_bytes()))) {
            let by_key = key(a).cmp(&key(b)).then(compare(behind_key(a), behind_key(b)));
            assert_eq!(by_key, compare(a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn only_slashes_become_the_least_byte() {
        for byte in 0..=255u8 {
            let expected = if byte == b'/' { 1 } else { byte };
            let bytes = [byte, b'/', 0, b'a', byte, byte, b'/', byte];
            let mapped = slashes_to_least(u64::from_be_bytes(bytes)).to_be_bytes();
            assert_eq!(mapped, [expected, 1, 0, b'a', expected, expected, 1, expected]);
        }
    }
}
