//! A named group, and the way of one request through it: read the body when the route buffers, choose an
//! endpoint, take a connection, exchange; and again when that failed and may be done again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use ::http1::Method;
use ::http1::connection::accepts_trailers;
use tokio::time::Instant;

use super::breaker::{Admission, BreakerOptions};
use super::connect::connect;
use super::desk::{self, Choice};
use super::endpoint::Endpoint;
use super::forward::Facts;
use super::group::{Group, Groups};
use super::http1::{Payload, Try, Unanswered, exchange};
use super::pin::{HashOn, Stick, Tie};
use super::pool::{self, Acquired, Connection, Permit};
use super::retry::{self, Attempt, History, Next, RetryOptions, Stage};
use super::spool::{Limited, Spool, SpoolSpace};
use super::sticky::Sticky;
use super::{BodyMode, Timeouts, UpstreamOptions};
use crate::message::{Blame, Body, Client, Failure, Request, Response};
use crate::observe::{self, Record};
use crate::wire::clock;

/// A named group of endpoints, as one configuration uses it.
#[derive(Debug)]
pub struct Upstream {
    pub name: String,
    pub group: Arc<Group>,
    hash_on: Option<HashOn>,
    sticky: Option<Sticky>,
    breaker: Option<BreakerOptions>,
    space: Arc<SpoolSpace>,
}

/// How a route wants its requests sent.
#[derive(Debug)]
pub struct Sending {
    pub timeouts: Timeouts,
    pub retry: RetryOptions,
    pub request_body: BodyMode,
    pub max_body_size: u64,
    pub host: Option<String>,
    pub forwarded: bool,
}

impl Upstream {
    pub fn build(options: &Arc<UpstreamOptions>, groups: &Groups, space: Arc<SpoolSpace>) -> Upstream {
        Upstream {
            name: options.name.clone(),
            group: groups.adopt(options),
            hash_on: options.balance.hash_on().cloned(),
            sticky: options.sticky.as_ref().map(|sticky| Sticky::new(sticky, &options.name)),
            breaker: options.breaker.clone(),
            space,
        }
    }

