//! All that speaks for or against one endpoint, and what follows from it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Checked, Health, HealthOptions, Initial};

#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub operator: Operator,
    /// Set by the operator in place of the configured one.
    pub weight: Option<u16>,
    pub health: Health,
    pub ejected: Option<Ejected>,
    /// How often it was ejected lately: each time is longer than the one before.
    pub ejections: u32,
    /// When it became fit after having been unfit; its share grows from then on.
    pub recovered: Option<Instant>,
    /// When its last ejection ended.
    pub free_since: Option<Instant>,
}

/// What the operator said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    #[default]
    Enabled,
    /// No new requests, but those of clients that stick to it.
    Draining,
    /// No requests at all.
    Disabled,
}

/// Taken out because of what real requests met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejected {
    pub until: Instant,
    pub why: String,
}

/// What a plan needs to know of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// Takes this many thousandths of its share.
    Fit(u32),
    /// Suspected by what requests met: used again when too few others are left.
    Ejected,
    /// Takes no new request, but those that stick to it.
    Draining,
    /// Failed its checks.
    Unfit,
    /// The operator disabled it; or drains it, and it would take nothing anyway.
    Withdrawn,
}

/// The least share of an endpoint that just came back, in thousandths: without any it would never warm up.
const FIRST_SHARE: u32 = 50;
const WHOLE_SHARE: u32 = 1000;

impl Standing {
    /// Fitness at `now`, under the options of its group.
    pub fn fitness(&self, now: Instant, health: Option<&HealthOptions>, slow_start: Duration) -> Fitness {
        let is_ejected = self.ejected.as_ref().is_some_and(|ejected| now < ejected.until);
        let passes = self.passes_checks(health);
        match self.operator {
            Operator::Disabled => return Fitness::Withdrawn,
            Operator::Draining if passes && !is_ejected => return Fitness::Draining,
            Operator::Draining => return Fitness::Withdrawn,
            Operator::Enabled => {}
        }
        if !passes {
            return Fitness::Unfit;
        }
        if is_ejected {
            return Fitness::Ejected;
        }
        Fitness::Fit(self.share(now, slow_start))
    }

    /// It is fit again, whatever was wrong before: any ejection ends, and its share begins to grow.
    pub fn recover(&mut self, now: Instant) {
        if self.ejected.take().is_some() {
            self.free_since = Some(now);
        }
        self.recovered = Some(now);
    }

    pub fn passes_checks(&self, health: Option<&HealthOptions>) -> bool {
        match (health, self.health.checked) {
            (None, _) | (_, Checked::Up) => true,
            (Some(options), Checked::Unknown) => options.start == Initial::Up,
            (Some(_), Checked::Down) => false,
        }
    }

    fn share(&self, now: Instant, slow_start: Duration) -> u32 {
        let Some(recovered) = self.recovered else { return WHOLE_SHARE };
        let passed = now.saturating_duration_since(recovered);
        if passed >= slow_start {
            return WHOLE_SHARE;
        }
        let share = passed.as_millis() * u128::from(WHOLE_SHARE) / slow_start.as_millis().max(1);
        // In steps: each new share is a new plan for every worker.
        (share as u32 / FIRST_SHARE * FIRST_SHARE).clamp(FIRST_SHARE, WHOLE_SHARE)
    }

    /// A word for its state and, when it is not "up", why.
    pub fn told(
        &self,
        now: Instant,
        health: Option<&HealthOptions>,
        slow_start: Duration,
    ) -> (&'static str, String) {
        match self.fitness(now, health, slow_start) {
            Fitness::Fit(WHOLE_SHARE) => ("up", String::new()),
            Fitness::Fit(share) => ("warming", format!("slow start, {} % of its share", share / 10)),
            Fitness::Draining | Fitness::Withdrawn => match self.operator {
                Operator::Disabled => ("disabled", "by the operator".to_owned()),
                _ => ("draining", "by the operator".to_owned()),
            },
            Fitness::Unfit => match &self.health.trouble {
                Some(trouble) => ("down", format!("check failed: {trouble}")),
                None => ("down", "not checked yet".to_owned()),
            },
            Fitness::Ejected => match &self.ejected {
                Some(Ejected { until, why }) => {
                    let left = until.saturating_duration_since(now).as_secs() + 1;
                    ("ejected", format!("{why}, for {left} s more"))
                }
                None => ("ejected", String::new()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Probe;
    use super::*;

    const SLOW: Duration = Duration::from_secs(30);

    fn checks(start: Initial) -> HealthOptions {
        HealthOptions {
            probe: Probe::Connect,
            port: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            fall: 1,
            rise: 1,
            start,
        }
    }

    fn checked(checked: Checked) -> Standing {
        let mut standing = Standing::default();
        standing.health.checked = checked;
        standing
    }

    #[test]
    fn checks_decide_only_where_there_are_some() {
        let now = Instant::now();
        let down = checked(Checked::Down);
        assert_eq!(down.fitness(now, None, SLOW), Fitness::Fit(1000));
        assert_eq!(down.fitness(now, Some(&checks(Initial::Up)), SLOW), Fitness::Unfit);
        let unknown = Standing::default();
        assert_eq!(unknown.fitness(now, Some(&checks(Initial::Up)), SLOW), Fitness::Fit(1000));
        assert_eq!(unknown.fitness(now, Some(&checks(Initial::Down)), SLOW), Fitness::Unfit);
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let now = Instant::now();
        let health = checks(Initial::Up);
        let said = |operator| Standing { operator, ..checked(Checked::Up) }.fitness(now, Some(&health), SLOW);
        assert_eq!(said(Operator::Enabled), Fitness::Fit(1000));
        assert_eq!(said(Operator::Draining), Fitness::Draining);
        assert_eq!(said(Operator::Disabled), Fitness::Withdrawn);
        // Whoever sticks to it must not be sent to a server that is gone.
        let gone = Standing { operator: Operator::Draining, ..checked(Checked::Down) };
        assert_eq!(gone.fitness(now, Some(&health), SLOW), Fitness::Withdrawn);
    }

    #[test]
    fn an_ejection_ends_by_itself() {
        let now = Instant::now();
        let until = now + Duration::from_secs(10);
        let ejected = Some(Ejected { until, why: "5 failures in a row".to_owned() });
        let standing = Standing { ejected, ..Standing::default() };
        assert_eq!(standing.fitness(now, None, SLOW), Fitness::Ejected);
        assert_eq!(standing.told(now, None, SLOW).1, "5 failures in a row, for 11 s more");
        assert_eq!(standing.fitness(until, None, SLOW), Fitness::Fit(1000));
    }

    #[test]
    fn a_share_grows_after_recovery() {
        let now = Instant::now();
        let standing = Standing { recovered: Some(now), ..Standing::default() };
        let after = |secs| standing.fitness(now + Duration::from_secs(secs), None, SLOW);
        assert_eq!(after(0), Fitness::Fit(50));
        assert_eq!(after(15), Fitness::Fit(500));
        assert_eq!(after(30), Fitness::Fit(1000));
        assert_eq!(standing.fitness(now, None, Duration::ZERO), Fitness::Fit(1000));
    }
}
