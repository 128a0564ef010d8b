//! One exchange with a FastCGI server: send the request, read the head of the answer, and then the body as fast as the
//! client takes it. The request may still be on its way while the answer comes.

use std::task::{Context, Poll, ready};

use ::fastcgi::{HeadReader, Verdict, record};
use http1::framing::{ResponseLength, response_length};
use http1::{BodyLength, HeadError, Method, ResponseHead};
use tokio::time::Instant;

use super::answer::{Answer, AnswerBody};
use super::complaints::Complaints;
use super::meta;
use super::output::{Output, OutputError};
use super::script::Application;
use super::upload::Upload;
use crate::message::{Body, Failure, Recycled, Request, Response};
use crate::upstream::Timeouts;
use crate::upstream::forward::Facts;
use crate::upstream::http1::{Left, Payload, Try, Unanswered};
use crate::upstream::pool::Connection;
use crate::wire::{Scratch, Watchdog};

/// Sends a request over a connection and reads the head of the answer; `route` is the name of its route.
pub async fn exchange<'c>(
    connection: Connection,
    application: &Application,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: Payload<'c>,
    this: &Try,
    route: &str,
) -> Result<Response<'c>, Box<Unanswered>> {
    let (out, length) = match written(application, request, facts, &payload, route) {
        Ok(written) => written,
        Err(failure) => return Err(unsent(connection, failure, application.keep_connections)),
    };
    let mut exchange = Exchange {
        complaints: Complaints::of(connection.endpoint()),
        connection,
        upload: Upload::new(out, payload, length),
        output: Output::new(),
        watchdog: request.watchdog,
        timeouts: this.timeouts,
        moved: this.now,
        limit: this.limit.map(|limit| this.now + limit),
        keeps: application.keep_connections,
    };
    let mut reader = HeadReader::default();
    let method = request.head.method;
    let outcome = std::future::poll_fn(|cx| exchange.poll_head(&mut reader, cx)).await;
    match outcome.and_then(|head| exchange.judge(head, method)) {
        Ok((head, length)) => {
            exchange.connection.endpoint().note_answer(head.status, || this.now.elapsed());
            let announced = length.announced;
            let bodyless = method == Method::Head || matches!(head.status, 204 | 304);
            let body = exchange.into_body(length.length, bodyless);
            Ok(Response { head, body, announced, is_page: false })
        }
        Err(failure) => Err(exchange.into_unanswered(failure, this.reused)),
    }
}

/// Beginning and params of the request, and the length of its body.
fn written(
    application: &Application,
    request: &Request<'_>,
    facts: &Facts<'_>,
    payload: &Payload<'_>,
    route: &str,
) -> Result<(Scratch, u64), Failure> {
    // `CONTENT_LENGTH` is all that most applications know of a body (RFC 3875 section 4.1.2).
    let BodyLength::Exact(length) = payload.length() else { return Err(Failure::LengthRequired) };
    let script = application.admit(request)?;
    let mut out = Scratch::take();
    record::begin_request(&mut out, application.keep_connections);
    meta::write(&mut out, application, &script, request, facts, route).map_err(|_| Failure::ParamsTooLong)?;
    Ok((out, length))
}

/// Nothing was written: the connection is as good as it was.
#[cold]
fn unsent(connection: Connection, failure: Failure, keeps: bool) -> Box<Unanswered> {
    let left = Left::Stream(connection.endpoint().clone());
    if keeps {
        connection.release();
    }
    Box::new(Unanswered { failure, reused: false, written: 0, answered: false, left })
}

pub struct Exchange<'c> {
    pub connection: Connection,
    pub upload: Upload<'c>,
    pub output: Output,
    pub complaints: Complaints,
    watchdog: &'c Watchdog,
    timeouts: Timeouts,
    /// When the server last took or gave a byte that counts.
    moved: Instant,
    /// The head of the answer comes until then or not at all.
    limit: Option<Instant>,
    /// The connection may serve another request.
    keeps: bool,
}