    /// The answer of one of the endpoints.
    pub async fn send<'c>(
        &self,
        client: &Client,
        request: &mut Request<'c>,
        sending: &Sending,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        match &self.breaker {
            None => self.send_admitted(client, request, sending, record).await,
            Some(options) => {
                let admission = self.admit(options, record.asked)?;
                let outcome = self.send_admitted(client, request, sending, record).await;
                self.note_outcome(&outcome, admission, options);
                outcome
            }
        }
    }

    async fn send_admitted<'c>(
        &self,
        client: &Client,
        request: &mut Request<'c>,
        sending: &Sending,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let body = std::mem::take(&mut request.body);
        let payload = match body {
            Body::Empty => Payload::None,
            body => self.prepare(body, accepts_trailers(&request.head), sending).await?,
        };
        // The clock is read again only when the body took time to come.
        let started = if payload.is_none() { record.asked } else { Instant::now() };
        let facts = Facts {
            client,
            id: &request.id,
            upgrade: request.upgrade,
            host: sending.host.as_deref(),
            forwarded: sending.forwarded,
            length: payload.length(),
            tie: self.tie(client, request, record.asked),
        };
        let outcome = self.send_payload(request, &facts, payload, sending, started, record).await;
        record.upstream_time = started.elapsed();
        outcome
    }

    fn tie(&self, client: &Client, request: &Request<'_>, now: Instant) -> Tie<'_> {
        let key = self.hash_on.as_ref().map_or(0, |on| on.key(&request.head, client.address));
        let stick = self.sticky.as_ref();
        let stick = stick.map(|sticky| Stick::new(sticky, &request.head, clock::since_epoch(now).as_secs()));
        Tie { key, stick }
    }

    fn admit(&self, options: &BreakerOptions, now: Instant) -> Result<Admission, Failure> {
        let admission = self.group.breaker.admit(options, now).ok_or(Failure::BreakerOpen)?;
        let reached = |limit: Option<u32>, of: fn(&Endpoint) -> u32| {
            limit.is_some_and(|limit| self.group.sum(of) >= limit)
        };
        let full = if reached(options.max_requests, Endpoint::load) {
            "breaker.max_requests"
        } else if reached(options.max_pending, Endpoint::waiting_requests) {
            "breaker.max_pending"
        } else {
            return Ok(admission);
        };
        self.group.breaker.refused.fetch_add(1, Relaxed);
        Err(Failure::BreakerFull(full))
    }

    fn note_outcome(
        &self,
        outcome: &Result<Response<'_>, Failure>,
        admission: Admission,
        options: &BreakerOptions,
    ) {
        let went_well = match outcome {
            Ok(response) => response.head.status < 500,
            // The client's failures, and full queues, say nothing of the group.
            Err(failure) => failure.blame() != Blame::Upstream,
        };
        let changed = self.group.breaker.note(admission, went_well, options, Instant::now());
        if let Some(state) = changed {
            observe::notice(&format!("upstream {}: circuit breaker is {state}", self.name));
        }
    }

    /// Reads the body when the route buffers; checks its size when the client told it.
    async fn prepare<'c>(
        &self,
        body: Body<'c>,
        trailers: bool,
        sending: &Sending,
    ) -> Result<Payload<'c>, Failure> {
        if let ::http1::BodyLength::Exact(length) = body.length()
            && length > sending.max_body_size
        {
            return Err(Failure::BodyTooLarge);
        }
        match (body, sending.request_body) {
            (Body::Stream(mut stream), BodyMode::Buffer) => {
                let spool = Spool::fill(stream.as_mut(), sending.max_body_size, &self.space).await?;
                Ok(Payload::Spool(Box::new(spool)))
            }
            (Body::Stream(stream), BodyMode::Stream) => {
                Ok(Payload::Stream(Box::new(Limited::new(stream, sending.max_body_size, trailers))))
            }
            // The bodies of requests are streams or nothing.
            _ => Ok(Payload::None),
        }
    }

    /// The first sending; nearly always the only one.
    async fn send_payload<'c>(
        &self,
        request: &Request<'c>,
        facts: &Facts<'_>,
        mut payload: Payload<'c>,
        sending: &Sending,
        started: Instant,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let obtained = match desk::choose(&self.group, &[], &facts.tie, record)? {
            Choice::Idle(connection) => Ok(Obtained { connection, reused: true, now: started }),
            Choice::Endpoint(endpoint) => obtain(&endpoint, request, sending.timeouts).await,
        };
        let missed = match obtained {
            Ok(obtained) => match ask(obtained, request, facts, &mut payload, sending).await {
                Ok(response) => return Ok(response),
                Err(missed) => missed,
            },
            Err(missed) => missed,
        };
        Box::pin(self.send_again(request, facts, payload, sending, missed, record)).await
    }

    /// After a sending that failed: all the others that the rules allow.
    async fn send_again<'c>(
        &self,
        request: &Request<'c>,
        facts: &Facts<'_>,
        mut payload: Payload<'c>,
        sending: &Sending,
        mut last: Missed<'c>,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let options = &sending.retry;
        let mut history = History::default();
        let mut tried: Vec<usize> = Vec::new();
        loop {
            let attempt = last.attempt(request.head.method, &payload);
            tried.push(last.slot());
            history.connects += usize::from(matches!(last, Missed::Connection(..)));
            let next = retry::next(&attempt, &history, options);
            let obtained = match next {
                Next::GiveUp => return last.into_final(),
                Next::Fresh => {
                    history.freshened = true;
                    record.attempts = record.attempts.saturating_add(1);
                    last.freshen(request, sending.timeouts).await?
                }
                Next::Elsewhere if desk::has_other(&self.group, &tried) => {
                    desk::choose(&self.group, &tried, &facts.tie, record)?
                        .obtain(request, sending.timeouts)
                        .await
                }
                Next::Elsewhere | Next::Again => {
                    let insists = retry::may_insist(attempt.stage, &history, options);
                    if !insists && !desk::has_other(&self.group, &tried)
                        || !self.may_repeat(request, options, &mut history).await
                    {
                        return last.into_final();
                    }
                    self.obtain_again(request, sending, &tried, &facts.tie, record).await?
                }
            };
            last = match obtained {
                Ok(obtained) => match ask(obtained, request, facts, &mut payload, sending).await {
                    Ok(response) => return Ok(response),
                    Err(missed) => missed,
                },
                Err(missed) => missed,
            };
        }
    }

    /// Waits before a repetition; false when the budget has none left: the client gets what there is.
    async fn may_repeat(&self, request: &Request<'_>, options: &RetryOptions, history: &mut History) -> bool {
        let now = Instant::now();
        let Some(share) = desk::spend_retry(&self.group, now) else {
            self.group.counters.budget_exhausted.fetch_add(1, Relaxed);
            return false;
        };
        let wait = options.longest_wait(history.repeated).mul_f32(share);
        history.repeated += 1;
        let _ = request.watchdog.limit(now + wait, |_| Poll::<()>::Pending).await;
        true
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
        let missed = |failure| Missed::Connection(failure, endpoint.slot.index);
        let acquired = match choice {
            Choice::Idle(connection) => Ok(connection.into_permit()),
            Choice::Endpoint(_) => match pool::acquire(&endpoint, request.watchdog).await {
                Ok(Acquired::Reused(connection)) => Ok(connection.into_permit()),
                Ok(Acquired::Open(permit)) => Ok(permit),
                Err(failure) => Err(failure),
            },
        };
        let permit = match acquired {
            Ok(permit) => permit,
            Err(failure) => return Ok(Err(missed(failure))),
        };
        Ok(open(permit, request, sending.timeouts).await)
    }
}

