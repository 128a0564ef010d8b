//! Which hosts ask for more than their listener does. One look-up for the name in a handshake and for the
//! host of a request: they must agree, or a client would come by one name to what another protects.

use std::sync::Arc;

use super::digest::{Digest, digest};
use super::names::{NameTable, normalise};
use super::{Authority, HostTlsOptions, Store, TlsVersion};

/// A host of a route, and what the route asks for it. Hosts without a demand count too: a wildcard's demand
/// does not hold for a name that has a route of its own.
#[derive(Debug, Clone)]
pub struct HostRule {
    pub name: String,
    /// `name` stands for the names in front of it.
    pub wildcard: bool,
    pub tls: HostTlsOptions,
}

/// What a host's policy is known by: the bytes of its authorities and lists, its demand and least version.
/// The same contents are the same policy; changed contents are another one.
pub use crate::message::PolicyMark as Mark;

/// The demand of a host, with what it was loaded from.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    pub(super) mark: Mark,
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) min_version: Option<TlsVersion>,
}

impl Demand {
    fn of(tls: &HostTlsOptions, store: &Store) -> Demand {
        let authority = tls.client_auth.as_ref().map(|options| store.authority(options));
        let mark = Mark(identity("host", authority.as_deref(), tls.min_version));
        Demand { mark, authority, min_version: tls.min_version }
    }
}

/// Of the contents of a policy.
pub(super) fn identity(
    purpose: &str,
    authority: Option<&Authority>,
    min_version: Option<TlsVersion>,
) -> Digest {
    let version: &[u8] = match min_version {
        None => b"",
        Some(TlsVersion::V1_2) => b"1.2",
        Some(TlsVersion::V1_3) => b"1.3",
    };
    let authority = authority.map_or(&[][..], |authority| &authority.content);
    digest(purpose, [version, authority])
}

/// The policies of all hosts, for the whole process.
#[derive(Debug, Default)]
pub struct HostPolicies {
    table: NameTable<Option<usize>>,
    demands: Vec<Demand>,
}

impl HostPolicies {
    /// From the hosts of all routes.
    pub fn build(rules: &[HostRule], store: &Store) -> HostPolicies {
        let mut policies = HostPolicies::default();
        if rules.iter().all(|rule| rule.tls.is_empty()) {
            return policies;
        }
        for rule in rules {
            let demand = (!rule.tls.is_empty()).then(|| policies.number(Demand::of(&rule.tls, store)));
            let kept = policies.table.entry(&rule.name, rule.wildcard, || None);
            // The check of the configuration sees to it that routes of one host do not differ.
            *kept = kept.or(demand);
        }
        policies
    }

    fn number(&mut self, demand: Demand) -> usize {
        let known = self.demands.iter().position(|known| known.mark == demand.mark);
        known.unwrap_or_else(|| {
            self.demands.push(demand);
            self.demands.len() - 1
        })
    }

    /// No host asks for anything.
    pub fn is_empty(&self) -> bool {
        self.demands.is_empty()
    }

    /// `None` when the host has no policy but its listener's. `host`: without port.
    pub fn mark_of(&self, host: &[u8]) -> Option<Mark> {
        self.find(host).and_then(|number| self.demands.get(number)).map(|demand| demand.mark)
    }

    /// Number of the host's demand.
    pub(super) fn find(&self, host: &[u8]) -> Option<usize> {
        self.table.most_specific(&normalise(host)).copied().flatten()
    }

    pub(super) fn demands(&self) -> &[Demand] {
        &self.demands
    }
}
