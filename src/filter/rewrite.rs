//! The path on its way to the target.

use regex::bytes::Regex;

use super::Decision;
use crate::message::path::{self, Canonical, PathError, canonicalise};
use crate::message::{Failure, Request};
use crate::wire::Scratch;

/// A change of the path.
#[derive(Debug, Clone)]
pub enum Rewrite {
    /// `strip_prefix = "/api"`: `/api/x` becomes `/x`, `/api` becomes `/`.
    StripPrefix(String),
    /// `rewrite = { regex = "^/u/([0-9]+)$", to = "/users/$1" }`; what the regex matches is replaced, and a
    /// path that it does not match stays as it is.
    Regex { regex: Regex, to: String },
}

/// Gives the request its new path.
pub fn rewrite(rewrite: &Rewrite, request: &mut Request<'_>) -> Decision<'static> {
    let mut out = Scratch::take();
    match apply_rewrite(rewrite, request.head.path(), &mut out) {
        Ok(Canonical::Same) => {}
        Ok(Canonical::Changed) => request.head.set_path(&out),
        Err(error) => return Decision::Fail(Failure::BadPath(error.code())),
    }
    Decision::Pass
}

/// Writes the path for the upstream to `out` (replacing what it held), from the canonical path that was
/// matched. `Same`: the path stays, nothing to read in `out`.
///
/// The result has to be canonical as it is: a rewrite that would make `..` or `//` is an error.
pub fn apply_rewrite(rewrite: &Rewrite, path: &[u8], out: &mut Vec<u8>) -> Result<Canonical, PathError> {
    out.clear();
    match rewrite {
        Rewrite::StripPrefix(prefix) => match path::covered_by(prefix.trim_end_matches('/').as_bytes(), path)
        {
            Some(0) | None => return Ok(Canonical::Same),
            Some(covered) if covered == path.len() => out.push(b'/'),
            Some(covered) => out.extend_from_slice(&path[covered..]),
        },
        Rewrite::Regex { regex, to } => {
            let Some(captures) = regex.captures(path) else {
                return Ok(Canonical::Same);
            };
            let matched = captures.get_match();
            out.extend_from_slice(&path[..matched.start()]);
            captures.expand(to.as_bytes(), out);
            out.extend_from_slice(&path[matched.end()..]);
        }
    }
    match canonicalise(out, &mut Vec::new()) {
        Ok(Canonical::Same) => Ok(Canonical::Changed),
        Ok(Canonical::Changed) | Err(_) => Err(PathError::RewrittenPath),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rewrite: &Rewrite, path: &str) -> Result<String, PathError> {
        let mut out = b"stale".to_vec();
        match apply_rewrite(rewrite, path.as_bytes(), &mut out)? {
            Canonical::Same => Ok(path.to_owned()),
            Canonical::Changed => Ok(String::from_utf8(out).unwrap()),
        }
    }

    #[test]
    fn a_prefix_is_stripped_by_whole_segments() {
        let strip = |prefix: &str, path: &str| rewritten(&Rewrite::StripPrefix(prefix.to_owned()), path);
        for (path, expected) in [
            ("/api", "/"),
            ("/api/", "/"),
            ("/api/x/", "/x/"),
            ("/api;v=1/x", "/x"),
            ("/api./foo", "/api./foo"),
            ("/api../foo", "/api../foo"),
            ("/api%20/admin", "/api%20/admin"),
            ("/apis", "/apis"),
            ("*", "*"),
        ] {
            assert_eq!(strip("/api", path).as_deref(), Ok(expected), "{path}");
            assert_eq!(strip("/api/", path).as_deref(), Ok(expected), "{path}");
        }
        assert_eq!(strip("/", "/x").as_deref(), Ok("/x"));
        assert_eq!(strip("/%C4%B0", "/%C4%B0/x").as_deref(), Ok("/x"));
        assert_eq!(strip("/i", "/%C4%B0/x").as_deref(), Ok("/%C4%B0/x"));
    }

    #[test]
    fn a_regex_rewrite_gives_a_canonical_path_or_an_error() {
        let rule =
            |regex: &str, to: &str| Rewrite::Regex { regex: Regex::new(regex).unwrap(), to: to.to_owned() };
        let users = rule("^/u/([0-9]+)$", "/users/$1");
        assert_eq!(rewritten(&users, "/u/17").as_deref(), Ok("/users/17"));
        assert_eq!(rewritten(&users, "/u/x").as_deref(), Ok("/u/x"));
        assert_eq!(rewritten(&rule("^/old", "/new"), "/old/x").as_deref(), Ok("/new/x"));
        assert_eq!(rewritten(&rule("^/a", ""), "/a/b").as_deref(), Ok("/b"));
        for (regex, to) in [
            ("^/a/(.*)$", "/$1/../$1"),
            ("^/a/", "//"),
            ("^/a", "/.."),
            ("^/a", "/x?y"),
            ("^/a", "/x\r\ny"),
            ("^/a", "/%2e"),
        ] {
            assert_eq!(rewritten(&rule(regex, to), "/a/b/c%20d"), Err(PathError::RewrittenPath), "{to}");
        }
    }
}
