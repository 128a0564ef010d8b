//! Writes an answer to a stream of HTTP/2: the fields as for every version, the body as fast as the client's
//! windows and its socket take it.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use ::http1::encode::digits;
use ::http1::{BodyLength, Fields, Method, Name};
use ::http2::{Closed, Head, Reason, Stream};
use tokio::time::Instant;

use super::together::{Together, Waiting};
use crate::connection::answer::each_field;
use crate::connection::pace::Pace;
use crate::message::{Blame, Body, BodyStream, Failure, RequestId, Response, grpc};
use crate::wire::Watchdog;

/// Whether an answer to such a request has a body at all.
fn has_body(method: Method, status: u16) -> bool {
    method != Method::Head && !matches!(status, 100..=199 | 204 | 304)
}

/// An answer whose head is sent.
pub struct Answer<'c> {
    /// `None` when the head was all.
    stream: Option<&'c Stream<'c>>,
    body: Body<'c>,
    /// Of the call of gRPC that it answers: the client hears in trailers what became of it.
    call: Option<RequestId>,
    /// Bytes of head and body.
    pub written: u64,
}

impl<'c> Answer<'c> {
    /// Sends the head; `call` is the id of a request that is a call of gRPC.
    pub fn begin(
        stream: &'c Stream<'c>,
        method: Method,
        response: Response<'c>,
        call: Option<&RequestId>,
    ) -> Result<Answer<'c>, Failure> {
        let has_body = has_body(method, response.head.status);
        // A stream of nothing may still have trailers.
        let is_stream = matches!(response.body, Body::Stream(_));
        let ends = !has_body || (!is_stream && response.body.length() == BodyLength::NONE);
        let mut written = 0;
        stream
            .send_head(response.head.status, ends, |head| {
                written = write_fields(method, &response, has_body, head)
            })
            .map_err(|Closed| Failure::ClientClosed)?;
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
            Body::File(mut file) => writer.source(file.as_mut()).await,
        };
        self.written += writer.written;
        if let Err(failure) = outcome {
            break_off(stream, failure, self.call.as_ref());
        }
        outcome
    }
}

/// Ends an answer so that it is not taken for the whole.
fn break_off(stream: &Stream<'_>, failure: Failure, call: Option<&RequestId>) {
    let listens = failure.blame() != Blame::Client || failure.is_of_call();
    if let Some(id) = call.filter(|_| listens) {
        // Whoever waits for a status cannot read a reset as well.
        let trailers = grpc::trailers(failure, id);
        if send_trailers(stream, &trailers).is_ok() {
            return;
        }
    }
    stream.reset(Reason::InternalError);
}

fn send_trailers(stream: &Stream<'_>, trailers: &Fields) -> Result<(), Closed> {
    stream.send_trailers(|head| trailers.iter().for_each(|field| head.field(field.name, field.value)))
}

/// Sends the head of an answer that opens a tunnel: what HTTP/1 says with a 101 (RFC 8441 section 5).
pub fn open_tunnel(stream: &Stream<'_>, response: &Response<'_>) -> Result<(), Closed> {
    stream.send_head(200, false, |head| {
        each_field(response, |name, value| {
            // It answers a key that the client never had.
            if !name.eq_ignore_ascii_case(b"sec-websocket-accept") {
                head.field(name, value);
            }
        });
    })
}

fn exact(length: BodyLength) -> Option<u64> {
    match length {
        BodyLength::Exact(length) => Some(length),
        _ => None,
    }
}

/// Writes the fields; how many bytes they are as lines. The length is told when it is known, also of a body that
/// does not follow.
fn write_fields(method: Method, response: &Response<'_>, has_body: bool, head: &mut Head<'_>) -> u64 {
    let status = response.head.status;
    let own = exact(response.body.length());
    let announced = if has_body {
        own
    } else if method == Method::Head || status == 304 {
        response.announced.or(own.filter(|length| *length > 0))
    } else {
        None
    };
    let mut written = 0;
    let mut write = |name: &[u8], value: &[u8]| {
        written += (name.len() + value.len() + 4) as u64;
        head.field(name, value);
    };
    each_field(response, &mut write);
    if let Some(length) = announced {
        write(Name::ContentLength.lower(), digits(length, &mut [0; 20]));
    }
    written
}

struct Writer<'w> {
    stream: &'w Stream<'w>,
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
                    ready!(self.stream.poll_broken(cx));
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
            Some(trailers) => send_trailers(self.stream, &trailers),
            None => self.stream.end(),
        };
        sent.map_err(|Closed| Failure::ClientClosed)
    }

    /// Gives the engine as much as the windows take now; how much that was.
    fn poll_send(&mut self, data: &[u8], last: bool, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        match self.stream.poll_send(data, last, cx) {
            Poll::Ready(Ok(count)) => {
                self.written += count as u64;
                self.pace.progressed(count as u64, Instant::now);
                self.waiting = None;
                if let Some(together) = self.together {
                    together.moved(count as u64);
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(Closed)) => Poll::Ready(Err(Failure::ClientClosed)),
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
