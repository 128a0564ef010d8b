//! The better of two that are drawn by weight.

use super::least_connections::compare;
use super::random::Random;
use super::{Candidate, Measure, View};

#[derive(Debug, Clone)]
pub struct TwoChoices {
    random: Random,
    measure: Measure,
}

impl TwoChoices {
    pub(super) fn new(candidates: &[Candidate], measure: Measure, seed: u64) -> TwoChoices {
        TwoChoices { random: Random::new(candidates, seed), measure }
    }

    pub(super) fn pick(&mut self, view: &View<'_>) -> Option<usize> {
        let first = self.random.pick(view.usable)?;
        if self.random.weights().len() == 1 {
            return Some(first);
        }
        let second = self.random.pick(|index| index != first && (view.usable)(index));
        Some(second.filter(|second| self.is_better(*second, first, view)).unwrap_or(first))
    }

    /// Whether `second` shall have the request. What is equal stays with the first, who was drawn by weight.
    fn is_better(&self, second: usize, first: usize, view: &View<'_>) -> bool {
        if self.measure == Measure::Load {
            return self.is_less_loaded(second, first, view);
        }
        match ((view.latency)(second), (view.latency)(first)) {
            (0, 0) => self.is_less_loaded(second, first, view),
            // Who is not known yet is tried, with one request at a time until its first answer.
            (0, _) => (view.load)(second) == 0,
            (_, 0) => (view.load)(first) > 0,
            (second_latency, first_latency) => {
                let cost = |index: usize, latency: u32, weight: u32| {
                    u128::from(latency) * (u128::from((view.load)(index)) + 1) * u128::from(weight)
                };
                let (second_weight, first_weight) = self.weights(second, first);
                // Each by the weight of the other, instead of a division.
                cost(second, second_latency, first_weight) < cost(first, first_latency, second_weight)
            }
        }
    }

    fn is_less_loaded(&self, second: usize, first: usize, view: &View<'_>) -> bool {
        let loads = ((view.load)(second), (view.load)(first));
        // Of two that have nothing to do the heavier one would always win: the draw is fairer.
        if loads == (0, 0) {
            return false;
        }
        let (second_weight, first_weight) = self.weights(second, first);
        compare((u64::from(loads.0) + 1, second_weight), (u64::from(loads.1) + 1, first_weight)).is_lt()
    }

    fn weights(&self, second: usize, first: usize) -> (u32, u32) {
        let weights = self.random.weights();
        (weights[second], weights[first])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{candidates, view};
    use super::*;

    /// How many of 10,000 requests each gets while nothing changes.
    fn shares(measure: Measure, weights: &[u32], loads: &[u32], latencies: &[u32]) -> Vec<u32> {
        let mut choices = TwoChoices::new(&candidates(weights), measure, 11);
        let mut counts = vec![0; weights.len()];
        view(loads, latencies, &|_| true, |view| {
            for _ in 0..10_000 {
                counts[choices.pick(view).expect("all are usable")] += 1;
            }
        });
        counts
    }

    #[test]
    fn the_better_of_two_wins() {
        use Measure::{Load, Time};
        type List = &'static [u32];
        // (measure, weights, loads, latencies, who gets all)
        let cases: [(Measure, List, List, List, usize); 11] = [
            (Load, &[1], &[9], &[0], 0),
            (Load, &[1, 1], &[3, 2], &[1, 9], 1),
            (Load, &[2, 1], &[4, 2], &[0, 0], 0),
            (Load, &[2, 1], &[0, 1], &[0, 0], 0),
            (Load, &[65_535, 1], &[u32::MAX, 0], &[0, 0], 1),
            (Time, &[1, 1], &[0, 5], &[700, 100], 1),
            (Time, &[1, 1], &[0, 6], &[600, 100], 0),
            (Time, &[3, 1], &[0, 0], &[200, 100], 0),
            (Time, &[1, 1], &[0, 0], &[100, 0], 1),
            (Time, &[1, 1], &[50, 1], &[100, 0], 0),
            (Time, &[u32::MAX; 2], &[u32::MAX; 2], &[u32::MAX, u32::MAX - 1], 1),
        ];
        for (measure, weights, loads, latencies, expected) in cases {
            let shares = shares(measure, weights, loads, latencies);
            assert_eq!(shares[expected], 10_000, "{measure:?} {weights:?} {loads:?} {latencies:?}");
        }
    }

    #[test]
    fn without_any_load_weights_decide() {
        let shares = shares(Measure::Load, &[3, 1], &[0, 0], &[0, 0]);
        assert!((7_200..7_800).contains(&shares[0]), "{shares:?}");
    }

    #[test]
    fn the_worst_of_many_gets_nothing_and_the_second_worst_little() {
        let shares = shares(Measure::Load, &[1; 10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[0; 10]);
        assert_eq!(shares[9], 0);
        // Two of ten make 45 pairs; the second worst is the better one in one of them.
        assert!((100..350).contains(&shares[8]), "{shares:?}");
        assert!((1_700..2_300).contains(&shares[0]), "{shares:?}");
    }

    #[test]
    fn two_are_distinct_even_when_one_has_nearly_all_the_weight() {
        let shares = shares(Measure::Load, &[65_535, 1, 1], &[400_000, 1, 5], &[0; 3]);
        assert_eq!(shares[0], 0, "{shares:?}");
    }

    #[test]
    fn loads_even_out() {
        // Requests that never end: with two choices nobody gets more than a few above the average.
        let mut choices = TwoChoices::new(&candidates(&[1; 50]), Measure::Load, 2);
        let mut loads = vec![0; 50];
        for _ in 0..50_000 {
            let picked = view(&loads, &[], &|_| true, |view| choices.pick(view));
            loads[picked.expect("all are usable")] += 1;
        }
        assert!(loads.iter().all(|load| (990..1010).contains(load)), "{loads:?}");
    }
}
