//! By chance, by weight, in constant time: Vose's alias method, in integers and so without an error.

use super::{Candidate, weight};
use crate::upstream::generator::Generator;

#[derive(Debug, Clone)]
pub struct Random {
    weights: Box<[u32]>,
    columns: Box<[Column]>,
    /// Sum of the weights, the height of each column.
    total: u64,
    generator: Generator,
}

/// The weights, each as many times as there are candidates, cut and laid into columns of the same height with at
/// most two candidates in each: its own one from the ground up to `own`, the other one above.
#[derive(Debug, Clone, Copy)]
struct Column {
    own: u64,
    other: usize,
}

impl Random {
    pub(super) fn new(candidates: &[Candidate], seed: u64) -> Random {
        let weights: Box<[u32]> = candidates.iter().map(weight).collect();
        let total = weights.iter().map(|weight| u64::from(*weight)).sum();
        let count = weights.len() as u64;
        let mut columns: Box<[Column]> = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| Column { own: u64::from(*weight) * count, other: index })
            .collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) =
            (0..columns.len()).partition(|index| columns[*index].own < total);
        while let (Some(poor), Some(rich)) = (low.pop(), high.pop()) {
            columns[poor].other = rich;
            columns[rich].own -= total - columns[poor].own;
            if columns[rich].own < total { low.push(rich) } else { high.push(rich) }
        }
        Random { weights, columns, total, generator: Generator::new(seed) }
    }

    /// One of the usable candidates; each as likely as its weight says among them.
    pub(super) fn pick(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        for _ in 0..DRAWS {
            let drawn = self.draw()?;
            if usable(drawn) {
                return Some(drawn);
            }
        }
        self.pick_among_few(usable)
    }

    pub(super) fn weights(&self) -> &[u32] {
        &self.weights
    }

    fn draw(&mut self) -> Option<usize> {
        let index = self.generator.below(self.columns.len() as u64) as usize;
        let column = self.columns.get(index)?;
        Some(if self.generator.below(self.total) < column.own { index } else { column.other })
    }

    /// In one pass: each usable candidate takes the place of the one before it with the probability that makes
    /// all come out by weight.
    fn pick_among_few(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let mut picked = None;
        let mut seen = 0;
        for (index, weight) in self.weights.iter().enumerate() {
            if usable(index) {
                seen += u64::from(*weight);
                if self.generator.below(seen) < u64::from(*weight) {
                    picked = Some(index);
                }
            }
        }
        picked
    }
}

/// Draws before all candidates are looked at.
const DRAWS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::candidates;
    use super::*;

    #[test]
    fn shares_are_the_weights_among_the_usable() {
        // Seven of eight draws meet the heavy one; where that is away, all are looked at.
        for away in [9, 0, 1, 3] {
            let weights = [700, 30, 50, 20];
            let mut random = Random::new(&candidates(&weights), 5);
            let mut counts = [0_u32; 4];
            for _ in 0..100_000 {
                counts[random.pick(|index| index != away).expect("three are usable")] += 1;
            }
            let total: u32 = (0..4).filter(|index| *index != away).map(|index| weights[index]).sum();
            for (index, (count, weight)) in counts.into_iter().zip(weights).enumerate() {
                let expected = if index == away { 0.0 } else { 1e5 * f64::from(weight) / f64::from(total) };
                let off = (f64::from(count) - expected).abs();
                assert!(off <= 5.0 * expected.sqrt(), "away {away}: {counts:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn columns_hold_each_weight_exactly(weights in prop::collection::vec(1_u32.., 1..200)) {
            let random = Random::new(&candidates(&weights), 0);
            let mut areas = vec![0; weights.len()];
            for (index, column) in random.columns.iter().enumerate() {
                prop_assert!(column.own <= random.total);
                areas[index] += column.own;
                areas[column.other] += random.total - column.own;
            }
            for (area, weight) in areas.into_iter().zip(&weights) {
                prop_assert_eq!(area, u64::from(*weight) * weights.len() as u64);
            }
        }
    }
}
