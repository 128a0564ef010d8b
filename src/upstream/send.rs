//! A named group as a configuration uses it, and what happens around the sending of a request: its body is
//! read when the route buffers, a copy is made, the circuit breaker asked, a fallback used.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ::http1::connection::accepts_trailers;
use tokio::time::Instant;

use super::breaker::{Admitted, BreakerOptions, Verdict};
use super::endpoint::Endpoint;
use super::fastcgi::Application;
use super::forward::Facts;
use super::group::{Group, Groups};
use super::http1::Payload;
use super::mirror::Mirror;
use super::pin::{HashOn, Stick, Tie};
use super::retry::RetryOptions;
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
    /// Set when the servers speak FastCGI.
    application: Option<Arc<Application>>,
    space: Arc<SpoolSpace>,
}

/// How a route wants its requests sent.
#[derive(Debug)]
pub struct Sending {
    /// Name of the route.
    pub route: String,
    pub timeouts: Timeouts,
    pub retry: RetryOptions,
    /// Gets what this upstream has nobody for.
    pub fallback: Option<Arc<Upstream>>,
    pub mirror: Option<Mirror>,
    pub request_body: BodyMode,
    pub max_body_size: u64,
    pub host: Option<String>,
    pub forwarded: bool,
    pub forward_client_certificate: bool,
}

impl Upstream {
    pub fn build(options: &Arc<UpstreamOptions>, groups: &Groups, space: Arc<SpoolSpace>) -> Upstream {
        Upstream {
            name: options.name.clone(),
            group: groups.adopt(options),
            hash_on: options.balance.hash_on().cloned(),
            sticky: options.sticky.as_ref().map(|sticky| Sticky::new(sticky, &options.name)),
            breaker: options.breaker.clone(),
            application: options.application.clone(),
            space,
        }
    }

