//! What Palisade promises to be, next to what was measured. A missed goal is printed as missed.

use super::peers::Peer;
use super::results::Row;

/// One promise.
#[derive(Debug, PartialEq)]
pub struct Goal {
    pub what: &'static str,
    pub unit: &'static str,
    /// `None`: could not be measured, or there is nothing to compare with.
    pub measured: Option<f64>,
    /// At most this.
    pub limit: f64,
    /// Where we want to be, when that is lower than the limit.
    pub aim: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    AimReached,
    Passed,
    Missed,
    NotMeasured,
}

impl Verdict {
    pub fn text(self) -> &'static str {
        match self {
            Verdict::AimReached => "pass, aim reached",
            Verdict::Passed => "pass",
            Verdict::Missed => "**missed**",
            Verdict::NotMeasured => "not measured",
        }
    }
}

impl Goal {
    pub fn verdict(&self) -> Verdict {
        match (self.measured, self.aim) {
            (None, _) => Verdict::NotMeasured,
            (Some(measured), Some(aim)) if measured <= aim => Verdict::AimReached,
            (Some(measured), _) if measured <= self.limit => Verdict::Passed,
            (Some(_), _) => Verdict::Missed,
        }
    }
}

/// Every goal, judged by `rows`. Without a row of Palisade there is nothing to judge.
pub fn judge(rows: &[Row]) -> Vec<Goal> {
    let row = |peer| rows.iter().find(|row| row.peer == peer);
    let Some(palisade) = row(Peer::Palisade) else { return Vec::new() };
    // Palisade's number as a share of a peer's.
    let share = |of: fn(&Row) -> Option<f64>, peer| Some(of(palisade)? / of(row(peer)?)?);
    let cpu_of_better = || {
        let peers = [row(Peer::Nginx)?.cpu_per_request()?, row(Peer::Haproxy)?.cpu_per_request()?];
        Some(palisade.cpu_per_request()? / peers[0].min(peers[1]))
    };
    let goal = |what, unit, measured, limit, aim| Goal { what, unit, measured, limit, aim };
    let calls = palisade.calls.as_ref().map(|calls| calls.socket);
    let idle_mib = palisade.idle_bytes.map(|bytes| bytes / f64::from(1 << 20));
    vec![
        goal("CPU per request, of the better of nginx and HAProxy", "x", cpu_of_better(), 0.85, Some(0.80)),
        goal("User instructions per request", "", palisade.instructions(), 11_000.0, Some(9_000.0)),
        goal("Socket calls per request", "", calls, 4.1, None),
        goal("Heap allocations per request", "", palisade.allocations(), 2.0, None),
        goal("CPU per byte at 64 KiB, of nginx", "x", share(Row::medium_per_mib, Peer::Nginx), 0.6, None),
        goal("CPU per byte at 64 KiB, of HAProxy", "x", share(Row::medium_per_mib, Peer::Haproxy), 0.9, None),
        goal("CPU per byte at 1 MiB, of nginx", "x", share(Row::large_per_mib, Peer::Nginx), 0.6, None),
        goal("CPU per byte at 1 MiB, of HAProxy", "x", share(Row::large_per_mib, Peer::Haproxy), 0.9, None),
        goal("Memory of 10,000 idle connections", "MiB", idle_mib, 10.0, None),
        goal("p99 at a fixed rate, of nginx", "x", share(Row::p99_micros, Peer::Nginx), 1.0, None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Saturation;

    fn row(peer: Peer, cpu_micros: f64) -> Row {
        let saturation = Saturation { requests_per_second: 1.0, cpu_micros, disturbance: 0.0 };
        Row {
            small: Some(saturation),
            medium: Some(saturation),
            large: Some(saturation),
            ..Row::new(peer, String::new())
        }
    }

    #[test]
    fn compares_with_the_better_peer() {
        let rows = [row(Peer::Palisade, 8.2), row(Peer::Nginx, 10.0), row(Peer::Haproxy, 12.0)];
        let goals = judge(&rows);
        assert_eq!(goals[0].measured, Some(0.82));
        assert_eq!(goals[0].verdict(), Verdict::Passed);
        assert_eq!(goals[1].verdict(), Verdict::NotMeasured);
        assert_eq!(goals[4].verdict(), Verdict::Missed, "0.82 of nginx per byte");
        assert_eq!(goals[5].verdict(), Verdict::Passed, "0.68 of HAProxy per byte");
    }

    #[test]
    fn a_limit_is_met_exactly_and_an_aim_is_more() {
        let goal = |measured| Goal { what: "", unit: "", measured, limit: 11.0, aim: Some(9.0) };
        assert_eq!(goal(Some(11.0)).verdict(), Verdict::Passed);
        assert_eq!(goal(Some(11.01)).verdict(), Verdict::Missed);
        assert_eq!(goal(Some(9.0)).verdict(), Verdict::AimReached);
        assert_eq!(goal(None).verdict(), Verdict::NotMeasured);
    }

    #[test]
    fn judges_nothing_without_palisade_or_peers() {
        assert!(judge(&[row(Peer::Nginx, 1.0)]).is_empty());
        assert_eq!(judge(&[row(Peer::Palisade, 1.0)])[0].verdict(), Verdict::NotMeasured);
    }
}
