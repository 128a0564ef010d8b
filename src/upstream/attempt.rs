//! One request on its way to an endpoint: choose, take a connection, exchange; and again, when that gave
//! nothing and the rules allow it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use ::http1::Method;
use tokio::time::Instant;

use super::approach::Offer;
use super::connect::connect;
use super::desk::{self, Choice};
use super::endpoint::Endpoint;
use super::fastcgi;
use super::forward::Facts;
use super::hedge::may_hedge;
use super::http1::{Left, Payload, Try, Unanswered, exchange};
use super::http2::{self, Place};
use super::permit::Permit;
use super::pin::Tie;
use super::pool::{self, Acquired, Connection};
use super::retry::{self, Attempt, History, Next, RetryOptions, Stage};
use super::{Sending, Timeouts, Upstream};
use crate::message::{Failure, Request, Response};
use crate::observe::Record;

impl Upstream {
    /// The first sending; nearly always the only one.
    pub(super) async fn send_payload<'c>(
        &self,
        request: &Request<'c>,
        facts: &Facts<'_>,
        payload: &mut Payload<'c>,
        sending: &Sending,
        started: Instant,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let obtained = match desk::choose(&self.group, &[], &facts.tie, record)? {
            Choice::Idle(connection) => {
                Ok(Obtained { lane: Lane::Whole(connection), reused: true, now: started })
            }
            // Rare, and larger than all that follows.
            Choice::Endpoint(endpoint) => Box::pin(obtain(&endpoint, request, sending.timeouts)).await,
        };
        let mut tried = Vec::new();
        let missed = match obtained {
            Ok(obtained) if sending.retry.hedge.is_some() && may_hedge(request, facts, payload) => {
                let sent = self.send_hedged(obtained, request, facts, sending, &mut tried, record);
                match Box::pin(sent).await {
                    Ok(response) => return Ok(response),
                    Err(missed) => missed,
                }
            }
            Ok(obtained) => match ask(obtained, request, facts, payload, sending).await {
                Ok(response) => return Ok(response),
                Err(missed) => missed,
            },
            Err(missed) => missed,
        };
        Box::pin(self.send_again(request, facts, payload, sending, (missed, tried), record)).await
    }

    /// After a sending that failed: all the others that the rules allow. With what failed come the slots of
    /// endpoints that were tried beside it.
    async fn send_again<'c>(
        &self,
        request: &Request<'c>,
        facts: &Facts<'_>,
        payload: &mut Payload<'c>,
        sending: &Sending,
        (mut last, mut tried): (Missed<'c>, Vec<usize>),
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let options = &sending.retry;
        let mut history = History::default();
        loop {
            let attempt = last.attempt(request.head.method, payload);
            tried.push(last.slot());
            history.connects += usize::from(matches!(last, Missed::Connection(..)));
            history.connect_timeouts += usize::from(attempt.stage == Stage::ConnectTimeout);
            let next = retry::next(&attempt, &history, options);
            let obtained = match next {
                Next::GiveUp => return last.into_final(),
                Next::Fresh => {
                    history.freshened = true;
                    record.attempts = record.attempts.saturating_add(1);
                    let Missed::Answer(unanswered) = last else { return last.into_final() };
                    unanswered.endpoint().counters.resends.fetch_add(1, Relaxed);
                    match unanswered.left {
                        // In the place of the dead one.
                        Left::Connection(connection) => {
                            open(connection.into_permit(), request, sending.timeouts).await
                        }
                        Left::Stream(endpoint) => obtain(&endpoint, request, sending.timeouts).await,
                    }
                }
                Next::Elsewhere if desk::has_other(&self.group, &tried) => {
                    desk::choose(&self.group, &tried, &facts.tie, record)?
                        .obtain(request, sending.timeouts)
                        .await
                }
                Next::Elsewhere | Next::Again => {
                    let insists = retry::may_insist(attempt.stage, &history, options);
                    let somewhere = insists || desk::has_other(&self.group, &tried);
                    let wait = if somewhere { self.wait_before(options, &mut history) } else { None };
                    let Some(wait) = wait else {
                        return last.into_final();
                    };
                    // A connection goes with it: the repetition may need its permit.
                    drop(last);
                    let _ = request.watchdog.limit(Instant::now() + wait, |_| Poll::<()>::Pending).await;
                    self.obtain_again(request, sending, &tried, &facts.tie, record).await?
                }
            };
            last = match obtained {
                Ok(obtained) => match ask(obtained, request, facts, payload, sending).await {
                    Ok(response) => return Ok(response),
                    Err(missed) => missed,
                },
                Err(missed) => missed,
            };
        }
    }

    /// How long to wait before a repetition; `None` when the budget has none left: the client gets what
    /// there is.
    fn wait_before(&self, options: &RetryOptions, history: &mut History) -> Option<Duration> {
        let Some(share) = desk::spend_retry(&self.group, Instant::now()) else {
            self.group.counters.budget_exhausted.fetch_add(1, Relaxed);
            return None;
        };
        let wait = options.longest_wait(history.repeated).mul_f32(share);
        history.repeated += 1;
        Some(wait)
    }

    /// A connection for a repetition, to an endpoint that was not tried yet when there is one. It is a new
    /// one: a stale one would make a third sending of it.
    async fn obtain_again<'c>(
        &self,
        request: &Request<'c>,
        sending: &Sending,
        tried: &[usize],
        tie: &Tie<'_>,
        record: &mut Record,
    ) -> Result<Result<Obtained, Missed<'c>>, Failure> {
        let choice = desk::choose(&self.group, tried, tie, record)
            .or_else(|_| desk::choose_again(&self.group, tie, record))?;
        let endpoint = choice.endpoint().clone();
        endpoint.counters.retries.fetch_add(1, Relaxed);
        let obtained = match choice {
            Choice::Idle(connection) => {
                Ok(Obtained { lane: Lane::Whole(connection), reused: true, now: Instant::now() })
            }
            Choice::Endpoint(_) => obtain(&endpoint, request, sending.timeouts).await,
        };
        Ok(match obtained {
            Ok(Obtained { lane: Lane::Whole(connection), reused: true, .. }) => {
                open(connection.into_permit(), request, sending.timeouts).await
            }
            other => other,
        })
    }
}

