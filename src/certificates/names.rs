//! Host names as handshakes and requests bring them, and a look-up of what is kept by name.

use std::borrow::Cow;
use std::collections::HashMap;

/// Longest name that DNS knows (RFC 1035 section 2.3.4); nothing is found for a longer one.
const MAX_NAME: usize = 253;

/// Lower case, without a trailing dot: how every name is kept and looked up.
pub(super) fn normalise(name: &[u8]) -> Cow<'_, [u8]> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The name behind its first label.
pub(super) fn parent(name: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', name).filter(|dot| *dot > 0)?;
    name.get(dot + 1..)
}

/// Values by exact name and by wildcard. Names are normalised when they are put in; so must be those that
/// are looked up.
#[derive(Debug)]
pub(super) struct NameTable<V> {
    exact: HashMap<Box<[u8]>, V>,
    wildcard: HashMap<Box<[u8]>, V>,
}

impl<V> Default for NameTable<V> {
    fn default() -> Self {
        NameTable { exact: HashMap::new(), wildcard: HashMap::new() }
    }
}

impl<V> NameTable<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty()
    }

    /// The value of a pattern, for a first or another look at it. `*.example.com` is `example.com` with
    /// `wildcard`.
    pub(super) fn entry(&mut self, name: &str, wildcard: bool, new: impl FnOnce() -> V) -> &mut V {
        let names = if wildcard { &mut self.wildcard } else { &mut self.exact };
        names.entry(normalise(name.as_bytes()).into()).or_insert_with(new)
    }

    pub(super) fn exact(&self, name: &[u8]) -> Option<&V> {
        self.exact.get(name)
    }

    /// The wildcard that stands for exactly one label: certificates (RFC 6125 section 6.4.3).
    pub(super) fn one_label(&self, name: &[u8]) -> Option<&V> {
        parent(name).and_then(|parent| self.wildcard.get(parent))
    }

    /// The most specific pattern that covers the name, as routes are chosen: exact, then the longest
    /// wildcard, which stands for one or more labels.
    pub(super) fn most_specific(&self, name: &[u8]) -> Option<&V> {
        if name.len() > MAX_NAME || self.is_empty() {
            return None;
        }
        // The same steps as the table of routes takes, also through names with empty labels: a host must not
        // be routed by a pattern that is not seen here.
        let dots = memchr::memchr_iter(b'.', name).filter(|dot| *dot > 0);
        let mut parents = dots.filter_map(|dot| name.get(dot + 1..));
        self.exact(name).or_else(|| parents.find_map(|parent| self.wildcard.get(parent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_is_found() {
        let mut table = NameTable::default();
        for (name, wildcard, value) in
            [("A.b.test.", false, 1), ("b.test", true, 2), ("test", true, 3), ("b.test", false, 4)]
        {
            table.entry(name, wildcard, || value);
        }
        let found = |name: &str| table.most_specific(&normalise(name.as_bytes())).copied();
        for (name, expected) in [
            ("a.b.test", Some(1)),
            ("A.B.Test.", Some(1)),
            ("x.y.b.test", Some(2)),
            ("b.test", Some(4)),
            ("ab.test", Some(3)),
            (".b.test", Some(3)),
            ("a..test", Some(3)),
            ("test", None),
            ("", None),
            ("other", None),
        ] {
            assert_eq!(found(name), expected, "{name}");
        }
        let long = [b"a.".repeat(125), b"test".to_vec()].concat();
        assert_eq!(table.most_specific(&long), None);
        assert_eq!(table.one_label(b"x.b.test"), Some(&2));
        assert_eq!(table.one_label(b"x.y.b.test"), None);
    }
}
