//! HTTP/1 towards clients: one connection, request after request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http1::connection::requested_upgrade;
use ::http1::fields::is_token;
use ::http1::framing::request_length;
use ::http1::{BodyLength, ConnectionOptions, HeadError, HeadLimits, HeadScanner, RequestHead, Version};
use tokio::time::Instant;

use super::answer::{self, Answer, Asked, Form};
use super::entry::Connection;
use super::pace::Pace;
use super::request_body::{BodyState, RequestBody};
use super::serving::Current;
use super::waiting::Warm;
use super::{ClientLimits, HalfClose, interim_writer};
use crate::message::{
    Blame, Body, BodyStream, Failure, Interim, Recycled, Request, RequestId, Response, Upgrade, Upgraded,
};
use crate::observe::{self, Record};
use crate::proxy::Proxy;
use crate::tunnel::{self, End};
use crate::wire::{Buffer, Departure, Scratch};

/// Bytes of an unread request body that are read and thrown away to keep a connection, and the time for
/// it and for a lingering close.
const DRAIN_BYTES: u64 = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// A client that goes on sending after the last answer is read so long before the connection is cut.
const LINGER_BYTES: usize = 1 << 20;

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for the next request; the last one ended then.
    Idle(Instant),
    /// The next one is here, at least its beginning.
    Again,
    Close,
}

/// What a head says about its connection and body.
#[derive(Debug, Clone, Copy)]
struct Wishes {
    keep_alive: bool,
    length: BodyLength,
    expects_continue: bool,
    upgrade: Option<Upgrade>,
}

impl Wishes {
    fn of(head: &RequestHead) -> Result<Wishes, HeadError> {
        let options = ConnectionOptions::parse(&head.fields)?;
        let length = request_length(head)?;
        let upgrade = match requested_upgrade(head, options, length)? {
            Some(protocol) if protocol.eq_ignore_ascii_case(b"websocket") => Some(Upgrade::WebSocket),
            // A server may always stay with HTTP (RFC 9110 section 7.8).
            _ => None,
        };
        let expects_continue = head.expects_continue()?;
        Ok(Wishes { keep_alive: head.wants_keep_alive(options), length, expects_continue, upgrade })
    }
}

impl Connection {
    /// Serves it to its end, from a moment when it is idle. While it is, little more is kept for it than its
    /// socket.
    pub(super) async fn serve_http1(&self, idle_since: Instant) {
        let mut since = idle_since;
        let mut patience = self.serving.current().limits.head_timeout;
        loop {
            // Outside of a box nothing is read yet: that takes a buffer.
            if !self.wait(since, patience, |cx| self.socket.poll_readable(cx)).await {
                return;
            }
            // In a box of its own, so that an idle connection does not carry the room for a busy one.
            match Box::pin(self.run(Buffer::new())).await {
                Next::Idle(ended) => since = ended,
                Next::Again | Next::Close => return,
            }
            self.watchdog.rest();
            patience = self.serving.idle_timeout();
        }
    }

