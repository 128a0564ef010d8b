//! HTTP/2 towards clients: one connection, many requests at the same time. The engine (`crates/http2`) knows frames,
//! windows and header compression; here are its limits, the life of the connection, and the one task in which all
//! streams of it are served, so that they end with it.

mod answer;
mod clerks;
mod frames;
mod request_body;
mod stream;
mod together;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http2::{Connection as Engine, Event, Kind, Limits, Reason};
use tokio::time::Instant;

use self::clerks::Clerks;
use self::frames::{Abuse, Watch};
use self::stream::Asked;
use self::together::Together;
use super::entrance;
use super::entry::Connection;
use crate::observe::metrics::PROCESS;
use crate::wire::Buffer;

const LIMITS: Limits = Limits {
    // Requests of one connection at the same time.
    streams: 100,
    // A head's fields with 32 bytes for each (RFC 9113 section 6.5.2).
    header_list: 32 << 10,
    // Bytes of request bodies that are on their way before the origins take them.
    window: 1 << 20,
    // Bytes of answers that wait for the socket.
    output: 64 << 10,
};
/// Bytes that wait for the socket before nothing more is read: answers to a client that asks and does not listen.
const MOST_PENDING: usize = 2 * LIMITS.output;
/// Turns that a connection has before others have theirs: each writes what waits for the socket.
const TURNS: usize = 16;
/// For the last words of a connection.
const FAREWELL: Duration = Duration::from_secs(1);
/// A connection that has no request for so long gives back what it served the last ones with.
const COOL: Duration = Duration::from_secs(1);
/// An idle connection says goodbye by itself; it is cut when it does not.
const BACKSTOP: Duration = Duration::from_secs(5);

impl Connection {
    /// Serves it to its end; `received` is what came already.
    pub(super) async fn serve_http2(&self, received: Buffer) {
        let now = Instant::now();
        self.rest.set(self.rest.get().that_ends_itself());
        let engine = Engine::new(LIMITS);
        let together = Together::default();
        let life = Life {
            connection: self,
            engine: &engine,
            together: &together,
            input: received,
            came: now,
            watch: Watch::new(now),
            stalled: None,
            since: now,
        };
        life.run().await;
    }
}

/// A connection from the preface to its end.
struct Life<'c> {
    connection: &'c Connection,
    engine: &'c Engine,
    together: &'c Together,
    input: Buffer,
    /// When the last of it came.
    came: Instant,
    watch: Watch,
    /// Since when the socket has taken nothing of what waits for it.
    stalled: Option<Instant>,
    /// When it last had no stream any more.
    since: Instant,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client closed it.
    Closed,
    /// The client takes nothing of what is left for it.
    Stalled,
    /// Nothing is asked, and nothing is to be asked any more.
    Idle,
    /// The client broke a rule of the protocol.
    Broken(Reason),
    Abuse(Abuse),
    /// A head did not come to its end.
    HeadTimeout,
}

