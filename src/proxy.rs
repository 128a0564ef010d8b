//! The hall: one loaded configuration made ready, and the way of a request through it.

#[cfg(debug_assertions)]
mod fault;

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http1::{Method, Name, RequestHead};
use ipnet::IpNet;

use crate::admin::Admin;
use crate::filter::{Call, Decision, Filter, JsonEdits, ResponseStep};
use crate::merge::Merge;
use crate::message::error_pages::ErrorPages;
use crate::message::path::{self, Canonical};
use crate::message::{
    Body, Client, Exchange, Failure, Interim, Recycled, Request, RequestId, Response, Values, pages,
};
use crate::observe::{Line, Record};
use crate::route::{Asker, FixedAnswer, RedirectTemplate, Table};
use crate::upstream::split::Split;
use crate::upstream::{self, Sending, Upstream};
use crate::wire::Watchdog;

/// One configuration, ready to serve; immutable. A connection takes the current one for each request.
#[derive(Debug)]
pub struct Proxy {
    table: Table,
    routes: Vec<Route>,
    trusted_proxies: Vec<IpNet>,
    error_pages: ErrorPages,
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
    /// Calls of gRPC are let through as such; so long both sides of one may be silent.
    /// What is changed in the body of a request.
    pub request_json: Option<Arc<JsonEdits>>,
    pub calls: Option<Duration>,
    pub target: Target,
    /// Answers when the upstream has nobody left.
    pub fallback: Option<FixedAnswer>,
}

impl Route {
    /// Lets the filters at a request; an answer when one of them has given it.
    #[cold]
    fn filter<'p>(
        &'p self,
        client: &Client,
        request: &mut Request<'_>,
        steps: &mut Vec<ResponseStep<'p>>,
        record: &Record,
    ) -> Result<Option<Response<'static>>, Failure> {
        let exchange = Exchange { client, protocol: record.protocol, route: &self.name, endpoint: None };
        for filter in &self.filters {
            match filter.on_request(exchange, request) {
                Decision::Pass => {}
                Decision::PassThen(step) => steps.push(step),
                Decision::Answer(answer) => return Ok(Some(answer)),
                Decision::Fail(failure) => return Err(failure),
            }
        }
        Ok(None)
    }
}

/// What answers.
#[derive(Debug)]
pub enum Target {
    Upstream(Arc<Upstream>, Sending),
    Split(Split, Sending),
    Merge(Merge),
    Redirect(RedirectTemplate, u16),
    Fixed(FixedAnswer),
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
            Target::Redirect(template, status) => Ok(redirect(template, *status, request)),
            Target::Fixed(fixed) => Ok(fixed_answer(fixed)),
            Target::Admin(admin) => Ok(admin.answer(request).await),
        }
    }
}

