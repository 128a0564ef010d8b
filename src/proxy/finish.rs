//! What happens to an answer before it leaves the hall: the page of the operator for it, and what filters have left to
//! be done.

use std::cell::Cell;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http1::{BodyLength, RequestHead};
use tokio::time::Instant;

use super::Proxy;
use crate::filter::ResponseStep;
use crate::message::{
    Body, Client, Exchange, Failure, Interim, Recycled, Request, RequestId, Response, Values, pages,
};
use crate::observe::Record;
use crate::wire::Watchdog;

impl Proxy {
    /// Does to an answer what filters have left to be done.
    #[cold]
    pub(super) fn finish<'c>(
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
    pub(super) async fn finish_slowly<'c>(
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

    pub(super) fn exchange<'e>(&'e self, client: &'e Client, record: &'e Record) -> Exchange<'e> {
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

    /// The same for the answer of a target. What is left of that is read first, lest its connection be lost.
    #[cold]
    pub(super) async fn in_place_of<'c>(
        &self,
        client: &Client,
        request: &Request<'_>,
        mut response: Response<'c>,
        record: &mut Record,
    ) -> Response<'c> {
        let found = self.error_pages.find(&request.head, response.head.status, response.is_page);
        if found.is_some() {
            let body = std::mem::take(&mut response.body);
            read_rest(body, request.watchdog).await;
        }
        self.with_page(client, request, response, record)
    }

    /// The answer as the operator's page for it has it, if there is one.
    #[cold]
    pub(super) fn with_page<'c>(
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
        let body = page.body(&Values { message, ..Values::of_answer(exchange, request, &response) });
        page.put(body, &mut response);
        if let Some(status) = page.page.status {
            response.head.set_status(status);
            record.status = status;
        }
        response
    }
}

/// A body that nobody wants is read up to here, in bytes: less than a new connection costs.
const REST: u64 = 64 << 10;
/// And for so long.
const REST_TIME: Duration = Duration::from_millis(250);

/// Reads what is left of a body, when that is little and comes at once: then its connection can be used again.
async fn read_rest(body: Body<'_>, watchdog: &Watchdog) {
    let Body::Stream(mut stream) = body else { return };
    if matches!(stream.length(), BodyLength::Exact(REST..) | BodyLength::UntilClose) {
        return;
    }
    let mut left = REST;
    let read = |cx: &mut Context<'_>| {
        loop {
            let count = ready!(stream.poll_data(cx)).map_or(0, |data| data.len());
            left = left.saturating_sub(count as u64);
            if count == 0 || left == 0 {
                return Poll::Ready(());
            }
            stream.consume(count);
        }
    };
    let _ = watchdog.limit(Instant::now() + REST_TIME, read).await;
}
