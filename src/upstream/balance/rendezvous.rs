//! The same key goes to the same candidate: weighted rendezvous hashing, with a bound on loads.
//!
//! Keys fall into slots, and in each slot every candidate has a score that depends on the two of them and its
//! weight alone. The best score owns the slot. So when a candidate goes, its slots fall to their second best and
//! no other key moves; when it comes back, it gets just those again; and shares are as exact as weights are. A
//! ring of points has none of this exactly: it needs a thousand points for each candidate to be even within some
//! percent, and a scale for the weights that changes with the list.

use super::{Bound, Candidate, View, weight};
use crate::upstream::generator::mix;

#[derive(Debug, Clone)]
pub struct Rendezvous {
    candidates: Box<[Scored]>,
    total_weight: u64,
    bound: Bound,
    /// Who owns each slot, plus one; 0 while nobody asked. Empty for few candidates, whose scores are
    /// compared anew for each request.
    owners: Box<[u16]>,
    /// Requests in flight on all candidates, as counted some picks ago.
    total_load: u64,
    picks_until_count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Scored {
    identity: u64,
    weight: u32,
    inverse: f64,
}

impl Rendezvous {
    pub(super) fn new(candidates: &[Candidate], bound: Bound) -> Rendezvous {
        let candidates: Box<[Scored]> = candidates
            .iter()
            .map(|candidate| {
                let weight = weight(candidate);
                Scored { identity: mix(candidate.identity), weight, inverse: 1.0 / f64::from(weight) }
            })
            .collect();
        let remembers = candidates.len() > FEW && candidates.len() < usize::from(u16::MAX);
        Rendezvous {
            total_weight: candidates.iter().map(|candidate| u64::from(candidate.weight)).sum(),
            owners: vec![0; if remembers { SLOTS } else { 0 }].into(),
            candidates,
            bound,
            total_load: 0,
            picks_until_count: 0,
        }
    }

    /// The owner of the key's slot; when it is not usable or too full the best one that is neither, and when all
    /// are too full the best one that is usable.
    pub(super) fn pick(&mut self, view: &View<'_>, key: u64) -> Option<usize> {
        self.count_loads(view);
        let slot = mix(key) as usize % SLOTS;
        let owner = self.owner(slot)?;
        if (view.usable)(owner) && self.has_room(owner, view) {
            return Some(owner);
        }
        let roomy = self.best(slot, |index| (view.usable)(index) && self.has_room(index, view));
        roomy.or_else(|| self.best(slot, view.usable))
    }

    fn owner(&mut self, slot: usize) -> Option<usize> {
        match self.owners.get(slot) {
            Some(0) => {
                let owner = self.best(slot, |_| true)?;
                self.owners[slot] = owner as u16 + 1;
                Some(owner)
            }
            Some(owner) => Some(usize::from(*owner) - 1),
            None => self.best(slot, |_| true),
        }
    }

    /// The best score in a slot among those that `may`.
    fn best(&self, slot: usize, may: impl Fn(usize) -> bool) -> Option<usize> {
        let slot = mix(slot as u64);
        let mut best = None;
        let mut least = f64::INFINITY;
        for (index, candidate) in self.candidates.iter().enumerate() {
            // Above 0 and at most 1, in steps of 2^-53.
            let even = ((mix(candidate.identity ^ slot) >> 11) + 1) as f64 * STEP;
            // An exponential variable: the least of several is each one's as often as its weight says. It is
            // never less than `1 - even`, which spares nearly all logarithms.
            if (1.0 - even) * candidate.inverse >= least {
                continue;
            }
            let score = -even.ln() * candidate.inverse;
            if score < least && may(index) {
                least = score;
                best = Some(index);
            }
        }
        best
    }

    fn has_room(&self, index: usize, view: &View<'_>) -> bool {
        let Bound::Percent(percent) = self.bound else {
            return true;
        };
        let load = (view.load)(index);
        if load < ALWAYS_ROOM {
            return true;
        }
        let weight = self.candidates.get(index).map_or(1, |candidate| candidate.weight);
        let share = u128::from(percent.max(100)) * u128::from(self.total_load + 1) * u128::from(weight);
        u128::from(load) < 1 + share.div_ceil(100 * u128::from(self.total_weight))
    }

    /// Sums loads so rarely that it costs the same for each request, however many candidates there are.
    fn count_loads(&mut self, view: &View<'_>) {
        if self.bound == Bound::None {
            return;
        }
        if self.picks_until_count == 0 {
            self.picks_until_count = self.candidates.len().div_ceil(LOADS_PER_PICK);
            self.total_load = (0..self.candidates.len()).map(|index| u64::from((view.load)(index))).sum();
        }
        self.picks_until_count = self.picks_until_count.saturating_sub(1);
    }
}

/// Enough for shares within 10 % of the weights, twice the standard deviation, for 650 equal candidates.
const SLOTS: usize = 1 << 18;

/// Up to so many candidates owners are computed for each request.
const FEW: usize = 16;

const LOADS_PER_PICK: usize = 16;

/// With fewer requests in flight nobody is too full: a browser opens six connections at once, and they shall not
/// be torn apart because nobody else is there.
const ALWAYS_ROOM: u32 = 8;

const STEP: f64 = 1.0 / (1_u64 << 53) as f64;

#[cfg(test)]
mod tests;
