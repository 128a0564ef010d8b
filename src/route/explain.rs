//! Why a request takes the route that it takes, for people. Reads the rules one by one, in order; the
//! table's quick look-up must come to the same end, and the tests hold the two against each other.

use std::cmp::Reverse;
use std::fmt;

use http1::RequestHead;

use super::condition::{self, Asker, Mismatch};
use super::host::{self, HostRank};
use super::options::RouteMatch;
use crate::message::{PathPattern, path};

/// The routes that were considered, most specific first, and the one that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Routes for this host up to the winner, or all when there is none.
    pub steps: Vec<Step>,
    /// Names of the routes that do not cover the host.
    pub other_hosts: Vec<String>,
    /// Index into the routes that the table was built from.
    pub winner: Option<usize>,
}

/// One route that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub route: String,
    /// The first thing that did not fit, in words; `None` for the winner.
    pub rejected: Option<String>,
}

/// What orders routes by specificity; the smaller is the more specific.
type Rank<'r> = (Reverse<HostRank>, Reverse<PathRank>, TieRank<'r>);

/// The part of the order that is left when host and path are equally specific: a method condition, then
/// more conditions, then the name.
pub(super) type TieRank<'r> = (Reverse<bool>, Reverse<usize>, &'r str);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Any,
    Regex,
    /// Bytes of the prefix.
    Prefix(usize),
    Exact,
}

/// `routes`: name and match of each. The head's path is canonical.
pub(super) fn explain(routes: &[(&str, &RouteMatch)], head: &RequestHead, asker: Asker<'_>) -> Explanation {
    let mut ranked: Vec<(Rank<'_>, usize)> = Vec::new();
    let mut other_hosts = Vec::new();
    for (index, (name, matches)) in routes.iter().enumerate() {
        match host::best_cover(&matches.hosts, head.host()) {
            Some(host) => {
                let rank = (Reverse(host), Reverse(path_rank(&matches.path)), tie_rank(name, matches));
                ranked.push((rank, index));
            }
            None => other_hosts.push((*name).to_owned()),
        }
    }
    ranked.sort();

    let mut explanation = Explanation { steps: Vec::new(), other_hosts, winner: None };
    for (_, index) in ranked {
        let (name, matches) = routes[index];
        let mismatch = if matches.path.condition().fits(head.path()) {
            condition::first_mismatch(matches, head, asker)
        } else {
            Some(Mismatch::Path)
        };
        explanation.steps.push(Step {
            route: name.to_owned(),
            rejected: mismatch.map(|mismatch| in_words(mismatch, matches, head)),
        });
        if mismatch.is_none() {
            explanation.winner = Some(index);
            break;
        }
    }
    explanation
}

pub(super) fn tie_rank<'r>(name: &'r str, matches: &RouteMatch) -> TieRank<'r> {
    (Reverse(!matches.methods.is_empty()), Reverse(condition::count(matches)), name)
}

fn path_rank(pattern: &PathPattern) -> PathRank {
    match pattern {
        PathPattern::Any => PathRank::Any,
        PathPattern::Regex(_) => PathRank::Regex,
        PathPattern::Prefix(prefix) => {
            PathRank::Prefix(path::prefix(prefix).map_or(0, |prefix| prefix.len()))
        }
        PathPattern::Exact(_) => PathRank::Exact,
    }
}

fn in_words(mismatch: Mismatch<'_>, matches: &RouteMatch, head: &RequestHead) -> String {
    match mismatch {
        Mismatch::Path => match &matches.path {
            PathPattern::Prefix(prefix) => format!("the path is not under {prefix}"),
            PathPattern::Exact(exact) => format!("the path is not {exact}"),
            PathPattern::Regex(regex) => format!("the path does not match {regex}"),
            PathPattern::Any => "the path does not fit".to_owned(),
        },
        Mismatch::Method => {
            let method = String::from_utf8_lossy(head.method_name());
            format!("the method {method} is not {}", matches.methods.join(" or "))
        }
        Mismatch::Header(name) => format!("the header {name} does not fit"),
        Mismatch::Query(name) => format!("the query parameter {name} does not fit"),
        Mismatch::Client => "the client address is not in clients".to_owned(),
        Mismatch::NoClientCertificate => {
            "client_certificate asks for a certificate, and the client shows none".to_owned()
        }
        Mismatch::ClientCertificate(key) => format!("the client's certificate does not fit {key}"),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.route.len()).max().unwrap_or(0);
        for step in &self.steps {
            match &step.rejected {
                Some(reason) => writeln!(f, "  no   {:width$}  {reason}", step.route)?,
                None => writeln!(f, "  yes  {:width$}  everything fits", step.route)?,
            }
        }
        match self.other_hosts.as_slice() {
            [] => {}
            [one] => writeln!(f, "  ({one} is for another host)")?,
            [first, .., last] => {
                let count = self.other_hosts.len();
                writeln!(f, "  ({count} routes are for other hosts: {first} to {last})")?;
            }
        }
        match self.steps.last() {
            Some(Step { route, rejected: None }) => write!(f, "The request takes the route {route}."),
            _ => write!(f, "No route takes the request: the answer is 404."),
        }
    }
}
