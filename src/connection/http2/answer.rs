//! Writes an answer to a stream of HTTP/2: the fields as for every version, the body as fast as the client's
//! windows and its socket take it.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use ::http1::{BodyLength, Method};
use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::HeaderMap;
use tokio::time::Instant;

use super::together::{Together, Waiting};
use crate::connection::answer::each_field;
use crate::connection::pace::Pace;
use crate::message::convert::{self, FieldMap};
use crate::message::{Blame, Body, BodyStream, Failure, RequestId, Response, grpc};
use crate::wire::{Watchdog, stream};

/// Whether an answer to such a request has a body at all.
fn has_body(method: Method, status: u16) -> bool {
    method != Method::Head && !matches!(status, 100..=199 | 204 | 304)
}

/// An answer whose head is sent.
pub struct Answer<'c> {
    /// `None` when the head was all.
    stream: Option<SendStream<Bytes>>,
    body: Body<'c>,
    /// Of the call of gRPC that it answers: the client hears in trailers what became of it.
    call: Option<RequestId>,
    /// Bytes of head and body.
    pub written: u64,
}

impl<'c> Answer<'c> {
    /// Sends the head; `call` is the id of a request that is a call of gRPC.
    pub fn begin(
        respond: &mut SendResponse<Bytes>,
        method: Method,
        response: Response<'c>,
        call: Option<&RequestId>,
    ) -> Result<Answer<'c>, Failure> {
        let has_body = has_body(method, response.head.status);
        let (fields, written) = fields(method, &response, has_body);
        let mut head = http::Response::new(());
        *head.status_mut() = http::StatusCode::from_u16(response.head.status).unwrap_or_default();
        *head.headers_mut() = fields;
        // A stream of nothing may still have trailers.
        let is_stream = matches!(response.body, Body::Stream(_));
        let ends = !has_body || (!is_stream && response.body.length() == BodyLength::NONE);
        let stream = respond.send_response(head, ends).map_err(|_| Failure::ClientClosed)?;
        let call = call.filter(|_| grpc::is_answer(&response.head.fields)).cloned();
        let stream = (!ends).then_some(stream);
        Ok(Answer { stream, body: response.body, call, written })
    }

    /// Sends the body; a failure says why the client did not get all of it. `together` is what the slowness of all
    /// streams is judged by, where this one counts.
    pub async fn write(
        &mut self,
        pace: &mut Pace,
        together: Option<&Together>,
        watchdog: &Watchdog,
    ) -> Result<(), Failure> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let body = std::mem::take(&mut self.body);
        let mut writer = Writer { stream, pace, together, waiting: None, watchdog, written: 0 };
        let outcome = match body {
            Body::Empty | Body::Upgraded(_) => Ok(()),
            Body::Text(text) => writer.bytes(&text).await,
            Body::Received(buffer) => writer.bytes(buffer.data()).await,
            Body::Stream(mut source) => writer.source(source.as_mut()).await,
        };
        self.written += writer.written;
        if let Err(failure) = outcome {
            break_off(&mut writer.stream, failure, self.call.as_ref());
        }
        outcome
    }
}

/// Ends an answer so that it is not taken for the whole.
fn break_off(stream: &mut SendStream<Bytes>, failure: Failure, call: Option<&RequestId>) {
    let listens = failure.blame() != Blame::Client || failure.is_of_call();
    let told = call.filter(|_| listens).map(|id| {
        // Whoever waits for a status cannot read a reset as well.
        stream.send_trailers(convert::trailer_map(&grpc::trailers(failure, id)))
    });
    if !matches!(told, Some(Ok(()))) {
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
    }
}

/// Sends the head of an answer that opens a tunnel: what HTTP/1 says with a 101 (RFC 8441 section 5).
pub fn open_tunnel(
    respond: &mut SendResponse<Bytes>,
    response: Response<'_>,
) -> Result<SendStream<Bytes>, h2::Error> {
    let mut fields = FieldMap::with_capacity(response.head.fields.len() + 1);
    each_field(&response, |name, value| fields.push(name, value));
    let mut head = http::Response::new(());
    *head.headers_mut() = fields.into_map().0;
    // It answers a key that the client never had.
    head.headers_mut().remove(http::header::SEC_WEBSOCKET_ACCEPT);
    respond.send_response(head, false)
}

fn exact(length: BodyLength) -> Option<u64> {
    match length {
        BodyLength::Exact(length) => Some(length),
        _ => None,
    }
}

/// The fields, and how many bytes they are as lines. The length is told when it is known, also of a body that does
/// not follow.
fn fields(method: Method, response: &Response<'_>, body: bool) -> (HeaderMap, u64) {
    let status = response.head.status;
    let own = exact(response.body.length());
    let announced = if body {
        own
    } else if method == Method::Head || status == 304 {
        response.announced.or(own.filter(|length| *length > 0))
    } else {
        None
    };
    // Those of the origin, the date, and the length.
    let mut fields = FieldMap::with_capacity(response.head.fields.len() + 2);
    each_field(response, |name, value| fields.push(name, value));
    if let Some(length) = announced {
        fields.push_length(length);
    }
    fields.into_map()
}

struct Writer<'w> {
    stream: SendStream<Bytes>,
    pace: &'w mut Pace,
    together: Option<&'w Together>,
    /// While the client is waited for.
    waiting: Option<Waiting<'w>>,
    watchdog: &'w Watchdog,
    written: u64,
}

impl Writer<'_> {
    async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = poll_fn(|cx| self.poll_send(rest, true, cx)).await?;
            rest = &rest[count..];
        }
        Ok(())
    }

    async fn source(&mut self, source: &mut dyn BodyStream) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_source(source, cx)).await
    }

    /// Sends until all is sent, the source has nothing, or the client takes nothing.
    fn poll_source(
        &mut self,
        source: &mut dyn BodyStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let data = match source.poll_data(cx) {
                Poll::Ready(data) => data?,
                Poll::Pending => {
                    // It is not the client that is waited for; it may still leave.
                    self.pace.paused(Instant::now);
                    self.waiting = None;
                    ready!(self.stream.poll_reset(cx)).map_err(|_| Failure::ClientClosed)?;
                    return Poll::Ready(Err(Failure::ClientClosed));
                }
            };
            if data.is_empty() {
                return Poll::Ready(self.end(source));
            }
            let count = ready!(self.poll_send(data, false, cx))?;
            source.consume(count);
        }
    }

    /// Behind the last byte: only here is it known whether trailers follow, whatever the length.
    fn end(&mut self, source: &mut dyn BodyStream) -> Result<(), Failure> {
        let sent = match source.trailers() {
            Some(trailers) => self.stream.send_trailers(convert::trailer_map(&trailers)),
            None => self.stream.send_data(Bytes::new(), true),
        };
        sent.map_err(|_| Failure::ClientClosed)
    }

    /// Gives the engine as much as the windows take now; how much that was.
    fn poll_send(&mut self, data: &[u8], last: bool, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        match stream::poll_send(&mut self.stream, data, last, cx) {
            Poll::Ready(Ok(count)) => {
                self.written += count as u64;
                self.pace.progressed(count as u64, Instant::now);
                self.waiting = None;
                if let Some(together) = self.together {
                    together.moved(count as u64);
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(stream::Closed)) => Poll::Ready(Err(Failure::ClientClosed)),
            Poll::Pending => {
                if let (None, Some(together)) = (&self.waiting, self.together) {
                    self.waiting = Some(together.wait(Instant::now()));
                }
                let slow = self.pace.poll_too_slow(self.watchdog, cx);
                slow.map(|()| Err(Failure::ClientTooSlow))
            }
        }
    }
}
