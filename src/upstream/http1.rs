//! One exchange with an origin over HTTP/1: send the request, read the head of the answer, and then the
//! body as fast as the client takes it. The request may still be on its way while the answer comes.

use std::task::{Context, Poll, ready};

use http1::framing::{ResponseLength, response_length};
use http1::{BodyLength, ConnectionOptions, Fields, HeadLimits, HeadScanner, Method, Name, ResponseHead};
use tokio::time::Instant;

use super::Timeouts;
use super::forward::{self, Facts};
use super::pool::Connection;
use super::retry::Attempt;
use super::spool::Spool;
use crate::message::{
    Body, BodyStream, Failure, Interim, Outgoing, OutgoingError, Recycled, Request, Response, Upgrade,
    Upgraded,
};
use crate::wire::{Buffer, Incoming, IncomingError, Scratch, Watchdog};

/// Interim answers to one request; an origin that sends more is broken.
const MAX_INTERIM: u8 = 16;

/// The body of a request on its way to the origin.
#[derive(Default)]
pub enum Payload<'c> {
    #[default]
    None,
    Spool(Box<Spool>),
    Stream(Box<dyn BodyStream + 'c>),
}

impl Payload<'_> {
    pub fn length(&self) -> BodyLength {
        match self {
            Payload::None => BodyLength::NONE,
            Payload::Spool(spool) => spool.length(),
            Payload::Stream(stream) => stream.length(),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Payload::None)
    }

    pub fn is_replayable(&self) -> bool {
        !matches!(self, Payload::Stream(_))
    }

    fn source(&mut self) -> Option<&mut dyn BodyStream> {
        match self {
            Payload::None => None,
            Payload::Spool(spool) => Some(spool.as_mut()),
            Payload::Stream(stream) => Some(stream.as_mut()),
        }
    }
}

/// A sending that gave no answer: why, how far it got, and what is needed to try again.
pub struct Unanswered<'c> {
    pub failure: Failure,
    pub attempt: Attempt,
    pub payload: Payload<'c>,
    /// Of a connection that was already dead.
    pub connection: Connection,
}

/// Sends a request over a connection and reads the head of the answer.
pub async fn exchange<'c>(
    connection: Connection,
    reused: bool,
    request: &Request<'c>,
    facts: &Facts<'_>,
    payload: Payload<'c>,
    timeouts: Timeouts,
    now: Instant,
) -> Result<Response<'c>, Box<Unanswered<'c>>> {
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
        timeouts,
        moved: now,
    };
    let method = request.head.method;
    let outcome = std::future::poll_fn(|cx| exchange.poll_head(method, request.upgrade, cx)).await;
    match outcome.and_then(|(head, length)| exchange.check_upgrade(head, length, request.upgrade)) {
        Ok((head, length)) => Ok(exchange.into_response(head, length)),
        Err((failure, closed)) => {
            let attempt = Attempt {
                reused,
                written: exchange.outgoing.written,
                answered: exchange.interim_count > 0 || !exchange.buffer.is_empty(),
                replayable: exchange.payload.is_replayable(),
                method,
                closed,
            };
            let (payload, connection) = (exchange.payload, exchange.connection);
            Err(Box::new(Unanswered { failure, attempt, payload, connection }))
        }
    }
}

/// Failure, and whether it is a close or reset.
type Broken = (Failure, bool);

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
}

