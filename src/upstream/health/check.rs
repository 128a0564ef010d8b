//! Active checks: what is asked, and how the outcomes of several become "up" and "down".

use std::time::Duration;

use crate::message::StatusSet;

/// `[upstreams.NAME.health]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthOptions {
    pub probe: Probe,
    /// Asked on this port instead of the endpoint's.
    pub port: Option<u16>,
    /// From the start of one check to the start of the next, give or take a tenth.
    pub interval: Duration,
    /// A check that takes longer has failed.
    pub timeout: Duration,
    /// Failures in a row that take an endpoint out.
    pub fall: u32,
    /// Passes in a row that bring it back.
    pub rise: u32,
    pub start: Initial,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Opens a connection and closes it.
    Connect,
    /// `GET path`; passes when the status is in the set and the body holds the text.
    Http {
        path: String,
        host: Option<String>,
        headers: Vec<(String, String)>,
        status: StatusSet,
        body: Option<String>,
    },
    /// Asks `grpc.health.v1.Health` about this service; the empty one is the whole server.
    Grpc { service: String },
}

/// How an endpoint counts before its first check is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Initial {
    #[default]
    Up,
    Down,
}

/// What the checks so far say of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    pub checked: Checked,
    /// Outcomes in a row that speak against `checked`.
    against: u32,
    /// What the last failed check met.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checked {
    /// No check is over yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    /// Notes the outcome of one check; true when `checked` changed. The very first one decides at once:
    /// nothing is known that it would have to outweigh.
    pub fn note(&mut self, outcome: Result<(), String>, options: &HealthOptions) -> bool {
        let passed = outcome.is_ok();
        if let Err(trouble) = outcome {
            self.trouble = Some(trouble);
        }
        let (agrees, needed) = match self.checked {
            Checked::Unknown => (false, 1),
            Checked::Up => (passed, options.fall),
            Checked::Down => (!passed, options.rise),
        };
        if agrees {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return false;
        }
        self.against = 0;
        self.checked = if passed { Checked::Up } else { Checked::Down };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(fall: u32, rise: u32) -> HealthOptions {
        HealthOptions {
            probe: Probe::Connect,
            port: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            fall,
            rise,
            start: Initial::Up,
        }
    }

    /// The state after each outcome: `+` passed, `-` failed.
    fn states(outcomes: &str, options: &HealthOptions) -> String {
        let mut health = Health::default();
        let mut after = |outcome| {
            let outcome = if outcome == '+' { Ok(()) } else { Err("no".to_owned()) };
            let before = health.checked;
            let changed = health.note(outcome, options);
            assert_eq!(changed, before != health.checked);
            match health.checked {
                Checked::Unknown => '?',
                Checked::Up => 'U',
                Checked::Down => 'd',
            }
        };
        outcomes.chars().map(&mut after).collect()
    }

    #[test]
    fn the_first_outcome_decides() {
        assert_eq!(states("+", &options(3, 2)), "U");
        assert_eq!(states("-", &options(3, 2)), "d");
    }

    #[test]
    fn it_takes_fall_failures_and_rise_passes_in_a_row() {
        assert_eq!(states("+--+---", &options(3, 2)), "UUUUUUd");
        assert_eq!(states("-+-++", &options(3, 2)), "ddddU");
        assert_eq!(states("+-+-+-", &options(1, 1)), "UdUdUd");
    }

    #[test]
    fn the_last_trouble_is_remembered() {
        let mut health = Health::default();
        health.note(Err("refused".to_owned()), &options(1, 1));
        health.note(Ok(()), &options(1, 1));
        assert_eq!(health.trouble.as_deref(), Some("refused"));
    }

    #[test]
    fn statuses_are_ranges() {
        let set = StatusSet(vec![(200, 299), (404, 404)]);
        assert!(set.contains(200) && set.contains(299) && set.contains(404));
        assert!(!set.contains(300) && !set.contains(403));
    }
}
