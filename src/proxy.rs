//! The hall: one loaded configuration made ready, and the way of a request through it.

#[cfg(debug_assertions)]
mod fault;
mod finish;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http1::{Method, Name, RequestHead};
use ipnet::IpNet;

use crate::admin::Admin;
use crate::files::Files;
use crate::filter::auth::ForwardAuth;
use crate::filter::{
    Call, Decision, Filter, HeaderEdits, JsonEdits, LocationRewrite, Redirect, ResponseStep,
};
use crate::merge::Merge;
use crate::message::error_pages::ErrorPages;
use crate::message::path::{self, Canonical};
use crate::message::{Client, Exchange, Failure, Request, RequestId, Response, Values, pages};
use crate::observe::{Line, Record};
use crate::route::{Asker, FixedAnswer, Table};
use crate::upstream::split::Split;
use crate::upstream::{self, Sending, Upstream};

/// One configuration, ready to serve; immutable. A connection takes the current one for each request.
#[derive(Debug)]
pub struct Proxy {
    pub table: Table,
    /// In the order in which `table` was built.
    pub routes: Vec<Route>,
    /// Changes to answers that no route has given.
    pub unrouted: Vec<HeaderEdits>,
    pub trusted_proxies: Vec<IpNet>,
    pub error_pages: ErrorPages,
}

/// What happens to the requests of one route.
#[derive(Debug)]
pub struct Route {
    pub name: String,
    /// Its member of a log line.
    pub log_member: Vec<u8>,
    /// Its number in the metrics.
    pub series: usize,
    /// In the order in which a request meets them.
    pub filters: Vec<Filter>,
    /// Behind them.
    pub gate: Option<Box<Gate>>,
    /// Of redirects of the upstream.
    pub location: Option<LocationRewrite>,
    /// What is changed in the body of a request.
    pub request_json: Option<Arc<JsonEdits>>,
    /// Calls of gRPC are let through as such; so long both sides of one may be silent.
    pub calls: Option<Duration>,
    pub target: Target,
    /// Answers when the upstream has nobody left.
    pub fallback: Option<FixedAnswer>,
}

/// Lets through what another server says may go on.
#[derive(Debug)]
pub struct Gate {
    pub auth: ForwardAuth,
    /// Behind it.
    pub filters: Vec<Filter>,
}

impl Route {
    /// Lets the filters at a request; an answer when one of them has given it.
    #[cold]
    fn filter<'p>(
        &'p self,
        filters: &'p [Filter],
        client: &Client,
        request: &mut Request<'_>,
        steps: &mut Vec<ResponseStep<'p>>,
        record: &Record,
    ) -> Result<Option<Response<'static>>, Failure> {
        let exchange = Exchange { client, protocol: record.protocol, route: &self.name, endpoint: None };
        for filter in filters {
            match filter.on_request(exchange, request) {
                Decision::Pass => {}
                Decision::PassThen(step) => steps.push(step),
                Decision::Answer(answer) => return Ok(Some(answer)),
                Decision::Fail(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// Asks whether the request may go on, and lets the filters behind at one that may.
    async fn pass<'p>(
        &'p self,
        gate: &'p Gate,
        client: &Client,
        request: &mut Request<'_>,
        steps: &mut Vec<ResponseStep<'p>>,
        record: &mut Record,
    ) -> Result<Option<Response<'static>>, Failure> {
        let exchange = Exchange { client, protocol: record.protocol, route: &self.name, endpoint: None };
        match gate.auth.on_request(exchange, request, record).await {
            Decision::Pass => {}
            Decision::PassThen(step) => steps.push(step),
            Decision::Answer(answer) => return Ok(Some(answer)),
            Decision::Fail(failure) => return Err(failure),
        }
        self.filter(&gate.filters, client, request, steps, record)
    }
}

/// What answers.
#[derive(Debug)]
pub enum Target {
    Upstream(Arc<Upstream>, Sending),
    Split(Split, Sending),
    Merge(Merge),
    Redirect(Redirect),
    Fixed(FixedAnswer),
    Files(Files),
    Admin(Admin),
}

