//! HTTP/1 towards clients: one connection, request after request.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http1::connection::requested_upgrade;
use ::http1::fields::is_token;
use ::http1::framing::request_length;
use ::http1::{
    BodyLength, ConnectionOptions, HeadError, HeadLimits, HeadScanner, RequestHead, Scheme, Version,
};
use tokio::time::Instant;

use super::answer::{self, Answer, Asked, Form};
use super::pace::Pace;
use super::request_body::{BodyState, RequestBody};
use super::serving::{Current, Serving};
use super::waiting::{Waiting, Warm};
use super::{ClientLimits, HalfClose, interim_writer};
use crate::message::{
    Blame, Body, BodyStream, Client, Failure, Interim, Recycled, Request, RequestId, Response, Upgrade,
    Upgraded, pages,
};
use crate::observe::{self, Record};
use crate::proxy::Proxy;
use crate::tunnel;
use crate::wire::{Buffer, Departure, Scratch, Socket, Watchdog};

/// Bytes of an unread request body that are read and thrown away to keep a connection, and the time for
/// it and for a lingering close.
const DRAIN_BYTES: u64 = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// For the first request of a connection that was accepted when the listener was closed.
const LAST_MOMENT: Duration = Duration::from_millis(500);
/// A client that goes on sending after the last answer is read so long before the connection is cut.
const LINGER_BYTES: usize = 1 << 20;

/// What becomes of a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Wait for the next request; the last one ended then.
    Idle(Instant),
    /// The next one is here, at least its beginning.
    Again,
    Close,
}

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    client: Client,
    serving: Rc<Serving>,
    watchdog: Watchdog,
    waiting: Cell<Option<Waiting>>,
    /// It has had a request, or the beginning of one.
    served: Cell<bool>,
    /// Its place in the list of whoever keeps one.
    pub place: Cell<usize>,
}

impl Connection {
    pub fn new(socket: Socket, client: Client, serving: Rc<Serving>) -> Connection {
        Connection {
            socket,
            client,
            serving,
            watchdog: Watchdog::new(),
            // Not before it was looked at: it may have brought a request.
            waiting: Cell::new(None),
            served: Cell::new(false),
            place: Cell::new(usize::MAX),
        }
    }

    /// `None` while it has a request.
    pub fn waiting(&self) -> Option<Waiting> {
        self.waiting.get()
    }

    /// True while it waits for a request and none is there, not even one that was not looked at yet.
    pub fn is_idle(&self) -> bool {
        self.waiting.get().is_some() && !self.socket.has_arrived()
    }

    /// It was chosen to be closed, or has a request, and is not to be chosen again.
    pub fn leave_waiting(&self) {
        self.waiting.set(None);
    }

    /// The request that it was at met a bug. A client that has nothing of its answer yet is told; one that
    /// has a part must not take it for the whole.
    pub fn end_after_panic(&self) {
        const SORRY: &[u8] =
            b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        // Ticks are wanted just as long as an answer is awaited.
        if self.watchdog.has_ticks() {
            self.socket.try_write(SORRY);
        } else {
            self.socket.reset_on_close();
        }
    }

    /// Serves it to its end. While it is idle little more is kept for it than its socket.
    pub async fn serve(&self) {
        let mut since = Instant::now();
        let mut patience = self.serving.current().limits.head_timeout;
        loop {
            // Outside of a box nothing is read yet: that takes a buffer.
            if !self.wait(since, patience, |cx| self.socket.poll_readable(cx)).await {
                return;
            }
            // In a box of its own, so that an idle connection does not carry the room for a busy one.
            match Box::pin(self.run()).await {
                Next::Idle(ended) => since = ended,
                Next::Again | Next::Close => return,
            }
            self.watchdog.rest();
            patience = self.serving.idle_timeout();
        }
    }