impl<'c> Life<'c> {
    async fn run(mut self) {
        let connection = self.connection;
        let mut clerks = Clerks::new(LIMITS.streams as usize);
        let mut drained = pin!(connection.serving.drained());
        let mut leaving = false;
        self.rest();
        let end = poll_fn(|cx| {
            clerks.attend();
            if !leaving && (drained.as_mut().poll(cx).is_ready() || self.is_idle_for_long(&clerks, cx)) {
                leaving = true;
                connection.at_work();
                self.since = Instant::now();
                self.engine.announce_end();
            }
            for turn in 0.. {
                // All that came, before the first of it is served: answers that are ready at once leave together.
                let came = match self.poll_input(&mut clerks, cx) {
                    Ok(came) => came,
                    Err(end) => return Poll::Ready(end),
                };
                if clerks.poll() > 0 && clerks.busy() == 0 {
                    self.rest();
                    if leaving {
                        connection.at_work();
                    }
                }
                let left = match self.poll_output(cx) {
                    Ok(left) => left,
                    Err(end) => return Poll::Ready(end),
                };
                if let Some(end) = self.misbehaviour(cx).or_else(|| self.slowness(cx)) {
                    return Poll::Ready(end);
                }
                if clerks.busy() == 0
                    && let Some(end) = self.end_of_idleness(leaving, cx)
                {
                    return Poll::Ready(end);
                }
                // Whoever was called meanwhile has his turn, and nobody else has to wake this task.
                if !came && !left && !clerks.are_called(cx) {
                    break;
                }
                if turn == TURNS {
                    cx.waker().wake_by_ref();
                    break;
                }
            }
            self.cool(&mut clerks, cx);
            Poll::Pending
        })
        .await;
        self.finish(end).await;
        // Whoever was served on it learns of the end now, and notes what became of it.
        self.engine.break_off();
        let deadline = Instant::now() + FAREWELL;
        let _ = connection
            .watchdog
            .limit(deadline, |cx| {
                while clerks.are_called(cx) {
                    clerks.poll();
                }
                if clerks.busy() == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
    }

    /// Whether the connection is over, while no request is being answered.
    fn end_of_idleness(&self, leaving: bool, cx: &mut Context<'_>) -> Option<End> {
        let expired = |cx: &mut Context<'_>, deadline| self.connection.watchdog.expired(cx, deadline);
        if let Some(since) = self.stalled {
            // The client has not taken the last answers, and takes nothing.
            let patience = self.connection.serving.current().limits.send_timeout;
            return expired(cx, since + patience).then_some(End::Stalled);
        }
        if self.engine.pending() > 0 {
            return None;
        }
        // It has all of the answers, and had time to hear that no more are given.
        let is_said = leaving && expired(cx, self.since + FAREWELL);
        (is_said || self.engine.is_left()).then_some(End::Idle)
    }

    /// Takes what came, and gives the requests in it to clerks; says whether there was something.
    fn poll_input(&mut self, clerks: &mut Clerks<'c, Asked<'c>>, cx: &mut Context<'_>) -> Result<bool, End> {
        let mut came = false;
        // The client asks for more than it takes: nothing more is read until it does.
        while self.engine.pending() < MOST_PENDING {
            let is_full = self.take_frames(clerks)?;
            if let Some(abuse) = self.watch.abuse {
                return Err(End::Abuse(abuse));
            }
            if is_full {
                came = true;
                break;
            }
            match self.connection.socket.poll_fill(cx, &mut self.input) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    came = true;
                    self.came = Instant::now();
                }
                Poll::Ready(_) => return Err(End::Closed),
                Poll::Pending => break,
            }
        }
        self.watch.looked(self.engine.is_in_head(), Instant::now);
        Ok(came)
    }

    /// Takes the frames that are complete. True when a place has become free behind which there may be a request that
    /// wants it: whoever had it has to leave it first.
    fn take_frames(&mut self, clerks: &mut Clerks<'c, Asked<'c>>) -> Result<bool, End> {
        loop {
            let taken = self.engine.take(self.input.data()).map_err(End::Broken)?;
            self.input.consume(taken.count);
            let frame = match taken.event {
                Event::Starved => return Ok(false),
                Event::Preface => continue,
                Event::Frame(frame) => frame,
                Event::Request { frame, key, ends } => {
                    self.connection.at_work();
                    let asked =
                        Asked::read(self.connection, self.together, self.came, self.engine.stream(key), ends);
                    clerks.serve(asked, |inbox| self.connection.serve_streams(inbox));
                    frame
                }
            };
            self.watch.received(frame, clerks.busy(), Instant::now);
            if self.watch.abuse.is_some() {
                return Ok(false);
            }
            if frame.kind == Kind::RstStream && self.engine.streams() >= LIMITS.streams as usize {
                return Ok(true);
            }
        }
    }

