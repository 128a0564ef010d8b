//! When a change is made: conditions beyond those of the route.

use std::borrow::Cow;

use http1::{Name, ResponseHead};

use crate::message::path::{Canonical, canonicalise};
use crate::message::{
    Client, HeaderCondition, MediaRange, PathCondition, QueryCondition, Request, StatusSet,
};

/// All that is named here must hold; what is empty always does.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// As written; methods are case-sensitive (RFC 9110 section 9.1).
    pub methods: Vec<String>,
    /// The client speaks TLS, or does not.
    pub secure: Option<bool>,
    /// As the client sent it.
    pub path: PathCondition,
    /// As they are when the filter meets the request.
    pub headers: Vec<HeaderCondition>,
    /// As the client sent it.
    pub query: Vec<QueryCondition>,
    /// Of the answer.
    pub status: Option<StatusSet>,
    /// Of the answer: one of these.
    pub content_types: Vec<MediaRange>,
}

impl When {
    pub fn holds_for_request(&self, client: &Client, request: &Request<'_>) -> bool {
        let is_method = |method: &String| method.as_bytes() == request.head.method_name();
        self.secure.is_none_or(|secure| secure == request.is_secure(client))
            && (self.methods.is_empty() || self.methods.iter().any(is_method))
            && self.headers.iter().all(|condition| condition.holds(&request.head.fields))
            && self.holds_for_target(request.head.target())
    }

    pub fn holds_for_answer(&self, head: &ResponseHead) -> bool {
        let fits = |value: &[u8]| self.content_types.iter().any(|range| range.covers(value));
        self.status.as_ref().is_none_or(|set| set.contains(head.status))
            && (self.content_types.is_empty() || head.fields.get(Name::ContentType).is_some_and(fits))
    }

    /// `target` is what the client sent: a rewrite may stand before the filter, and does not count.
    fn holds_for_target(&self, target: &[u8]) -> bool {
        let any_path = matches!(self.path, PathCondition::Any);
        if any_path && self.query.is_empty() {
            return true;
        }
        let (path, query) = sent(target);
        self.query.iter().all(|condition| condition.holds(query))
            && (any_path || canonical(path).is_some_and(|path| self.path.fits(&path)))
    }
}

/// Path and query of a request's target. One that names a host (RFC 9112 section 3.2.2) may have no path.
fn sent(target: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = target.splitn(2, |byte| *byte == b'?');
    let (place, query) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if matches!(place, [b'/', ..] | b"*") {
        return (place, query);
    }
    let path = memchr::memchr_iter(b'/', place).nth(2).and_then(|at| place.get(at..));
    (path.unwrap_or(b"/"), query)
}

/// As routes see it; `None` for one that no route takes.
fn canonical(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut out = Vec::new();
    match canonicalise(path, &mut out).ok()? {
        Canonical::Same => Some(Cow::Borrowed(path)),
        Canonical::Changed => Some(Cow::Owned(out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_are_found_in_every_form_of_a_target() {
        for (target, path, query) in [
            ("/a?b", "/a", "b"),
            ("/a", "/a", ""),
            ("/a?b?c", "/a", "b?c"),
            ("/?", "/", ""),
            ("http://h/a/b?c", "/a/b", "c"),
            ("http://h?c=/d", "/", "c=/d"),
            ("http://h", "/", ""),
            ("*", "*", ""),
        ] {
            assert_eq!(sent(target.as_bytes()), (path.as_bytes(), query.as_bytes()), "{target}");
        }
    }
}
