//! One connection that requests share. Its frames are moved by a task of its own, for as long as it is open.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, SendStream};
use tokio::time::{Instant, Sleep};

use super::shelf;
use super::wire::{Alert, Wire};
use crate::message::Failure;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::permit::Permit;
use crate::upstream::pool::seconds;
use crate::wire::Socket;

/// Streams at once on one connection, even when the origin allows more: one connection is one thread of the
/// origin, often, and all of them die with it.
pub const MOST_STREAMS: usize = 100;
/// What an origin may send ahead of a reader: of one stream, and of all together. All together as much as each may:
/// with less, a few clients that read slowly would hold back the answers of all others on the connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = MOST_STREAMS as u32 * STREAM_WINDOW;
/// Body bytes of one stream that wait for the socket.
const SEND_BUFFER: usize = 64 << 10;
const MAX_HEADER_LIST: u32 = 64 << 10;
const MAX_FRAME: u32 = 16 << 10;
/// Streams that end with an error of the origin's before the connection does.
const MOST_ERRORS: usize = 128;

/// A connection on which both sides have said what they allow.
pub struct Greeted {
    requests: SendRequest<Bytes>,
    connection: Connection<Wire, Bytes>,
    pings: PingPong,
    /// A ping is on its way.
    pinging: bool,
}

/// Says what we allow, and waits for the same from the origin: until then nobody knows how many streams it takes,
/// nor that it speaks HTTP/2 at all.
pub async fn greet(socket: Socket) -> Result<Greeted, Failure> {
    let alert = Alert::default();
    let broken = |_| alert.get().unwrap_or(Failure::NoHttp2);
    let wire = Wire::new(socket, alert.clone());
    let (requests, mut connection) = settings().handshake::<_, Bytes>(wire).await.map_err(broken)?;
    let mut pings = connection.ping_pong().ok_or(Failure::NoHttp2)?;
    // Its echo comes behind the origin's settings: with it, no stream allowed means that none is.
    pings.send_ping(Ping::opaque()).map_err(broken)?;
    let mut pinging = true;
    poll_fn(|cx| {
        if Pin::new(&mut connection).poll(cx).is_ready() {
            // To the engine some of the ways to end are no errors.
            return Poll::Ready(Err(alert.get().unwrap_or(Failure::NoHttp2)));
        }
        if connection.max_concurrent_send_streams() > 0 {
            return Poll::Ready(Ok(()));
        }
        match pings.poll_pong(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) if connection.max_concurrent_send_streams() > 0 => {
                pinging = false;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(Failure::NoStreams)),
        }
    })
    .await?;
    Ok(Greeted { requests, connection, pings, pinging })
}

pub fn settings() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        // None before the origin has said how many it allows.
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .max_concurrent_reset_streams(50)
        .reset_stream_duration(Duration::from_secs(1))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(MOST_ERRORS))
        .header_table_size(4096);
    builder
}

/// What the requests on a connection share.
pub struct Session {
    pub endpoint: Arc<Endpoint>,
    /// Gone when no more requests may come.
    requests: RefCell<Option<SendRequest<Bytes>>>,
    /// Streams that the origin allows at once.
    allowed: Cell<usize>,
    streams: Cell<usize>,
    /// An answer came on it.
    served: Cell<bool>,
    generation: u32,
    idle_since: Cell<u32>,
    /// The origin is to answer a ping until then.
    doubt: Cell<Option<Instant>>,
    driver: RefCell<Option<Waker>>,
}

impl Session {
    /// Starts the task of the connection, which holds `permit` until it is closed.
    pub fn start(greeted: Greeted, permit: Permit) -> Rc<Session> {
        let Greeted { requests, connection, pings, pinging } = greeted;
        let endpoint = permit.endpoint().clone();
        let session = Rc::new(Session {
            requests: RefCell::new(Some(requests)),
            allowed: Cell::new(connection.max_concurrent_send_streams()),
            streams: Cell::new(0),
            served: Cell::new(false),
            generation: endpoint.generation.load(Relaxed),
            idle_since: Cell::new(seconds()),
            doubt: Cell::new(None),
            driver: RefCell::default(),
            endpoint,
        });
        let mut driver = Driver { connection, pings, pinging, patience: None, session: session.clone() };
        session.endpoint.lobby.own_shared(|line| line.connections.fetch_add(1, Relaxed));
        tokio::task::spawn_local(async move {
            poll_fn(|cx| driver.poll(cx)).await;
            let session = driver.session.clone();
            // The streams that are left learn of it.
            drop(driver);
            session.close();
            session.endpoint.lobby.own_shared(|line| line.connections.fetch_sub(1, Relaxed));
            drop(permit);
        });
        session
    }