    /// The answer of one of the endpoints; or of the fallback's, when nobody is left here.
    pub async fn send<'c>(
        &self,
        client: &Client,
        request: &mut Request<'c>,
        sending: &Sending,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        if let Some(application) = &self.application {
            // Before a body is asked for that nobody would take.
            application.admit(request)?;
        }
        let body = std::mem::take(&mut request.body);
        let mut payload = match body {
            Body::Empty => Payload::None,
            // Nobody shall send a body that nobody will take.
            _ if sending.fallback.is_none() && self.is_refusing(record.asked) => {
                return Err(Failure::BreakerOpen);
            }
            body if request.is_call.get() => stream(body, u64::MAX, accepts_trailers(&request.head)),
            body => self.prepare(body, accepts_trailers(&request.head), sending).await?,
        };
        if let Some(mirror) = &sending.mirror {
            mirror.copy(client, request, &payload);
        }
        // The clock is read again only when the body took time to come.
        let started = if payload.is_none() { record.asked } else { Instant::now() };
        let outcome = self.send_prepared(client, request, &mut payload, sending, started, record).await;
        if let (Err(failure), Some(fallback)) = (&outcome, &sending.fallback)
            && failure.is_nobody()
            && payload.is_replayable()
        {
            self.group.counters.fallbacks.fetch_add(1, Relaxed);
            if let Some(application) = &fallback.application {
                application.admit(request)?;
            }
            let now = Instant::now();
            return Box::pin(fallback.send_prepared(client, request, &mut payload, sending, now, record))
                .await;
        }
        outcome
    }

    /// The same for a request whose body is at hand, from `started` on.
    pub(super) async fn send_prepared<'c>(
        &self,
        client: &Client,
        request: &Request<'c>,
        payload: &mut Payload<'c>,
        sending: &Sending,
        started: Instant,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let certificate = request.secured.and_then(|secured| secured.certificate.as_deref());
        let certificate = certificate.filter(|_| sending.forward_client_certificate);
        let facts = Facts {
            client,
            protocol: record.protocol,
            id: &request.id,
            upgrade: request.upgrade,
            host: sending.host.as_deref(),
            forwarded: sending.forwarded,
            length: payload.length(),
            secure: request.secured.is_some(),
            certificate,
            tie: self.tie(client, request, record.asked),
        };
        let admission = match &self.breaker {
            None => None,
            Some(options) => Some((self.admit(options, started)?, options)),
        };
        let outcome = self.send_payload(request, &facts, payload, sending, started, record).await;
        if let Some((admission, options)) = admission {
            self.note_outcome(&outcome, admission, options);
        }
        record.upstream_time = started.elapsed();
        outcome
    }

    fn tie(&self, client: &Client, request: &Request<'_>, now: Instant) -> Tie<'_> {
        let key = self.hash_on.as_ref().map_or(0, |on| on.key(&request.head, client.address));
        let stick = self.sticky.as_ref();
        let stick = stick.map(|sticky| Stick::new(sticky, &request.head, clock::since_epoch(now).as_secs()));
        Tie { key, stick }
    }

    /// The breaker is open, and it is not yet time to try again.
    fn is_refusing(&self, now: Instant) -> bool {
        let refuses = self.breaker.is_some() && self.group.breaker.is_open(now);
        if refuses {
            self.group.breaker.refused.fetch_add(1, Relaxed);
        }
        refuses
    }

    fn admit(&self, options: &BreakerOptions, now: Instant) -> Result<Admitted<'_>, Failure> {
        let reached = |limit: Option<u32>, of: fn(&Endpoint) -> u32| {
            limit.is_some_and(|limit| self.group.sum(of) >= limit)
        };
        let full = if reached(options.max_requests, Endpoint::load) {
            "breaker.max_requests"
        } else if reached(options.max_pending, Endpoint::waiting_requests) {
            "breaker.max_pending"
        } else {
            return self.group.breaker.admit(options, now).ok_or(Failure::BreakerOpen);
        };
        self.group.breaker.refused.fetch_add(1, Relaxed);
        Err(Failure::BreakerFull(full))
    }

    fn note_outcome(
        &self,
        outcome: &Result<Response<'_>, Failure>,
        admitted: Admitted<'_>,
        options: &BreakerOptions,
    ) {
        let verdict = match outcome {
            Ok(response) if response.head.status < 500 => Verdict::Well,
            Ok(_) => Verdict::Badly,
            Err(failure) if failure.blame() == Blame::Upstream => Verdict::Badly,
            Err(_) => Verdict::Nothing,
        };
        if let Some(state) = admitted.note(verdict, options, Instant::now()) {
            observe::notice(&format!("upstream {}: circuit breaker is {state}", self.name));
        }
    }

    /// FastCGI servers must know how long a body is before it comes; also when they are only the fallback.
    fn needs_length(&self, sending: &Sending) -> bool {
        let is_told = |upstream: &Upstream| upstream.application.is_some();
        is_told(self) || sending.fallback.as_deref().is_some_and(is_told)
    }

    /// Reads the body when the route buffers, or the servers could do nothing with it else; checks its size when the client told it.
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
        let mut mode = sending.request_body;
        if mode == BodyMode::Stream
            && body.length() == ::http1::BodyLength::Chunked
            && self.needs_length(sending)
        {
            mode = BodyMode::Buffer;
        }
        match (body, mode) {
            (Body::Stream(mut stream), BodyMode::Buffer) => {
                let spool = Spool::fill(stream.as_mut(), sending.max_body_size, &self.space).await?;
                Ok(Payload::Spool(Box::new(spool)))
            }
            (body, BodyMode::Stream) => Ok(stream(body, sending.max_body_size, trailers)),
            // The bodies of requests are streams or nothing.
            _ => Ok(Payload::None),
        }
    }
}

/// A body that is passed on as it comes, up to `max` bytes.
fn stream(body: Body<'_>, max: u64, trailers: bool) -> Payload<'_> {
    match body {
        Body::Stream(stream) => Payload::Stream(Box::new(Limited::new(stream, max, trailers))),
        _ => Payload::None,
    }
}
