//! A recording origin: it stands behind the proxy, notes every byte it gets and answers what the test scripts.
//!
//! Its parser is strict (see `parse.rs`). A request that breaks a rule is answered with 400, the connection is
//! closed, and the reason is kept in [`Origin::violations`]: the proxy must never send such a request.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::parse::{Framing, Headers, Input, is_token, malformed};
use crate::script::{Script, Step};
use crate::stream::Stream;
use crate::tls::{Handshake, TlsServer};
use crate::{Address, poll_until};

/// A server that runs until it is dropped or stopped.
pub struct Origin {
    address: Address,
    shared: Arc<Shared>,
    accepting: Option<Accepting>,
    /// Holds the port while stopped, so that no parallel test is given it meanwhile.
    reservation: Option<Socket>,
}

/// What an origin does with its connections.
pub enum Behaviour {
    /// The echo service, see [`Origin::echo`].
    Echo,
    /// A script per request. The number counts the requests of all connections, from 0.
    Scripted(Box<ScriptFn>),
    /// A function per connection, for what is not HTTP. The number is the connection's, from 0.
    Raw(Box<RawFn>),
}

/// Says what to do with a request.
pub type ScriptFn = dyn Fn(&RecordedRequest, usize) -> Script + Send + Sync;

/// Serves a connection until it returns.
pub type RawFn = dyn Fn(OriginConnection, usize) + Send + Sync;

/// A request as the origin got it, after all of its body arrived.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// The connection that it came on, counted from 0 in order of acceptance.
    pub connection: usize,
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// Head, body framing and trailers, byte for byte.
    pub raw: Vec<u8>,
}

impl RecordedRequest {
    /// The first value of the header field `name`, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The raw head with its final empty line.
    pub fn head(&self) -> &[u8] {
        let end = self.raw.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
        &self.raw[..end]
    }

    pub(crate) fn wants_close(&self) -> bool {
        let kept = self.version == "HTTP/1.1" || self.headers.has_token("Connection", "keep-alive");
        !kept || self.headers.has_token("Connection", "close")
    }
}

impl Origin {
    /// An origin on a free port of 127.0.0.1 that answers by the last segments of the path, keeps connections
    /// alive and allows pipelining:
    ///
    /// | Path ends with | Answer |
    /// |---|---|
    /// | `/canary-N` | 200 with the body `N` |
    /// | `/echo` | 200 with the body and Content-Type of the request |
    /// | `/headers` | 200 with the raw request head as body |
    /// | `/bytes/N` | 200 with `N` bytes of [`crate::pattern`] and a Content-Length |
    /// | `/chunked/N` | the same bytes, chunked |
    /// | `/status/NNN` | that status with itself as body |
    /// | `/slow/MS` | 200 after so many milliseconds |
    /// | anything else | 200 with `METHOD target` as body |
    pub fn echo() -> Origin {
        Origin::serve(loopback(), Behaviour::Echo)
    }

    /// An origin on a free port of 127.0.0.1 that does with each request what `script` says. `Expect:
    /// 100-continue` is answered before the body is read; use [`Origin::raw`] to test something else.
    pub fn scripted(script: impl Fn(&RecordedRequest, usize) -> Script + Send + Sync + 'static) -> Origin {
        Origin::serve(loopback(), Behaviour::Scripted(Box::new(script)))
    }

    /// An origin on a free port of 127.0.0.1 that hands each connection to `serve`, on a thread of its own.
    pub fn raw(serve: impl Fn(OriginConnection, usize) + Send + Sync + 'static) -> Origin {
        Origin::serve(loopback(), Behaviour::Raw(Box::new(serve)))
    }

    /// An origin on `address`, which may have port 0 or be a Unix socket.
    pub fn serve(address: impl Into<Address>, behaviour: Behaviour) -> Origin {
        Origin::start(address.into(), None, behaviour)
    }

    /// An origin on a free port of 127.0.0.1 that speaks TLS as `tls` says. A connection without a good
    /// handshake comes to no request; [`Origin::handshakes`] tells.
    pub fn serve_tls(tls: TlsServer, behaviour: Behaviour) -> Origin {
        Origin::start(loopback(), Some(tls), behaviour)
    }