    /// Serves requests until none is at hand; `buffer` has what came already.
    pub(super) async fn run(&self, mut buffer: Buffer) -> Next {
        loop {
            match self.one(&mut buffer).await {
                Next::Again => {}
                Next::Close => return Next::Close,
                Next::Idle(ended) => {
                    buffer = Buffer::new();
                    // A new box for each request costs some 700 instructions, so a few connections keep
                    // theirs while they wait; all others wait outside, where that costs less memory.
                    let Some(_warm) = Warm::enter() else { return Next::Idle(ended) };
                    let patience = self.serving.idle_timeout();
                    let fill = |cx: &mut Context<'_>| match ready!(self.socket.poll_fill(cx, &mut buffer))? {
                        0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                        _ => Poll::Ready(Ok(())),
                    };
                    if !self.wait(ended, patience, fill).await {
                        return Next::Close;
                    }
                }
            }
        }
    }

    /// One request: read its head, let the proxy handle it, write the answer, clean up behind it.
    async fn one(&self, buffer: &mut Buffer) -> Next {
        let started = Instant::now();
        let current = self.serving.current();
        let mut record = self.record(started);
        let mut head = Recycled::<RequestHead>::take();
        let wishes = match self.read_head(buffer, &mut head, &mut record, current.limits.head_timeout).await {
            Ok(true) => match current.entrance.admit(&head, self.secured()) {
                Ok(()) => Wishes::of(&head).map_err(Failure::BadHead),
                Err(failure) => Err(failure),
            },
            Ok(false) => return Next::Close,
            Err(failure) => Err(failure),
        };
        match wishes {
            Ok(wishes) => self.exchange(&current, buffer, head, wishes, &mut record).await,
            Err(failure) => self.refuse_request(&current, failure, &head, &mut record).await,
        }
    }

    /// False when the client closed instead of asking.
    async fn read_head(
        &self,
        buffer: &mut Buffer,
        head: &mut RequestHead,
        record: &mut Record,
        patience: Duration,
    ) -> Result<bool, Failure> {
        let mut scanner = HeadScanner::default();
        let deadline = record.started + patience;
        let read = self.watchdog.limit(deadline, |cx| self.poll_head(buffer, head, &mut scanner, cx)).await;
        let outcome = match read {
            Ok(Ok(true)) => {
                if !scanner.is_fresh() {
                    record.asked = Instant::now();
                }
                return Ok(true);
            }
            // What was understood of it goes into the log.
            Ok(Err(failure @ Failure::BadHead(_))) => return Err(failure),
            Ok(Ok(false)) => Ok(false),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::HeadTimeout),
        };
        // What an earlier request left in it must not be taken for this one's.
        *head = RequestHead::default();
        outcome
    }

    /// Reads until a whole head was parsed and taken out of the buffer; false when the client closed before
    /// its first byte.
    fn poll_head(
        &self,
        buffer: &mut Buffer,
        head: &mut RequestHead,
        scanner: &mut HeadScanner,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Failure>> {
        let limits = &HeadLimits::STRICT;
        loop {
            if !buffer.is_empty()
                && let Some(end) = head.read(buffer.data(), scanner, limits).map_err(Failure::BadHead)?
            {
                buffer.consume(end);
                return Poll::Ready(Ok(true));
            }
            if begins_badly(buffer.data()) {
                return Poll::Ready(Err(Failure::BadHead(HeadError::BadSyntax)));
            }
            if buffer.is_full() && !buffer.enlarge() {
                return Poll::Ready(Err(Failure::BadHead(HeadError::HeadTooLong)));
            }
            match ready!(self.socket.poll_fill(cx, buffer)) {
                Ok(0) if buffer.is_empty() => return Poll::Ready(Ok(false)),
                Ok(0) => return Poll::Ready(Err(Failure::ClientClosed)),
                Ok(_) => {}
                Err(_) if buffer.is_empty() => return Poll::Ready(Ok(false)),
                Err(_) => return Poll::Ready(Err(Failure::ClientClosed)),
            }
        }
    }

    /// Lets the proxy handle a request, writes the answer, and cleans up behind it.
    async fn exchange(
        &self,
        current: &Current,
        buffer: &mut Buffer,
        head: Recycled<RequestHead>,
        wishes: Wishes,
        record: &mut Record,
    ) -> Next {
        let state = BodyState::new(wishes.length, wishes.expects_continue);
        let interim = Interim::default();
        let mut unsent = Scratch::default();
        let mut body = (wishes.length != BodyLength::NONE).then(|| {
            let (received, pace) = (std::mem::take(buffer), Pace::of(&current.limits));
            RequestBody::new(&self.socket, &self.watchdog, received, wishes.length, pace, &state)
        });
        let asked = Asked::of(&head);
        let mut request = Request {
            head,
            body: Body::Empty,
            id: RequestId::make(),
            upgrade: wishes.upgrade,
            interim: &interim,
            watchdog: &self.watchdog,
            is_call: &state.is_call,
            secured: self.secured(),
        };
        if let Some(body) = &mut body {
            request.body = Body::Stream(Box::new(body));
        }
        let mut gone = false;
        self.watchdog.begin_ticks();
        let mut response = {
            let mut handling = pin!(current.proxy.handle(self.client(), &mut request, record));
            poll_fn(|cx| {
                let polled = handling.as_mut().poll(cx);
                if !interim.is_empty() {
                    interim_writer::take(&interim, asked.version, &mut unsent);
                }
                if polled.is_pending() && self.look_after_client(&mut unsent, cx) {
                    gone = true;
                    return Poll::Ready(Response::empty(499));
                }
                polled
            })
            .await
        };
        self.watchdog.end_ticks();
        current.entrance.add_fields(&mut response);
        if gone {
            record.failure = Some(Failure::ClientGone);
            record.upstream_time = record.asked.elapsed();
        }
        state.answered.set(true);
        let (head, id) = request.into_answered();

        // Who was wrong once may be so about where the request ends: nothing behind it is looked at.
        let refused = record.failure.is_some_and(|failure| failure.blame() == Blame::Client);
        let keep = wishes.keep_alive && !refused && !self.serving.is_draining();
        let close = !keep || !state.is_drainable(DRAIN_BYTES);
        let mut form = answer::form(asked, &response, close);
        let upgraded = take_upgraded(&mut response);
        record.answered(response.head.status);
        let mut broken = matches!(record.failure, Some(Failure::ClientClosed | Failure::ClientGone));
        if !broken {
            let mut answer = Answer::new(unsent, asked, form, response);
            let outcome = self.write(&mut answer, &current.limits).await;
            record.sent = answer.written();
            if let Err(failure) = outcome {
                if record.sent == 0 && failure.blame() != Blame::Client {
                    drop(answer);
                    self.answer_instead(current, failure, asked, (&head, &id), record).await;
                    form.close = true;
                } else {
                    record.failure = Some(failure);
                    broken = true;
                    self.cut(form);
                }
            }
        } else {
            drop(response);
        }
        record.received = state.received.get();
        if let (Some(upgraded), None) = (upgraded, record.failure) {
            self.tunnel(&current.limits, std::mem::take(buffer), *upgraded, record).await;
            self.note(&current.proxy, &head, &id, record);
            return Next::Close;
        }
        let ended = self.note(&current.proxy, &head, &id, record);
        if broken {
            return Next::Close;
        }
        if form.close {
            return self.close().await;
        }
        if let Some(mut body) = body {
            if !state.is_complete() && !self.drain(&mut body).await {
                return Next::Close;
            }
            *buffer = body.into_buffer();
        }
        if buffer.is_empty() { Next::Idle(ended) } else { Next::Again }
    }

    /// The body of an answer broke off before its head was sent: the client may still hear of that.
    #[cold]
    async fn answer_instead(
        &self,
        current: &Current,
        failure: Failure,
        asked: Asked,
        (head, id): (&RequestHead, &RequestId),
        record: &mut Record,
    ) {
        let mut response = current.proxy.refuse(failure, head, id, record);
        current.entrance.add_fields(&mut response);
        let form = answer::form(asked, &response, true);
        let mut answer = Answer::new(Scratch::take(), asked, form, response);
        // Why there is no good answer is known already.
        let _ = self.write(&mut answer, &current.limits).await;
        record.sent = answer.written();
    }

    async fn write(&self, answer: &mut Answer<'_>, limits: &ClientLimits) -> Result<(), Failure> {
        answer.write(&self.socket, &self.watchdog, &mut Pace::of(limits)).await
    }

    /// While an answer is awaited: sends what interim answers left in `unsent`; true when the client is gone.
    #[inline]
    fn look_after_client(&self, unsent: &mut Scratch, cx: &mut Context<'_>) -> bool {
        if self.watchdog.ticked() && self.is_gone() {
            return true;
        }
        if !unsent.is_empty() {
            interim_writer::flush(&self.socket, unsent, cx);
        }
        false
    }

    /// The client left while its answer was awaited: there is nobody to get one.
    #[cold]
    fn is_gone(&self) -> bool {
        match self.socket.departure() {
            Departure::None => false,
            Departure::Half => self.serving.current().limits.half_close == HalfClose::Cancel,
            Departure::Gone => true,
        }
    }

    fn note(&self, proxy: &Proxy, head: &RequestHead, id: &RequestId, record: &Record) -> Instant {
        let now = Instant::now();
        observe::note(&proxy.line(record, head, id), now);
        now
    }

    /// An answer that broke off in its middle: the client must not take what it has for the whole.
    fn cut(&self, form: Form) {
        if form.length != BodyLength::Chunked {
            self.socket.reset_on_close();
        }
    }

    async fn tunnel(
        &self,
        limits: &ClientLimits,
        from_client: Buffer,
        upgraded: Upgraded,
        record: &mut Record,
    ) {
        let idle = limits.tunnel_idle_timeout;
        let client = End::socket(&self.socket, from_client);
        let moved = tunnel::join_upgraded(client, upgraded, idle, &self.watchdog).await;
        record.received += moved.from_client;
        record.sent += moved.to_client;
    }

    /// Reads the rest of a body that nobody wanted; false when it takes too long.
    async fn drain(&self, body: &mut RequestBody<'_>) -> bool {
        let deadline = Instant::now() + DRAIN_TIME;
        let drained = self
            .watchdog
            .limit(deadline, |cx| {
                loop {
                    match ready!(body.poll_data(cx)) {
                        Ok(b"") => return Poll::Ready(true),
                        Ok(data) => {
                            let count = data.len();
                            body.consume(count);
                        }
                        Err(_) => return Poll::Ready(false),
                    }
                }
            })
            .await;
        drained.unwrap_or(false)
    }

    /// Answers a request that cannot be read on from: the connection ends.
    async fn refuse_request(
        &self,
        current: &Current,
        failure: Failure,
        head: &RequestHead,
        record: &mut Record,
    ) -> Next {
        let id = RequestId::make();
        let mut response = current.proxy.refuse(failure, head, &id, record);
        // Whom the port speaks TLS to, and nobody else (RFC 6797 section 7.2).
        if self.secured().is_some() {
            current.entrance.add_fields(&mut response);
        }
        let answers = failure != Failure::ClientClosed;
        if answers {
            let asked = Asked { version: Version::Http11, ..Asked::of(head) };
            let form = answer::form(asked, &response, true);
            let mut answer = Answer::new(Scratch::take(), asked, form, response);
            let _ = self.write(&mut answer, &current.limits).await;
            record.sent = answer.written();
        }
        self.note(&current.proxy, head, &id, record);
        if answers { self.close().await } else { Next::Close }
    }

    /// Answers somebody whose first bytes are no request that could be read.
    pub(super) async fn refuse(&self, current: &Current, failure: Failure, head: &RequestHead) {
        let mut record = Record::new(Instant::now(), *self.client());
        self.refuse_request(current, failure, head, &mut record).await;
    }

    /// Ends the connection in two steps: says that nothing more comes, and reads until the client has closed
    /// its side, for a while. A close with unread bytes is a reset, which can destroy the answer on its way
    /// (RFC 9112 section 9.6), and whether a client goes on sending, be it an empty line, is not known here.
    async fn close(&self) -> Next {
        let now = Instant::now();
        let deadline = now + DRAIN_TIME;
        // All is said: its place may be given to somebody who wants something.
        self.rest.set(self.rest.get().waits(now, DRAIN_TIME));
        let _ = self.socket.shutdown();
        let mut buffer = Buffer::new();
        let mut left = LINGER_BYTES;
        let _ = self
            .watchdog
            .limit(deadline, |cx| {
                loop {
                    let count = ready!(self.socket.poll_fill(cx, &mut buffer)).unwrap_or(0);
                    buffer.consume(count);
                    left = left.saturating_sub(count);
                    if count == 0 || left == 0 {
                        return Poll::Ready(());
                    }
                }
            })
            .await;
        Next::Close
    }
}

/// No method begins like this: a TLS hello, an empty line, a binary protocol. Said at once, not after the
/// time-out for a head.
fn begins_badly(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| !is_token(std::slice::from_ref(first)))
}

fn take_upgraded(response: &mut Response<'_>) -> Option<Box<Upgraded>> {
    // Looked at before it is taken: to put any other body back cost 40 instructions a request.
    if !matches!(response.body, Body::Upgraded(_)) {
        return None;
    }
    match std::mem::take(&mut response.body) {
        Body::Upgraded(upgraded) => Some(upgraded),
        _ => None,
    }
}
