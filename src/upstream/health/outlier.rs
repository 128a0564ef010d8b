//! What real requests show: endpoints that fail, err or lag behind the others are taken out for a while.
//! Decisions are plain functions; counting is in [`Window`] and in the endpoint.

use std::time::Duration;

/// `[upstreams.NAME.outlier]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlierOptions {
    /// Failures in a row (connect, time-out, reset, bad answer) that eject; 0 is never.
    pub failures: u32,
    /// Answers 500 to 599 in a row that eject; 0 is never.
    pub server_errors: u32,
    /// Percent of requests answered without failure or server error; an endpoint below it is ejected. 0 is
    /// never.
    pub success_rate: u8,
    /// An endpoint that takes this many times the median of the others is ejected; 0 is never.
    pub slow_factor: u32,
    /// A mean below this is not slow, whatever the others take.
    pub slow_min: Duration,
    /// How often success rate and slowness are looked at, over the requests since the last look.
    pub interval: Duration,
    /// Requests that an endpoint must have had in an interval to be judged by it.
    pub min_requests: u32,
    /// The first ejection lasts so long, the second twice as long, and so on.
    pub ejection_time: Duration,
    pub max_ejection_time: Duration,
    /// Percent of a group that may be ejected at the same time; one of two or more always may.
    pub max_ejected: u8,
}

impl Default for OutlierOptions {
    fn default() -> Self {
        OutlierOptions {
            failures: 5,
            server_errors: 0,
            success_rate: 0,
            slow_factor: 0,
            slow_min: Duration::from_millis(100),
            interval: Duration::from_secs(5),
            min_requests: 20,
            ejection_time: Duration::from_secs(10),
            max_ejection_time: Duration::from_secs(300),
            max_ejected: 50,
        }
    }
}

impl OutlierOptions {
    /// Whether requests are counted and timed for the look at each interval.
    pub fn has_window(&self) -> bool {
        self.success_rate > 0 || self.slow_factor > 0
    }

    /// How long the ejection after `before` earlier ones lasts.
    pub fn duration(&self, before: u32) -> Duration {
        self.ejection_time.saturating_mul(before.saturating_add(1)).min(self.max_ejection_time)
    }

    /// Whether one more of `size` endpoints may be ejected when `ejected` are.
    pub fn may_eject(&self, size: usize, ejected: usize) -> bool {
        let most = (size * usize::from(self.max_ejected) / 100).max(1);
        size > 1 && self.max_ejected > 0 && ejected < most
    }
}

/// What the requests of one interval showed of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    pub requests: u32,
    /// Failures and answers 500 to 599.
    pub errors: u32,
    /// Sum of the times to the head of the answer, of requests that had one.
    pub micros: u64,
}

impl Window {
    fn mean(&self) -> Option<u64> {
        let answered = u64::from(self.requests.saturating_sub(self.errors));
        self.micros.checked_div(answered)
    }
}

/// Which endpoints stand out, by index, and why.
pub fn suspects(windows: &[Window], options: &OutlierOptions) -> Vec<(usize, String)> {
    let judged: Vec<(usize, &Window)> = windows
        .iter()
        .enumerate()
        .filter(|(_, window)| window.requests >= options.min_requests.max(1))
        .collect();
    let mut found = Vec::new();
    for (index, window) in &judged {
        let good = u64::from(window.requests - window.errors.min(window.requests)) * 100;
        let rate = good / u64::from(window.requests);
        if options.success_rate > 0 && good < u64::from(options.success_rate) * u64::from(window.requests) {
            found.push((*index, format!("{rate} % of requests went well")));
            continue;
        }
        let Some(mean) = window.mean() else { continue };
        let others = judged.iter().filter(|(other, _)| other != index);
        let Some(median) = median(others.filter_map(|(_, window)| window.mean()).collect()) else { continue };
        let limit = median.saturating_mul(u64::from(options.slow_factor)).max(micros(options.slow_min));
        if options.slow_factor > 0 && mean > limit {
            let (mean, median) = (mean / 1000, median / 1000);
            found.push((*index, format!("slow: {mean} ms where others take {median} ms")));
        }
    }
    found
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(requests: u32, errors: u32, mean_ms: u64) -> Window {
        Window { requests, errors, micros: u64::from(requests - errors) * mean_ms * 1000 }
    }

    fn found(windows: &[Window], options: &OutlierOptions) -> Vec<usize> {
        suspects(windows, options).into_iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn each_ejection_is_longer_up_to_a_limit() {
        let options = OutlierOptions::default();
        let seconds = |before| options.duration(before).as_secs();
        assert_eq!([seconds(0), seconds(1), seconds(2), seconds(1000)], [10, 20, 30, 300]);
        assert_eq!(seconds(u32::MAX), 300);
    }

    #[test]
    fn at_most_half_of_a_group_is_ejected() {
        let options = OutlierOptions::default();
        let most = |size| (0..=size).find(|ejected| !options.may_eject(size, *ejected));
        assert_eq!([1, 2, 3, 4, 5, 10].map(most), [0, 1, 1, 2, 2, 5].map(Some));
        let never = OutlierOptions { max_ejected: 0, ..options };
        assert!(!never.may_eject(10, 0));
    }

    #[test]
    fn an_endpoint_that_errs_stands_out() {
        let options = OutlierOptions { success_rate: 90, ..OutlierOptions::default() };
        assert_eq!(found(&[window(100, 0, 5), window(100, 11, 5), window(100, 10, 5)], &options), [1]);
        // Too few to judge by.
        assert!(found(&[window(100, 0, 5), window(19, 19, 5)], &options).is_empty());
        let off = OutlierOptions::default();
        assert!(found(&[window(100, 0, 5), window(100, 100, 5)], &off).is_empty());
    }

    #[test]
    fn an_endpoint_that_is_slow_stands_out() {
        let options = OutlierOptions { slow_factor: 3, ..OutlierOptions::default() };
        let all = [window(50, 0, 40), window(50, 0, 540), window(50, 0, 60)];
        assert_eq!(suspects(&all, &options), [(1, "slow: 540 ms where others take 60 ms".to_owned())]);
        // 3 ms where others take 1 ms is nothing that a user would notice.
        assert!(found(&[window(50, 0, 1), window(50, 0, 9)], &options).is_empty());
        // Nobody to compare with.
        assert!(found(&[window(50, 0, 9000)], &options).is_empty());
        assert!(found(&[window(50, 0, 9000), window(50, 50, 0)], &options).is_empty());
    }
}