    /// Waits until `step` finds something to read, a close included; false when the connection should end.
    async fn wait(
        &self,
        since: Instant,
        patience: Duration,
        step: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> bool {
        let mut patience = patience;
        if self.serving.is_draining() {
            if self.served.get() {
                return false;
            }
            // Accepted at the last moment: a request that it brought is answered.
            patience = patience.min(LAST_MOMENT);
        }
        self.waiting.set(Some(Waiting::new(since, patience)));
        let readable = poll_fn(step).await;
        self.waiting.set(None);
        self.served.set(true);
        readable.is_ok()
    }
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
    /// Serves requests until none is at hand.
    async fn run(&self) -> Next {
        let mut buffer = Buffer::new();
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
        let mut record = Record::new(started, self.client);
        let mut head = Recycled::<RequestHead>::take();
        let wishes = match self.read_head(buffer, &mut head, &mut record, current.limits.head_timeout).await {
            Ok(true) if head.target_scheme() == Some(Scheme::Https) => Err(Failure::WrongScheme),
            Ok(true) => Wishes::of(&head).map_err(Failure::BadHead),
            Ok(false) => return Next::Close,
            Err(failure) => Err(failure),
        };
        match wishes {
            Ok(wishes) => self.exchange(&current, buffer, head, wishes, &mut record).await,
            Err(failure) => self.refuse(&current, failure, &head, &mut record).await,
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
            let (received, pace) = (std::mem::take(buffer), pace(&current.limits));
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
        };
        if let Some(body) = &mut body {
            request.body = Body::Stream(Box::new(body));
        }
        let mut gone = false;
        self.watchdog.begin_ticks();
        let mut response = {
            let mut handling = pin!(current.proxy.handle(&self.client, &mut request, record));
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
        let form = answer::form(asked, &response, close);
        let upgraded = take_upgraded(&mut response);
        record.status = response.head.status;
        let mut broken = matches!(record.failure, Some(Failure::ClientClosed | Failure::ClientGone));
        if !broken {
            let mut answer = Answer::new(unsent, asked, form, response);
            let outcome = self.write(&mut answer, &current.limits).await;
            record.sent = answer.written();
            if let Err(failure) = outcome {
                record.failure = Some(failure);
                broken = true;
                self.cut(form);
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

    async fn write(&self, answer: &mut Answer<'_>, limits: &ClientLimits) -> Result<(), Failure> {
        answer.write(&self.socket, &self.watchdog, &mut pace(limits)).await
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
        let Upgraded { socket, buffer, held } = upgraded;
        let idle = limits.tunnel_idle_timeout;
        let moved = tunnel::join(&self.socket, from_client, &socket, buffer, idle, &self.watchdog).await;
        record.received += moved.from_client;
        record.sent += moved.to_client;
        drop(held);
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
    async fn refuse(
        &self,
        current: &Current,
        failure: Failure,
        head: &RequestHead,
        record: &mut Record,
    ) -> Next {
        record.failure = Some(failure);
        let id = RequestId::make();
        let response = pages::explain(failure, head, &id);
        record.status = response.head.status;
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

    /// Ends the connection in two steps: says that nothing more comes, and reads until the client has closed
    /// its side, for a while. A close with unread bytes is a reset, which can destroy the answer on its way
    /// (RFC 9112 section 9.6), and whether a client goes on sending, be it an empty line, is not known here.
    async fn close(&self) -> Next {
        let now = Instant::now();
        let deadline = now + DRAIN_TIME;
        // All is said: its place may be given to somebody who wants something.
        self.waiting.set(Some(Waiting::new(now, DRAIN_TIME)));
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

fn pace(limits: &ClientLimits) -> Pace {
    Pace::new(limits.min_rate, limits.rate_grace, limits.send_timeout)
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

/// With its two counters it fills an allocation of 192 bytes: ten thousand idle ones are mostly this.
const _: () = assert!(size_of::<Connection>() + 2 * size_of::<usize>() <= 192);