impl<'c> Exchange<'c> {
    fn poll_head(
        &mut self,
        method: Method,
        upgrade: Option<Upgrade>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Recycled<ResponseHead>, ResponseLength), Broken>> {
        if let Poll::Ready(Err(failure)) = self.poll_upload(cx) {
            return Poll::Ready(Err((failure, false)));
        }
        match self.poll_final_head(method, upgrade, cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            // While the client's body is waited for, its own deadline holds.
            Poll::Pending if self.upload == Upload::Running && self.outgoing.starved => Poll::Pending,
            Poll::Pending if self.watchdog.expired(cx, self.deadline()) => {
                let sending = self.upload == Upload::Running;
                Poll::Ready(Err((if sending { Failure::SendTimeout } else { Failure::ReadTimeout }, false)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// For the next byte that the origin takes or gives.
    fn deadline(&self) -> Instant {
        let patience = if self.upload == Upload::Running { self.timeouts.send } else { self.timeouts.read };
        self.moved + patience
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
    ) -> Poll<Result<(Recycled<ResponseHead>, ResponseLength), Broken>> {
        loop {
            let head = ready!(self.poll_one_head(cx))?;
            let rejected = |error| (Failure::BadAnswer(error), false);
            match head.status {
                101 if upgrade.is_some() => {
                    let length =
                        ResponseLength { length: BodyLength::NONE, reusable: false, announced: None };
                    return Poll::Ready(Ok((head, length)));
                }
                101 => return Poll::Ready(Err((Failure::BadUpgrade, false))),
                100..=199 => {
                    self.interim_count += 1;
                    if self.interim_count > MAX_INTERIM {
                        return Poll::Ready(Err((Failure::TooManyInterim, false)));
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

    fn poll_one_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Recycled<ResponseHead>, Broken>> {
        let limits = &HeadLimits::STRICT;
        let rejected = |error| (Failure::BadAnswer(error), false);
        let closed = (Failure::ClosedBeforeAnswer, true);
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
                Ok(0) | Err(_) => return Poll::Ready(Err(closed)),
                Ok(_) => {}
            }
        }
    }

    /// A 101 must name the protocol that was asked for (RFC 9110 section 7.8).
    fn check_upgrade(
        &self,
        head: Recycled<ResponseHead>,
        length: ResponseLength,
        upgrade: Option<Upgrade>,
    ) -> Result<(Recycled<ResponseHead>, ResponseLength), Broken> {
        if head.status == 101 {
            let asked = upgrade.map(|Upgrade::WebSocket| &b"websocket"[..]);
            let mut named = head.fields.all(Name::Upgrade);
            let agrees =
                named.next().is_some_and(|name| asked.is_some_and(|asked| name.eq_ignore_ascii_case(asked)));
            if !agrees || named.next().is_some() || self.upload != Upload::Done {
                return Err((Failure::BadUpgrade, false));
            }
        }
        Ok((head, length))
    }

    #[inline(always)] // It would be moved, some 300 bytes, to be taken apart.
    fn into_response(mut self, head: Recycled<ResponseHead>, length: ResponseLength) -> Response<'c> {
        let announced = length.announced;
        if head.status == 101 {
            let (socket, permit) = self.connection.into_parts();
            let upgraded = Upgraded { socket, buffer: self.buffer, held: Box::new(permit) };
            return Response { head, body: Body::Upgraded(Box::new(upgraded)), announced };
        }
        let at_hand = self.buffer.len() as u64;
        let body = match length.length {
            BodyLength::Exact(0) => {
                self.finish(length.reusable && at_hand == 0);
                Body::Empty
            }
            BodyLength::Exact(len) if len <= at_hand && self.upload != Upload::Running => {
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.truncate(len as usize);
                self.finish(length.reusable && at_hand == len);
                Body::Received(buffer)
            }
            framing => {
                self.moved = Instant::now();
                let buffer = std::mem::take(&mut self.buffer);
                let incoming = Incoming::new(buffer, framing);
                let state = Some(Answer { exchange: self, incoming, reusable: length.reusable });
                Body::Stream(Box::new(AnswerBody { state, framing, trailers: None }))
            }
        };
        Response { head, body, announced }
    }

    /// The exchange is over; the connection goes back to the pool when nothing is left on it.
    #[inline(always)]
    fn finish(self, clean: bool) {
        if clean && self.upload == Upload::Done {
            self.connection.release();
        }
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
            Poll::Ready(Err(error)) => Poll::Ready(Err(match error {
                IncomingError::Malformed(error) => Failure::BadAnswerBody(error),
                IncomingError::Truncated | IncomingError::Socket(_) => Failure::AnswerTruncated,
            })),
            Poll::Pending if exchange.watchdog.expired(cx, exchange.moved + exchange.timeouts.read) => {
                Poll::Ready(Err(Failure::ReadTimeout))
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
                answer.exchange.finish(clean);
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
