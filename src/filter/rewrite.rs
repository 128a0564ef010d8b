//! Path and query on their way to the target.

use std::borrow::Cow;

use regex::bytes::Regex;

use super::Decision;
use crate::message::path::{self, Canonical, PathError, canonicalise, push_escape};
use crate::message::{Exchange, Failure, Request, Template, Values, Variable};

/// What becomes of the path, in this order.
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    /// `strip_prefix = "/api"`: `/api/x` becomes `/x`, `/api` becomes `/`.
    pub strip_prefix: Option<String>,
    /// The first that matches.
    pub rules: Vec<RewriteRule>,
    /// `add_prefix = "/v2"`: `/x` becomes `/v2/x`.
    pub add_prefix: Option<String>,
}

/// `{ regex = "^/u/([0-9]+)$", to = "/users?id=$1" }`: what the regex matches is replaced.
#[derive(Debug, Clone)]
pub struct RewriteRule {
    pub regex: Regex,
    pub path: Template,
    /// What stands behind the `?`: the query of the request follows it, unless it is empty. Without one the
    /// query stays.
    pub query: Option<Template>,
}

/// Where a request goes instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewritten {
    pub path: Vec<u8>,
    /// Without its `?`; `None` when it stays.
    pub query: Option<Vec<u8>>,
}

impl Rewrite {
    pub fn is_nothing(&self) -> bool {
        self.strip_prefix.is_none() && self.rules.is_empty() && self.add_prefix.is_none()
    }

    /// Gives the request its new path.
    pub fn apply(&self, exchange: Exchange<'_>, request: &mut Request<'_>) -> Decision<'static> {
        match self.rewritten(exchange, request) {
            Ok(None) => {}
            Ok(Some(Rewritten { path, query })) => {
                request.head.set_path(&path);
                if let Some(query) = query {
                    request.head.set_query((!query.is_empty()).then_some(&query));
                }
            }
            Err(error) => return Decision::Fail(Failure::BadPath(error.code())),
        }
        Decision::Pass
    }

    /// Where it goes; `None` when it stays. The path has to be canonical as it is: a rewrite that would make `..`
    /// or `//` is an error.
    pub fn rewritten(
        &self,
        exchange: Exchange<'_>,
        request: &Request<'_>,
    ) -> Result<Option<Rewritten>, PathError> {
        let before = request.head.path();
        let mut path = Cow::Borrowed(before);
        let mut query = None;
        if let Some(prefix) = &self.strip_prefix
            && let Some(rest) = stripped(prefix, before)
        {
            path = Cow::Owned(rest);
        }
        for rule in &self.rules {
            if let Some(groups) = rule.regex.captures(&path) {
                let values = Values { groups: Some(&groups), ..Values::of_request(exchange, request) };
                let matched = groups.get_match();
                let mut out = path.get(..matched.start()).unwrap_or_default().to_vec();
                rule.path.write_escaped(&values, &mut out, push_in_path);
                out.extend_from_slice(path.get(matched.end()..).unwrap_or_default());
                query = rule.query.as_ref().map(|template| query_for(template, &values));
                path = Cow::Owned(out);
                break;
            }
        }
        if let Some(prefix) = &self.add_prefix {
            path = Cow::Owned([prefix.trim_end_matches('/').as_bytes(), &path].concat());
        }
        match path {
            Cow::Borrowed(_) => Ok(None),
            Cow::Owned(path) => match canonicalise(&path, &mut Vec::new()) {
                Ok(Canonical::Same) => Ok(Some(Rewritten { path, query })),
                Ok(Canonical::Changed) | Err(_) => Err(PathError::RewrittenPath),
            },
        }
    }
}

/// The path behind the whole segments of the prefix; `None` when it is not below it.
fn stripped(prefix: &str, path: &[u8]) -> Option<Vec<u8>> {
    match path::covered_by(prefix.trim_end_matches('/').as_bytes(), path) {
        Some(0) | None => None,
        Some(covered) if covered == path.len() => Some(b"/".to_vec()),
        Some(covered) => path.get(covered..).map(<[u8]>::to_vec),
    }
}

fn query_for(template: &Template, values: &Values<'_, '_>) -> Vec<u8> {
    let mut query = Vec::new();
    template.write_escaped(values, &mut query, push_in_query);
    if let Some(before) =
        values.request.head.query().filter(|query| !query.is_empty() && !template.is_empty())
    {
        query.push(b'&');
        query.extend_from_slice(before);
    }
    query
}

/// Paths and parts of them are canonical already; anything else is one segment.
fn push_in_path(variable: &Variable, value: &[u8], out: &mut Vec<u8>) {
    match variable {
        Variable::Path | Variable::Group(_) => out.extend_from_slice(value),
        _ => push_encoded(value, out),
    }
}

/// No value begins a parameter of its own. What was received as part of an address has its escapes already.
fn push_in_query(variable: &Variable, value: &[u8], out: &mut Vec<u8>) {
    match variable {
        Variable::Path | Variable::Group(_) | Variable::Parameter(_) => {
            for &byte in value {
                if byte.is_ascii_graphic() && !b"&=+;#".contains(&byte) {
                    out.push(byte);
                } else {
                    push_escape(byte, out);
                }
            }
        }
        _ => push_encoded(value, out),
    }
}

