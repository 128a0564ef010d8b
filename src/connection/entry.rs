//! One client's connection, from its acceptance to the protocol that it speaks.

use std::cell::{Cell, OnceCell};
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http1::RequestHead;
use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;
use tokio::time::Instant;

use super::entrance::{self, Entrance, Shaking};
use super::http1::Next;
use super::options::ClientLimits;
use super::serving::Serving;
use super::waiting::{Rest, Waiting};
use crate::certificates::{Handshakes, Policy};
use crate::message::{Client, ClientCertificate, Failure, Http2, Protocol, Secured};
use crate::observe::Record;
use crate::observe::metrics::PROCESS;
use crate::wire::tls::Session;
use crate::wire::{Buffer, Socket, Watchdog, clock};

/// For the first request of a connection that was accepted when the listener was closed.
const LAST_MOMENT: Duration = Duration::from_millis(500);
/// What a client says first that speaks HTTP/2 without having been asked (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) socket: Socket,
    /// Set at once, or when the proxy that speaks for it has said who it is.
    client: OnceCell<Client>,
    pub(super) serving: Rc<Serving>,
    pub(super) watchdog: Watchdog,
    pub(super) rest: Cell<Rest>,
    /// Set by its handshake.
    pub(super) secured: OnceCell<Rc<Secured>>,
    /// Its place in the list of whoever keeps one.
    pub place: Cell<u32>,
}

impl Connection {
    /// Without a `client` it has to be introduced before it is served.
    pub fn new(socket: Socket, client: Option<Client>, serving: Rc<Serving>) -> Connection {
        Connection {
            socket,
            client: client.map(OnceCell::from).unwrap_or_default(),
            serving,
            watchdog: Watchdog::new(),
            // Not before it was looked at: it may have brought a request.
            rest: Cell::new(Rest::new(Instant::now())),
            secured: OnceCell::new(),
            place: Cell::new(u32::MAX),
        }
    }

    #[inline]
    pub(super) fn client(&self) -> &Client {
        self.client.get_or_init(Client::unknown)
    }

    /// It is the connection of this client.
    pub fn introduce(&self, client: Client) {
        let _ = self.client.set(client);
    }

    /// What its listener allows now.
    pub fn limits(&self) -> Arc<ClientLimits> {
        self.serving.current().limits.clone()
    }

    /// Whether what `proxy` says of others is believed.
    pub fn trusts(&self, proxy: &Client) -> bool {
        self.serving.current().proxy.trusted_proxies.iter().any(|net| net.contains(&proxy.peer))
    }

    /// Waits until more than `known` bytes have come, looks at them and leaves them where they are: for what comes
    /// before TLS. Gives how many there are, `None` when no more come.
    pub async fn peek(&self, deadline: Instant, into: &mut [u8], known: usize) -> Option<usize> {
        let peeked = self.watchdog.limit(deadline, |cx| self.socket.poll_peek(cx, into, known)).await;
        peeked.ok()?.ok().filter(|count| *count > known)
    }

    /// Takes bytes that were looked at; false when they are not there.
    pub fn skip(&self, count: usize) -> bool {
        self.socket.skip(count)
    }

    /// Says why it is not served, and that it is to be closed.
    pub fn refuse_at_once(&self, refuse: impl FnOnce(&Socket, &Serving)) {
        refuse(&self.socket, &self.serving);
    }

    /// `None` while it has a request.
    pub fn waiting(&self) -> Option<Waiting> {
        self.rest.get().waiting()
    }

    /// True while it waits for a request and none is there, not even one that was not looked at yet.
    pub fn is_idle(&self) -> bool {
        self.waiting().is_some() && !self.socket.has_arrived()
    }

    /// It has a request from now on.
    pub(super) fn at_work(&self) {
        self.rest.set(self.rest.get().served());
    }

    /// It has none from now on.
    pub(super) fn waits(&self, since: Instant, patience: Duration) {
        self.rest.set(self.rest.get().waits(since, patience));
    }

    pub(super) fn secured(&self) -> Option<&Rc<Secured>> {
        self.secured.get()
    }

    /// Of a request that began to come at `started`.
    pub(super) fn record(&self, started: Instant) -> Record {
        let mut record = Record::new(started, *self.client());
        if let Some(secured) = self.secured() {
            record.certificate = secured.certificate.clone();
        }
        record
    }

    /// It says goodbye by itself when its listener closes.
    pub fn ends_itself(&self) -> bool {
        self.rest.get().ends_itself()
    }

    /// It was chosen to be closed, or has a request, and is not to be chosen again.
    pub fn leave_waiting(&self) {
        self.rest.set(self.rest.get().at_work());
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
        if self.serving.has_entrance() {
            match Box::pin(self.come_in()).await {
                Next::Idle(now) => since = now,
                Next::Again | Next::Close => return,
            }
        }
        self.serve_http1(since).await;
    }

