//! When an operator is told that a certificate ends: at 30, 7 and 1 days, and when it is over.

use crate::certificates::Seconds;

const DAY: Seconds = 86_400;

/// How near the end is; later is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Month,
    Week,
    Day,
    Over,
}

/// The stage that is reached. A stage must lie in the last third of the certificate's life: those that live
/// for a few days are renewed all the time, and nobody wants to hear of it.
pub(super) fn stage(not_before: Seconds, not_after: Seconds, now: Seconds) -> Option<Stage> {
    let (left, life) = (not_after.saturating_sub(now), not_after.saturating_sub(not_before));
    let near = |days: Seconds| left <= days * DAY && days * DAY <= life / 3;
    if left < 0 {
        Some(Stage::Over)
    } else if near(1) {
        Some(Stage::Day)
    } else if near(7) {
        Some(Stage::Week)
    } else if near(30) {
        Some(Stage::Month)
    } else {
        None
    }
}

/// The same for people; negative is a time ago.
pub(super) fn left(seconds: Seconds) -> String {
    let (days, hours) = (seconds.unsigned_abs() / DAY.unsigned_abs(), seconds.unsigned_abs() % 86_400 / 3600);
    let amount = match (days, hours) {
        (0, 1) => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    };
    if seconds < 0 { format!("ended {amount} ago") } else { format!("ends in {amount}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_come_one_after_the_other() {
        let end = 90 * DAY;
        for (left, expected) in [
            (31 * DAY, None),
            (30 * DAY, Some(Stage::Month)),
            (7 * DAY + 1, Some(Stage::Month)),
            (7 * DAY, Some(Stage::Week)),
            (DAY, Some(Stage::Day)),
            (0, Some(Stage::Day)),
            (-1, Some(Stage::Over)),
        ] {
            assert_eq!(stage(0, end, end - left), expected, "{left}");
        }
    }

    #[test]
    fn certificates_that_live_short_are_not_warned_of_all_their_life() {
        assert_eq!(stage(0, 6 * DAY, 0), None);
        assert_eq!(stage(0, 6 * DAY, 5 * DAY), Some(Stage::Day));
        assert_eq!(stage(0, DAY, DAY), None);
        assert_eq!(stage(0, DAY, DAY + 1), Some(Stage::Over));
        assert_eq!(stage(0, 47 * DAY, 20 * DAY), None);
    }

    #[test]
    fn times_are_told_in_days_and_hours() {
        for (seconds, told) in [
            (30 * DAY, "ends in 30 days"),
            (DAY, "ends in 1 day"),
            (7200, "ends in 2 hours"),
            (-3600, "ended 1 hour ago"),
            (-3 * DAY, "ended 3 days ago"),
        ] {
            assert_eq!(left(seconds), told);
        }
    }
}
