//! Routes that stand in each other's way: two with the same match, or one that can never be taken.

use super::diagnostic::{Diagnostic, Place, Problems};
use crate::route::{HostPattern, PathPattern, RouteMatch, RouteOptions, ValuePattern};

pub fn check(routes: &[(RouteOptions, &Place)], problems: &Problems) {
    for (index, (second, second_place)) in routes.iter().enumerate() {
        for (first, first_place) in &routes[..index] {
            if let Some(diagnostic) = same_match((first, first_place), (second, second_place)) {
                problems.add(diagnostic);
            }
        }
    }
}

type Placed<'a> = (&'a RouteOptions, &'a Place);

fn same_match(first: Placed<'_>, second: Placed<'_>) -> Option<Diagnostic> {
    let (a, b) = (&first.0.matches, &second.0.matches);
    if !same_beside_host(a, b) {
        return None;
    }
    let (one, two) = (&first.0.name, &second.0.name);
    let message = if a.hosts.is_empty() && b.hosts.is_empty() {
        format!("the routes `{one}` and `{two}` match the same requests")
    } else {
        let shared = a.hosts.iter().find(|host| b.hosts.contains(host))?;
        format!("the routes `{one}` and `{two}` match the same requests for {}", host_text(shared))
    };
    let hint = format!("`{two}` could never be taken: give it another match, or remove it");
    Some(Diagnostic::error(second.1, message).also(first.1, "the other one").hint(hint))
}

fn same_beside_host(a: &RouteMatch, b: &RouteMatch) -> bool {
    let conditions = |matches: &RouteMatch| {
        let mut all: Vec<String> = Vec::new();
        all.extend(matches.headers.iter().map(|c| format!("header {} {}", c.name, value_text(&c.value))));
        all.extend(matches.query.iter().map(|c| format!("query {} {}", c.name, value_text(&c.value))));
        all.extend(matches.methods.iter().map(|method| format!("method {method}")));
        all.extend(matches.clients.iter().map(|network| format!("client {network}")));
        all.sort();
        all
    };
    path_text(&a.path) == path_text(&b.path) && conditions(a) == conditions(b)
}

fn host_text(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => format!("`{name}`"),
        HostPattern::Wildcard(name) => format!("`*.{name}`"),
    }
}

fn path_text(path: &PathPattern) -> String {
    match path {
        PathPattern::Any => "any".to_string(),
        PathPattern::Prefix(path) => format!("prefix {path}"),
        PathPattern::Exact(path) => format!("exact {path}"),
        PathPattern::Regex(regex) => format!("regex {regex}"),
    }
}

fn value_text(value: &ValuePattern) -> String {
    match value {
        ValuePattern::Present => "present".to_string(),
        ValuePattern::Absent => "absent".to_string(),
        ValuePattern::Exact(text) => format!("exact {text}"),
        ValuePattern::Regex(regex) => format!("regex {regex}"),
    }
}
