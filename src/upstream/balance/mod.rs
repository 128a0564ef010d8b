//! Which candidate gets the next request: plain functions of loads, latencies, weights and a key. Nothing here
//! knows an address, a clock or another thread, and nothing allocates when it picks.

mod ewma;
mod key;
mod least_connections;
mod random;
mod rendezvous;
mod round_robin;
#[cfg(test)]
mod tests;
mod two_choices;

pub use ewma::PeakEwma;
pub use key::{address_key, hash_key};

use least_connections::LeastConnections;
use random::Random;
use rendezvous::Rendezvous;
use round_robin::RoundRobin;
use two_choices::TwoChoices;

/// One worker's state of a balance over a fixed list of candidates; built anew when the list changes.
#[derive(Debug, Clone)]
pub enum Balancer {
    RoundRobin(RoundRobin),
    LeastConnections(LeastConnections),
    Random(Random),
    TwoChoices(TwoChoices),
    Hash(Rendezvous),
}

/// How the next candidate is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BalanceKind {
    /// In turn, smoothly by weight: 5/2/1 gives 5, 2, 1 of every 8, interleaved.
    #[default]
    RoundRobin,
    /// The fewest requests in flight per weight, of all. Looks at every candidate for each request.
    LeastConnections,
    /// By chance, by weight.
    Random,
    /// The better of two that are drawn by weight: nearly as even as looking at all, at the cost of two, and
    /// workers who do not see each other's newest choice do not all run to the same candidate.
    TwoChoices(Measure),
    /// The same key goes to the same candidate, for every worker and every machine.
    Hash(Bound),
}

/// What makes one of two choices the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Requests in flight per weight.
    Load,
    /// Latency times requests in flight, per weight.
    Time,
}

/// How full a candidate of a hash may become before its keys go on to their next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Keys never leave a candidate that is usable.
    None,
    /// A candidate has no more than so many percent of its fair share of all requests in flight, rounded up,
    /// and one more. Below 100 counts as 100.
    Percent(u16),
}

impl Default for Bound {
    fn default() -> Bound {
        Bound::Percent(125)
    }
}

/// One to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Who it is, the same after a restart and on other machines, such as [`hash_key`] of its address as text.
    /// Of two with the same identity a hash uses the first one.
    pub identity: u64,
    /// Its share in relation to those of the others; 0 counts as 1.
    pub weight: u32,
}

/// What a balance may look at. A number is the candidate's place in the list that the balance was built from.
pub struct View<'v> {
    /// Requests in flight on a candidate over all workers.
    pub load: &'v dyn Fn(usize) -> u32,
    /// Peak-EWMA latency of a candidate in microseconds; 0 when unknown. Only [`Measure::Time`] reads it.
    pub latency: &'v dyn Fn(usize) -> u32,
    /// False for candidates that this request has tried already.
    pub usable: &'v dyn Fn(usize) -> bool,
}

impl Balancer {
    /// `seed` is where a worker begins: give workers consecutive ones, so that their first requests do not go
    /// to the same candidate. A hash ignores it.
    pub fn new(kind: BalanceKind, candidates: &[Candidate], seed: u64) -> Balancer {
        match kind {
            BalanceKind::RoundRobin => Balancer::RoundRobin(RoundRobin::new(candidates, seed)),
            BalanceKind::LeastConnections => {
                Balancer::LeastConnections(LeastConnections::new(candidates, seed))
            }
            BalanceKind::Random => Balancer::Random(Random::new(candidates, seed)),
            BalanceKind::TwoChoices(measure) => {
                Balancer::TwoChoices(TwoChoices::new(candidates, measure, seed))
            }
            BalanceKind::Hash(bound) => Balancer::Hash(Rendezvous::new(candidates, bound)),
        }
    }

    /// The candidate for the next request; `None` when none is usable. `key` is what the request is pinned to,
    /// from [`hash_key`] or [`address_key`]; only a hash reads it.
    pub fn pick(&mut self, view: &View<'_>, key: u64) -> Option<usize> {
        match self {
            Balancer::RoundRobin(rotation) => rotation.pick(view.usable),
            Balancer::LeastConnections(least) => least.pick(view),
            Balancer::Random(random) => random.pick(view.usable),
            Balancer::TwoChoices(choices) => choices.pick(view),
            Balancer::Hash(rendezvous) => rendezvous.pick(view, key),
        }
    }
}

fn weight(candidate: &Candidate) -> u32 {
    candidate.weight.max(1)
}