impl<'c> Exchange<'c> {
    fn poll_head(
        &mut self,
        reader: &mut HeadReader,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Recycled<ResponseHead>, Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_upload(cx) {
            return Poll::Ready(Err(failure));
        }
        match self.poll_answer(reader, cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            // While the client's body is waited for, its own deadline holds.
            Poll::Pending if self.upload.is_running() && self.upload.starved => Poll::Pending,
            Poll::Pending if self.watchdog.expired(cx, self.deadline()) => {
                let sending = self.upload.is_running();
                Poll::Ready(Err(if sending { Failure::SendTimeout } else { Failure::ReadTimeout }))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn deadline(&self) -> Instant {
        let patience = if self.upload.is_running() { self.timeouts.send } else { self.timeouts.read };
        let deadline = self.moved + patience;
        self.limit.map_or(deadline, |limit| deadline.min(limit))
    }

    /// Sends what the server takes. A failure here is one of the body's source: the client.
    pub fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if !self.upload.is_running() {
            return Poll::Ready(Ok(()));
        }
        let before = self.upload.written;
        let sent = self.upload.poll_send(&self.connection.socket, cx);
        // Without a body it is all sent at once.
        if self.upload.has_body() && (sent.is_ready() || self.upload.written != before) {
            self.moved = Instant::now();
        }
        sent
    }

    fn poll_answer(
        &mut self,
        reader: &mut HeadReader,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Recycled<ResponseHead>, Failure>> {
        loop {
            let mut head = Recycled::<ResponseHead>::take();
            if let Some(end) = reader.read(self.output.data(), &mut head).map_err(Failure::BadAnswer)? {
                self.output.consume(end);
                return Poll::Ready(Ok(head));
            }
            if let Some(end) = self.output.end() {
                return Poll::Ready(Err(match end.verdict {
                    // With output it was looked at, whatever it says.
                    Verdict::Overloaded if self.output.data().is_empty() && self.complaints.is_empty() => {
                        Failure::Overloaded
                    }
                    Verdict::Overloaded => Failure::BadFastCgi("overloaded_after_output"),
                    Verdict::CannotMultiplex => Failure::BadFastCgi("cannot_multiplex"),
                    Verdict::UnknownRole => Failure::BadFastCgi("unknown_role"),
                    Verdict::Complete => Failure::BadFastCgi("no_head"),
                }));
            }
            ready!(self.output.poll_fill(&self.connection.socket, &mut self.complaints, cx)).map_err(
                |error| match error {
                    OutputError::Malformed(error) => Failure::BadFastCgi(error.reason()),
                    OutputError::Full => Failure::BadAnswer(HeadError::HeadTooLong),
                    OutputError::Closed => Failure::ClosedBeforeAnswer,
                },
            )?;
        }
    }

    /// How long the body is. An answer that is already known to be cut short is none.
    fn judge(
        &self,
        head: Recycled<ResponseHead>,
        method: Method,
    ) -> Result<(Recycled<ResponseHead>, ResponseLength), Failure> {
        let length = response_length(&head, method).map_err(Failure::BadAnswer)?;
        let missing =
            matches!(length.length, BodyLength::Exact(len) if len > self.output.data().len() as u64);
        match self.output.end() {
            Some(end) if end.verdict != Verdict::Complete || missing => Err(Failure::AnswerTruncated),
            _ => Ok((head, length)),
        }
    }

    #[cold]
    fn into_unanswered(self, failure: Failure, reused: bool) -> Box<Unanswered> {
        // Who says that it did not look at a request has not answered it.
        let answered = self.output.received && failure != Failure::Overloaded;
        let is_stale = reused && !answered && failure == Failure::ClosedBeforeAnswer;
        if !is_stale {
            self.connection.endpoint().note_failure(failure);
        }
        let (written, left) = (self.upload.written, Left::Connection(self.connection));
        Box::new(Unanswered { failure, reused, written, answered, left })
    }

    fn into_body(mut self, framing: BodyLength, bodyless: bool) -> Body<'c> {
        let wanted = match framing {
            BodyLength::Exact(len) => Some(len),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        if bodyless {
            // What an application says all the same is for nobody.
            self.output.consume(usize::MAX);
            self.finish(true);
            return Body::Empty;
        }
        if self.output.end().is_some() {
            let here = self.output.data().len();
            let count = wanted.map_or(here, |wanted| usize::try_from(wanted).unwrap_or(here).min(here));
            let output = std::mem::replace(&mut self.output, Output::new());
            let clean = !output.has_surplus() && count == here;
            self.finish_as(clean);
            return match count {
                0 => Body::Empty,
                count => Body::Received(output.into_data(count)),
            };
        }
        self.moved = Instant::now();
        // The end is one of the records: what has no length has chunks.
        let framing = wanted.map_or(BodyLength::Chunked, BodyLength::Exact);
        Body::Stream(Box::new(AnswerBody::new(Answer { exchange: self, left: wanted }, framing)))
    }

    /// The answer is over; the connection goes back to the pool when nothing is left on it. `clean`: as far as its body
    /// goes.
    pub fn finish(self, clean: bool) {
        let ended = self.output.end().is_some_and(|end| end.verdict == Verdict::Complete);
        let clean = clean && ended && !self.output.has_surplus();
        self.finish_as(clean);
    }

    fn finish_as(self, clean: bool) {
        if clean && self.keeps && self.upload.is_done() {
            self.connection.release();
        }
    }

    /// Reads more of the body.
    pub fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let before = self.output.data().len();
        match self.output.poll_fill(&self.connection.socket, &mut self.complaints, cx) {
            Poll::Ready(Ok(())) => {
                // Complaints and empty records are no part of an answer: who sends nothing else is silent.
                if self.output.data().len() > before {
                    self.moved = Instant::now();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.broken_off(match error {
                OutputError::Malformed(error) => Failure::BadFastCgi(error.reason()),
                OutputError::Closed | OutputError::Full => Failure::AnswerTruncated,
            }))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The server said nothing for too long.
    pub fn is_silent(&self, cx: &mut Context<'_>) -> bool {
        self.watchdog.expired(cx, self.moved + self.timeouts.read)
    }

    /// In the middle of an answer.
    #[cold]
    pub fn broken_off(&self, failure: Failure) -> Failure {
        self.connection.endpoint().note_failure(failure);
        failure
    }
}