impl Target {
    async fn answer<'c>(
        &self,
        exchange: Exchange<'_>,
        request: &mut Request<'c>,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        let client = exchange.client;
        match self {
            Target::Upstream(upstream, sending) => upstream.send(client, request, sending, record).await,
            Target::Split(split, sending) => match split.choose(&request.head, client.address) {
                Some(upstream) => Box::pin(upstream.send(client, request, sending, record)).await,
                None => Err(Failure::NoEndpoint),
            },
            Target::Merge(merge) => Box::pin(merge.answer(exchange, request, record)).await,
            Target::Redirect(redirect) => Ok(redirect.answer(&Values::of_request(exchange, request))),
            Target::Fixed(fixed) => Ok(fixed_answer(fixed)),
            Target::Files(files) => files.answer(request, record.asked).await,
            Target::Admin(admin) => Ok(admin.answer(request).await),
        }
    }
}

impl Proxy {
    /// Answers one request. A failure becomes an answer here, so it is logged and sent like any other.
    pub async fn handle<'c>(
        &self,
        client: &Client,
        request: &mut Request<'c>,
        record: &mut Record,
    ) -> Response<'c> {
        #[cfg(debug_assertions)]
        fault::before(&request.head);
        let behind;
        let mut client = client;
        if !self.trusted_proxies.is_empty() {
            behind = client.behind(&self.trusted_proxies, &request.head.fields);
            client = &behind;
            record.client = behind;
        }
        if client.trusted {
            keep_request_id(request);
        }
        let mut steps = Vec::new();
        let mut response = match self.answer(client, request, &mut steps, record).await {
            Ok(response) => response,
            Err(failure) => {
                record.failure = Some(failure);
                record.status = pages::status(failure);
                pages::explain(failure, &request.head, &request.id)
            }
        };
        #[cfg(debug_assertions)]
        fault::within(&request.head, &mut response);
        if self.error_pages.concern(&response) {
            response = Box::pin(self.in_place_of(client, request, response, record)).await;
        }
        if record.route.is_none() && !self.unrouted.is_empty() {
            let exchange = self.exchange(client, record);
            steps.extend(ResponseStep::headers(&self.unrouted, exchange, request));
        }
        if steps.is_empty() {
            return response;
        }
        if steps.iter().any(ResponseStep::waits) {
            return Box::pin(self.finish_slowly(client, request, response, steps, record)).await;
        }
        self.finish(client, request, &mut response, steps, record);
        response
    }

    /// What `steps` gets is still to be done to the answer, the last first.
    async fn answer<'p, 'c>(
        &'p self,
        client: &Client,
        request: &mut Request<'c>,
        steps: &mut Vec<ResponseStep<'p>>,
        record: &mut Record,
    ) -> Result<Response<'c>, Failure> {
        refuse_method(request.head.method)?;
        if upstream::is_loop(&request.head.fields) {
            return Err(Failure::Loop);
        }
        canonicalise(request)?;
        let index = self.find(request, client.address)?;
        let route = &self.routes[index];
        record.route = Some(index);
        if let Some(answer) = last_hop(request) {
            return Ok(answer);
        }
        if !route.filters.is_empty()
            && let Some(answer) = route.filter(&route.filters, client, request, steps, record)?
        {
            return Ok(answer);
        }
        if let Some(gate) = &route.gate
            && let Some(answer) = Box::pin(route.pass(gate, client, request, steps, record)).await?
        {
            return Ok(answer);
        }
        if let Some(edits) = &route.request_json {
            let exchange = self.exchange(client, record);
            Box::pin(edits.edit_request(exchange, request)).await?;
        }
        let call = route.calls.and_then(|idle| Call::begin(request, idle, record.asked));
        let mut outcome = match (&route.target, call) {
            // The usual way has no future around its own, which cost 135 instructions.
            (Target::Upstream(upstream, sending), None) => {
                upstream.send(client, request, sending, record).await
            }
            (target, call) => {
                let exchange =
                    Exchange { client, protocol: record.protocol, route: &route.name, endpoint: None };
                let watchdog = request.watchdog;
                let answer = target.answer(exchange, request, record);
                match call {
                    None => Box::pin(answer).await,
                    Some(call) => Box::pin(call.bound(watchdog, answer)).await,
                }
            }
        };
        match &outcome {
            Ok(response) if response.head.fields.contains(Name::Location) => {
                relocate(route, request, &mut outcome, record);
            }
            Err(failure) if failure.is_nobody() => {
                if let Some(page) = &route.fallback {
                    record.failure = Some(*failure);
                    return Ok(fixed_answer(page));
                }
            }
            _ => {}
        }
        outcome
    }

    fn find(&self, request: &Request<'_>, client: IpAddr) -> Result<usize, Failure> {
        let certificate = request.secured.and_then(|secured| secured.certificate.as_deref());
        self.table
            .find(&request.head, Asker { address: client, certificate })
            .filter(|index| *index < self.routes.len())
            .ok_or(Failure::NoRoute)
    }

    /// The log line of a request that is over.
    pub fn line<'l>(&'l self, record: &'l Record, head: &'l RequestHead, id: &'l RequestId) -> Line<'l> {
        let endpoint: &[u8] = record.endpoint.as_deref().map_or(b"", |name| &name.log_member);
        let Some(route) = record.route.and_then(|index| self.routes.get(index)) else {
            return Line { record, head, id, route: b"", series: 0, endpoint, logged: true };
        };
        let logged = !matches!(route.target, Target::Admin(_));
        Line { record, head, id, route: &route.log_member, series: route.series, endpoint, logged }
    }
}

