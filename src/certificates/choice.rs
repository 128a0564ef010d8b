//! Which certificate a client gets: a pure function of the loaded ones, the name, what the client can verify
//! and the time.

use std::cmp::Reverse;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;

use super::names::{NameTable, normalise};
use super::{Pair, Seconds};

/// The certificates of now, never changed: a renewed one makes another shelf.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pairs: Vec<Arc<Pair>>,
    by_name: NameTable<Vec<usize>>,
    default: Vec<usize>,
}

impl Shelf {
    pub(super) fn new(mut pairs: Vec<Arc<Pair>>) -> Shelf {
        pairs.sort_by(|a, b| a.name.cmp(&b.name));
        let mut by_name: NameTable<Vec<usize>> = NameTable::default();
        for (index, pair) in pairs.iter().enumerate() {
            for name in &pair.names {
                let wildcard = name.strip_prefix("*.");
                by_name.entry(wildcard.unwrap_or(name), wildcard.is_some(), Vec::new).push(index);
            }
        }
        let marked: Vec<usize> =
            pairs.iter().enumerate().filter(|(_, pair)| pair.default).map(|(index, _)| index).collect();
        let default = if marked.is_empty() && !pairs.is_empty() { vec![0] } else { marked };
        Shelf { pairs, by_name, default }
    }

    /// Whether some certificate is for this name.
    pub(super) fn knows(&self, server_name: &str) -> bool {
        let name = normalise(server_name.as_bytes());
        self.by_name.exact(&name).or_else(|| self.by_name.one_label(&name)).is_some()
    }

    /// For the name exactly, by a wildcard, or the default; one that is valid before one that is not; what
    /// the client can verify; ECDSA before RSA, as it costs less; the newest; the first by name.
    /// `None` only when there is none at all.
    pub(super) fn choose(
        &self,
        server_name: Option<&str>,
        schemes: &[SignatureScheme],
        now: Seconds,
    ) -> Option<&Arc<CertifiedKey>> {
        let name = server_name.map(|name| normalise(name.as_bytes()));
        let name = name.as_deref();
        let levels = [
            name.and_then(|name| self.by_name.exact(name)),
            name.and_then(|name| self.by_name.one_label(name)),
            Some(&self.default),
        ];
        let candidates = levels.into_iter().enumerate().flat_map(|(level, indices)| {
            indices.into_iter().flatten().filter_map(move |index| Some((level, self.pairs.get(*index)?)))
        });
        // An unnamed certificate is of no use to a client that looks at the name, however valid.
        let last = levels.len() - 1;
        let rank = |(level, pair): &(usize, &Arc<Pair>)| {
            let unverifiable = pair.certified.key.choose_scheme(schemes).is_none();
            let invalid = !pair.is_valid_at(now);
            (*level == last, unverifiable, invalid, *level, pair.is_rsa(), Reverse(pair.not_before))
        };
        // The first of equals, which is the first by name.
        candidates.min_by_key(rank).map(|(_, pair)| &pair.certified)
    }
}
