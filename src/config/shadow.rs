//! Routes that stand in each other's way: two with the same match, or one that can never be taken.
//!
//! Only what can be proved is reported. The order of the route table is: exact host, wildcard, any host; exact
//! path, prefix, regex, any path; with methods, without; more conditions, fewer; the lesser name.

use super::diagnostic::{Diagnostic, Place, Problems};
use super::filters::covers;
use crate::message::{PathPattern, ValuePattern};
use crate::route::{HostPattern, RouteMatch, RouteOptions};

type Placed<'a> = (&'a RouteOptions, &'a Place);

pub fn check(routes: &[(RouteOptions, &Place)], problems: &Problems) {
    for (index, (second, second_place)) in routes.iter().enumerate() {
        for (first, first_place) in &routes[..index] {
            let (first, second) = ((first, *first_place), (second, *second_place));
            let found = same_match(first, second)
                .or_else(|| never_taken(first, second))
                .or_else(|| never_taken(second, first));
            if let Some(diagnostic) = found {
                problems.add(diagnostic);
            }
        }
    }
}

fn same_match(first: Placed<'_>, second: Placed<'_>) -> Option<Diagnostic> {
    let (a, b) = (&first.0.matches, &second.0.matches);
    let same_path = same_pattern(&a.path, &b.path);
    if !same_path || !implies(a, b) || !implies(b, a) {
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

/// Whether `winner` is tried before `loser` and takes all its requests.
fn never_taken(winner: Placed<'_>, loser: Placed<'_>) -> Option<Diagnostic> {
    let (a, b) = (&winner.0.matches, &loser.0.matches);
    let covers_hosts = if b.hosts.is_empty() {
        a.hosts.is_empty()
    } else {
        b.hosts.iter().all(|host| a.hosts.contains(host))
    };
    if !covers_hosts || !implies(b, a) {
        return None;
    }
    let why = before(winner.0, loser.0)?;
    let message =
        format!("the route `{}` is never taken: `{}` takes all its requests", loser.0.name, winner.0.name);
    Some(Diagnostic::warning(loser.1, message).also(winner.1, "this one").hint(why))
}

/// Why the path pattern of `a` covers that of `b` and comes first; `None` if that cannot be told.
fn before(a: &RouteOptions, b: &RouteOptions) -> Option<String> {
    match (&a.matches.path, &b.matches.path) {
        (PathPattern::Prefix(prefix), PathPattern::Regex(regex)) if covers_regex(prefix, regex.as_str()) => {
            Some(format!(
                "a prefix comes before every regex: give `{}` a regex too, or a longer prefix",
                a.name
            ))
        }
        (PathPattern::Prefix(prefix), PathPattern::Any) if prefix == "/" => {
            Some("every path begins with \"/\": a `path = \"/\"` can be left out".to_string())
        }
        (one, two) if same_pattern(one, two) && rank(a) < rank(b) => Some(
            "both are equally specific, so the lesser name comes first; name them the other way round"
                .to_string(),
        ),
        _ => None,
    }
}

/// Smaller comes first.
fn rank(route: &RouteOptions) -> (bool, std::cmp::Reverse<usize>, &str) {
    let matches = &route.matches;
    let conditions = matches.headers.len()
        + matches.query.len()
        + usize::from(!matches.clients.is_empty())
        + usize::from(matches.client_certificate.is_some());
    (matches.methods.is_empty(), std::cmp::Reverse(conditions), &route.name)
}

/// Whether a request with the methods, headers, query and client of `b` has those of `a` too.
fn implies(b: &RouteMatch, a: &RouteMatch) -> bool {
    let methods = a.methods.is_empty()
        || (!b.methods.is_empty() && b.methods.iter().all(|method| a.methods.contains(method)));
    let headers = a.headers.iter().all(|wanted| {
        b.headers.iter().any(|given| given.name == wanted.name && implies_value(&given.value, &wanted.value))
    });
    let query = a.query.iter().all(|wanted| {
        b.query.iter().any(|given| given.name == wanted.name && implies_value(&given.value, &wanted.value))
    });
    let clients = a.clients.is_empty()
        || (!b.clients.is_empty()
            && b.clients.iter().all(|inner| a.clients.iter().any(|outer| outer.contains(inner))));
    let certificate = a.client_certificate.is_none() || a.client_certificate == b.client_certificate;
    methods && headers && query && clients && certificate
}

fn implies_value(given: &ValuePattern, wanted: &ValuePattern) -> bool {
    match (given, wanted) {
        (ValuePattern::Absent, ValuePattern::Absent) => true,
        (ValuePattern::Absent, _) => false,
        (_, ValuePattern::Present) => true,
        (ValuePattern::Exact(a), ValuePattern::Exact(b)) => a == b,
        (ValuePattern::Exact(text), ValuePattern::Regex(regex)) => regex.is_match(text.as_bytes()),
        (ValuePattern::Regex(a), ValuePattern::Regex(b)) => a.as_str() == b.as_str(),
        _ => false,
    }
}

fn covers_regex(prefix: &str, regex: &str) -> bool {
    if prefix == "/" {
        return true;
    }
    // What follows the literal may go on in the same segment, so the segment of the prefix must be closed.
    let Some(literal) = literal_start(regex) else { return false };
    literal.len() > prefix.len() && covers(prefix, &literal)
}

/// The text that every match of an anchored regex begins with; `None` if it is not plain to see.
fn literal_start(regex: &str) -> Option<String> {
    let rest = regex.strip_prefix('^').filter(|rest| !rest.contains('|'))?;
    let mut literal = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '?' | '*' | '{' => {
                literal.pop();
                break;
            }
            '.' | '+' | '(' | ')' | '[' | '$' | '^' => break,
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => literal.extend(chars.next()),
            '\\' => break,
            c => literal.push(c),
        }
    }
    Some(literal)
}

fn host_text(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => format!("`{name}`"),
        HostPattern::Wildcard(name) => format!("`*.{name}`"),
    }
}

fn same_pattern(one: &PathPattern, two: &PathPattern) -> bool {
    match (one, two) {
        (PathPattern::Any, PathPattern::Any) => true,
        (PathPattern::Prefix(one), PathPattern::Prefix(two)) => one == two,
        (PathPattern::Exact(one), PathPattern::Exact(two)) => one == two,
        (PathPattern::Regex(one), PathPattern::Regex(two)) => one.as_str() == two.as_str(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::literal_start;

    #[test]
    fn literals() {
        for (regex, literal) in [
            ("^/api/users/[0-9]+$", Some("/api/users/")),
            ("^/api/v1?/x", Some("/api/v")),
            (r"^/a\.b/.*", Some("/a.b/")),
            ("^/a|^/b", None),
            ("/api", None),
            ("^(/api)", Some("")),
        ] {
            assert_eq!(literal_start(regex).as_deref(), literal, "{regex}");
        }
    }
}
