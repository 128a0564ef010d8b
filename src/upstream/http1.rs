//! One exchange with an origin over HTTP/1: send the request, read the head of the answer, and then the
//! body as fast as the client takes it. The request may still be on its way while the answer comes.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http1::framing::{ResponseLength, response_length};
use http1::{BodyLength, ConnectionOptions, Fields, HeadLimits, HeadScanner, Method, Name, ResponseHead};
use tokio::time::Instant;

use super::Timeouts;
use super::endpoint::Endpoint;
use super::forward::{self, Facts};
use super::pool::Connection;
use super::spool::Spool;
use super::tls::refusal;
use crate::message::{
    Body, BodyStream, Failure, Far, Interim, Outgoing, OutgoingError, Recycled, Request, Response, Upgrade,
    Upgraded, websocket,
};
use crate::wire::{Buffer, Incoming, IncomingError, Scratch, Watchdog};

/// Interim answers to one request; an origin that sends more is broken.
pub const MAX_INTERIM: u8 = 16;

/// The body of a request on its way to the origin.
#[derive(Default)]
pub enum Payload<'c> {
    #[default]
    None,
    Spool(Box<Spool>),
    Stream(Box<dyn BodyStream + 'c>),
    /// A stream that was given away: it cannot be read from its beginning again.
    Spent,
}

impl<'c> Payload<'c> {
    pub fn length(&self) -> BodyLength {
        match self {
            Payload::None => BodyLength::NONE,
            Payload::Spool(spool) => spool.length(),
            Payload::Stream(stream) => stream.length(),
            Payload::Spent => BodyLength::NONE,
        }
    }

    /// What one sending takes, from the beginning of the body.
    pub fn turn(&mut self) -> Payload<'c> {
        match self {
            Payload::None => Payload::None,
            Payload::Spool(spool) => Payload::Spool(Box::new(spool.again())),
            Payload::Stream(_) | Payload::Spent => std::mem::replace(self, Payload::Spent),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Payload::None)
    }

    pub fn is_replayable(&self) -> bool {
        !matches!(self, Payload::Spent)
    }

    pub fn source(&mut self) -> Option<&mut dyn BodyStream> {
        match self {
            Payload::None | Payload::Spent => None,
            Payload::Spool(spool) => Some(spool.as_mut()),
            Payload::Stream(stream) => Some(stream.as_mut()),
        }
    }
}

/// A sending that gave no answer: why, and how far it got.
pub struct Unanswered {
    pub failure: Failure,
    /// The connection had served a request before.
    pub reused: bool,
    /// Bytes of the request that were written.
    pub written: u64,
    /// A byte of the answer arrived.
    pub answered: bool,
    pub left: Left,
}

/// What is left of a sending without an answer.
pub enum Left {
    /// It is of no use any more, but for its permit.
    Connection(Connection),
    /// A stream of a connection to this endpoint.
    Stream(Arc<Endpoint>),
}

impl Unanswered {
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        match &self.left {
            Left::Connection(connection) => connection.endpoint(),
            Left::Stream(endpoint) => endpoint,
        }
    }
}

/// One sending.
#[derive(Debug, Clone, Copy)]
pub struct Try {
    /// The connection has served a request before.
    pub reused: bool,
    pub timeouts: Timeouts,
    /// For the head of the answer, from `now` on.
    pub limit: Option<Duration>,
    pub now: Instant,
}

/// Sends a request over a connection and reads the head of the answer.
pub async fn exchange<'c>(
    connection: Connection,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: Payload<'c>,
    this: &Try,
) -> Result<Response<'c>, Box<Unanswered>> {
    let mut out = Scratch::take();
    forward::write_head(&mut out, &request.head, facts);
    let mut exchange = Exchange {
        connection,
        upload: Upload::Running,
        outgoing: Outgoing::new(out, facts.length),
        payload,
        buffer: Buffer::new(),
        scanner: HeadScanner::default(),
        interim: request.interim,
        interim_count: 0,
        watchdog: request.watchdog,
        timeouts: this.timeouts,
        moved: this.now,
        limit: this.limit.map(|limit| this.now + limit),
    };
    let method = request.head.method;
    let outcome = std::future::poll_fn(|cx| exchange.poll_head(method, request.upgrade, cx)).await;
    match outcome.and_then(|(head, length)| exchange.check_upgrade(head, length, request)) {
        Ok((head, length)) => {
            exchange.connection.endpoint().note_answer(head.status, || this.now.elapsed());
            let announced = length.announced;
            let body = match exchange.whole_body(head.status, length.length) {
                // The exchange ends where it lies: to hand it on, 300 bytes twice, cost 130 instructions.
                Some((body, alone)) => {
                    finish(exchange.connection, exchange.upload, length.reusable && alone);
                    body
                }
                None => exchange.into_body(head.status, length),
            };
            Ok(Response { head, body, announced, is_page: false })
        }
        Err(failure) => Err(exchange.into_unanswered(failure, this.reused)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    Running,
    Done,
    /// The origin takes no more; it may still have answered.
    Refused,
}

struct Exchange<'c> {
    connection: Connection,
    upload: Upload,
    outgoing: Outgoing,
    payload: Payload<'c>,
    buffer: Buffer,
    scanner: HeadScanner,
    interim: &'c Interim,
    interim_count: u8,
    watchdog: &'c Watchdog,
    timeouts: Timeouts,
    /// When the origin last took or gave a byte.
    moved: Instant,
    /// The head of the answer comes until then or not at all.
    limit: Option<Instant>,
}