    /// What comes before HTTP/1, and the first requests when they are here already.
    async fn come_in(&self) -> Next {
        let mut received = Buffer::new();
        let protocol = self.find_protocol(&mut received).await;
        self.rest.set(Rest::new(Instant::now()));
        match protocol {
            Some(Protocol::Http1) if received.is_empty() => Next::Idle(Instant::now()),
            Some(Protocol::Http1) => self.run(received).await,
            Some(Protocol::Http2) => {
                self.serve_http2(received).await;
                Next::Close
            }
            None => Next::Close,
        }
    }

    /// Waits until `step` finds something to read, a close included; false when the connection should end.
    ///
    /// What it is told is noted before the future is made, so that this has nothing but `step`: ten thousand idle
    /// connections have one each.
    pub(super) fn wait(
        &self,
        since: Instant,
        patience: Duration,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> impl Future<Output = bool> {
        let rest = self.rest.get();
        let (ends, patience) = match self.serving.is_draining() {
            false => (false, patience),
            true if rest.has_served() => (true, patience),
            // Accepted at the last moment: a request that it brought is answered.
            true => (false, patience.min(LAST_MOMENT)),
        };
        if !ends {
            self.rest.set(rest.waits(since, patience));
        }
        poll_fn(move |cx| {
            if ends {
                return Poll::Ready(false);
            }
            let readable = ready!(step(cx));
            self.rest.set(self.rest.get().served());
            Poll::Ready(readable.is_ok())
        })
    }

    /// Finds out what the client speaks, through a handshake on a listener with TLS; `received` gets what it
    /// said already. `None` when there is no more to be done for it.
    async fn find_protocol(&self, received: &mut Buffer) -> Option<Protocol> {
        let current = self.serving.current();
        let entrance = current.entrance.clone();
        match &entrance.handshakes {
            Some(handshakes) => {
                let shaken = self.shake_hands(&entrance, handshakes, received).await;
                match shaken {
                    Ok(protocol) => Some(protocol),
                    Err(Refused::PlainHttp) => {
                        self.refuse(&current, Failure::PlainHttp, &RequestHead::default()).await;
                        None
                    }
                    Err(Refused::Closed) => None,
                }
            }
            None => match entrance.http2 {
                Http2::Off => Some(Protocol::Http1),
                Http2::Beside => self.hear_preface(received, current.limits.head_timeout).await,
                Http2::Only => Some(Protocol::Http2),
            },
        }
    }

    async fn shake_hands(
        &self,
        entrance: &Entrance,
        handshakes: &Handshakes,
        received: &mut Buffer,
    ) -> Result<Protocol, Refused> {
        // A client that says nothing is as good as idle, and may be closed for one that wants something.
        let started = Instant::now();
        if !self.wait(started, entrance.handshake_timeout, |cx| self.socket.poll_readable(cx)).await {
            return Err(Refused::Closed);
        }
        let Some(_place) =
            Shaking::enter(&entrance.shaking, self.client().peer, entrance.max_handshakes_per_client)
        else {
            PROCESS.handshakes_refused.fetch_add(1, Relaxed);
            return Err(Refused::Closed);
        };
        let deadline = started + entrance.handshake_timeout;
        let mut hello = Hello::default();
        let hear = |cx: &mut Context<'_>| self.poll_hello(handshakes, &mut hello, received, cx);
        let outcome = self.watchdog.limit(deadline, hear).await;
        let policy = match outcome {
            Ok(Ok(policy)) => policy,
            Ok(Err(refused)) => return Err(refused),
            Err(_) => return Err(self.note_failed("it took too long")),
        };
        let session = Session::server(policy.config(), std::mem::take(received));
        self.socket.secure(session.map_err(|error| self.note_failed(&error.to_string()))?);
        let agreed = match self.watchdog.limit(deadline, |cx| self.socket.poll_handshake(cx)).await {
            Ok(Ok(agreed)) => agreed,
            Ok(Err(error)) => return Err(self.note_failed(&error.to_string())),
            Err(_) => return Err(self.note_failed("it took too long")),
        };
        self.watchdog.rest();
        let (version, cipher) = (agreed.version_name(), agreed.cipher_name());
        let certificate = self.read_certificate(agreed.certificate)?;
        PROCESS.handshakes.fetch_add(1, Relaxed);
        if agreed.resumed {
            PROCESS.handshakes_resumed.fetch_add(1, Relaxed);
        }
        let protocol = match agreed.protocol.as_deref() {
            Some(b"h2") => Protocol::Http2,
            _ if entrance.http2 == Http2::Only => {
                return Err(self.note_failed("it does not speak HTTP/2"));
            }
            _ => Protocol::Http1,
        };
        let _ = self.secured.set(Rc::new(Secured {
            certificate,
            version,
            cipher,
            policy: policy.mark,
            effective: policy.effective,
        }));
        Ok(protocol)
    }

    /// What the client's certificate says. A session that goes on has the one of its first handshake, at which
    /// nobody has looked since; what cannot be read cannot be decided on.
    fn read_certificate(
        &self,
        shown: Option<CertificateDer<'_>>,
    ) -> Result<Option<Rc<ClientCertificate>>, Refused> {
        let Some(der) = shown else { return Ok(None) };
        let certificate = ClientCertificate::parse(&der)
            .map_err(|_| self.note_failed("the client's certificate cannot be read"))?;
        let now = clock::since_epoch(Instant::now()).as_secs();
        if certificate.has_ended(i64::try_from(now).unwrap_or(i64::MAX)) {
            return Err(self.note_failed("the client's certificate has ended"));
        }
        Ok(Some(Rc::new(certificate)))
    }

    /// Ready when it is clear which policy the handshake is made under.
    fn poll_hello<'h>(
        &self,
        handshakes: &'h Handshakes,
        hello: &mut Hello,
        received: &mut Buffer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&'h Policy, Refused>> {
        loop {
            match received.data().first() {
                None => {}
                Some(&HANDSHAKE_RECORD) => {
                    if let Some(only) = handshakes.only() {
                        return Poll::Ready(Ok(only));
                    }
                    match hello.read(received.data()) {
                        Ok(Some(name)) => {
                            let chosen = handshakes.choose(name.as_deref());
                            return Poll::Ready(chosen.map_err(|_| {
                                self.socket.try_write(UNRECOGNIZED_NAME);
                                self.note_failed("no certificate has the name that was asked for")
                            }));
                        }
                        Ok(None) => {}
                        Err(alert) => {
                            self.socket.try_write(&alert);
                            return Poll::Ready(Err(self.note_failed("malformed hello")));
                        }
                    }
                }
                Some(first) if first.is_ascii_alphabetic() => return Poll::Ready(Err(Refused::PlainHttp)),
                Some(_) => return Poll::Ready(Err(self.note_failed("it is no TLS"))),
            }
            if received.is_full() && !received.enlarge() {
                return Poll::Ready(Err(self.note_failed("hello too long")));
            }
            match ready!(self.socket.poll_fill(cx, received)) {
                Ok(count) if count > 0 => {}
                _ => return Poll::Ready(Err(Refused::Closed)),
            }
        }
    }

