//! How often requests may be sent again: a share of all requests, so that a group that is dying is not
//! stormed with repetitions. One per worker and group.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens are counted in hundredths: a request brings the percentage, a repetition takes 100.
const WHOLE: u32 = 100;
/// What may be saved up: ten repetitions.
const MOST: u32 = 10 * WHOLE;
/// Where there are few requests, one repetition for each such time is allowed whatever the share.
const AT_LEAST_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryBudget {
    tokens: u32,
    looked: Instant,
}

impl RetryBudget {
    pub fn new(now: Instant) -> RetryBudget {
        RetryBudget { tokens: MOST, looked: now }
    }

    /// A request came that may be sent again in `percent` of all cases.
    #[inline]
    pub fn earn(&mut self, percent: u32) {
        self.tokens = (self.tokens + percent).min(MOST);
    }

    /// True when one more repetition is within the budget; it is taken then.
    pub fn spend(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.looked);
        let earned = (passed.as_secs() / AT_LEAST_EVERY.as_secs()).min(u64::from(MOST / WHOLE)) as u32;
        if earned > 0 {
            self.looked = now;
            self.earn(earned * WHOLE);
        }
        if self.tokens < WHOLE {
            return false;
        }
        self.tokens -= WHOLE;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_may_be_repeated() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(now);
        let saved = (0..).take_while(|_| budget.spend(now)).count();
        assert_eq!(saved, 10);
        let repeated = (0..1000)
            .filter(|_| {
                budget.earn(20);
                budget.spend(now)
            })
            .count();
        assert_eq!(repeated, 200);
    }

    #[test]
    fn where_little_happens_one_a_second_is_allowed() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        while budget.spend(start) {}
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(budget.spend(at(1)));
        assert!(!budget.spend(at(1)));
        assert!(budget.spend(at(2)));
        // What is saved up has a limit.
        let saved = (0..).take_while(|_| budget.spend(at(1000))).count();
        assert_eq!(saved, 10);
    }
}