impl<'c> Exchange<'c> {
    fn poll_head(
        &mut self,
        method: Method,
        upgrade: Option<Upgrade>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Recycled<ResponseHead>, ResponseLength), Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_upload(cx) {
            return Poll::Ready(Err(failure));
        }
        match self.poll_final_head(method, upgrade, cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            // While the client's body is waited for, its own deadline holds.
            Poll::Pending if self.upload == Upload::Running && self.outgoing.starved => Poll::Pending,
            Poll::Pending if self.watchdog.expired(cx, self.deadline()) => {
                let sending = self.upload == Upload::Running;
                Poll::Ready(Err(if sending { Failure::SendTimeout } else { Failure::ReadTimeout }))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// For the next byte that the origin takes or gives.
    fn deadline(&self) -> Instant {
        let patience = if self.upload == Upload::Running { self.timeouts.send } else { self.timeouts.read };
        let deadline = self.moved + patience;
        self.limit.map_or(deadline, |limit| deadline.min(limit))
    }

    /// Sends what the origin takes. A failure here is one of the body's source: the client.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.upload != Upload::Running {
            return Poll::Ready(Ok(()));
        }
        let before = self.outgoing.written;
        let sent = self.outgoing.poll_send(&self.connection.socket, self.payload.source(), cx);
        match sent {
            Poll::Pending => {
                if self.outgoing.written != before {
                    self.moved = Instant::now();
                }
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => {
                self.upload = Upload::Done;
                // The wait for the answer begins now; only a body that took time needs the clock again.
                if !self.payload.is_none() {
                    self.moved = Instant::now();
                }
            }
            Poll::Ready(Err(OutgoingError::Socket(_))) => {
                self.upload = Upload::Refused;
                self.moved = Instant::now();
            }
            Poll::Ready(Err(OutgoingError::Source(failure))) => return Poll::Ready(Err(failure)),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads heads until one is final; interim ones are handed to the client's side.
    fn poll_final_head(
        &mut self,
        method: Method,
        upgrade: Option<Upgrade>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Recycled<ResponseHead>, ResponseLength), Failure>> {
        loop {
            let head = ready!(self.poll_one_head(cx))?;
            let rejected = Failure::BadAnswer;
            match head.status {
                101 if upgrade.is_some() => {
                    let length =
                        ResponseLength { length: BodyLength::NONE, reusable: false, announced: None };
                    return Poll::Ready(Ok((head, length)));
                }
                101 => return Poll::Ready(Err(Failure::BadUpgrade)),
                100..=199 => {
                    self.interim_count += 1;
                    if self.interim_count > MAX_INTERIM {
                        return Poll::Ready(Err(Failure::TooManyInterim));
                    }
                    self.scanner = HeadScanner::default();
                    // 100 is ours to send: the client's `Expect` does not go upstream.
                    if head.status != 100 {
                        self.interim.push(head);
                        // Let the connection write it before the final answer is looked at.
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                _ => {
                    let mut length = response_length(&head, method).map_err(rejected)?;
                    let options = ConnectionOptions::parse(&head.fields).map_err(rejected)?;
                    length.reusable &= head.allows_keep_alive(options);
                    return Poll::Ready(Ok((head, length)));
                }
            }
        }
    }

    fn poll_one_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Recycled<ResponseHead>, Failure>> {
        let limits = &HeadLimits::STRICT;
        let rejected = Failure::BadAnswer;
        loop {
            if !self.buffer.is_empty() {
                let mut head = Recycled::<ResponseHead>::take();
                let data = self.buffer.data();
                if let Some(end) = head.read(data, &mut self.scanner, limits).map_err(rejected)? {
                    self.buffer.consume(end);
                    return Poll::Ready(Ok(head));
                }
            }
            if self.buffer.is_full() && !self.buffer.enlarge() {
                return Poll::Ready(Err(rejected(http1::HeadError::HeadTooLong)));
            }
            match ready!(self.connection.socket.poll_fill(cx, &mut self.buffer)) {
                Ok(0) => return Poll::Ready(Err(Failure::ClosedBeforeAnswer)),
                Err(error) => {
                    return Poll::Ready(Err(refusal(&error).unwrap_or(Failure::ClosedBeforeAnswer)));
                }
                Ok(_) => {}
            }
        }
    }

    /// A 101 must name the protocol that was asked for (RFC 9110 section 7.8).
    fn check_upgrade(
        &self,
        head: Recycled<ResponseHead>,
        length: ResponseLength,
        request: &Request<'_>,
    ) -> Result<(Recycled<ResponseHead>, ResponseLength), Failure> {
        if head.status == 101 {
            let asked = request.upgrade.map(|_| &b"websocket"[..]);
            let mut named = head.fields.all(Name::Upgrade);
            let agrees =
                named.next().is_some_and(|name| asked.is_some_and(|asked| name.eq_ignore_ascii_case(asked)));
            if !agrees || named.next().is_some() || self.upload != Upload::Done {
                return Err(Failure::BadUpgrade);
            }
            // To a key of the client's the client itself looks at the answer; one of ours is for us to check.
            if request.upgrade == Some(Upgrade::BareWebSocket) {
                let wanted = websocket::accept_for(websocket::key_for(&request.id).as_bytes());
                if head.fields.all_named(websocket::ACCEPT).next() != Some(wanted.as_bytes()) {
                    return Err(Failure::BadUpgrade);
                }
            }
        }
        Ok((head, length))
    }

    #[cold]
    fn into_unanswered(self, failure: Failure, reused: bool) -> Box<Unanswered> {
        let answered = self.interim_count > 0 || !self.buffer.is_empty();
        let is_stale = reused && !answered && failure == Failure::ClosedBeforeAnswer;
        if !is_stale {
            self.connection.endpoint().note_failure(failure);
        }
        let (written, left) = (self.outgoing.written, Left::Connection(self.connection));
        Box::new(Unanswered { failure, reused, written, answered, left })
    }

    /// The body when all of it is here, and whether nothing came behind it.
    fn whole_body(&mut self, status: u16, framing: BodyLength) -> Option<(Body<'c>, bool)> {
        let at_hand = self.buffer.len() as u64;
        match framing {
            _ if status == 101 => None,
            BodyLength::Exact(0) => Some((Body::Empty, at_hand == 0)),
            BodyLength::Exact(len) if len <= at_hand && self.upload != Upload::Running => {
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.truncate(len as usize);
                Some((Body::Received(buffer), at_hand == len))
            }
            _ => None,
        }
    }

    /// The body, or the new protocol, that is still to be read.
    fn into_body(mut self, status: u16, length: ResponseLength) -> Body<'c> {
        let buffer = std::mem::take(&mut self.buffer);
        if status == 101 {
            let (socket, permit) = self.connection.into_parts();
            return Body::Upgraded(Box::new(Upgraded {
                far: Far::Socket(socket, buffer),
                held: Box::new(permit),
            }));
        }
        self.moved = Instant::now();
        let ResponseLength { length: framing, reusable, .. } = length;
        let incoming = Incoming::new(buffer, framing);
        let state = Some(Answer { exchange: self, incoming, reusable });
        Body::Stream(Box::new(AnswerBody { state, framing, trailers: None }))
    }

    /// In the middle of an answer.
    #[cold]
    fn broken_off(&self, failure: Failure) -> Failure {
        self.connection.endpoint().note_failure(failure);
        failure
    }
}

/// The exchange is over; the connection goes back to the pool when nothing is left on it.
fn finish(connection: Connection, upload: Upload, clean: bool) {
    if clean && upload == Upload::Done {
        connection.release();
    }
}

/// The body of an answer, read from the origin as the client takes it.
struct AnswerBody<'c> {
    /// Gone once the answer is complete and its connection given back.
    state: Option<Answer<'c>>,
    framing: BodyLength,
    trailers: Option<Fields>,
}

struct Answer<'c> {
    exchange: Exchange<'c>,
    incoming: Incoming,
    reusable: bool,
}

impl Answer<'_> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let exchange = &mut self.exchange;
        match self.incoming.poll_data(&exchange.connection.socket, cx) {
            Poll::Ready(Ok(data)) => {
                if !data.is_empty() {
                    exchange.moved = Instant::now();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(exchange.broken_off(match error {
                IncomingError::Malformed(error) => Failure::BadAnswerBody(error),
                IncomingError::Truncated | IncomingError::Socket(_) => Failure::AnswerTruncated,
            }))),
            Poll::Pending if exchange.watchdog.expired(cx, exchange.moved + exchange.timeouts.read) => {
                Poll::Ready(Err(exchange.broken_off(Failure::ReadTimeout)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl BodyStream for AnswerBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        let Some(answer) = &mut self.state else { return Poll::Ready(Ok(b"")) };
        // Also while nobody takes the answer: a client may send all of its request before it reads.
        if let Poll::Ready(Err(failure)) = answer.exchange.poll_upload(cx) {
            return Poll::Ready(Err(failure));
        }
        if !answer.incoming.has_data() {
            ready!(answer.poll_fill(cx))?;
        }
        if answer.incoming.is_finished() {
            if let Some(answer) = self.state.take() {
                self.trailers = answer.incoming.trailers();
                let clean = answer.reusable && !answer.incoming.has_surplus();
                finish(answer.exchange.connection, answer.exchange.upload, clean);
            }
            return Poll::Ready(Ok(b""));
        }
        match &self.state {
            Some(answer) => Poll::Ready(Ok(answer.incoming.data())),
            None => Poll::Ready(Ok(b"")),
        }
    }

    fn consume(&mut self, count: usize) {
        if let Some(answer) = &mut self.state {
            answer.incoming.consume(count);
        }
    }

    fn length(&self) -> BodyLength {
        self.framing
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}
