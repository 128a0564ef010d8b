//! Whether a request may be sent again: a pure function of how far the first sending got.

use http1::Method;

/// How far a sending got when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The connection had served a request before, so its death says nothing about the endpoint.
    pub reused: bool,
    /// Bytes of the request that were written.
    pub written: u64,
    /// A byte of the answer arrived.
    pub answered: bool,
    /// The body can be sent from its beginning again.
    pub replayable: bool,
    pub method: Method,
    /// The failure was a close or reset, not a time-out or a bad answer.
    pub closed: bool,
}

/// True when one resend on a fresh connection is right. A keep-alive connection may be closed by the
/// origin at the very moment a request is written to it; the origin then has not looked at the request,
/// but we cannot know. So what was written is sent again only when twice is as good as once
/// (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
pub fn may_resend(attempt: &Attempt) -> bool {
    attempt.reused
        && attempt.closed
        && !attempt.answered
        && attempt.replayable
        && (attempt.method.is_idempotent() || attempt.written == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_GET: Attempt = Attempt {
        reused: true,
        written: 100,
        answered: false,
        replayable: true,
        method: Method::Get,
        closed: true,
    };

    #[test]
    fn a_get_on_a_stale_connection_is_sent_again() {
        assert!(may_resend(&STALE_GET));
        assert!(may_resend(&Attempt { method: Method::Put, ..STALE_GET }));
    }

    #[test]
    fn whatever_may_have_been_executed_is_not() {
        assert!(!may_resend(&Attempt { method: Method::Post, ..STALE_GET }));
        assert!(!may_resend(&Attempt { method: Method::Patch, ..STALE_GET }));
        assert!(!may_resend(&Attempt { method: Method::Other, ..STALE_GET }));
        assert!(!may_resend(&Attempt { answered: true, ..STALE_GET }));
        assert!(!may_resend(&Attempt { reused: false, ..STALE_GET }));
        assert!(!may_resend(&Attempt { replayable: false, ..STALE_GET }));
        assert!(!may_resend(&Attempt { closed: false, ..STALE_GET }));
    }

    #[test]
    fn a_post_of_which_nothing_was_written_is() {
        assert!(may_resend(&Attempt { method: Method::Post, written: 0, ..STALE_GET }));
    }
}
