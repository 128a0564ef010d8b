//! Which endpoint comes next: plain functions of state and weights.

/// Smooth weighted round robin: in every run of `sum of weights` picks each endpoint comes as often as
/// its weight says, and heavy ones are interleaved with light ones.
#[derive(Debug, Clone)]
pub struct RoundRobin {
    /// Credit of each endpoint: its weight is added at each pick, the sum of all is taken from the one
    /// that is picked.
    credit: Vec<i64>,
}

impl RoundRobin {
    pub fn new(endpoints: usize) -> RoundRobin {
        RoundRobin { credit: vec![0; endpoints] }
    }

    /// The next endpoint among those for which `usable` holds; `None` when there is none.
    pub fn pick(&mut self, weights: &[u32], usable: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<usize> = None;
        let mut total = 0;
        for (index, weight) in weights.iter().enumerate().take(self.credit.len()) {
            if !usable(index) {
                continue;
            }
            self.credit[index] += i64::from(*weight);
            total += i64::from(*weight);
            if best.is_none_or(|best| self.credit[index] > self.credit[best]) {
                best = Some(index);
            }
        }
        let best = best?;
        self.credit[best] -= total;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_exactly_and_interleaved() {
        let mut balance = RoundRobin::new(3);
        let picks: Vec<_> = (0..8).filter_map(|_| balance.pick(&[5, 2, 1], |_| true)).collect();
        assert_eq!(picks, [0, 1, 0, 0, 2, 0, 1, 0]);
    }

    #[test]
    fn unusable_endpoints_are_passed_over() {
        let mut balance = RoundRobin::new(3);
        let picks: Vec<_> = (0..4).filter_map(|_| balance.pick(&[1, 1, 1], |index| index != 1)).collect();
        assert_eq!(picks, [0, 2, 0, 2]);
        assert_eq!(balance.pick(&[1, 1, 1], |_| false), None);
    }
}