/// What a request goes over.
pub(super) enum Lane {
    /// A connection that is its own for as long as it takes.
    Whole(Connection),
    /// A stream of a connection that others are on too.
    Shared(Place),
}

impl Lane {
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        match self {
            Lane::Whole(connection) => connection.endpoint(),
            Lane::Shared(place) => place.endpoint(),
        }
    }
}

/// A way for one request.
pub(super) struct Obtained {
    pub lane: Lane,
    /// It has served a request before.
    pub reused: bool,
    /// When it was there.
    pub now: Instant,
}

impl Choice {
    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        match self {
            Choice::Idle(connection) => connection.endpoint(),
            Choice::Endpoint(endpoint) => endpoint,
        }
    }

    pub(super) async fn obtain<'c>(
        self,
        request: &Request<'_>,
        timeouts: Timeouts,
    ) -> Result<Obtained, Missed<'c>> {
        match self {
            Choice::Idle(connection) => {
                Ok(Obtained { lane: Lane::Whole(connection), reused: true, now: Instant::now() })
            }
            Choice::Endpoint(endpoint) => obtain(&endpoint, request, timeouts).await,
        }
    }
}

/// A connection that is free, or a new one; waits in the queue when there may be neither.
async fn obtain<'c>(
    endpoint: &Arc<Endpoint>,
    request: &Request<'_>,
    timeouts: Timeouts,
) -> Result<Obtained, Missed<'c>> {
    if endpoint.approach.may_share() {
        return Box::pin(http2::obtain(endpoint, request, timeouts)).await;
    }
    let deadline = Instant::now() + endpoint.queue_timeout();
    loop {
        return match pool::acquire(endpoint, request.watchdog, deadline).await {
            Ok(Acquired::Reused(connection)) => {
                Ok(Obtained { lane: Lane::Whole(connection), reused: true, now: Instant::now() })
            }
            Ok(Acquired::Open(permit)) => open(permit, request, timeouts).await,
            // Nothing is shared here.
            Ok(Acquired::Look) => continue,
            Err(failure) => Err(Missed::Connection(failure, endpoint.slot.index)),
        };
    }
}

pub(super) async fn open<'c>(
    permit: Permit,
    request: &Request<'_>,
    timeouts: Timeouts,
) -> Result<Obtained, Missed<'c>> {
    open_for(Offer::All, permit, request, timeouts).await
}

