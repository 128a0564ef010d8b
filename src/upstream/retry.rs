//! Whether a request may be sent again, and where: a pure function of how far the last sending got.

use std::time::Duration;

use http1::Method;

use super::Hedge;
use crate::message::Failure;
use crate::message::StatusSet;

/// `retry` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOptions {
    /// How often a request may be sent again; 0 also keeps it at the endpoint that was chosen first.
    pub attempts: u8,
    /// After a connect that failed: nothing was sent, so this holds for every request.
    pub on_connect: bool,
    /// After a connection that ended before the answer.
    pub on_reset: bool,
    /// After a time-out for the head of the answer.
    pub on_timeout: bool,
    pub on_status: StatusSet,
    /// For the head of the answer, from the moment a request is sent; then it counts as a time-out.
    pub try_timeout: Option<Duration>,
    /// The wait before the first repetition is random up to this; it doubles with each one.
    pub backoff: Duration,
    /// Another endpoint is asked too when an answer is late.
    pub hedge: Option<Hedge>,
}

impl Default for RetryOptions {
    fn default() -> Self {
        RetryOptions {
            attempts: 1,
            on_connect: true,
            on_reset: true,
            on_timeout: false,
            on_status: StatusSet(Vec::new()),
            try_timeout: None,
            backoff: Duration::from_millis(25),
            hedge: None,
        }
    }
}

/// Endpoints that a request is taken to because others could not be connected to.
const MAX_CONNECTS: usize = 8;
/// The wait stops doubling here.
const MAX_DOUBLINGS: u32 = 5;

impl RetryOptions {
    /// True for an answer that may be worth another try.
    #[inline]
    pub fn wants_status(&self, status: u16) -> bool {
        !self.on_status.0.is_empty() && self.on_status.contains(status)
    }

    /// The longest wait before repetition number `repeated`, the first being 0.
    pub fn longest_wait(&self, repeated: u8) -> Duration {
        self.backoff * (1 << u32::from(repeated).min(MAX_DOUBLINGS))
    }
}

/// How a sending ended without an answer that the client should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No connection came about.
    Connect,
    /// No connection came about within the time for it.
    ConnectTimeout,
    /// It may not have another connection, nor another place in its queue; or it was taken out meanwhile.
    Full,
    /// The connection ended before the answer.
    Closed,
    /// The origin says that it has not looked at the request.
    Refused,
    /// The head of the answer did not come in time.
    Timeout,
    /// An answer came, with a status that the user wants to try again after.
    Status,
    /// Anything else: an answer that cannot be read, a client that failed.
    Final,
}

impl Stage {
    /// Where a connection could not be had.
    pub fn of_connect(failure: Failure) -> Stage {
        match failure {
            Failure::ConnectRefused
            | Failure::ConnectFailed
            | Failure::UpstreamTls(_)
            | Failure::NoHttp2
            | Failure::NoStreams => Stage::Connect,
            // Not so with another endpoint, maybe.
            Failure::QueueFull | Failure::BreakerFull(_) | Failure::OutOfPorts | Failure::NoEndpoint => {
                Stage::Full
            }
            Failure::ConnectTimeout => Stage::ConnectTimeout,
            _ => Stage::Final,
        }
    }

    /// Where a request was sent and no answer could be read.
    pub fn of_exchange(failure: Failure) -> Stage {
        match failure {
            Failure::ClosedBeforeAnswer | Failure::StreamReset => Stage::Closed,
            Failure::StreamRefused => Stage::Refused,
            // It is not to be asked once more: another one may have room.
            Failure::Overloaded => Stage::Full,
            Failure::ReadTimeout | Failure::SendTimeout => Stage::Timeout,
            _ => Stage::Final,
        }
    }
}

/// How far a sending got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub stage: Stage,
    /// The connection had served a request before, so its death says nothing about the endpoint.
    pub reused: bool,
    /// Bytes of the request that were written.
    pub written: u64,
    /// A byte of the answer arrived.
    pub answered: bool,
    /// The body can be sent from its beginning again.
    pub replayable: bool,
    pub method: Method,
}

