//! HTTP/2 towards clients: one connection, many requests at the same time. The engine does frames, windows and
//! header compression; here are its limits, the life of the connection, and the one task in which all streams of
//! it are served, so that they end with it.

mod answer;
mod clerks;
mod frames;
mod request_body;
mod stream;
mod together;
mod watched;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection as Engine};
use tokio::time::Instant;

use self::clerks::Clerks;
use self::frames::{Abuse, Watch};
use self::stream::Asked;
use self::together::Together;
use self::watched::Watched;
use super::entrance;
use super::entry::Connection;
use crate::observe::metrics::PROCESS;
use crate::wire::Buffer;

/// Requests of one connection at the same time.
const MAX_STREAMS: u32 = 100;
/// A head's fields with 32 bytes for each (RFC 9113 section 6.5.2).
const MAX_HEADER_LIST: u32 = 32 << 10;
/// Bytes of a request body that are on their way before the origin takes them: of one stream, of all.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of an answer that wait for the socket, for each stream.
const SEND_BUFFER: usize = 64 << 10;
/// Streams that were reset before they were served; and resets that a client's errors brought about.
const PENDING_RESETS: usize = 20;
const ERROR_RESETS: usize = 64;
/// For the last words of a connection.
const FAREWELL: Duration = Duration::from_secs(1);
/// A connection that has no request for so long gives back what it served the last ones with.
const COOL: Duration = Duration::from_secs(1);
/// An idle connection says goodbye by itself; it is cut when it does not.
const BACKSTOP: Duration = Duration::from_secs(5);

fn engine() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(ERROR_RESETS))
        .enable_connect_protocol();
    builder
}

impl Connection {
    /// Serves it to its end; `received` is what came already.
    pub(super) async fn serve_http2(&self, received: Buffer) {
        let started = Instant::now();
        self.rest.set(self.rest.get().that_ends_itself());
        let watch = RefCell::new(Watch::new(started));
        let open = Cell::new(0);
        let together = Together::default();
        let io = Watched::new(&self.socket, received, &watch, &open);
        let mut handshake = pin!(engine().handshake::<_, Bytes>(io));
        let deadline = started + self.serving.current().limits.head_timeout;
        let engine = self.watchdog.limit(deadline, |cx| handshake.as_mut().poll(cx)).await;
        let Ok(Ok(engine)) = engine else { return };
        let life = Life { connection: self, engine, watch: &watch, open: &open, since: Instant::now() };
        life.run(&together).await;
    }
}

/// A connection from the preface to its end.
struct Life<'c> {
    connection: &'c Connection,
    engine: Engine<Watched<'c>, Bytes>,
    watch: &'c RefCell<Watch>,
    open: &'c Cell<usize>,
    /// When it last had no stream any more.
    since: Instant,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client closed it, or broke it.
    Closed,
    /// Nothing is asked, and nothing is to be asked any more.
    Idle,
    Abuse(Abuse),
    /// A head did not come to its end.
    HeadTimeout,
}

