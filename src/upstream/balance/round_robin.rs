//! Smooth weighted round robin: each in turn, as often as its weight says, the picks of each spread evenly.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::{Candidate, weight};
use crate::upstream::generator::GOLDEN;

/// Time runs in cycles; in each one a candidate has as many turns as its weight says, at even distances, so any
/// run of `sum of weights` picks is exact. The next turn is always the earliest.
///
/// Candidates of the same weight share one group that takes their turns one after the other. So a pick costs
/// the same for any number of candidates while weights are equal, and the logarithm of the number of different
/// weights otherwise.
#[derive(Debug, Clone)]
pub struct RoundRobin {
    groups: BinaryHeap<Group>,
}

/// Candidates of one weight. Of its `turns` in a cycle, number `turn` (from 1) is at `(2 turn - 1) / (2 turns)`.
#[derive(Debug, Clone)]
struct Group {
    cycle: u64,
    turn: u64,
    turns: u64,
    weight: u32,
    members: Box<[usize]>,
    /// Whose turn it is, a place in `members`.
    next: usize,
}

impl RoundRobin {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> RoundRobin {
        let mut by_weight: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, candidate) in candidates.iter().enumerate() {
            by_weight.entry(weight(candidate)).or_default().push(index);
        }
        let group = |(weight, members): (u32, Vec<usize>)| Group::new(weight, members.into(), seed);
        RoundRobin { groups: by_weight.into_iter().map(group).collect() }
    }

    /// Whoever is not usable loses the turn, so that there is no flood when it is usable again.
    pub(super) fn pick(&mut self, usable: &dyn Fn(usize) -> bool) -> Option<usize> {
        for _ in 0..TURNS {
            let candidate = self.groups.peek_mut()?.take_turn();
            if usable(candidate) {
                return Some(candidate);
            }
        }
        self.pick_among_few(usable)
    }

    /// Heavy candidates that are not usable have so many turns that waiting for another's takes too long:
    /// looks at all of them once instead.
    fn pick_among_few(&mut self, usable: &dyn Fn(usize) -> bool) -> Option<usize> {
        // Neither this nor the way back allocates.
        let mut groups = std::mem::take(&mut self.groups).into_vec();
        let earliest =
            groups.iter_mut().filter(|group| group.members.iter().any(|member| usable(*member))).max();
        let picked = earliest.and_then(|group| {
            let first = group.take_turn();
            let rest = (1..group.members.len()).map(|_| group.pass()).find(|member| usable(*member));
            if usable(first) { Some(first) } else { rest }
        });
        self.groups = groups.into();
        picked
    }
}

impl Group {
    /// Begins at a moment of the first cycle that the seed decides.
    fn new(weight: u32, members: Box<[usize]>, seed: u64) -> Group {
        let turns = u64::from(weight) * members.len() as u64;
        // Multiples of the golden ratio: consecutive seeds are far from each other, and 0 is the beginning.
        let moment = seed.wrapping_mul(GOLDEN) >> 32;
        // The first turn after `moment / 2^32`, solved for `turn`.
        let turn = (((2 * u128::from(turns) * u128::from(moment)) >> 32) as u64 + 3) / 2;
        let next = (seed % members.len() as u64) as usize;
        let begun = if turn > turns { (1, 1) } else { (0, turn) };
        Group { cycle: begun.0, turn: begun.1, turns, weight, members, next }
    }

    fn take_turn(&mut self) -> usize {
        self.turn += 1;
        if self.turn > self.turns {
            self.turn = 1;
            self.cycle += 1;
        }
        self.pass()
    }

    fn pass(&mut self) -> usize {
        let member = self.members[self.next];
        self.next = if self.next + 1 < self.members.len() { self.next + 1 } else { 0 };
        member
    }
}

/// The heap gives the greatest: that is the earliest turn, and of two at the same moment the one of the group
/// that has more of them.
impl Ord for Group {
    fn cmp(&self, other: &Group) -> Ordering {
        let moment = |group: &Group, turns: u64| u128::from(2 * group.turn - 1) * u128::from(turns);
        let (mine, others) = (moment(self, other.turns), moment(other, self.turns));
        self.cycle
            .cmp(&other.cycle)
            .then(mine.cmp(&others))
            .reverse()
            .then(self.turns.cmp(&other.turns))
            .then(self.weight.cmp(&other.weight))
    }
}