    /// Sends what is to be sent, as far as the socket takes it; says whether it took something.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let socket = &self.connection.socket;
        let mut left = false;
        while self.engine.pending() > 0 {
            match self.engine.poll_output(|bytes| socket.poll_write_small(cx, bytes)) {
                Poll::Ready(Ok(count)) if count > 0 => left = true,
                Poll::Ready(_) => return Err(End::Closed),
                Poll::Pending => break,
            }
        }
        let flushed = match socket.poll_flush(cx) {
            Poll::Ready(Err(_)) => return Err(End::Closed),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        if left || (flushed && self.engine.pending() == 0) {
            self.stalled = None;
        }
        if !flushed || self.engine.pending() > 0 {
            self.stalled.get_or_insert_with(Instant::now);
        }
        self.watch.sent(self.engine.take_sent(), Instant::now);
        Ok(left)
    }

    fn misbehaviour(&self, cx: &mut Context<'_>) -> Option<End> {
        if let Some(abuse) = self.watch.abuse {
            return Some(End::Abuse(abuse));
        }
        let deadline = self.watch.head_open? + self.connection.serving.current().limits.head_timeout;
        self.connection.watchdog.expired(cx, deadline).then_some(End::HeadTimeout)
    }

    /// The streams that wait for the client are slow as a whole.
    fn slowness(&self, cx: &mut Context<'_>) -> Option<End> {
        let limits = || self.connection.serving.current().limits.clone();
        let deadline = self.together.judged_at(|| limits().rate_grace)?;
        if !self.connection.watchdog.expired(cx, deadline) {
            return None;
        }
        if self.together.is_too_slow(limits().min_rate, Instant::now()) {
            return Some(End::Abuse(Abuse::TooSlow));
        }
        // Looked at again, for the timer is armed only then.
        cx.waker().wake_by_ref();
        None
    }

    /// No request is at hand from now on.
    fn rest(&mut self) {
        self.since = Instant::now();
        let patience = self.connection.serving.idle_timeout() + BACKSTOP;
        self.connection.waits(self.since, patience);
    }

    /// What the last requests were served with goes, when none has come for a while.
    fn cool(&self, clerks: &mut Clerks<'_, Asked<'_>>, cx: &mut Context<'_>) {
        if clerks.busy() > 0 {
            return;
        }
        self.engine.settle();
        if clerks.is_warm() && self.connection.watchdog.expired(cx, self.since + COOL) {
            clerks.rest();
            self.engine.rest();
        }
    }

    fn is_idle_for_long(&self, clerks: &Clerks<'_, Asked<'_>>, cx: &mut Context<'_>) -> bool {
        let deadline = self.since + self.connection.serving.idle_timeout();
        clerks.busy() == 0 && self.connection.watchdog.expired(cx, deadline)
    }

    async fn finish(&mut self, end: End) {
        let reason = match end {
            End::Closed => return,
            End::Stalled => return self.connection.socket.reset_on_close(),
            End::Broken(reason) => reason,
            End::Abuse(abuse) => {
                PROCESS.abusive.fetch_add(1, Relaxed);
                entrance::complain_of(self.connection.client(), abuse.reason());
                if abuse == Abuse::NoSettings { Reason::ProtocolError } else { Reason::EnhanceYourCalm }
            }
            End::Idle | End::HeadTimeout => Reason::NoError,
        };
        self.engine.go_away(reason);
        let deadline = Instant::now() + FAREWELL;
        let _ = self.connection.watchdog.limit(deadline, |cx| self.poll_farewell(cx)).await;
    }

    /// Sends the rest, and takes no notice of what still comes: to close a socket with something unread would take
    /// the last words from the client.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let socket = &self.connection.socket;
        while self.engine.pending() > 0 {
            match ready!(self.engine.poll_output(|bytes| socket.poll_write_small(cx, bytes))) {
                Ok(count) if count > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        if ready!(socket.poll_flush(cx)).is_err() || socket.shutdown().is_err() {
            return Poll::Ready(());
        }
        loop {
            self.input.consume(self.input.len());
            match ready!(socket.poll_fill(cx, &mut self.input)) {
                Ok(count) if count > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}
