//! What the answer of an auth service says of a request, and what it is that it gives none.

use http1::ResponseHead;

use super::Identity;
use crate::message::{Failure, pages};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// The answer is the client's.
    Refuse,
    Fail(Failure),
}

impl Verdict {
    /// What a complete answer means.
    pub fn of(head: &ResponseHead, identity: &Identity) -> Verdict {
        match head.status {
            200..=299 if !identity.is_complete(&head.fields) => {
                Verdict::Fail(Failure::AuthFailed("require_identity"))
            }
            200..=299 => Verdict::Pass,
            // Sent elsewhere, or told no. A 304 is the answer to a condition, and none was asked.
            300..=303 | 307 | 308 | 400..=499 => Verdict::Refuse,
            503 => Verdict::Fail(Failure::AuthUnavailable("status")),
            _ => Verdict::Fail(Failure::AuthFailed("status")),
        }
    }
}

/// The failure to get an answer, as one of authentication: so nobody takes it for one of the target, in whose place
/// a fallback answers.
pub fn unanswered(failure: Failure) -> Failure {
    if matches!(failure, Failure::BadPath(_) | Failure::AuthFailed(_)) {
        return failure;
    }
    match pages::status(failure) {
        502 => Failure::AuthFailed(failure.reason()),
        504 => Failure::AuthTimeout,
        _ => Failure::AuthUnavailable(failure.reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::FieldName;

    fn identity() -> Identity {
        let names = |names: &[&str]| names.iter().map(|name| FieldName::new(name).unwrap()).collect();
        Identity { names: names(&["X-Auth-User", "X-Auth-Groups"]), required: names(&["X-Auth-User"]) }
    }

    fn verdict(status: u16, fields: &str) -> Verdict {
        let mut head = ResponseHead::default();
        head.parse(format!("HTTP/1.1 {status} x\r\n{fields}\r\n").as_bytes()).unwrap();
        Verdict::of(&head, &identity())
    }

    #[test]
    fn only_2xx_lets_pass() {
        for status in 200..=599 {
            let expected = match status {
                200..=299 => Verdict::Pass,
                304 | 305 | 306 | 309..=399 => Verdict::Fail(Failure::AuthFailed("status")),
                300..=499 => Verdict::Refuse,
                503 => Verdict::Fail(Failure::AuthUnavailable("status")),
                _ => Verdict::Fail(Failure::AuthFailed("status")),
            };
            assert_eq!(verdict(status, "X-Auth-User: alice\r\n"), expected, "{status}");
        }
    }

    #[test]
    fn who_is_required_must_be_named() {
        let nobody = Verdict::Fail(Failure::AuthFailed("require_identity"));
        for (fields, expected) in [
            ("x-auth-user: alice\r\n", Verdict::Pass),
            ("X-Auth-User: alice\r\nX-Auth-User: bob\r\n", Verdict::Pass),
            ("", nobody),
            ("X-Auth-User:\r\n", nobody),
            ("X-Auth-User:  \r\n", nobody),
            ("X_Auth_User: alice\r\n", nobody),
            ("X-Auth-Groups: staff\r\n", nobody),
        ] {
            assert_eq!(verdict(200, fields), expected, "{fields:?}");
        }
        assert_eq!(verdict(403, ""), Verdict::Refuse, "a refusal names nobody");
    }

    #[test]
    fn no_failure_to_ask_looks_like_one_of_the_target() {
        for (failure, expected) in [
            (Failure::ConnectRefused, Failure::AuthFailed("upstream_connect_refused")),
            (Failure::ClosedBeforeAnswer, Failure::AuthFailed("upstream_closed")),
            (Failure::TooManyInterim, Failure::AuthFailed("upstream_too_many_interim")),
            (Failure::BadUpgrade, Failure::AuthFailed("upstream_bad_upgrade")),
            (Failure::ReadTimeout, Failure::AuthTimeout),
            (Failure::ConnectTimeout, Failure::AuthTimeout),
            (Failure::NoEndpoint, Failure::AuthUnavailable("no_endpoint")),
            (Failure::BreakerOpen, Failure::AuthUnavailable("breaker_open")),
            (Failure::OutOfSpace, Failure::AuthUnavailable("out_of_space")),
            (Failure::BadPath("path_merged"), Failure::BadPath("path_merged")),
        ] {
            assert_eq!(unanswered(failure), expected);
            assert!(!unanswered(failure).is_nobody(), "{failure:?}");
        }
    }
}