impl PartialOrd for Group {
    fn partial_cmp(&self, other: &Group) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Group) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Group {}

/// Turns that candidates which are not usable may take before all are looked at.
const TURNS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::candidates;
    use super::*;

    fn picks(weights: &[u32], seed: u64, count: usize) -> Vec<usize> {
        let mut rotation = RoundRobin::new(&candidates(weights), seed);
        (0..count).filter_map(|_| rotation.pick(&|_| true)).collect()
    }

    #[test]
    fn light_ones_come_between_heavy_ones() {
        let cases: [(&[u32], &[usize]); 5] = [
            (&[5, 2, 1], &[0, 1, 0, 0, 2, 0, 1, 0]),
            (&[1, 2, 5], &[2, 1, 2, 2, 0, 2, 1, 2]),
            (&[1, 1, 1], &[0, 1, 2]),
            (&[1, 1, 4], &[2, 0, 2, 2, 1, 2]),
            (&[7], &[0, 0, 0]),
        ];
        for (weights, expected) in cases {
            assert_eq!(picks(weights, 0, expected.len()), expected, "{weights:?}");
        }
    }

    #[test]
    fn consecutive_seeds_begin_elsewhere() {
        for count in [2, 3, 8] {
            let firsts: Vec<_> = (0..count).flat_map(|seed| picks(&[3; 8], 40 + seed, 1)).collect();
            let distinct: std::collections::BTreeSet<_> = firsts.iter().collect();
            assert_eq!(distinct.len() as u64, count, "{firsts:?}");
        }
        let firsts: Vec<_> = (0..8).flat_map(|seed| picks(&[5, 2, 1], seed, 1)).collect();
        for (candidate, least) in [(0, 4), (1, 2)] {
            assert!(firsts.iter().filter(|first| **first == candidate).count() >= least, "{firsts:?}");
        }
    }

    #[test]
    fn the_greatest_lists_do_not_overflow() {
        let weights: Vec<u32> = (0..10_000).map(|index| u32::MAX - index % 7).collect();
        let mut counts = vec![0_u32; weights.len()];
        for candidate in picks(&weights, u64::MAX, 30_000) {
            counts[candidate] += 1;
        }
        assert!(counts.iter().all(|count| (2..=4).contains(count)));
    }

    #[test]
    fn who_was_away_does_not_make_up_for_it() {
        for weights in [&[1, 1, 1][..], &[1, 2, 3], &[65_535, 1, 1]] {
            let mut rotation = RoundRobin::new(&candidates(weights), 0);
            for _ in 0..1000 {
                assert_ne!(rotation.pick(&|index| index != 0), Some(0));
            }
            let mut alone = 0;
            while rotation.pick(&|_| true) == Some(0) && alone < 100 {
                alone += 1;
            }
            let fair = weights[0] / (weights[1] + weights[2]) + 1;
            assert!(alone <= fair, "{weights:?}: {alone} in a row");
        }
    }

    proptest! {
        #[test]
        fn every_run_of_a_cycle_is_exact(
            weights in prop::collection::vec(1_u32..40, 1..12),
            seed: u64,
            skipped in 0_usize..300,
        ) {
            let cycle = weights.iter().sum::<u32>() as usize;
            let all = picks(&weights, seed, skipped + cycle);
            for (index, weight) in weights.iter().enumerate() {
                let count = all[skipped..].iter().filter(|picked| **picked == index).count();
                prop_assert_eq!(count as u32, *weight);
            }
        }

        #[test]
        fn no_candidate_is_ever_far_from_its_share(
            weights in prop::collection::vec(1_u32..1000, 1..8),
            seed: u64,
        ) {
            let total: u32 = weights.iter().sum();
            let mut counts = vec![0_u32; weights.len()];
            for (done, picked) in picks(&weights, seed, 500).into_iter().enumerate() {
                counts[picked] += 1;
                for (count, weight) in counts.iter().zip(&weights) {
                    let due = (done + 1) as f64 * f64::from(*weight) / f64::from(total);
                    prop_assert!((f64::from(*count) - due).abs() < weights.len() as f64);
                }
            }
        }
    }
}
