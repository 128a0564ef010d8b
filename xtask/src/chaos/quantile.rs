//! The one number that stands for many.

use std::time::Duration;

/// The value that a `share` (0 to 1) of the values do not exceed; `None` of nothing.
pub fn quantile(mut values: Vec<Duration>, share: f64) -> Option<Duration> {
    let rank = (values.len() as f64 * share).ceil() as usize;
    let index = rank.clamp(1, values.len().max(1)) - 1;
    (!values.is_empty()).then(|| *values.select_nth_unstable(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_value_at_the_rank() {
        let values: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let of = |share| quantile(values.clone(), share).unwrap().as_millis();
        assert_eq!([of(0.0), of(0.5), of(0.99), of(1.0)], [1, 100, 198, 200]);
        assert_eq!(quantile(Vec::new(), 0.5), None);
    }
}
