//! All routes of a configuration, ready to be looked up: most specific first.

use std::collections::{HashMap, HashSet};

use http1::RequestHead;

use super::condition::{self, Asker};
use super::explain::{self, Explanation};
use super::host::{self, HostIndex};
use super::options::{HostPattern, RouteMatch, RouteOptions};
use super::path_index::{Candidate, PathIndex, Patterns, Site};
use crate::message::{PathPattern, path};

/// Finds the route of a request.
///
/// A request takes the route whose match is most specific: exact host before wildcard (a longer one before
/// a shorter one) before any host; then exact path before prefix (a longer one before a shorter one)
/// before regex before any path; then a route with methods before one without; then more header, query
/// and client conditions before fewer; then the lesser name. Two regexes are equally specific. Where a
/// more specific route does not match as a whole, the next one is tried, also one of a less specific host.
#[derive(Debug)]
pub struct Table {
    routes: Vec<Route>,
    /// The whole table is one route that takes everything.
    takes_all: bool,
    hosts: HostIndex<Site>,
    any_host: Site,
    paths: PathIndex,
}

#[derive(Debug)]
struct Route {
    name: String,
    matches: RouteMatch,
}

impl Table {
    /// Makes a table; [`Table::find`] gives indices into `routes`. A path pattern that [`path::pattern`]
    /// refuses matches nothing: the check of the configuration reports it.
    pub fn build(routes: &[RouteOptions]) -> Table {
        let takes_all = match routes {
            [only] => only.matches.hosts.is_empty() && takes_any_path(&only.matches),
            _ => false,
        };
        let (by_host, any_host) = patterns_by_host(routes);
        let mut paths = PathIndex::default();
        let any_host = paths.add(&any_host);
        let sites: Vec<_> =
            by_host.into_iter().map(|(host, patterns)| (host, paths.add(&patterns))).collect();
        let hosts = HostIndex::build(&sites);
        let routes = routes
            .iter()
            .map(|options| Route { name: options.name.clone(), matches: options.matches.clone() });
        Table { routes: routes.collect(), takes_all, hosts, any_host, paths }
    }

    /// The route for a request; `None` when none matches. The path of `head` is canonical
    /// ([`path::canonicalise`]).
    pub fn find(&self, head: &RequestHead, asker: Asker<'_>) -> Option<usize> {
        if self.takes_all {
            return Some(0);
        }
        let bare = path::without_parameters(head.path());
        let path = bare.as_deref().unwrap_or(head.path());
        let takes = |candidate: Candidate| {
            candidate.is_unconditional() || {
                let matches = &self.routes[candidate.route()].matches;
                regex_fits(matches, path) && condition::first_mismatch(matches, head, asker).is_none()
            }
        };
        let find = |site| self.paths.find(site, path, takes).map(Candidate::route);
        let host = head.host();
        if let Some(found) = self.hosts.exact(host).and_then(find) {
            return Some(found);
        }
        self.hosts.wildcards(host).find_map(find).or_else(|| find(self.any_host))
    }

    /// Why [`Table::find`] gives what it gives; slow, for people.
    pub fn explain(&self, head: &RequestHead, asker: Asker<'_>) -> Explanation {
        let routes: Vec<_> = self.routes.iter().map(|route| (route.name.as_str(), &route.matches)).collect();
        explain::explain(&routes, head, asker)
    }
}

/// The routes of each host pattern, and those for any host.
fn patterns_by_host(routes: &[RouteOptions]) -> (HashMap<HostPattern, Patterns>, Patterns) {
    let mut order: Vec<usize> = (0..routes.len()).collect();
    order.sort_by_key(|&index| {
        let matches = &routes[index].matches;
        // Only in the list of the rest do both kinds meet: there a regex comes before any path.
        (matches!(matches.path, PathPattern::Any), explain::tie_rank(&routes[index].name, matches))
    });
    let mut by_host: HashMap<HostPattern, Patterns> = HashMap::new();
    let mut any_host = Patterns::default();
    for index in order {
        let matches = &routes[index].matches;
        let hosts: HashSet<HostPattern> = matches.hosts.iter().map(host::normalise).collect();
        if matches.hosts.is_empty() {
            add_pattern(&mut any_host, index, matches);
        }
        for host in hosts {
            add_pattern(by_host.entry(host).or_default(), index, matches);
        }
    }
    (by_host, any_host)
}

fn add_pattern(patterns: &mut Patterns, index: usize, matches: &RouteMatch) {
    let conditional = matches!(matches.path, PathPattern::Regex(_)) || !condition::is_empty(matches);
    let candidate = Candidate::new(index, !conditional);
    match &matches.path {
        PathPattern::Any | PathPattern::Regex(_) => patterns.rest.push(candidate),
        PathPattern::Prefix(prefix) => {
            if let Ok(prefix) = path::prefix(prefix) {
                patterns.prefix.entry(prefix).or_default().push(candidate);
            }
        }
        PathPattern::Exact(exact) => {
            if let Ok(exact) = path::pattern(exact) {
                patterns.exact.entry(exact).or_default().push(candidate);
            }
        }
    }
}

fn takes_any_path(matches: &RouteMatch) -> bool {
    matches!(matches.path, PathPattern::Any) && condition::is_empty(matches)
}

fn regex_fits(matches: &RouteMatch, path: &[u8]) -> bool {
    match &matches.path {
        PathPattern::Regex(regex) => regex.is_match(path),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