    /// Another request may go on it.
    pub fn has_room(&self) -> bool {
        self.streams.get() < self.allowed.get().min(MOST_STREAMS) && self.is_usable()
    }

    pub fn room(&self) -> usize {
        if !self.is_usable() {
            return 0;
        }
        self.allowed.get().min(MOST_STREAMS).saturating_sub(self.streams.get())
    }

    fn is_usable(&self) -> bool {
        let endpoint = &self.endpoint;
        let current = self.generation == endpoint.generation.load(Relaxed) && !endpoint.is_retired();
        current && self.doubt.get().is_none() && self.requests.borrow().is_some()
    }

    pub fn streams(&self) -> usize {
        self.streams.get()
    }

    /// It is to be closed: nobody uses it, and nobody did for so many seconds, or nobody may any more.
    pub fn is_over(&self, now: u32, idle_seconds: u32) -> bool {
        let idle = now.wrapping_sub(self.idle_since.get()) > idle_seconds;
        self.streams.get() == 0 && (idle || !self.is_usable())
    }

    /// No more requests; the connection ends with the last of its streams.
    pub fn close(&self) {
        let requests = self.requests.borrow_mut().take();
        if requests.is_some() {
            shelf::remove(self);
        }
    }

    /// The origin said nothing for too long. It answers a ping within `patience`, or the connection ends.
    pub fn doubt(&self, patience: Duration) {
        if self.doubt.get().is_none() {
            self.doubt.set(Some(Instant::now() + patience));
            if let Some(driver) = self.driver.borrow().as_ref() {
                driver.wake_by_ref();
            }
        }
    }

    /// The origin, or an error, has ended the connection for further requests.
    fn is_told_to_go(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.requests
            .borrow_mut()
            .as_mut()
            .is_some_and(|requests| matches!(requests.poll_ready(&mut cx), Poll::Ready(Err(_))))
    }

    /// The origin joins streams to other protocols (RFC 8441 section 3).
    pub fn takes_extended_connect(&self) -> bool {
        self.requests.borrow().as_ref().is_some_and(SendRequest::is_extended_connect_protocol_enabled)
    }

    pub fn has_served(&self) -> bool {
        self.served.get()
    }
}

/// Moves the frames of a connection.
struct Driver {
    connection: Connection<Wire, Bytes>,
    pings: PingPong,
    pinging: bool,
    /// Armed while the origin is in doubt.
    patience: Option<Pin<Box<Sleep>>>,
    session: Rc<Session>,
}

impl Driver {
    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let session = &self.session;
        if !session.driver.borrow().as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *session.driver.borrow_mut() = Some(cx.waker().clone());
        }
        if Pin::new(&mut self.connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if session.is_told_to_go() {
            session.close();
        }
        let allowed = self.connection.max_concurrent_send_streams();
        if session.allowed.replace(allowed) < allowed {
            shelf::tell(session);
        }
        if self.pinging && self.pings.poll_pong(cx).is_ready() {
            self.pinging = false;
            self.patience = None;
            if session.doubt.take().is_some() {
                shelf::tell(session);
            }
        }
        let Some(until) = session.doubt.get() else { return Poll::Pending };
        if !self.pinging {
            self.pinging = self.pings.send_ping(Ping::opaque()).is_ok();
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        patience.as_mut().poll(cx)
    }
}

/// The right to one stream of a connection.
pub struct Place {
    session: Rc<Session>,
}

impl Place {
    /// On a connection that has room.
    pub fn take(session: &Rc<Session>) -> Place {
        let before = session.streams.replace(session.streams.get() + 1);
        session.endpoint.lobby.own_shared(|line| {
            line.streams.fetch_add(1, Relaxed);
            if before == 0 {
                line.idle.fetch_sub(1, Relaxed);
            }
        });
        Place { session: session.clone() }
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.session.endpoint
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Opens the stream.
    pub fn send(
        &self,
        request: http::Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Option<h2::Error>> {
        // A clone of its own knows nothing of other streams that wait to be opened.
        let requests = self.session.requests.borrow().clone();
        requests.ok_or(None)?.send_request(request, end).map_err(Some)
    }

    /// The head of an answer came.
    pub fn note_answer(&self) {
        self.session.served.set(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let session = &self.session;
        let left = session.streams.get().saturating_sub(1);
        session.streams.set(left);
        session.idle_since.set(seconds());
        session.endpoint.lobby.own_shared(|line| {
            line.streams.fetch_sub(1, Relaxed);
            if left == 0 && session.requests.borrow().is_some() {
                line.idle.fetch_add(1, Relaxed);
            }
        });
        if left == 0 && !session.is_usable() {
            session.close();
        }
        shelf::tell(session);
    }
}