/// What happened to the request so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Endpoints that gave no connection.
    pub connects: usize,
    /// Of these, those that took their whole time for it.
    pub connect_timeouts: usize,
    /// Repetitions, by which `attempts` and the budget are used up.
    pub repeated: u8,
    /// It was sent once more after a dead connection.
    pub freshened: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    GiveUp,
    /// Once more to the same endpoint, on a fresh connection.
    Fresh,
    /// To an endpoint that was not tried yet, at once; nothing was sent so far.
    Elsewhere,
    /// Again after a wait, to an endpoint that was not tried yet; when there is none, see [`may_insist`].
    Again,
}

pub fn next(attempt: &Attempt, history: &History, options: &RetryOptions) -> Next {
    // What was written is sent again only when twice is as good as once (RFC 9110 section 9.2.2).
    let safe = attempt.replayable && (attempt.method.is_idempotent() || attempt.written == 0);
    let repeated = history.repeated + u8::from(history.freshened);
    let again = safe && repeated < options.attempts;
    match attempt.stage {
        _ if history.connects >= MAX_CONNECTS => Next::GiveUp,
        // Nothing is wrong with the endpoint: who has room takes it.
        Stage::Full if attempt.replayable => Next::Elsewhere,
        Stage::Connect | Stage::ConnectTimeout if options.attempts == 0 || !options.on_connect => {
            Next::GiveUp
        }
        // Each of them takes its whole time.
        Stage::ConnectTimeout if history.connect_timeouts > usize::from(options.attempts) => Next::GiveUp,
        Stage::Connect | Stage::ConnectTimeout => Next::Elsewhere,
        Stage::Closed | Stage::Refused if attempt.answered => Next::GiveUp,
        // A keep-alive connection may be closed by the origin at the very moment a request is written to
        // it; the origin then has not looked at it, but we cannot know (RFC 9112 section 9.3.1).
        Stage::Closed if attempt.reused && safe && !history.freshened => Next::Fresh,
        // Nothing of it was executed, whatever it is (RFC 9113 section 8.7); usually a server that restarts.
        Stage::Refused if attempt.replayable && !history.freshened => Next::Fresh,
        Stage::Refused if attempt.replayable && repeated < options.attempts => Next::Again,
        Stage::Closed if options.on_reset && again => Next::Again,
        Stage::Timeout if options.on_timeout && again && !attempt.answered => Next::Again,
        Stage::Status if again => Next::Again,
        _ => Next::GiveUp,
    }
}

