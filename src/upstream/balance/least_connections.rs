//! The fewest requests in flight per weight.

use std::cmp::Ordering;

use super::{Candidate, View, weight};
use crate::upstream::generator::Generator;

/// Looks at every candidate for each request; where there are hundreds, two choices do nearly as well for less.
#[derive(Debug, Clone)]
pub struct LeastConnections {
    weights: Box<[u32]>,
    generator: Generator,
}

impl LeastConnections {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> LeastConnections {
        LeastConnections { weights: candidates.iter().map(weight).collect(), generator: Generator::new(seed) }
    }

    /// The least of `(load + 1) / weight`, which is what the load would be with this request. Of equal ones any,
    /// each as likely: workers that look at the same moment shall not all take the first.
    pub(super) fn pick(&mut self, view: &View<'_>) -> Option<usize> {
        let mut best: Option<(usize, u64)> = None;
        let mut equals = 0;
        for (index, weight) in self.weights.iter().enumerate() {
            if !(view.usable)(index) {
                continue;
            }
            let load = u64::from((view.load)(index)) + 1;
            let order = best.map_or(Ordering::Less, |(best, least)| {
                compare((load, *weight), (least, self.weights[best]))
            });
            equals = match order {
                Ordering::Less => 1,
                Ordering::Equal => equals + 1,
                Ordering::Greater => continue,
            };
            if order.is_lt() || self.generator.below(equals) == 0 {
                best = Some((index, load));
            }
        }
        best.map(|(index, _)| index)
    }
}

/// Orders loads per weight. Loads are at most 2^32 and weights less: products do not overflow.
pub(super) fn compare(one: (u64, u32), other: (u64, u32)) -> Ordering {
    (one.0 * u64::from(other.1)).cmp(&(other.0 * u64::from(one.1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{candidates, view};
    use super::*;

    fn pick(weights: &[u32], loads: &[u32], usable: &dyn Fn(usize) -> bool, seed: u64) -> Option<usize> {
        view(loads, &[], usable, |view| LeastConnections::new(&candidates(weights), seed).pick(view))
    }

    #[test]
    fn the_least_load_per_weight_wins() {
        // (weights, loads, who is not usable, expected)
        let cases: [(&[u32], &[u32], usize, usize); 7] = [
            (&[1, 1, 1], &[4, 3, 5], 9, 1),
            (&[1, 1, 1], &[4, 3, 5], 1, 0),
            (&[2, 1], &[3, 2], 9, 0),
            (&[3, 1], &[6, 1], 9, 1),
            (&[1, 65_535], &[0, 65_533], 9, 1),
            (&[1, 65_535], &[0, 65_535], 9, 0),
            (&[u32::MAX, u32::MAX - 1], &[u32::MAX, u32::MAX], 9, 0),
        ];
        for (weights, loads, away, expected) in cases {
            let picked = pick(weights, loads, &|index| index != away, 1);
            assert_eq!(picked, Some(expected), "{weights:?} {loads:?}");
        }
    }

    #[test]
    fn equal_ones_are_equally_likely() {
        let mut counts = [0_u32; 4];
        let mut least = LeastConnections::new(&candidates(&[1, 1, 2, 1]), 3);
        view(&[2, 2, 5, 0], &[], &|index| index != 3, |view| {
            for _ in 0..30_000 {
                counts[least.pick(view).expect("three are usable")] += 1;
            }
        });
        assert_eq!(counts[3], 0);
        assert!(counts[..3].iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn nobody_usable_would_be_less_loaded(
            endpoints in prop::collection::vec((1_u32.., any::<u32>(), any::<bool>()), 1..20),
            seed: u64,
        ) {
            let weights: Vec<_> = endpoints.iter().map(|endpoint| endpoint.0).collect();
            let loads: Vec<_> = endpoints.iter().map(|endpoint| endpoint.1).collect();
            let picked = pick(&weights, &loads, &|index| endpoints[index].2, seed);
            let ratio = |index: usize| (f64::from(loads[index]) + 1.0) / f64::from(weights[index]);
            let usable = (0..endpoints.len()).filter(|index| endpoints[*index].2);
            let least = usable.map(ratio).min_by(f64::total_cmp);
            prop_assert_eq!(picked.map(ratio), least);
        }
    }
}