    #[cold]
    fn note_failed(&self, why: &str) -> Refused {
        PROCESS.handshakes_failed.fetch_add(1, Relaxed);
        entrance::complain(self.client(), why);
        Refused::Closed
    }

    /// HTTP/2 by prior knowledge, or whatever else the client begins with.
    async fn hear_preface(&self, received: &mut Buffer, patience: Duration) -> Option<Protocol> {
        let started = Instant::now();
        if !self.wait(started, patience, |cx| self.socket.poll_readable(cx)).await {
            return None;
        }
        let heard = self.watchdog.limit(started + patience, |cx| {
            loop {
                let data = received.data();
                let common = data.len().min(PREFACE.len());
                if data[..common] != PREFACE[..common] {
                    return Poll::Ready(Some(Protocol::Http1));
                }
                if common == PREFACE.len() {
                    return Poll::Ready(Some(Protocol::Http2));
                }
                match ready!(self.socket.poll_fill(cx, received)) {
                    Ok(count) if count > 0 => {}
                    // What is wrong with it shows, and is answered, when it is read as HTTP/1.
                    _ if !received.is_empty() => return Poll::Ready(Some(Protocol::Http1)),
                    _ => return Poll::Ready(None),
                }
            }
        });
        // Half a preface that goes no further is a head that came too slowly.
        heard.await.unwrap_or(Some(Protocol::Http1))
    }
}

/// Why there is no handshake.
enum Refused {
    /// The client speaks HTTP without TLS.
    PlainHttp,
    Closed,
}

/// Content type of the records that a handshake begins with.
const HANDSHAKE_RECORD: u8 = 22;
/// A fatal alert, as a record (RFC 8446 section 6, RFC 6066 section 3).
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

/// A hello that is looked into while it comes.
#[derive(Default)]
struct Hello {
    acceptor: Acceptor,
    /// Bytes that it was given.
    fed: usize,
}

impl Hello {
    /// The name that it asks for; `None` while it is not complete, an alert when it is none. `records` are all
    /// that came so far.
    fn read(&mut self, records: &[u8]) -> Result<Option<Option<String>>, Vec<u8>> {
        let mut rest = records.get(self.fed..).unwrap_or_default();
        while !rest.is_empty() {
            let before = rest.len();
            if self.acceptor.read_tls(&mut rest).is_err() {
                return Err(Vec::new());
            }
            self.fed += before - rest.len();
            match self.acceptor.accept() {
                Ok(Some(accepted)) => {
                    return Ok(Some(accepted.client_hello().server_name().map(str::to_owned)));
                }
                Ok(None) => {}
                Err((_, mut alert)) => {
                    let mut bytes = Vec::new();
                    let _ = alert.write_all(&mut bytes);
                    return Err(bytes);
                }
            }
        }
        Ok(None)
    }
}

/// With its two counters it fills an allocation of 192 bytes: ten thousand idle ones are mostly this.
const _: () = assert!(size_of::<Connection>() + 2 * size_of::<usize>() <= 192);