/// A connection to send a request over.
struct Obtained {
    connection: Connection,
    /// It has served a request before.
    reused: bool,
    /// When it was there.
    now: Instant,
}

impl Choice {
    fn endpoint(&self) -> &Arc<Endpoint> {
        match self {
            Choice::Idle(connection) => connection.endpoint(),
            Choice::Endpoint(endpoint) => endpoint,
        }
    }

    async fn obtain<'c>(self, request: &Request<'_>, timeouts: Timeouts) -> Result<Obtained, Missed<'c>> {
        match self {
            Choice::Idle(connection) => Ok(Obtained { connection, reused: true, now: Instant::now() }),
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
    match pool::acquire(endpoint, request.watchdog).await {
        Ok(Acquired::Reused(connection)) => Ok(Obtained { connection, reused: true, now: Instant::now() }),
        Ok(Acquired::Open(permit)) => open(permit, request, timeouts).await,
        Err(failure) => Err(Missed::Connection(failure, endpoint.slot.index)),
    }
}

async fn open<'c>(permit: Permit, request: &Request<'_>, timeouts: Timeouts) -> Result<Obtained, Missed<'c>> {
    let slot = permit.endpoint().slot.index;
    if permit.endpoint().exceeds_group() {
        return Err(Missed::Connection(Failure::BreakerFull("breaker.max_connections"), slot));
    }
    match connect(permit, timeouts.connect, request.watchdog).await {
        Ok(connection) => Ok(Obtained { connection, reused: false, now: Instant::now() }),
        Err(failure) => Err(Missed::Connection(failure, slot)),
    }
}

/// Sends the request and reads the head of the answer.
#[inline]
async fn ask<'c>(
    obtained: Obtained,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: &mut Payload<'c>,
    sending: &Sending,
) -> Result<Response<'c>, Missed<'c>> {
    let Obtained { connection, reused, now } = obtained;
    let (slot, identity) = (connection.endpoint().slot.index, connection.endpoint().identity);
    let this = Try { reused, timeouts: sending.timeouts, limit: sending.retry.try_timeout, now };
    match exchange(connection, request, facts, payload.turn(), this).await {
        Ok(mut response) if !sending.retry.wants_status(response.head.status) => {
            if let Some(stick) = &facts.tie.stick {
                stick.mark(&mut response, identity);
            }
            Ok(response)
        }
        Ok(response) => Err(Missed::Status(Box::new(response), slot)),
        Err(unanswered) => Err(Missed::Answer(unanswered)),
    }
}

/// A sending that gave nothing for the client, yet.
enum Missed<'c> {
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

    fn slot(&self) -> usize {
        match self {
            Missed::Connection(_, slot) | Missed::Status(_, slot) => *slot,
            Missed::Answer(unanswered) => unanswered.connection.endpoint().slot.index,
        }
    }

    fn into_final(self) -> Result<Response<'c>, Failure> {
        match self {
            Missed::Connection(failure, _) => Err(failure),
            Missed::Answer(unanswered) => Err(unanswered.failure),
            Missed::Status(response, _) => Ok(*response),
        }
    }

    /// A new connection in the place of the dead one.
    async fn freshen(
        self,
        request: &Request<'_>,
        timeouts: Timeouts,
    ) -> Result<Result<Obtained, Missed<'c>>, Failure> {
        let unanswered = match self {
            Missed::Answer(unanswered) => unanswered,
            Missed::Connection(failure, _) => return Err(failure),
            Missed::Status(..) => return Err(Failure::NoEndpoint),
        };
        let permit = unanswered.connection.into_permit();
        permit.endpoint().counters.resends.fetch_add(1, Relaxed);
        Ok(open(permit, request, timeouts).await)
    }
}
