//! Which endpoints of a group take requests now, and with which weights: a plain function of their
//! standings. Workers pick from its outcome and look at nothing else.

use super::Fitness;

/// One endpoint as the plan sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub weight: u16,
    /// Groups are used in the order of this number; see [`BACKUP`].
    pub tier: u16,
    pub fitness: Fitness,
}

/// The tier of endpoints that are used when nobody else is left.
pub const BACKUP: u16 = u16::MAX;

/// What the user set about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanRules {
    /// Percent: with a smaller share of a tier fit, the next tier takes requests too.
    pub min_healthy: u8,
    /// Percent: with a smaller share of a tier fit, those that are only suspected take requests again.
    pub panic_below: u8,
}

impl Default for PlanRules {
    fn default() -> Self {
        PlanRules { min_healthy: 50, panic_below: 50 }
    }
}

/// Who takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Index of the candidate and its weight, scaled: only the relation of weights means something.
    pub seats: Vec<(usize, u32)>,
    /// Suspected endpoints are among them, since too few others are left.
    pub panic: bool,
}

pub fn plan(candidates: &[Candidate], rules: PlanRules) -> Plan {
    let mut tiers: Vec<u16> = candidates.iter().map(|candidate| candidate.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    let mut plan = Plan::default();
    let mut reached = Vec::new();
    let (mut fit, mut size) = (0, 0);
    for tier in tiers {
        if tier == BACKUP && !plan.seats.is_empty() {
            break;
        }
        let own = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.tier == tier);
        let of_tier = own().filter(|(_, candidate)| candidate.counts()).count();
        let before = plan.seats.len();
        for (index, candidate) in own() {
            if let Fitness::Fit(share) = candidate.fitness {
                plan.seats.push((index, u32::from(candidate.weight) * share));
            }
        }
        let fit_here = plan.seats.len() - before;
        (fit, size) = (fit + fit_here, size + of_tier);
        reached.push(tier);
        if fit_here > 0 && !below(fit_here, of_tier, rules.min_healthy) {
            break;
        }
    }
    // A backup that is fit is better than any suspect.
    let has_backup = reached.contains(&BACKUP) && fit > 0;
    if fit == 0 || !has_backup && below(fit, size, rules.panic_below) {
        for (index, candidate) in candidates.iter().enumerate() {
            if candidate.fitness == Fitness::Ejected && reached.contains(&candidate.tier) {
                plan.seats.push((index, u32::from(candidate.weight) * WHOLE));
                plan.panic = true;
            }
        }
        plan.seats.sort_unstable();
    }
    reduce(&mut plan.seats);
    plan
}

/// The share of an endpoint that is fit and warm, in thousandths.
const WHOLE: u32 = 1000;

impl Candidate {
    /// What the operator took out is missed by nobody.
    fn counts(&self) -> bool {
        !matches!(self.fitness, Fitness::Draining | Fitness::Withdrawn)
    }
}

fn below(part: usize, whole: usize, percent: u8) -> bool {
    part * 100 < whole * usize::from(percent)
}