impl Proxy {
    /// `routes` are in the order in which `table` was built.
    pub fn new(
        table: Table,
        routes: Vec<Route>,
        trusted_proxies: Vec<IpNet>,
        error_pages: ErrorPages,
    ) -> Proxy {
        Proxy { table, routes, trusted_proxies, error_pages }
    }

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
            response = self.with_page(client, request, response, record);
        }
        if steps.iter().any(ResponseStep::waits) {
            Box::pin(self.finish_slowly(client, request, response, steps, record)).await
        } else {
            if !steps.is_empty() {
                self.finish(client, request, &mut response, steps, record);
            }
            response
        }
    }

    /// Does to an answer what filters have left to be done.
    #[cold]
    fn finish<'c>(
        &self,
        client: &Client,
        request: &Request<'c>,
        response: &mut Response<'c>,
        steps: Vec<ResponseStep<'_>>,
        record: &Record,
    ) {
        let exchange = self.exchange(client, record);
        for step in steps.into_iter().rev() {
            step.on_response(exchange, request, response);
        }
    }

    /// The same where a step waits for the body of the answer.
    async fn finish_slowly<'c>(
        &self,
        client: &Client,
        request: &Request<'c>,
        mut response: Response<'c>,
        steps: Vec<ResponseStep<'_>>,
        record: &mut Record,
    ) -> Response<'c> {
        for step in steps.into_iter().rev() {
            let ResponseStep::Json(edits) = step else {
                step.on_response(self.exchange(client, record), request, &mut response);
                continue;
            };
            let exchange = self.exchange(client, record);
            if let Err(failure) = edits.edit_answer(exchange, request, &mut response).await {
                record.failure = Some(failure);
                record.status = pages::status(failure);
                response = pages::explain(failure, &request.head, &request.id);
                response = self.with_page(client, request, response, record);
            }
        }
        response
    }

    fn exchange<'e>(&'e self, client: &'e Client, record: &'e Record) -> Exchange<'e> {
        let route = record.route.and_then(|index| self.routes.get(index)).map_or("", |route| &route.name);
        let endpoint = record.endpoint.as_deref();
        Exchange { client, protocol: record.protocol, route, endpoint }
    }

    /// The answer to a request that nobody could read on from, and that therefore has met nothing in here.
    #[cold]
    pub fn refuse(
        &self,
        failure: Failure,
        head: &RequestHead,
        id: &RequestId,
        record: &mut Record,
    ) -> Response<'static> {
        record.failure = Some(failure);
        record.status = pages::status(failure);
        let response = pages::explain(failure, head, id);
        if !self.error_pages.concern(&response) {
            return response;
        }
        let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
        let mut copy = Recycled::<RequestHead>::take();
        copy.clone_from(head);
        let request = Request {
            head: copy,
            body: Body::Empty,
            id: id.clone(),
            upgrade: None,
            interim: &interim,
            watchdog: &watchdog,
            is_call: &is_call,
            secured: None,
        };
        let client = record.client;
        self.with_page(&client, &request, response, record)
    }

    /// The answer as the operator's page for it has it, if there is one.
    #[cold]
    fn with_page<'c>(
        &self,
        client: &Client,
        request: &Request<'_>,
        mut response: Response<'c>,
        record: &mut Record,
    ) -> Response<'c> {
        let found = self.error_pages.find(&request.head, response.head.status, response.is_page);
        let Some(page) = found else { return response };
        let message = record.failure.filter(|_| response.is_page).map_or("", pages::sentence);
        let exchange = self.exchange(client, record);
        let text = page.fill(&Values { message, ..Values::of_answer(exchange, request, &response) });
        page.put(text, &mut response);
        if let Some(status) = page.status {
            response.head.set_status(status);
            record.status = status;
        }
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
            && let Some(answer) = route.filter(client, request, steps, record)?
        {
            return Ok(answer);
        }
        let exchange = Exchange { client, protocol: record.protocol, route: &route.name, endpoint: None };
        if let Some(edits) = &route.request_json {
            Box::pin(edits.edit_request(exchange, request)).await?;
        }
        let call = route.calls.and_then(|idle| Call::begin(request, idle, record.asked));
        let outcome = match (&route.target, call) {
            // The usual way has no future around its own, which cost 135 instructions.
            (Target::Upstream(upstream, sending), None) => {
                upstream.send(client, request, sending, record).await
            }
            (target, None) => Box::pin(target.answer(exchange, request, record)).await,
            (target, Some(call)) => {
                let watchdog = request.watchdog;
                Box::pin(call.bound(watchdog, target.answer(exchange, request, record))).await
            }
        };
        match (outcome, &route.fallback) {
            (Err(failure), Some(page)) if failure.is_nobody() => {
                record.failure = Some(failure);
                Ok(fixed_answer(page))
            }
            (outcome, _) => outcome,
        }
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

fn redirect(template: &RedirectTemplate, status: u16, request: &Request<'_>) -> Response<'static> {
    if template.needs_host() && request.head.host().is_empty() {
        return pages::page(400, &request.head, &request.id);
    }
    let scheme = if request.secured.is_some() { "https" } else { "http" };
    let mut response = pages::page(status, &request.head, &request.id);
    response.head.fields.push_with(Name::Location, b"Location", |out| {
        template.location(scheme, &request.head, out);
    });
    response
}

fn fixed_answer(fixed: &FixedAnswer) -> Response<'static> {
    let body = fixed.body.clone().into_bytes().into();
    Response::text(fixed.status, fixed.content_type.as_bytes(), body)
}