/// The upstream sends the client elsewhere: to what the client knows it by.
#[cold]
fn relocate<'c>(
    route: &Route,
    request: &Request<'c>,
    outcome: &mut Result<Response<'c>, Failure>,
    record: &Record,
) {
    if let (Ok(response), Some(rewrite)) = (outcome, &route.location) {
        rewrite.on_response(record.endpoint.as_deref(), &record.client, request, response);
    }
}

/// TRACE would show a client fields that the proxy added; CONNECT is for forward proxies.
fn refuse_method(method: Method) -> Result<(), Failure> {
    match method {
        Method::Trace | Method::Connect => Err(Failure::MethodRefused),
        _ => Ok(()),
    }
}

/// One canonical path before any decision; the origin gets the same.
fn canonicalise(request: &mut Request<'_>) -> Result<(), Failure> {
    // Without memory until a path really changes.
    let mut out = Vec::new();
    match path::canonicalise(request.head.path(), &mut out) {
        Ok(Canonical::Same) => {}
        Ok(Canonical::Changed) => request.head.set_path(&out),
        Err(error) => return Err(Failure::BadPath(error.code())),
    }
    Ok(())
}

/// The id that a trusted proxy gave.
fn keep_request_id(request: &mut Request<'_>) {
    let given = request.head.fields.get(Name::XRequestId).and_then(RequestId::received);
    if let Some(given) = given {
        request.id = given;
    }
}

/// `Max-Forwards` (RFC 9110 section 7.6.2): at 0 an OPTIONS is answered here, above it counts down.
fn last_hop(request: &mut Request<'_>) -> Option<Response<'static>> {
    if request.head.method != Method::Options {
        return None;
    }
    let hops: u64 = std::str::from_utf8(request.head.fields.get(Name::MaxForwards)?).ok()?.parse().ok()?;
    if hops == 0 {
        let mut response = Response::empty(204);
        response.head.fields.push(Name::Other, b"Allow", pages::ALLOW);
        return Some(response);
    }
    request.head.fields.remove(Name::MaxForwards);
    request.head.fields.push(Name::MaxForwards, b"Max-Forwards", (hops - 1).to_string().as_bytes());
    None
}

fn fixed_answer(fixed: &FixedAnswer) -> Response<'static> {
    Response::of(fixed.status, fixed.content_type.as_bytes(), fixed.body.body())
}
