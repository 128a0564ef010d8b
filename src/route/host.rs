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
/// clients send is only looked up, so a short keyed hash is enough.
#[derive(Debug)]
pub(super) struct HostIndex<V> {
    seed: u64,
    /// A power of two of them, at most half of them taken.
    slots: Vec<Slot>,
    entries: Vec<Entry<V>>,
    text: Vec<u8>,
    wildcard_lengths: Lengths,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    entry: u32,
}

#[derive(Debug)]
struct Entry<V> {
    start: u32,
    len: u32,
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
    pub(super) fn build(patterns: impl IntoIterator<Item = (HostPattern, V)>) -> HostIndex<V> {
        let mut index = HostIndex {
            seed: RandomState::new().hash_one(0u8),
            slots: Vec::new(),
            entries: Vec::new(),
            text: Vec::new(),
            wildcard_lengths: Lengths::default(),
        };
        for (pattern, value) in patterns {
            let (kind, name) = match &pattern {
                HostPattern::Exact(name) => (Kind::Exact, name),
                HostPattern::Wildcard(parent) => (Kind::Wildcard, parent),
            };
            if kind == Kind::Wildcard {
                index.wildcard_lengths.insert(name.len());
            }
            let (start, len) = (index.text.len() as u32, name.len() as u32);
            index.text.extend_from_slice(name.as_bytes());
            index.entries.push(Entry { start, len, kind, value });
        }
        index.fill_slots();
        index
    }

    fn fill_slots(&mut self) {
        let size = (self.entries.len() * 2).next_power_of_two();
        self.slots = vec![Slot { hash: 0, entry: EMPTY }; size];
        for (number, entry) in self.entries.iter().enumerate() {
            let hash = hash(self.seed, entry.kind, self.name(entry));
            let mut at = hash as usize & (size - 1);
            while self.slots[at].entry != EMPTY {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = Slot { hash, entry: number as u32 };
        }
    }

    /// The values of the patterns that cover the name, most specific first.
    pub(super) fn covering(&self, name: &[u8]) -> impl Iterator<Item = V> {
        let name = if name.len() > MAX_NAME { &[] } else { name };
        let parents = memchr::memchr_iter(b'.', name)
            .filter(|dot| *dot > 0)
            .map(|dot| &name[dot + 1..])
            .filter(|parent| self.wildcard_lengths.contains(parent.len()))
            .filter_map(|parent| self.get(Kind::Wildcard, parent));
        self.get(Kind::Exact, name).into_iter().chain(parents)
    }

    fn get(&self, kind: Kind, name: &[u8]) -> Option<V> {
        let hash = hash(self.seed, kind, name);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.entry == EMPTY {
                return None;
            }
            if slot.hash == hash {
                let entry = &self.entries[slot.entry as usize];
                if entry.kind == kind && self.name(entry) == name {
                    return Some(entry.value);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn name(&self, entry: &Entry<V>) -> &[u8] {
        &self.text[entry.start as usize..entry.start as usize + entry.len as usize]
    }
}

/// Eight bytes at a time, each time the two halves of a wide product.
fn hash(seed: u64, kind: Kind, name: &[u8]) -> u32 {
    let mut state = seed ^ (name.len() as u64 | (kind as u64) << 32);
    let (words, tail) = name.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let tail = tail.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let state = mix(state ^ tail);
    (state ^ state >> 32) as u32
}

fn mix(word: u64) -> u64 {
    let product = u128::from(word) * 0x9E37_79B9_7F4A_7C15;
    product as u64 ^ (product >> 64) as u64
}

/// A set of lengths up to 255: most names are not under a wildcard, and this says so before a hash does.
#[derive(Debug, Default)]
struct Lengths([u64; 4]);

impl Lengths {
    fn insert(&mut self, length: usize) {
        if let Some(word) = self.0.get_mut(length / 64) {
            *word |= 1 << (length % 64);
        }
    }

    fn contains(&self, length: usize) -> bool {
        self.0.get(length / 64).is_some_and(|word| word & 1 << (length % 64) != 0)
    }
}

const EMPTY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_from_the_most_specific_on() {
        let exact = |name: &str| HostPattern::Exact(name.to_owned());
        let wildcard = |parent: &str| HostPattern::Wildcard(parent.to_owned());
        let index = HostIndex::build([
            (exact("a.b.test"), 1),
            (wildcard("b.test"), 2),
            (wildcard("test"), 3),
            (exact("b.test"), 4),
        ]);
        let covering = |name: &str| index.covering(name.as_bytes()).collect::<Vec<_>>();
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
        let index = HostIndex::build([(HostPattern::Wildcard("test".to_owned()), 1)]);
        let name = |labels: usize| [b"a.".repeat(labels), b"test".to_vec()].concat();
        assert_eq!(index.covering(&name(124)).count(), 1);
        assert_eq!(index.covering(&name(125)).count(), 0);
    }
}
