//! A raw HTTP/1 client: it sends any bytes, well formed or not, and reads answers strictly.
//!
//! Methods named `try_*` give errors to the test; the others panic with what was received, which is what most
//! tests want. Every wait ends at the client's deadline, ten seconds unless told otherwise.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use crate::Address;
use crate::parse::{Framing, Head, Headers, Input, latin1, malformed};
use crate::stream::{Stream, is_timeout};
use crate::tls::{TlsClient, TlsFacts};

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    input: Input<TimedStream>,
    deadline: Duration,
}

/// An answer, and the interim (1xx) answers that came before it.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The raw head with its final empty line; one `char` per byte received.
    pub head: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    pub interim: Vec<Response>,
}

impl Response {
    /// The first value of the header field `name`, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text; panics when it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is not UTF-8")
    }
}

impl Client {
    /// Connects, or panics with the address.
    #[track_caller]
    pub fn connect(address: impl Into<Address>) -> Client {
        let address = address.into();
        Client::try_connect(address.clone()).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    pub fn try_connect(address: impl Into<Address>) -> io::Result<Client> {
        let stream = Stream::connect(&address.into(), DEADLINE)?;
        Ok(Client { input: Input::new(TimedStream { stream, end: None }), deadline: DEADLINE })
    }

    /// Connects from `source`, any address of 127.0.0.0/8: to the server that is another client.
    #[track_caller]
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Client {
        let stream = Stream::connect_from(source, address, DEADLINE);
        let stream = stream.unwrap_or_else(|error| panic!("connect to {address} from {source}: {error}"));
        Client { input: Input::new(TimedStream { stream, end: None }), deadline: DEADLINE }
    }

    /// A client over a stream that is there already.
    pub fn over(stream: Stream) -> Client {
        Client { input: Input::new(TimedStream { stream, end: None }), deadline: DEADLINE }
    }

    /// Connects and makes the handshake that `tls` says, or panics with the reason.
    #[track_caller]
    pub fn connect_tls(address: impl Into<Address>, tls: &TlsClient) -> Client {
        let address = address.into();
        Client::try_connect_tls(address.clone(), tls)
            .unwrap_or_else(|error| panic!("connect to {address} with TLS: {error}"))
    }

    /// An error of the handshake has kind `InvalidData`; [`crate::tls_alert`] finds the alert in it. With TLS 1.3
    /// a server that refuses the client's certificate says so only later: the first read tells.
    pub fn try_connect_tls(address: impl Into<Address>, tls: &TlsClient) -> io::Result<Client> {
        let stream = Stream::connect(&address.into(), DEADLINE)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let stream = Stream::Tls(Box::new(tls.handshake(stream)?));
        Ok(Client { input: Input::new(TimedStream { stream, end: None }), deadline: DEADLINE })
    }

    /// What the handshake has agreed on; panics without TLS, because the test asked the wrong client.
    #[track_caller]
    pub fn tls(&mut self) -> TlsFacts {
        self.stream().tls().expect("a client with TLS")
    }

    /// How long one call may wait for the server, all its reads together.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// The socket, for options that a test sets itself.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.input.source().stream
    }

    /// Sends `bytes` as they are. Panics when the server does not take them.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// Sends `bytes` as they are; an error is an answer too when the server has closed early.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream().write_all(bytes.as_ref())?;
        self.stream().flush()
    }

    /// Sends one byte after the other with `pause` between them.
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) -> io::Result<()> {
        for byte in bytes.as_ref() {
            self.try_send([*byte])?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Says that nothing more will be sent (FIN, and close_notify before it in TLS) and keeps reading.
    pub fn finish_sending(&mut self) {
        self.stream().finish();
    }

    /// Sends a request with a Host field and, for a body, its Content-Length, then reads the answer.
    #[track_caller]
    pub fn request(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Response {
        self.send(request_bytes(method, target, fields, body));
        if method == "HEAD" { self.read_response_to_head() } else { self.read_response() }
    }

    /// `GET target`, without further fields.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// Reads the next answer; panics, with what was received, when there is none or it is malformed.
    #[track_caller]
    pub fn read_response(&mut self) -> Response {
        let result = self.try_read_response();
        self.expect_response(result)
    }

    /// Like [`Client::read_response`] for the answer to a HEAD request: no body follows.
    #[track_caller]
    pub fn read_response_to_head(&mut self) -> Response {
        let result = self.read(true);
        self.expect_response(result)
    }

    /// Reads the next answer. `UnexpectedEof`: the server closed. `TimedOut`: it was silent.
    /// `InvalidData`: the answer is malformed or its framing ambiguous.
    pub fn try_read_response(&mut self) -> io::Result<Response> {
        self.read(false)
    }

    /// Everything up to the end of the stream, with what was read ahead. A reset counts as the end.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        assert!(self.is_closed(self.deadline), "the server did not close; so far: {:?}", self.unread());
        let length = self.input.buffered().len();
        self.input.body(Framing::Length(length)).expect("the bytes are in the buffer").0
    }

    /// True when the server closes or resets within `deadline`. What it sends before stays readable.
    pub fn is_closed(&mut self, deadline: Duration) -> bool {
        self.input.source().end = Some(Instant::now() + deadline);
        loop {
            match self.input.fill() {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => return !is_timeout(&error),
            }
        }
    }

    /// What was received and not yet read as an answer.
    pub fn unread(&self) -> String {
        latin1(self.input.buffered())
    }

    fn read(&mut self, to_head: bool) -> io::Result<Response> {
        self.input.source().end = Some(Instant::now() + self.deadline);
        let mut interim = Vec::new();
        loop {
            self.input.take_consumed();
            let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "closed before an answer");
            let Head { start_line, headers } = self.input.head()?.ok_or_else(closed)?;
            let head = latin1(&self.input.take_consumed());
            let status = parse_status(&start_line).map_err(malformed)?;
            let framing = Framing::of_response(status, to_head, &headers).map_err(malformed)?;
            let is_interim = status < 200 && status != 101;
            let (body, trailers) = self.input.body(framing)?;
            let response = Response { status, head, headers, body, trailers, interim: Vec::new() };
            if !is_interim {
                return Ok(Response { interim, ..response });
            }
            interim.push(response);
        }
    }

    #[track_caller]
    fn expect_response(&mut self, result: io::Result<Response>) -> Response {
        result.unwrap_or_else(|error| {
            let received = latin1(&self.input.take_consumed()) + &self.unread();
            panic!("no good answer: {error}; received {received:?}")
        })
    }
}

/// A request head with Host and, for a body, Content-Length, followed by the body. A Host among `fields`
/// takes the place of the usual `Host: localhost`.
pub(crate) fn request_bytes(method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("Host")) {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in fields {
        write!(head, "{name}: {value}\r\n").expect("a String takes everything");
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len()).expect("a String takes everything");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// RFC 9112 §4: version, one space, three digits, one space, reason (which may be empty).
fn parse_status(line: &str) -> Result<u16, String> {
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let digits = rest.and_then(|rest| rest.split_once(' ')).map(|(digits, _)| digits);
    match digits.filter(|digits| digits.len() == 3).and_then(|digits| digits.parse().ok()) {
        Some(status) if (100..600).contains(&status) => Ok(status),
        _ => Err(format!("status line {line:?}")),
    }
}

/// A stream whose reads end together at one moment, so a peer that drips bytes cannot hold a test.
#[derive(Debug)]
struct TimedStream {
    stream: Stream,
    end: Option<Instant>,
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(end) = self.end {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // Rounded down to 0 microseconds it would mean "for ever".
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        }
        self.stream.read(buffer)
    }
}

const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