impl Life<'_> {
    async fn run(mut self, together: &Together) {
        let connection = self.connection;
        let mut clerks = Clerks::new(MAX_STREAMS as usize);
        let mut drained = pin!(connection.serving.drained());
        let mut leaving = false;
        self.rest();
        let end = poll_fn(|cx| {
            if !leaving && (drained.as_mut().poll(cx).is_ready() || self.is_idle_for_long(cx)) {
                leaving = true;
                connection.at_work();
                self.since = Instant::now();
                self.engine.graceful_shutdown();
            }
            loop {
                if clerks.poll(cx) > 0 {
                    self.open.set(clerks.busy());
                    if clerks.busy() == 0 {
                        self.rest();
                        if leaving {
                            connection.at_work();
                        }
                    }
                }
                // All that are here, before the first of them is served: answers that are ready at once leave
                // together.
                let mut came = false;
                loop {
                    match self.poll_engine(clerks.busy(), cx) {
                        Poll::Ready(Ok((request, respond))) => {
                            connection.at_work();
                            let asked = Asked::read(connection, together, request, respond);
                            clerks.serve(asked, |inbox| connection.serve_streams(inbox));
                            self.open.set(clerks.busy());
                            came = true;
                            if self.watch.borrow().abuse.is_some() {
                                break;
                            }
                        }
                        Poll::Ready(Err(end)) => return Poll::Ready(end),
                        Poll::Pending => break,
                    }
                }
                if let Some(end) = self.misbehaviour(cx).or_else(|| self.slowness(together, cx)) {
                    return Poll::Ready(end);
                }
                if leaving && clerks.busy() == 0 && self.is_said(cx) {
                    return Poll::Ready(End::Idle);
                }
                if !came {
                    break;
                }
            }
            self.cool(&mut clerks, cx);
            Poll::Pending
        })
        .await;
        self.finish(end).await;
        // Whoever was served on it learns of the end now, and notes what became of it.
        let deadline = Instant::now() + FAREWELL;
        let _ = connection
            .watchdog
            .limit(deadline, |cx| {
                clerks.poll(cx);
                if clerks.busy() == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
    }

    /// The client has all of the answers, and had time to hear that no more are given.
    fn is_said(&self, cx: &mut Context<'_>) -> bool {
        !self.engine.has_streams() && self.connection.watchdog.expired(cx, self.since + FAREWELL)
    }

    /// Lets the engine read and write; gives a request when there is one. No new one while as many are served as
    /// may be: a stream that was reset has its place until its work has really ended.
    fn poll_engine(&mut self, served: usize, cx: &mut Context<'_>) -> Poll<Result<Came, End>> {
        if served >= MAX_STREAMS as usize {
            return self.engine.poll_closed(cx).map(|_| Err(End::Closed));
        }
        match self.engine.poll_accept(cx) {
            Poll::Ready(Some(Ok(asked))) => Poll::Ready(Ok(asked)),
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Err(End::Closed)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn misbehaviour(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let watch = self.watch.borrow();
        if let Some(abuse) = watch.abuse {
            return Some(End::Abuse(abuse));
        }
        let deadline = watch.head_open? + self.connection.serving.current().limits.head_timeout;
        self.connection.watchdog.expired(cx, deadline).then_some(End::HeadTimeout)
    }

    /// The streams that wait for the client are slow as a whole.
    fn slowness(&self, together: &Together, cx: &mut Context<'_>) -> Option<End> {
        let limits = || self.connection.serving.current().limits.clone();
        let deadline = together.judged_at(|| limits().rate_grace)?;
        if !self.connection.watchdog.expired(cx, deadline) {
            return None;
        }
        if together.is_too_slow(limits().min_rate, Instant::now()) {
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
        let warm = self.open.get() == 0 && clerks.is_warm();
        if warm && self.connection.watchdog.expired(cx, self.since + COOL) {
            clerks.rest();
        }
    }

    fn is_idle_for_long(&self, cx: &mut Context<'_>) -> bool {
        let deadline = self.since + self.connection.serving.idle_timeout();
        self.open.get() == 0 && !self.engine.has_streams() && self.connection.watchdog.expired(cx, deadline)
    }

    async fn finish(mut self, end: End) {
        let reason = match end {
            End::Closed => return,
            End::Abuse(abuse) => {
                PROCESS.abusive.fetch_add(1, Relaxed);
                entrance::complain_of(self.connection.client(), abuse.reason());
                if abuse == Abuse::NoSettings { Reason::PROTOCOL_ERROR } else { Reason::ENHANCE_YOUR_CALM }
            }
            End::Idle | End::HeadTimeout => Reason::NO_ERROR,
        };
        self.engine.abrupt_shutdown(reason);
        let deadline = Instant::now() + FAREWELL;
        let _ = self.connection.watchdog.limit(deadline, |cx| self.engine.poll_closed(cx)).await;
    }
}

type Came = (http::Request<h2::RecvStream>, h2::server::SendResponse<Bytes>);
