//! What workers and checks report of an endpoint, and what its group makes of it: ejections, recoveries,
//! and a new plan when something changed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, interval};

use super::endpoint::Endpoint;
use super::group::{Group, Groups};
use super::health::outlier::{Window, suspects};
use super::health::{Checked, Operator, Standing};
use crate::message::{Blame, Failure};
use crate::observe;

/// How often ends of ejections and growing shares are looked at.
const TICK: Duration = Duration::from_millis(250);
/// An endpoint that was not ejected for so many times its first ejection begins with that again.
const FORGIVEN_AFTER: u32 = 10;

impl Endpoint {
    /// The head of an answer with `status` came, `took` after the request was sent.
    #[inline]
    pub fn note_answer(&self, status: u16, took: impl FnOnce() -> Duration) {
        if self.observed.wants_attention() {
            self.weigh_answer(status, took());
        }
    }

    #[cold]
    fn weigh_answer(&self, status: u16, took: Duration) {
        let row = self.observed.answered(status, took);
        if row == 0 {
            return;
        }
        if let Some(group) = self.group.upgrade() {
            let limit = group.published().options.outlier.server_errors;
            if limit > 0 && row.is_multiple_of(limit) {
                group.eject(self, format!("{row} server errors in a row"), Instant::now());
            }
        }
    }

    /// There was no answer, or none that could be read.
    #[cold]
    pub fn note_failure(&self, failure: Failure) {
        if failure.blame() != Blame::Upstream {
            return;
        }
        let row = self.observed.failed();
        if let Some(group) = self.group.upgrade() {
            let limit = group.published().options.outlier.failures;
            if limit > 0 && row.is_multiple_of(limit) {
                let why = format!("{row} failures in a row, the last one {}", failure.reason());
                group.eject(self, why, Instant::now());
            }
        }
    }
}

impl Group {
    /// Takes a suspect out for a while, unless too many are out already.
    fn eject(&self, suspect: &Endpoint, why: String, now: Instant) {
        let options = self.options();
        let members = self.members();
        let is_out = |standing: &Standing| standing.ejected.as_ref().is_some_and(|out| now < out.until);
        let out = members
            .iter()
            .filter(|member| is_out(&member.endpoint.standing.lock().expect("no panic while held")))
            .count();
        if !options.outlier.may_eject(members.len(), out) {
            return;
        }
        let said = {
            let mut standing = suspect.standing.lock().expect("no panic while held");
            if is_out(&standing) {
                return;
            }
            let forgiven = standing.free_since.is_some_and(|since| {
                now.saturating_duration_since(since) > options.outlier.ejection_time * FORGIVEN_AFTER
            });
            if forgiven {
                standing.ejections = 0;
            }
            let lasts = options.outlier.duration(standing.ejections);
            standing.ejections = standing.ejections.saturating_add(1);
            let said = format!(
                "upstream {}: endpoint {} is ejected for {} s: {why}",
                self.name,
                suspect.label,
                lasts.as_secs_f32().ceil()
            );
            standing.ejected = Some(super::health::Ejected { until: now + lasts, why });
            said
        };
        // Behind the lock: standard error may be slow.
        observe::notice(&said);
        suspect.counters.ejections.fetch_add(1, Relaxed);
        suspect.observed.forgive();
        self.replan(now);
    }

    /// Notes the outcome of an active check.
    pub fn note_check(&self, endpoint: &Endpoint, outcome: Result<(), String>, now: Instant) {
        let options = self.options();
        let Some(health) = &options.health else { return };
        let counter = match outcome {
            Ok(()) => &endpoint.counters.check_passes,
            Err(_) => &endpoint.counters.check_failures,
        };
        counter.fetch_add(1, Relaxed);
        let mut standing = endpoint.standing.lock().expect("no panic while held");
        let before = standing.health.checked;
        if !standing.health.note(outcome, health) {
            return;
        }
        let is_up = standing.health.checked == Checked::Up;
        if is_up && before == Checked::Down {
            // A check that passes outweighs what requests met before.
            standing.recover(now);
            endpoint.observed.forgive();
        }
        let trouble = standing.health.trouble.clone().unwrap_or_default();
        drop(standing);
        if is_up {
            observe::notice(&format!("upstream {}: endpoint {} is up", self.name, endpoint.label));
        } else {
            // Its connections lead to something that does not answer.
            endpoint.empty_pool();
            observe::notice(&format!(
                "upstream {}: endpoint {} is down: {trouble}",
                self.name, endpoint.label
            ));
        }
        self.replan(now);
    }

    /// Ends ejections that are over and lets shares grow.
    fn tick(&self, now: Instant) {
        let slow_start = self.options().slow_start;
        let mut changed = false;
        for member in self.members() {
            let endpoint = &member.endpoint;
            let mut standing = endpoint.standing.lock().expect("no panic while held");
            let is_free = standing.ejected.as_ref().is_some_and(|out| out.until <= now);
            if is_free {
                standing.recover(now);
                endpoint.observed.forgive();
            }
            if let Some(recovered) = standing.recovered {
                changed = true;
                if now.saturating_duration_since(recovered) >= slow_start {
                    standing.recovered = None;
                }
            }
            drop(standing);
            if is_free {
                observe::notice(&format!(
                    "upstream {}: endpoint {} is used again",
                    self.name, endpoint.label
                ));
            }
        }
        if changed {
            self.replan(now);
        }
    }

    /// Looks at what the requests of the last interval showed.
    fn judge(&self, now: Instant) {
        let outlier = self.options().outlier.clone();
        let members = self.members();
        let windows: Vec<Window> =
            members.iter().map(|member| member.endpoint.observed.take_window()).collect();
        for (index, why) in suspects(&windows, &outlier) {
            if let Some(member) = members.get(index) {
                self.eject(&member.endpoint, why, now);
            }
        }
    }

    /// The operator's word on one endpoint; false when the group has none with this address.
    pub fn order(&self, label: &str, order: Order, now: Instant) -> bool {
        let Some(member) = self.members().into_iter().find(|member| member.endpoint.label == label) else {
            return false;
        };
        {
            let mut standing = member.endpoint.standing.lock().expect("no panic while held");
            match order {
                Order::Be(operator) => {
                    if operator == Operator::Enabled && standing.operator != Operator::Enabled {
                        standing.recover(now);
                        member.endpoint.observed.forgive();
                    }
                    standing.operator = operator;
                }
                Order::Weigh(weight) => standing.weight = Some(weight),
            }
        }
        self.replan(now);
        true
    }
}

/// What an operator may order for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Be(Operator),
    Weigh(u16),
}

/// Keeps the plans of all groups true as time passes; runs for ever, on the runtime that is not a worker's.
pub async fn keep_planning(groups: Arc<Groups>) {
    let mut tick = interval(TICK);
    let mut judged: std::collections::HashMap<usize, Instant> = std::collections::HashMap::new();
    loop {
        tick.tick().await;
        let now = Instant::now();
        for group in groups.all() {
            group.tick(now);
            let outlier = &group.options().outlier;
            if !outlier.has_window() {
                continue;
            }
            let last = judged.entry(group.slot.index).or_insert(now);
            if now.saturating_duration_since(*last) >= outlier.interval {
                *last = now;
                group.judge(now);
            }
        }
    }
}