/// All but the unreserved characters as escapes (RFC 3986 section 2.3).
fn push_encoded(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            push_escape(byte, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Client, Moment, Protocol, staged};
    use crate::wire::Peer;

    fn rewritten(rewrite: &Rewrite, target: &str) -> Result<String, PathError> {
        let client = Client::new(Peer::Unix);
        let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "", endpoint: None };
        let head = format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\nX-Any: a/b?c&d\r\n\r\n");
        staged::request(&head, |request| match rewrite.apply(exchange, request) {
            Decision::Fail(_) => Err(PathError::RewrittenPath),
            _ => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let query = request.head.query().map_or(String::new(), |query| format!("?{}", text(query)));
                Ok(text(request.head.path()) + &query)
            }
        })
    }

    fn rule(regex: &str, to: &str) -> RewriteRule {
        let (path, query) = to.split_once('?').map_or((to, None), |(path, query)| (path, Some(query)));
        let compile = |text: &str| Template::compile_with_groups(text, Moment::Request).unwrap();
        RewriteRule { regex: Regex::new(regex).unwrap(), path: compile(path), query: query.map(compile) }
    }

    fn rules(rules: &[(&str, &str)]) -> Rewrite {
        let rules = rules.iter().map(|(regex, to)| rule(regex, to)).collect();
        Rewrite { rules, ..Rewrite::default() }
    }

    #[test]
    fn a_prefix_is_stripped_by_whole_segments() {
        let strip = |prefix: &str, path: &str| {
            rewritten(&Rewrite { strip_prefix: Some(prefix.to_owned()), ..Rewrite::default() }, path)
        };
        for (path, expected) in [
            ("/api", "/"),
            ("/api/", "/"),
            ("/api/x/", "/x/"),
            ("/api;v=1/x", "/x"),
            ("/api./foo", "/api./foo"),
            ("/api../foo", "/api../foo"),
            ("/api%20/admin", "/api%20/admin"),
            ("/apis", "/apis"),
        ] {
            assert_eq!(strip("/api", path).as_deref(), Ok(expected), "{path}");
            assert_eq!(strip("/api/", path).as_deref(), Ok(expected), "{path}");
        }
        assert_eq!(strip("/", "/x").as_deref(), Ok("/x"));
        assert_eq!(strip("/%C4%B0", "/%C4%B0/x").as_deref(), Ok("/x"));
        assert_eq!(strip("/i", "/%C4%B0/x").as_deref(), Ok("/%C4%B0/x"));
    }

    #[test]
    fn a_prefix_is_added_last() {
        let both = Rewrite {
            strip_prefix: Some("/api".to_owned()),
            add_prefix: Some("/v2/".to_owned()),
            ..Rewrite::default()
        };
        assert_eq!(rewritten(&both, "/api/x?q").as_deref(), Ok("/v2/x?q"));
        assert_eq!(rewritten(&both, "/other").as_deref(), Ok("/v2/other"));
    }

    #[test]
    fn a_regex_rewrite_gives_a_canonical_path_or_an_error() {
        let users = rules(&[("^/u/([0-9]+)$", "/users/$1")]);
        assert_eq!(rewritten(&users, "/u/17").as_deref(), Ok("/users/17"));
        assert_eq!(rewritten(&users, "/u/x?a").as_deref(), Ok("/u/x?a"));
        assert_eq!(rewritten(&rules(&[("^/old", "/new")]), "/old/x").as_deref(), Ok("/new/x"));
        assert_eq!(rewritten(&rules(&[("^/a", "")]), "/a/b").as_deref(), Ok("/b"));
        for (regex, to) in
            [("^/a/(.*)$", "/$1/../$1"), ("^/a/", "//"), ("^/a", "/.."), ("^/a", "/x\r\ny"), ("^/a", "/%2e")]
        {
            assert_eq!(
                rewritten(&rules(&[(regex, to)]), "/a/b/c%20d"),
                Err(PathError::RewrittenPath),
                "{to}"
            );
        }
    }

    #[test]
    fn the_first_rule_that_matches_is_used() {
        let both = rules(&[("^/a", "/b"), ("^/b", "/c"), ("^/", "/rest/")]);
        assert_eq!(rewritten(&both, "/a/x").as_deref(), Ok("/b/x"));
        assert_eq!(rewritten(&both, "/b/x").as_deref(), Ok("/c/x"));
        assert_eq!(rewritten(&both, "/d").as_deref(), Ok("/rest/d"));
    }

    #[test]
    fn a_query_is_put_before_that_of_the_request() {
        for (to, target, expected) in [
            ("/user?id=$1", "/u/7", "/user?id=7"),
            ("/user?id=$1", "/u/7?a=b", "/user?id=7&a=b"),
            ("/user?", "/u/7?a=b", "/user"),
            ("/user", "/u/7?a=b", "/user?a=b"),
            ("/user?id=$1", "/u/7&admin=1", "/user?id=7%26admin%3D1"),
            ("/user?id=$1", "/u/%20", "/user?id=%20"),
        ] {
            assert_eq!(
                rewritten(&rules(&[("^/u/(.*)$", to)]), target).as_deref(),
                Ok(expected),
                "{to} {target}"
            );
        }
    }

    #[test]
    fn a_variable_is_one_segment_or_one_value() {
        let to = |to: &str| rewritten(&rules(&[("^/(.*)$", to)]), "/a/b");
        assert_eq!(to("/{host}/$1").as_deref(), Ok("/shop.test/a/b"));
        assert_eq!(to("/v{path}").as_deref(), Ok("/v/a/b"));
        assert_eq!(to("/x?h={header.X-Any}").as_deref(), Ok("/x?h=a%2Fb%3Fc%26d"));
        // An escaped slash has no single reading, so no path may have one.
        assert_eq!(to("/{header.X-Any}"), Err(PathError::RewrittenPath));
    }
}