/// Whether an endpoint is asked once more when there is no other. Not when it died of the request: it would
/// again.
pub fn may_insist(stage: Stage, history: &History, options: &RetryOptions) -> bool {
    match stage {
        Stage::Connect => history.repeated < options.attempts,
        Stage::Timeout | Stage::Status | Stage::Refused => true,
        Stage::Closed | Stage::ConnectTimeout | Stage::Full | Stage::Final => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE_GET: Attempt = Attempt {
        stage: Stage::Closed,
        reused: true,
        written: 100,
        answered: false,
        replayable: true,
        method: Method::Get,
    };
    const FRESH_GET: Attempt = Attempt { reused: false, ..STALE_GET };

    fn first(attempt: Attempt, options: &RetryOptions) -> Next {
        next(&attempt, &History::default(), options)
    }

    fn off() -> RetryOptions {
        RetryOptions { attempts: 0, ..RetryOptions::default() }
    }

    #[test]
    fn a_request_on_a_stale_connection_is_sent_once_more_whatever_the_options() {
        assert_eq!(first(STALE_GET, &off()), Next::Fresh);
        assert_eq!(first(Attempt { method: Method::Put, ..STALE_GET }, &off()), Next::Fresh);
        let unwritten = Attempt { method: Method::Post, written: 0, ..STALE_GET };
        assert_eq!(first(unwritten, &off()), Next::Fresh);
        let history = History { freshened: true, ..History::default() };
        assert_eq!(next(&STALE_GET, &history, &off()), Next::GiveUp);
        // That was the repetition which is allowed by default.
        assert_eq!(next(&FRESH_GET, &history, &RetryOptions::default()), Next::GiveUp);
    }

    #[test]
    fn whatever_may_have_been_executed_is_not_sent_again() {
        let all = RetryOptions {
            attempts: 9,
            on_timeout: true,
            on_status: StatusSet(vec![(500, 599)]),
            ..RetryOptions::default()
        };
        for stage in [Stage::Closed, Stage::Timeout, Stage::Status] {
            for method in [Method::Post, Method::Patch, Method::Other] {
                assert_eq!(first(Attempt { stage, method, ..STALE_GET }, &all), Next::GiveUp, "{stage:?}");
            }
            let streamed = Attempt { stage, replayable: false, ..STALE_GET };
            assert_eq!(first(streamed, &all), Next::GiveUp, "{stage:?}");
        }
        for stage in [Stage::Closed, Stage::Timeout] {
            assert_eq!(first(Attempt { stage, answered: true, ..STALE_GET }, &all), Next::GiveUp);
        }
        assert_eq!(first(Attempt { stage: Stage::Final, ..STALE_GET }, &all), Next::GiveUp);
    }

    #[test]
    fn a_failed_connect_moves_any_request_on() {
        let post = Attempt { stage: Stage::Connect, method: Method::Post, written: 0, ..FRESH_GET };
        assert_eq!(first(post, &RetryOptions::default()), Next::Elsewhere);
        assert_eq!(first(post, &off()), Next::GiveUp);
        let not = RetryOptions { on_connect: false, ..RetryOptions::default() };
        assert_eq!(first(post, &not), Next::GiveUp);
        let history = History { connects: MAX_CONNECTS, ..History::default() };
        assert_eq!(next(&post, &history, &RetryOptions::default()), Next::GiveUp);
        let slow = Attempt { stage: Stage::ConnectTimeout, ..post };
        let timed_out = |connect_timeouts| History { connect_timeouts, ..History::default() };
        assert_eq!(next(&slow, &timed_out(1), &RetryOptions::default()), Next::Elsewhere);
        assert_eq!(next(&slow, &timed_out(2), &RetryOptions::default()), Next::GiveUp);
        assert_eq!(first(Attempt { stage: Stage::Full, ..post }, &off()), Next::Elsewhere);
        let spent = Attempt { stage: Stage::Full, replayable: false, ..post };
        assert_eq!(first(spent, &RetryOptions::default()), Next::GiveUp);
        assert!(may_insist(Stage::Connect, &History::default(), &RetryOptions::default()));
        assert!(!may_insist(Stage::ConnectTimeout, &History::default(), &RetryOptions::default()));
        assert!(!may_insist(Stage::Closed, &History::default(), &RetryOptions::default()));
    }

    #[test]
    fn repetitions_follow_the_options_and_are_counted() {
        let timeout = Attempt { stage: Stage::Timeout, ..FRESH_GET };
        let status = Attempt { stage: Stage::Status, answered: true, ..FRESH_GET };
        let default = RetryOptions::default();
        assert_eq!(first(FRESH_GET, &default), Next::Again);
        assert_eq!(first(timeout, &default), Next::GiveUp);
        assert_eq!(first(timeout, &RetryOptions { on_timeout: true, ..default.clone() }), Next::Again);
        assert_eq!(first(status, &default), Next::Again);
        assert_eq!(first(FRESH_GET, &RetryOptions { on_reset: false, ..default.clone() }), Next::GiveUp);
        let once = History { repeated: 1, ..History::default() };
        assert_eq!(next(&FRESH_GET, &once, &default), Next::GiveUp);
        assert_eq!(next(&FRESH_GET, &once, &RetryOptions { attempts: 2, ..default }), Next::Again);
    }

    #[test]
    fn what_was_not_looked_at_is_sent_again_whatever_it_is() {
        let refused = Attempt { stage: Stage::Refused, method: Method::Post, ..FRESH_GET };
        assert_eq!(first(refused, &off()), Next::Fresh);
        let freshened = History { freshened: true, ..History::default() };
        assert_eq!(next(&refused, &freshened, &RetryOptions::default()), Next::GiveUp);
        let twice = RetryOptions { attempts: 2, ..RetryOptions::default() };
        assert_eq!(next(&refused, &freshened, &twice), Next::Again);
        assert_eq!(first(Attempt { replayable: false, ..refused }, &twice), Next::GiveUp);
        assert_eq!(first(Attempt { answered: true, ..refused }, &twice), Next::GiveUp);
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let options = RetryOptions::default();
        let waits: Vec<_> = (0..8).map(|repeated| options.longest_wait(repeated).as_millis()).collect();
        assert_eq!(waits, [25, 50, 100, 200, 400, 800, 800, 800]);
    }
}
