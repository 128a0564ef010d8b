//! A named group, and the way of one request through it: read the body when the route buffers, pick an
//! endpoint, take a connection, exchange, and once more on a fresh connection when that is safe.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use ::http1::connection::accepts_trailers;
use tokio::time::Instant;

use super::balance::RoundRobin;
use super::connect::connect;
use super::endpoint::{Endpoint, Endpoints};
use super::forward::Facts;
use super::http1::{Payload, exchange};
use super::pool::{self, Acquired, Connection, Permit};
use super::retry::may_resend;
use super::spool::{Limited, Spool, SpoolSpace};
use super::{Balance, BodyMode, Timeouts, UpstreamOptions};
use crate::message::{Body, Client, Failure, Request, Response};
use crate::observe::Record;
use crate::wire::worker;

/// A named group of endpoints.
#[derive(Debug)]
pub struct Upstream {
    pub name: String,
    endpoints: Vec<Arc<Endpoint>>,
    weights: Vec<u16>,
    /// The state of the balance, one per worker: workers do not wait for each other.
    balance: Vec<Mutex<RoundRobin>>,
    space: Arc<SpoolSpace>,
}

/// How a route wants its requests sent.
#[derive(Debug)]
pub struct Sending {
    pub timeouts: Timeouts,
    pub request_body: BodyMode,
    pub max_body_size: u64,
    pub host: Option<String>,
    pub forwarded: bool,
}

impl Upstream {
    pub fn build(
        options: &UpstreamOptions,
        endpoints: &Endpoints,
        space: Arc<SpoolSpace>,
        workers: usize,
    ) -> Upstream {
        let Balance::RoundRobin = options.balance;
        let count = options.endpoints.len();
        Upstream {
            name: options.name.clone(),
            endpoints: endpoints.of(options),
            weights: options.endpoints.iter().map(|endpoint| endpoint.weight).collect(),
            balance: (0..workers).map(|_| Mutex::new(RoundRobin::new(count))).collect(),
            space,
        }
    }

    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The answer of one of the endpoints.
    pub async fn send<'c>(
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
        };
        let outcome = self.send_payload(request, &facts, payload, sending.timeouts, started, record).await;
        record.upstream_time = started.elapsed();
        outcome
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

    async fn send_payload<'c>(
        &self,
        request: &Request<'c>,
        facts: &Facts<'_>,
        payload: Payload<'c>,
        timeouts: Timeouts,
        started: Instant,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let (connection, reused, started) = match self.idle_connection(record) {
            Some(connection) => (connection, true, started),
            None => {
                let (connection, reused) = self.connection(request, timeouts, record).await?;
                (connection, reused, Instant::now())
            }
        };
        let sent = exchange(connection, reused, request, facts, payload, timeouts, started).await;
        let unanswered = match sent {
            Ok(response) => return Ok(response),
            Err(unanswered) => unanswered,
        };
        if !may_resend(&unanswered.attempt) {
            return Err(unanswered.failure);
        }
        record.attempts += 1;
        unanswered.connection.endpoint().counters.resends.fetch_add(1, Relaxed);
        let mut payload = unanswered.payload;
        if let Payload::Spool(spool) = &mut payload {
            spool.rewind();
        }
        let permit = unanswered.connection.into_permit();
        let fresh = connect(permit, timeouts.connect, request.watchdog).await?;
        let sent = exchange(fresh, false, request, facts, payload, timeouts, Instant::now()).await;
        sent.map_err(|again| again.failure)
    }

    /// An idle connection to the only endpoint: the usual case, without waiting for anything.
    fn idle_connection(&self, record: &mut Record) -> Option<Connection> {
        let [endpoint] = self.endpoints.as_slice() else { return None };
        let connection = pool::take_idle(endpoint)?;
        record.attempts += 1;
        record.endpoint = Some(0);
        Some(connection)
    }

    /// A connection to the endpoint whose turn it is; to another when that one cannot be connected to,
    /// each at most once. Says whether it has served before.
    async fn connection(
        &self,
        request: &Request<'_>,
        timeouts: Timeouts,
        record: &mut Record,
    ) -> Result<(Connection, bool), Failure> {
        let mut tried = 0u64;
        let mut failure = Failure::NoEndpoint;
        while let Some(index) = self.pick(tried) {
            tried |= 1 << index.min(63);
            record.attempts += 1;
            record.endpoint = Some(index);
            let permit: Permit = match pool::acquire(&self.endpoints[index], request.watchdog).await? {
                Acquired::Reused(connection) => return Ok((connection, true)),
                Acquired::Open(permit) => permit,
            };
            match connect(permit, timeouts.connect, request.watchdog).await {
                Ok(connection) => return Ok((connection, false)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The next usable endpoint that is not in `tried` (bit by index; the last bit stands for all from 63).
    fn pick(&self, tried: u64) -> Option<usize> {
        let usable = |index: usize| tried & (1 << index.min(63)) == 0 && self.endpoints[index].is_usable();
        if self.endpoints.len() == 1 {
            return Some(0).filter(|index| usable(*index));
        }
        let own = self.balance.get(worker::index()).or(self.balance.first())?;
        own.lock().expect("no panic while held").pick(&self.weights, usable)
    }
}
