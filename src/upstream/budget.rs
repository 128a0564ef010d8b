//! How often requests may be sent again: a share of all requests, so that a group that is dying is not
//! stormed with repetitions. One per worker and group.

use tokio::time::Instant;

/// Tokens are counted in hundredths: a request brings the percentage, a repetition takes 100.
const WHOLE: u64 = 100;
/// What may always be saved up: ten repetitions.
const LEAST: u64 = 10 * WHOLE;
/// What may be saved up where there are many requests: as much as they bring in so many seconds. An endpoint that
/// falls silent costs all requests that it has one repetition, at the same moment.
const SAVED_SECONDS: u64 = 2;
/// Where there are few requests, one repetition for each second is allowed whatever the share.
const EACH_SECOND: u64 = WHOLE;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryBudget {
    /// Since the last repetition.
    earned: u64,
    tokens: u64,
    /// The most that `tokens` may be, by the requests between the last looks.
    most: u64,
    /// Earned since `looked`, up to the last repetition.
    lately: u64,
    looked: Instant,
}

impl RetryBudget {
    pub fn new(now: Instant) -> RetryBudget {
        RetryBudget { earned: 0, tokens: LEAST, most: LEAST, lately: 0, looked: now }
    }

    /// A request came that may be sent again in `percent` of all cases.
    #[inline]
    pub fn earn(&mut self, percent: u32) {
        self.earned = self.earned.saturating_add(u64::from(percent));
    }

    /// True when one more repetition is within the budget; it is taken then.
    pub fn spend(&mut self, now: Instant) -> bool {
        let earned = std::mem::take(&mut self.earned);
        self.tokens = self.tokens.saturating_add(earned);
        self.lately = self.lately.saturating_add(earned);
        let seconds = now.saturating_duration_since(self.looked).as_secs();
        if let Some(each_second) = self.lately.checked_div(seconds) {
            self.most = each_second.saturating_mul(SAVED_SECONDS).max(LEAST);
            self.tokens = self.tokens.saturating_add(seconds.saturating_mul(EACH_SECOND));
            self.lately = 0;
            self.looked = now;
        }
        self.tokens = self.tokens.min(self.most);
        if self.tokens < WHOLE {
            return false;
        }
        self.tokens -= WHOLE;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    /// One of three endpoints of which each has 200 requests falls silent: all of them go elsewhere.
    #[test]
    fn what_is_saved_up_grows_with_the_requests() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        let seconds = 100;
        (0..seconds * 1000).for_each(|_| budget.earn(20));
        let now = start + Duration::from_secs(seconds);
        let saved = (0..).take_while(|_| budget.spend(now)).count();
        assert_eq!(saved, 400);
        // Of a quiet time nothing is left over.
        let later = now + Duration::from_secs(1000);
        let saved = (0..).take_while(|_| budget.spend(later)).count();
        assert_eq!(saved, 10);
    }
}
