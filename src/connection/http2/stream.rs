//! One request on a stream of HTTP/2: made of its frames, handled, answered.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use ::http1::framing::request_length;
use ::http1::{BodyLength, HeadError, HeadLimits, Method, RequestHead, RequestParts};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use tokio::time::Instant;

use super::answer;
use super::request_body::RequestBody;
use crate::connection::entry::Connection;
use crate::connection::interim_writer;
use crate::connection::pace::Pace;
use crate::connection::serving::Current;
use crate::message::{
    Body, Failure, Interim, Protocol, Recycled, Request, RequestId, Response, convert, pages,
};
use crate::observe::{self, Record};
use crate::wire::Watchdog;

/// What a head says about its body.
struct Wishes {
    length: BodyLength,
    expects_continue: bool,
}

impl Connection {
    /// Answers one request, whatever becomes of it.
    pub(super) async fn serve_stream(
        &self,
        current: Rc<Current>,
        request: http::Request<RecvStream>,
        respond: SendResponse<Bytes>,
    ) {
        let mut record = Record::new(Instant::now(), self.client);
        record.protocol = Protocol::Http2;
        let (parts, body) = request.into_parts();
        let mut head = Recycled::<RequestHead>::take();
        let wishes = read_head(&parts, &mut head, body.is_end_stream())
            .map_err(Failure::BadHead)
            .and_then(|wishes| current.entrance.admit(&head, self.secured()).map(|()| wishes));
        match wishes {
            Ok(wishes) => self.answer_stream(&current, head, wishes, body, respond, record).await,
            Err(failure) => self.refuse_stream(&current, failure, &head, respond, record).await,
        }
    }

    async fn answer_stream(
        &self,
        current: &Current,
        head: Recycled<RequestHead>,
        wishes: Wishes,
        body: RecvStream,
        respond: SendResponse<Bytes>,
        mut record: Record,
    ) {
        let (watchdog, interim, received) = (Watchdog::new(), Interim::default(), Cell::new(0));
        let method = head.method;
        let respond = RefCell::new(respond);
        let mut request = Request {
            head,
            body: Body::Empty,
            id: RequestId::make(),
            upgrade: None,
            interim: &interim,
            watchdog: &watchdog,
            secured: self.secured(),
        };
        if wishes.length != BodyLength::NONE {
            let invitation = wishes.expects_continue.then_some(&respond);
            let pace = Pace::of(&current.limits);
            let body = RequestBody::new(body, wishes.length, pace, &watchdog, invitation, &received);
            request.body = Body::Stream(Box::new(body));
        }
        let response = {
            let mut handling = pin!(current.proxy.handle(&self.client, &mut request, &mut record));
            poll_fn(|cx| {
                let polled = handling.as_mut().poll(cx);
                send_interim(&interim, &respond);
                if polled.is_pending() && respond.borrow_mut().poll_reset(cx).is_ready() {
                    // Nobody waits for it any more.
                    return std::task::Poll::Ready(None);
                }
                polled.map(Some)
            })
            .await
        };
        match response {
            Some(response) => {
                self.write_answer(current, method, response, &respond, &watchdog, &mut record).await;
            }
            None => {
                record.failure = Some(Failure::ClientGone);
                record.status = 499;
                record.upstream_time = record.asked.elapsed();
            }
        }
        record.received = received.get();
        let (head, id) = request.into_answered();
        observe::note(&current.proxy.line(&record, &head, &id), Instant::now());
    }

    async fn write_answer(
        &self,
        current: &Current,
        method: Method,
        response: Response<'_>,
        respond: &RefCell<SendResponse<Bytes>>,
        watchdog: &Watchdog,
        record: &mut Record,
    ) {
        record.status = response.head.status;
        if record.failure == Some(Failure::ClientClosed) {
            return;
        }
        let mut pace = Pace::of(&current.limits);
        let mut respond = respond.borrow_mut();
        let (sent, outcome) = answer::write(&mut respond, method, response, &mut pace, watchdog).await;
        record.sent = sent;
        if let Err(failure) = outcome {
            record.failure = Some(failure);
        }
    }

    /// A request that breaks the rules of the version is reset; one that is only too large, or in the wrong
    /// place, is told so.
    async fn refuse_stream(
        &self,
        current: &Current,
        failure: Failure,
        head: &RequestHead,
        mut respond: SendResponse<Bytes>,
        mut record: Record,
    ) {
        let id = RequestId::make();
        let response = pages::explain(failure, head, &id);
        record.failure = Some(failure);
        record.status = response.head.status;
        if is_malformed(failure) {
            respond.send_reset(Reason::PROTOCOL_ERROR);
        } else {
            let (watchdog, mut pace) = (Watchdog::new(), Pace::of(&current.limits));
            let written = answer::write(&mut respond, head.method, response, &mut pace, &watchdog).await;
            record.sent = written.0;
        }
        observe::note(&current.proxy.line(&record, head, &id), Instant::now());
    }
}

fn is_malformed(failure: Failure) -> bool {
    match failure {
        Failure::BadHead(error) => !matches!(
            error,
            HeadError::TargetTooLong
                | HeadError::FieldTooLong
                | HeadError::HeadTooLong
                | HeadError::TooManyFields
                | HeadError::BadExpectation
        ),
        _ => false,
    }
}

/// Sends what came before the final answer.
fn send_interim(interim: &Interim, respond: &RefCell<SendResponse<Bytes>>) {
    if interim.is_empty() {
        return;
    }
    for head in interim.drain() {
        let mut lines = Vec::new();
        interim_writer::write_fields(&head, &mut lines);
        let mut informational = http::Response::new(());
        *informational.status_mut() = http::StatusCode::from_u16(head.status).unwrap_or_default();
        *informational.headers_mut() = convert::header_map(&lines);
        // A client that is gone shows so when the final answer is written.
        let _ = respond.borrow_mut().send_informational(informational);
    }
}

/// Makes a head of what the engine read.
fn read_head(parts: &http::request::Parts, head: &mut RequestHead, ends: bool) -> Result<Wishes, HeadError> {
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let request =
        RequestParts { method: parts.method.as_str().as_bytes(), authority, target: target.as_bytes() };
    if !matches!(parts.uri.scheme_str(), Some("http" | "https") | None) {
        return Err(HeadError::BadTarget);
    }
    let fields = parts.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    head.assemble(request, fields, &HeadLimits::STRICT)?;
    let announced = request_length(head)?;
    let told = head.fields.contains(::http1::Name::ContentLength);
    let length = match (ends, told) {
        (true, _) if announced != BodyLength::NONE => return Err(HeadError::BadLength),
        (true, _) => BodyLength::NONE,
        (false, true) => announced,
        (false, false) => BodyLength::Chunked,
    };
    Ok(Wishes { length, expects_continue: head.expects_continue()? })
}