/// Small weights: a cycle of the balance is as long as their sum.
fn reduce(seats: &mut [(usize, u32)]) {
    let divisor = seats.iter().fold(0, |divisor, (_, weight)| greatest_common_divisor(divisor, *weight));
    for (_, weight) in seats {
        *weight /= divisor.max(1);
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: Fitness = Fitness::Fit(1000);

    fn seated(candidates: &[(u16, u16, Fitness)], rules: PlanRules) -> (Vec<(usize, u32)>, bool) {
        let candidates: Vec<_> =
            candidates.iter().map(|&(weight, tier, fitness)| Candidate { weight, tier, fitness }).collect();
        let Plan { seats, panic } = plan(&candidates, rules);
        (seats, panic)
    }

    #[test]
    fn all_that_are_fit_take_requests_by_weight() {
        let rules = PlanRules::default();
        assert_eq!(seated(&[(5, 0, FIT), (2, 0, FIT)], rules), (vec![(0, 5), (1, 2)], false));
        assert_eq!(seated(&[(1, 0, FIT), (1, 0, Fitness::Unfit)], rules), (vec![(0, 1)], false));
        assert_eq!(seated(&[(1, 0, FIT), (1, 0, Fitness::Draining)], rules), (vec![(0, 1)], false));
        assert_eq!(seated(&[], rules), (vec![], false));
    }

    #[test]
    fn a_slow_start_scales_the_weight() {
        let rules = PlanRules::default();
        let half = Fitness::Fit(500);
        assert_eq!(seated(&[(1, 0, FIT), (1, 0, half)], rules), (vec![(0, 2), (1, 1)], false));
    }

    #[test]
    fn backups_wait_until_nobody_else_is_left() {
        let rules = PlanRules::default();
        let with = |a, b| seated(&[(1, 0, a), (1, 0, b), (1, BACKUP, FIT)], rules).0;
        assert_eq!(with(FIT, FIT), [(0, 1), (1, 1)]);
        assert_eq!(with(FIT, Fitness::Unfit), [(0, 1)]);
        assert_eq!(with(Fitness::Unfit, Fitness::Unfit), [(2, 1)]);
        // The operator empties a tier: its backup steps in.
        assert_eq!(with(Fitness::Draining, Fitness::Draining), [(2, 1)]);
        assert_eq!(with(Fitness::Withdrawn, Fitness::Withdrawn), [(2, 1)]);
    }

    #[test]
    fn the_next_tier_joins_when_too_few_are_fit() {
        let rules = PlanRules { min_healthy: 70, panic_below: 0 };
        let tier = |fit: usize| {
            let mut all: Vec<_> =
                (0..4).map(|index| (1, 0, if index < fit { FIT } else { Fitness::Unfit })).collect();
            all.push((1, 1, FIT));
            seated(&all, rules).0.iter().map(|(index, _)| *index).collect::<Vec<_>>()
        };
        assert_eq!(tier(4), [0, 1, 2, 3]);
        assert_eq!(tier(3), [0, 1, 2]);
        assert_eq!(tier(2), [0, 1, 4]);
        assert_eq!(tier(0), [4]);
    }

    #[test]
    fn what_the_operator_takes_out_is_no_sign_of_trouble() {
        let rules = PlanRules::default();
        for out in [Fitness::Draining, Fitness::Withdrawn] {
            let all = [(1, 0, FIT), (1, 0, out), (1, 0, out), (1, 1, FIT)];
            assert_eq!(seated(&all, rules), (vec![(0, 1)], false));
        }
    }

    #[test]
    fn with_too_few_left_suspects_are_used_again() {
        let rules = PlanRules::default();
        let out = Fitness::Ejected;
        assert_eq!(seated(&[(1, 0, FIT), (1, 0, out)], rules), (vec![(0, 1)], false));
        assert_eq!(seated(&[(1, 0, FIT), (1, 0, out), (1, 0, out)], rules).0.len(), 3);
        assert!(seated(&[(1, 0, FIT), (1, 0, out), (1, 0, out)], rules).1);
        // A backup, or the next tier, is better than suspects.
        assert_eq!(seated(&[(1, 0, out), (1, BACKUP, FIT)], rules), (vec![(1, 1)], false));
        assert_eq!(
            seated(&[(1, 0, out), (1, 0, out), (1, 1, FIT), (1, 1, FIT)], rules),
            (vec![(2, 1), (3, 1)], false)
        );
        assert_eq!(seated(&[(1, 0, out), (1, BACKUP, Fitness::Unfit)], rules), (vec![(0, 1)], true));
        // What failed its checks stays out: that is no suspicion.
        assert_eq!(seated(&[(1, 0, out), (1, 0, Fitness::Unfit)], rules), (vec![(0, 1)], true));
        assert_eq!(seated(&[(1, 0, Fitness::Unfit)], rules), (vec![], false));
    }
}