pub(super) async fn open_for<'c>(
    offer: Offer,
    permit: Permit,
    request: &Request<'_>,
    timeouts: Timeouts,
) -> Result<Obtained, Missed<'c>> {
    let slot = permit.endpoint().slot.index;
    if permit.endpoint().exceeds_group() {
        if let Some(group) = permit.endpoint().group.upgrade() {
            group.breaker.refused.fetch_add(1, Relaxed);
        }
        return Err(Missed::Connection(Failure::BreakerFull("breaker.max_connections"), slot));
    }
    match connect(permit, offer, timeouts.connect, request.watchdog).await {
        Ok(lane) => Ok(Obtained { lane, reused: false, now: Instant::now() }),
        Err(failure) => Err(Missed::Connection(failure, slot)),
    }
}

/// Sends the request and reads the head of the answer.
#[inline]
pub(super) async fn ask<'c>(
    obtained: Obtained,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: &mut Payload<'c>,
    sending: &Sending,
) -> Result<Response<'c>, Missed<'c>> {
    let Obtained { lane, reused, now } = obtained;
    let (slot, identity) = (lane.endpoint().slot.index, lane.endpoint().identity);
    let timeouts = if request.is_call.get() { sending.timeouts.of_call() } else { sending.timeouts };
    let this = Try { reused, timeouts, limit: sending.retry.try_timeout, now };
    let answered = match lane {
        Lane::Whole(connection) if connection.endpoint().approach.application().is_some() => {
            Box::pin(ask_application(connection, request, facts, payload.turn(), &this, &sending.route)).await
        }
        Lane::Whole(connection) => exchange(connection, request, facts, payload.turn(), &this).await,
        Lane::Shared(place) => Box::pin(http2::exchange(place, request, facts, payload, this)).await,
    };
    match answered {
        Ok(mut response) => {
            if let Some(stick) = &facts.tie.stick {
                stick.mark(&mut response, identity);
            }
            if sending.retry.wants_status(response.head.status) {
                return Err(Missed::Status(Box::new(response), slot));
            }
            Ok(response)
        }
        Err(unanswered) => Err(Missed::Answer(unanswered)),
    }
}

/// The same of a server that speaks FastCGI.
async fn ask_application<'c>(
    connection: Connection,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: Payload<'c>,
    this: &Try,
    route: &str,
) -> Result<Response<'c>, Box<Unanswered>> {
    let endpoint = connection.endpoint().clone();
    let application = endpoint.approach.application();
    let application = application.expect("asked for where there is one");
    fastcgi::exchange(connection, application, request, facts, payload, this, route).await
}

/// A sending that gave nothing for the client, yet.
pub(super) enum Missed<'c> {
    /// No connection to the endpoint with this slot.
    Connection(Failure, usize),
    /// No answer.
    Answer(Box<Unanswered>),
    /// An answer with a status after which the user wants another try.
    Status(Box<Response<'c>>, usize),
}

impl<'c> Missed<'c> {
    fn attempt(&self, method: Method, payload: &Payload<'_>) -> Attempt {
        let replayable = payload.is_replayable();
        match self {
            Missed::Connection(failure, _) => Attempt {
                stage: Stage::of_connect(*failure),
                reused: false,
                written: 0,
                answered: false,
                replayable,
                method,
            },
            Missed::Answer(unanswered) => Attempt {
                stage: Stage::of_exchange(unanswered.failure),
                reused: unanswered.reused,
                written: unanswered.written,
                answered: unanswered.answered,
                replayable,
                method,
            },
            Missed::Status(..) => Attempt {
                stage: Stage::Status,
                reused: false,
                written: u64::MAX,
                answered: true,
                replayable,
                method,
            },
        }
    }

    pub fn slot(&self) -> usize {
        match self {
            Missed::Connection(_, slot) | Missed::Status(_, slot) => *slot,
            Missed::Answer(unanswered) => unanswered.endpoint().slot.index,
        }
    }

    fn into_final(self) -> Result<Response<'c>, Failure> {
        match self {
            Missed::Connection(failure, _) => Err(failure),
            Missed::Answer(unanswered) => Err(unanswered.failure),
            Missed::Status(response, _) => Ok(*response),
        }
    }
}