    fn start(address: Address, tls: Option<TlsServer>, behaviour: Behaviour) -> Origin {
        let listener = listen(&bind(&address));
        let address = local_address(&listener);
        let shared = Arc::new(Shared::new(behaviour, tls));
        let accepting = Some(Accepting::start(listener, &shared));
        Origin { address, shared, accepting, reservation: None }
    }

    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// The bytes that each connection has sent so far, in order of acceptance.
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.shared.records().connections.clone()
    }

    /// The complete requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.records().requests.clone()
    }

    /// The rules that requests broke, in order: must stay empty behind a correct proxy.
    pub fn violations(&self) -> Vec<String> {
        self.shared.records().violations.clone()
    }

    /// The handshakes so far, good and bad, in the order in which they ended.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.shared.records().handshakes.clone()
    }

    /// From now on handshakes are made as `tls` says; open connections stay as they are.
    pub fn set_tls(&self, tls: TlsServer) {
        *self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(tls);
    }

    /// Bytes that are part of no complete request: a request that was cut off, or one on its way.
    pub fn unclaimed_bytes(&self) -> usize {
        let records = self.shared.records();
        let received = records.connections.iter().map(Vec::len).sum::<usize>();
        received - records.requests.iter().map(|request| request.raw.len()).sum::<usize>()
    }

    /// Forgets requests and bytes recorded so far; for tests that send thousands.
    pub fn forget(&self) {
        let mut records = self.shared.records();
        records.requests.clear();
        records.connections.iter_mut().for_each(Vec::clear);
    }

    /// How many connections are open now, as far as the origin has noticed.
    pub fn open_connections(&self) -> usize {
        self.accepting.as_ref().map_or(0, |accepting| accepting.period.streams().len())
    }

    /// Waits until there are `count` complete requests and returns them.
    #[track_caller]
    pub fn wait_requests(&self, count: usize, deadline: Duration) -> Vec<RecordedRequest> {
        poll_until(deadline, &format!("{count} requests at the origin"), || {
            self.shared.records().requests.len() >= count
        });
        self.requests()
    }

    /// Closes the listener and every connection: from now on connecting is refused. The records stay.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        accepting.stop();
        self.reservation = match &self.address {
            Address::Tcp(_) => Some(bind(&self.address)),
            Address::Unix(_) => None,
        };
    }

    /// Listens again on the same address, with the same behaviour.
    pub fn restart(&mut self) {
        self.stop();
        let socket = self.reservation.take().unwrap_or_else(|| bind(&self.address));
        self.accepting = Some(Accepting::start(listen(&socket), &self.shared));
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.stop();
        }
        if let Address::Unix(path) = &self.address {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A connection that an [`Origin::raw`] function serves. What is read through it is recorded.
pub struct OriginConnection {
    stream: Stream,
    index: usize,
    shared: Arc<Shared>,
    period: Arc<Period>,
}

impl OriginConnection {
    /// The socket, for its options and for shutdown; what is read from it directly is not recorded.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads the next request by the strict rules and records it; `None` at the end of the stream.
    /// Bytes that were sent after it (pipelining) are lost: this is for one request at a time.
    pub fn read_request(&mut self) -> io::Result<Option<RecordedRequest>> {
        let index = self.index;
        let shared = self.shared.clone();
        let mut input = Input::new(&mut *self);
        let request = read_request(&mut input, index)?;
        shared.records().requests.extend(request.clone());
        Ok(request)
    }

    /// Closes with a reset (TCP RST).
    pub fn reset(self) {
        let _ = self.stream.reset_on_close();
    }
}

impl Drop for OriginConnection {
    fn drop(&mut self) {
        // Before the stream is closed: a second handle would keep the socket open.
        self.period.streams().remove(&self.index);
    }
}

impl Read for OriginConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.shared.records().connections[self.index].extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

impl Write for OriginConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What the threads of one origin have in common.
struct Shared {
    behaviour: Behaviour,
    /// `None`: no TLS at all.
    tls: Mutex<Option<TlsServer>>,
    records: Mutex<Records>,
    answered: AtomicUsize,
}

#[derive(Default)]
struct Records {
    connections: Vec<Vec<u8>>,
    requests: Vec<RecordedRequest>,
    violations: Vec<String>,
    handshakes: Vec<Handshake>,
}

impl Shared {
    fn new(behaviour: Behaviour, tls: Option<TlsServer>) -> Shared {
        Shared { behaviour, tls: Mutex::new(tls), records: Mutex::default(), answered: AtomicUsize::new(0) }
    }

    /// Makes room for the bytes of a new connection and returns its number.
    fn add_connection(&self) -> usize {
        let mut records = self.records();
        records.connections.push(Vec::new());
        records.connections.len() - 1
    }

    /// A panicking script poisons nothing that matters: the records are appended to, never half changed.
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One period of accepting, from a start to the next stop.
struct Accepting {
    listener: Socket,
    period: Arc<Period>,
    thread: JoinHandle<()>,
}

/// What ends together at a stop: the open streams and the pauses.
#[derive(Default)]
struct Period {
    over: AtomicBool,
    streams: Mutex<HashMap<usize, Stream>>,
    ended: Condvar,
}

impl Accepting {
    fn start(listener: Socket, shared: &Arc<Shared>) -> Accepting {
        let period = Arc::new(Period::default());
        let accepting = listener.try_clone().expect("clone the listener");
        let thread = {
            let (shared, period) = (shared.clone(), period.clone());
            thread::spawn(move || accept_all(&accepting, &shared, &period))
        };
        Accepting { listener, period, thread }
    }

    fn stop(self) {
        self.period.end();
        // On Linux this wakes a blocked accept() with an error.
        let _ = self.listener.shutdown(Shutdown::Both);
        // A panic of the accepting thread was printed by the runtime; the test has failed for it already.
        let _ = self.thread.join();
    }
}

impl Period {
    fn streams(&self) -> MutexGuard<'_, HashMap<usize, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let streams = self.streams();
        self.over.store(true, Ordering::SeqCst);
        for stream in streams.values() {
            // An error says that the peer has closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.ended.notify_all();
    }

    /// Waits for `time` or until the period ends, whichever is first.
    fn pause(&self, time: Duration) {
        let running = |_: &mut HashMap<usize, Stream>| !self.over.load(Ordering::SeqCst);
        drop(self.ended.wait_timeout_while(self.streams(), time, running));
    }
}

fn accept_all(listener: &Socket, shared: &Arc<Shared>, period: &Arc<Period>) {
    loop {
        let stream = match listener.accept() {
            Ok((socket, peer)) if peer.is_unix() => Stream::Unix(socket.into()),
            Ok((socket, _)) => {
                let _ = socket.set_tcp_nodelay(true);
                Stream::Tcp(socket.into())
            }
            Err(_) if period.over.load(Ordering::SeqCst) => return,
            // The peer gave up before we accepted it, or we were interrupted.
            Err(_) => continue,
        };
        let index = shared.add_connection();
        {
            let mut streams = period.streams();
            if period.over.load(Ordering::SeqCst) {
                return;
            }
            streams.insert(index, stream.try_clone().expect("clone a stream"));
        }
        let (shared, period) = (shared.clone(), period.clone());
        thread::spawn(move || match secured(stream, index, &shared) {
            Some(stream) => serve(OriginConnection { stream, index, shared, period }),
            None => drop(period.streams().remove(&index)),
        });
    }
}

/// The stream after its handshake, where there is to be one; `None` when that failed, which is noted.
fn secured(stream: Stream, connection: usize, shared: &Shared) -> Option<Stream> {
    let tls = shared.tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(tls) = tls else { return Some(stream) };
    let result = tls.accept(stream);
    let outcome = result.as_ref().map(|stream| stream.facts()).map_err(ToString::to_string);
    shared.records().handshakes.push(Handshake { connection, outcome });
    result.ok().map(|stream| Stream::Tls(Box::new(stream)))
}

fn serve(connection: OriginConnection) {
    let shared = connection.shared.clone();
    match &shared.behaviour {
        Behaviour::Raw(serve) => {
            let index = connection.index;
            serve(connection, index);
        }
        Behaviour::Echo => serve_http(connection, &|request, _| Script::echo(request)),
        Behaviour::Scripted(script) => serve_http(connection, script),
    }
}

/// Requests and their scripts in turn, until one side closes.
fn serve_http(connection: OriginConnection, script: &dyn Fn(&RecordedRequest, usize) -> Script) {
    let (shared, index) = (connection.shared.clone(), connection.index);
    let mut input = Input::new(connection);
    loop {
        let request = match read_request(&mut input, index) {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(error) => return refuse(input.source(), &error),
        };
        shared.records().requests.push(request.clone());
        let number = shared.answered.fetch_add(1, Ordering::SeqCst);
        if !play(script(&request, number), input.source()) {
            return;
        }
    }
}

/// Does the steps; false when the connection is at its end.
fn play(script: Script, connection: &mut OriginConnection) -> bool {
    let period = connection.period.clone();
    let mut reading = true;
    for step in script.steps {
        match step {
            // The proxy may hang up in the middle of an answer; that is for the test to judge.
            Step::Send(bytes) => {
                if connection.write_all(&bytes).and_then(|()| connection.flush()).is_err() {
                    return false;
                }
            }
            Step::Pause(time) => period.pause(time),
            Step::StopReading => reading = false,
            Step::HoldOpen => period.pause(Duration::MAX),
            Step::Close => return false,
            Step::Reset => {
                let _ = connection.stream.reset_on_close();
                return false;
            }
        }
    }
    if !reading {
        period.pause(Duration::MAX);
    }
    reading
}

/// Answers a request that breaks the rules and keeps the reason. A stream that ends early is no violation:
/// the proxy's client may have gone away.
fn refuse(connection: &mut OriginConnection, error: &io::Error) {
    if error.kind() == io::ErrorKind::InvalidData {
        connection.shared.records().violations.push(error.to_string());
        let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = connection.write_all(answer.as_bytes());
    }
}

fn read_request<C: Read + Write>(
    input: &mut Input<C>,
    connection: usize,
) -> io::Result<Option<RecordedRequest>> {
    input.take_consumed();
    let Some(head) = input.head()? else { return Ok(None) };
    let (method, target, version) = parse_request_line(&head.start_line).map_err(malformed)?;
    if version == "HTTP/1.1" && head.headers.all("Host").len() != 1 {
        return Err(malformed(format!("Host fields {:?}", head.headers.all("Host"))));
    }
    let framing = Framing::of_request(&head.headers).map_err(malformed)?;
    if head.headers.get("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        input.source().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let (body, trailers) = input.body(framing)?;
    let (headers, raw) = (head.headers, input.take_consumed());
    Ok(Some(RecordedRequest { connection, method, target, version, headers, body, trailers, raw }))
}

/// RFC 9112 §3: exactly one space between method, target and version.
fn parse_request_line(line: &str) -> Result<(String, String, String), String> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")]
            if is_token(method.as_bytes()) && !target.is_empty() =>
        {
            Ok((method.to_string(), target.to_string(), version.to_string()))
        }
        _ => Err(format!("request line {line:?}")),
    }
}

fn loopback() -> Address {
    Address::Tcp(([127, 0, 0, 1], 0).into())
}

#[track_caller]
fn bind(address: &Address) -> Socket {
    let (domain, socket_address) = match address {
        Address::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Address::Unix(path) => {
            // Left by the listener that was stopped; absent at the first start.
            let _ = std::fs::remove_file(path);
            (Domain::UNIX, SockAddr::unix(path).expect("a path that fits a socket address"))
        }
    };
    let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
    // Connections of the time before a restart linger in TIME_WAIT on our port.
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.bind(&socket_address).unwrap_or_else(|error| panic!("bind {address}: {error}"));
    socket
}

fn listen(socket: &Socket) -> Socket {
    socket.listen(1024).expect("listen");
    socket.try_clone().expect("clone the listener")
}

fn local_address(socket: &Socket) -> Address {
    let address = SockRef::from(socket).local_addr().expect("a bound socket has an address");
    match address.as_socket() {
        Some(address) => Address::Tcp(address),
        None => Address::Unix(address.as_pathname().expect("a Unix socket with a path").to_path_buf()),
    }
}

#[cfg(test)]
mod tests;
