//! Host names: the patterns that cover them, and a look-up that costs the same for ten hosts and ten
//! thousand. Requests bring names in lower case, without port and trailing dot; patterns are brought to
//! the same form here.

use std::hash::{BuildHasher, RandomState};

use super::options::HostPattern;

/// How exactly a route names a host; more is more specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostRank {
    /// The route names no host.
    Any,
    /// Bytes behind the `*.`; of two wildcards that cover a name the longer has more labels.
    Wildcard(usize),
    Exact,
}

/// Longest name that DNS knows (RFC 1035 section 2.3.4). A longer one takes routes without hosts only,
/// which bounds the work for a hostile name to 127 labels.
pub(super) const MAX_NAME: usize = 253;

/// The most specific of a route's hosts that covers the name; `None` when none does.
pub(super) fn best_cover(patterns: &[HostPattern], name: &[u8]) -> Option<HostRank> {
    if patterns.is_empty() {
        return Some(HostRank::Any);
    }
    patterns.iter().filter_map(|pattern| cover(pattern, name)).max()
}

fn cover(pattern: &HostPattern, name: &[u8]) -> Option<HostRank> {
    if name.len() > MAX_NAME {
        return None;
    }
    match normalise(pattern) {
        HostPattern::Exact(exact) => (exact.as_bytes() == name).then_some(HostRank::Exact),
        HostPattern::Wildcard(parent) => {
            let front = name.strip_suffix(parent.as_bytes())?.strip_suffix(b".")?;
            (!front.is_empty()).then_some(HostRank::Wildcard(parent.len()))
        }
    }
}

/// Lower case, no trailing dot.
pub(super) fn normalise(pattern: &HostPattern) -> HostPattern {
    let normal = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    match pattern {
        HostPattern::Exact(name) => HostPattern::Exact(normal(name)),
        HostPattern::Wildcard(parent) => HostPattern::Wildcard(normal(parent)),
    }
}

/// A hash table from patterns to values, built once. The names in it come from the configuration and what
/// clients send is only looked up, so a short keyed hash is enough. The values lie in the slots: with many
/// hosts it is the dependent reads of memory that cost.
#[derive(Debug)]
pub(super) struct HostIndex<V> {
    seed: u64,
    /// A power of two of them, at most three quarters of them taken.
    slots: Vec<Option<Slot<V>>>,
    /// The names.
    text: Vec<u8>,
    wildcard_lengths: Lengths,
}

#[derive(Debug, Clone, Copy)]
struct Slot<V> {
    hash: u32,
    /// Of the name, in `text`.
    start: u32,
    len: u8,
    kind: Kind,
    value: V,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact = 1,
    Wildcard = 2,
}

impl<V: Copy> HostIndex<V> {
    /// `patterns`: normalised, each once.
    pub(super) fn build(patterns: &[(HostPattern, V)]) -> HostIndex<V> {
        let size = (patterns.len() * 4 / 3 + 1).next_power_of_two();
        let mut index = HostIndex {
            seed: RandomState::new().hash_one(0u8),
            slots: vec![None; size],
            text: Vec::new(),
            wildcard_lengths: Lengths::default(),
        };
        for (pattern, value) in patterns {
            match pattern {
                HostPattern::Exact(name) => index.insert(Kind::Exact, name, *value),
                HostPattern::Wildcard(parent) => index.insert(Kind::Wildcard, parent, *value),
            }
        }
        index
    }

    fn insert(&mut self, kind: Kind, name: &str, value: V) {
        let Some(len) = u8::try_from(name.len()).ok().filter(|len| *len as usize <= MAX_NAME) else {
            return; // No request has such a name.
        };
        if kind == Kind::Wildcard {
            self.wildcard_lengths.insert(len);
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name.as_bytes());
        let hash = hash(self.seed, kind, name.as_bytes());
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some(Slot { hash, start, len, kind, value });
    }

    /// The value of the exact pattern for this name.
    pub(super) fn exact(&self, name: &[u8]) -> Option<V> {
        if name.len() > MAX_NAME { None } else { self.get(Kind::Exact, name) }
    }

    /// The values of the wildcards that cover the name, the longest first.
    pub(super) fn wildcards(&self, name: &[u8]) -> impl Iterator<Item = V> {
        let skip = name.len() > MAX_NAME || self.wildcard_lengths.is_empty();
        memchr::memchr_iter(b'.', if skip { &[] } else { name })
            .filter(|dot| *dot > 0)
            .map(|dot| &name[dot + 1..])
            .filter(|parent| self.wildcard_lengths.contains(parent.len() as u8))
            .filter_map(|parent| self.get(Kind::Wildcard, parent))
    }

    fn get(&self, kind: Kind, name: &[u8]) -> Option<V> {
        let hash = hash(self.seed, kind, name);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(slot) = &self.slots[at] {
            if slot.hash == hash && slot.kind == kind && self.name(slot) == name {
                return Some(slot.value);
            }
            at = (at + 1) & mask;
        }
        None
    }

    fn name(&self, slot: &Slot<V>) -> &[u8] {
        &self.text[slot.start as usize..slot.start as usize + slot.len as usize]
    }
}

/// Eight bytes at a time, each time the two halves of a wide product; the last eight may overlap others.
fn hash(seed: u64, kind: Kind, name: &[u8]) -> u32 {
    let mut state = seed ^ (name.len() as u64 | (kind as u64) << 32);
    for word in name.as_chunks::<8>().0 {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let tail = match name.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let state = mix(state ^ tail);
    (state ^ state >> 32) as u32
}

fn mix(word: u64) -> u64 {
    let product = u128::from(word) * 0x9E37_79B9_7F4A_7C15;
    product as u64 ^ (product >> 64) as u64
}

/// A set of lengths: most names are not under a wildcard, and this says so before a hash does.
#[derive(Debug, Default)]
struct Lengths([u64; 4]);

impl Lengths {
    fn insert(&mut self, length: u8) {
        self.0[length as usize / 64] |= 1 << (length % 64);
    }

    fn contains(&self, length: u8) -> bool {
        self.0[length as usize / 64] & 1 << (length % 64) != 0
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_from_the_most_specific_on() {
        let exact = |name: &str| HostPattern::Exact(name.to_owned());
        let wildcard = |parent: &str| HostPattern::Wildcard(parent.to_owned());
        let index = HostIndex::build(&[
            (exact("a.b.test"), 1),
            (wildcard("b.test"), 2),
            (wildcard("test"), 3),
            (exact("b.test"), 4),
        ]);
        let covering = |name: &str| {
            let name = name.as_bytes();
            index.exact(name).into_iter().chain(index.wildcards(name)).collect::<Vec<_>>()
        };
        assert_eq!(covering("a.b.test"), [1, 2, 3]);
        assert_eq!(covering("x.y.b.test"), [2, 3]);
        assert_eq!(covering("b.test"), [4, 3]);
        assert_eq!(covering(".b.test"), [3], "a wildcard needs a label");
        assert_eq!(covering("ab.test"), [3]);
        assert_eq!(covering("test"), [0; 0]);
        assert_eq!(covering(""), [0; 0]);
    }

    #[test]
    fn a_name_longer_than_dns_allows_has_no_host_of_its_own() {
        let index = HostIndex::build(&[(HostPattern::Wildcard("test".to_owned()), 1)]);
        let name = |labels: usize| [b"a.".repeat(labels), b"test".to_vec()].concat();
        assert_eq!(index.wildcards(&name(124)).count(), 1);
        assert_eq!(index.wildcards(&name(125)).count(), 0);
    }
}
