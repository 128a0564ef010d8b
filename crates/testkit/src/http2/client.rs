//! A client that speaks HTTP/2 frame by frame: whole exchanges where a test wants an answer, single frames where it
//! wants to see what becomes of them.
//!
//! SETTINGS and PING of the server are acknowledged, and windows are given back as data arrive, unless the test says
//! otherwise. What is sent is never checked.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use super::frame::{Frame, flag, kind, setting};
use super::hpack::{Decoder, encode};
use super::wire::{PREFACE, Wire};
use crate::Address;
use crate::parse::Headers;
use crate::stream::{Stream, is_timeout};
use crate::tls::{TlsClient, TlsFacts};

/// One connection to a server.
#[derive(Debug)]
pub struct H2Client {
    wire: Wire<Stream>,
    decoder: Decoder,
    /// The block that CONTINUATION goes on with: its stream, and whether the stream ends with it.
    block: Option<(u32, bool, Vec<u8>)>,
    next_stream: u32,
    streams: HashMap<u32, Incoming>,
    windows: Windows,
    goaway: Option<(u32, u32)>,
    /// Settings of the server, the last value of each.
    settings: HashMap<u16, u32>,
    manners: Manners,
    deadline: Duration,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct H2Response {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// The heads of interim answers (1xx), in order, with their `:status`.
    pub interim: Vec<Headers>,
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum H2Failure {
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with an error code, or one that gives this stream up, and then the end.
    GoAway { last: u32, code: u32 },
    /// The connection ended.
    Closed,
    /// The deadline passed.
    Silence,
    /// What came is not HTTP/2.
    Malformed(String),
}

/// What the client does on its own.
#[derive(Clone, Copy, Debug)]
struct Manners {
    acknowledges: bool,
    gives_windows_back: bool,
}

/// What this client may still send.
#[derive(Debug)]
struct Windows {
    connection: i64,
    streams: HashMap<u32, i64>,
}

#[derive(Debug, Default)]
struct Incoming {
    interim: Vec<Headers>,
    head: Option<(u16, Headers)>,
    body: Vec<u8>,
    trailers: Headers,
    ended: bool,
    reset: Option<u32>,
}

impl H2Response {
    /// The first value of the header field `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text; panics when it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is not UTF-8")
    }
}

impl H2Client {
    /// Connects without TLS, by prior knowledge, and sends the preface and empty SETTINGS; panics when it cannot.
    #[track_caller]
    pub fn connect(address: impl Into<Address>) -> H2Client {
        H2Client::connect_with(address, &[])
    }

    /// The same with these settings.
    #[track_caller]
    pub fn connect_with(address: impl Into<Address>, settings: &[(u16, u32)]) -> H2Client {
        let mut client = H2Client::silent(address);
        client.greet(settings);
        client
    }

    /// Connects with TLS, offers `h2` alone, and greets; panics when the server chooses something else.
    #[track_caller]
    pub fn connect_tls(address: impl Into<Address>, tls: &TlsClient) -> H2Client {
        let mut client = H2Client::silent_tls(address, tls);
        client.greet(&[]);
        client
    }

    /// Connects without TLS and says nothing yet.
    #[track_caller]
    pub fn silent(address: impl Into<Address>) -> H2Client {
        let address = address.into();
        let stream = Stream::connect(&address, DEADLINE);
        H2Client::over(stream.unwrap_or_else(|error| panic!("connect to {address}: {error}")))
    }

    /// Connects with TLS, offers `h2` alone, and says nothing yet.
    #[track_caller]
    pub fn silent_tls(address: impl Into<Address>, tls: &TlsClient) -> H2Client {
        let address = address.into();
        let connect = || {
            let stream = Stream::connect(&address, DEADLINE)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            tls.clone().alpn(&["h2"]).handshake(stream)
        };
        let stream = connect().unwrap_or_else(|error| panic!("connect to {address} with TLS: {error}"));
        let alpn = stream.facts().alpn;
        assert_eq!(alpn.as_deref(), Some("h2"), "what {address} chose by ALPN");
        H2Client::over(Stream::Tls(Box::new(stream)))
    }

    /// A client over a stream that is there already.
    pub fn over(stream: Stream) -> H2Client {
        H2Client {
            wire: Wire::new(stream),
            decoder: Decoder::new(4096),
            block: None,
            next_stream: 1,
            streams: HashMap::new(),
            windows: Windows { connection: DEFAULT_WINDOW, streams: HashMap::new() },
            goaway: None,
            settings: HashMap::new(),
            manners: Manners { acknowledges: true, gives_windows_back: true },
            deadline: DEADLINE,
        }
    }

    /// Sends the preface and SETTINGS.
    #[track_caller]
    pub fn greet(&mut self, settings: &[(u16, u32)]) {
        if let Some(&(_, size)) = settings.iter().find(|(id, _)| *id == setting::HEADER_TABLE_SIZE) {
            self.decoder = Decoder::new(size as usize);
        }
        self.send_raw(PREFACE);
        self.send(&Frame::settings(settings));
    }

    /// How long one call may wait for the server, all its reads together. Ten seconds unless told otherwise.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// From now on SETTINGS and PING of the server stay without an answer.
    pub fn stop_acknowledging(&mut self) {
        self.manners.acknowledges = false;
    }

    /// From now on data that arrive use the windows up for good.
    pub fn hold_windows(&mut self) {
        self.manners.gives_windows_back = false;
    }

    /// What the handshake has agreed on; panics without TLS.
    #[track_caller]
    pub fn tls(&self) -> TlsFacts {
        self.wire.stream.tls().expect("a client with TLS")
    }

    /// The stream beneath, for options that a test sets itself.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.wire.stream
    }

    #[track_caller]
    pub fn send(&mut self, frame: &Frame) {
        self.send_raw(frame.to_bytes());
    }

    /// Sends bytes as they are; panics when the server does not take them.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send_raw(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    pub fn try_send(&mut self, frame: &Frame) -> io::Result<()> {
        self.try_send_raw(frame.to_bytes())
    }

    /// An error is an answer too when the server has closed early.
    pub fn try_send_raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.send(bytes.as_ref())
    }

    /// The number that the next stream of this client will have. Taking it is not sending anything.
    pub fn take_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Opens a stream with a request head: `:method`, `:scheme`, `:authority` and `:path`, then `fields`.
    #[track_caller]
    pub fn open(&mut self, method: &str, path: &str, fields: &[(&str, &str)], end: bool) -> u32 {
        let head = self.head(method, path, fields);
        self.open_with(&head, end)
    }

    /// Opens a stream with these fields and no others.
    #[track_caller]
    pub fn open_with(&mut self, fields: &[(&str, &str)], end: bool) -> u32 {
        let stream = self.take_stream();
        self.send(&Frame::headers(stream, encode(fields), end));
        stream
    }

    /// The fields with which [`H2Client::open`] asks; the scheme is that of the connection, the authority
    /// `localhost`.
    pub fn head<'a>(
        &self,
        method: &'a str,
        path: &'a str,
        fields: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let scheme = if self.wire.stream.tls().is_some() { "https" } else { "http" };
        let head = [(":method", method), (":scheme", scheme), (":authority", "localhost"), (":path", path)];
        [&head[..], fields].concat()
    }

    /// Sends a body on an open stream as fast as the server's windows allow, and ends the stream. Panics when
    /// they stay shut until the deadline.
    #[track_caller]
    pub fn send_body(&mut self, stream: u32, mut body: &[u8]) {
        let end = Instant::now() + self.deadline;
        while !body.is_empty() {
            let window = self.window(stream);
            let most = usize::try_from(window.clamp(0, 16_384)).expect("a small number").min(body.len());
            if most == 0 {
                if self.is_over(stream) {
                    return;
                }
                match self.step(end) {
                    Ok(Some(_)) => continue,
                    other => panic!("the window of stream {stream} stays shut: {other:?}"),
                }
            }
            let (piece, rest) = body.split_at(most);
            self.spend(stream, most as i64);
            if self.try_send(&Frame::data(stream, piece, rest.is_empty())).is_err() {
                return;
            }
            body = rest;
        }
    }

    /// Sends a request, with its body by the server's windows, and waits for the answer; panics without one.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> H2Response {
        let stream = self.open(method, path, fields, body.is_empty());
        self.send_body(stream, body);
        self.response(stream)
    }

    /// `GET path`, without further fields.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> H2Response {
        self.request("GET", path, &[], b"")
    }

    /// Waits for the answer on `stream`; panics when there is none.
    #[track_caller]
    pub fn response(&mut self, stream: u32) -> H2Response {
        self.outcome(stream)
            .unwrap_or_else(|failure| panic!("no good answer on stream {stream}: {failure:?}"))
    }

    /// Waits until `stream` has its answer or will have none.
    pub fn outcome(&mut self, stream: u32) -> Result<H2Response, H2Failure> {
        let end = Instant::now() + self.deadline;
        loop {
            if let Some(outcome) = self.finished(stream) {
                return outcome;
            }
            match self.step(end) {
                Ok(Some(_)) => {}
                Ok(None) => return Err(self.end()),
                Err(error) if is_timeout(&error) => return Err(H2Failure::Silence),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(H2Failure::Malformed(error.to_string()));
                }
                Err(_) => return Err(self.end()),
            }
        }
    }

    /// The next frame, after this client has done what it does on its own; `None` at the end of the connection,
    /// a reset included. Panics at the deadline.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        match self.step(Instant::now() + self.deadline) {
            Ok(frame) => frame,
            Err(error) if is_timeout(&error) => panic!("no frame within {:?}", self.deadline),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => panic!("{error}"),
            Err(_) => None,
        }
    }

    /// Like [`H2Client::frame`], with errors for the test: `TimedOut` or `WouldBlock` for silence, `InvalidData`
    /// for what is not HTTP/2, anything else for a connection that broke.
    pub fn try_frame(&mut self, time: Duration) -> io::Result<Option<Frame>> {
        self.step(Instant::now() + time)
    }

    /// Reads on until a frame of this type arrives; panics when none does.
    #[track_caller]
    pub fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame();
            let frame =
                frame.unwrap_or_else(|| panic!("closed before a frame of type {kind}: {:?}", self.goaway));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// True when the server ends the connection within `time`. What it sends before is taken in.
    pub fn is_closed(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            match self.step(end) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(error) => return !is_timeout(&error),
            }
        }
    }

    /// Takes in whatever has arrived within `time`; false when the connection ended.
    pub fn take_in(&mut self, time: Duration) -> bool {
        !self.is_closed(time)
    }

    /// The last stream and the code of the last GOAWAY.
    pub fn goaway(&self) -> Option<(u32, u32)> {
        self.goaway
    }

    /// The code with which the server reset `stream`.
    pub fn reset_code(&self, stream: u32) -> Option<u32> {
        self.streams.get(&stream).and_then(|incoming| incoming.reset)
    }

    /// The status of the answer on `stream`, once its head is there.
    pub fn status(&self, stream: u32) -> Option<u16> {
        self.streams.get(&stream)?.head.as_ref().map(|(status, _)| *status)
    }

    /// How many bytes of the body on `stream` are there.
    pub fn received(&self, stream: u32) -> usize {
        self.streams.get(&stream).map_or(0, |incoming| incoming.body.len())
    }

    /// The server's setting, once its SETTINGS were read.
    pub fn setting(&self, id: u16) -> Option<u32> {
        self.settings.get(&id).copied()
    }

    /// What the server's windows allow on `stream` now.
    pub fn window(&mut self, stream: u32) -> i64 {
        let initial = self.settings.get(&setting::INITIAL_WINDOW_SIZE).copied();
        let initial = initial.map_or(DEFAULT_WINDOW, i64::from);
        let of_stream = *self.windows.streams.entry(stream).or_insert(initial);
        of_stream.min(self.windows.connection)
    }

    /// Counts bytes that the test sends on its own against the server's windows.
    pub fn spend(&mut self, stream: u32, count: i64) {
        self.window(stream);
        self.windows.connection -= count;
        *self.windows.streams.entry(stream).or_default() -= count;
    }

    fn is_over(&self, stream: u32) -> bool {
        self.streams.get(&stream).is_some_and(|incoming| incoming.ended || incoming.reset.is_some())
    }

    fn finished(&mut self, stream: u32) -> Option<Result<H2Response, H2Failure>> {
        if !self.is_over(stream) {
            let given_up = self.goaway.filter(|&(last, _)| last < stream);
            return given_up.map(|(last, code)| Err(H2Failure::GoAway { last, code }));
        }
        let incoming = self.streams.remove(&stream)?;
        Some(match (incoming.ended, incoming.reset, incoming.head) {
            (true, _, Some((status, headers))) => Ok(H2Response {
                status,
                headers,
                body: incoming.body,
                trailers: incoming.trailers,
                interim: incoming.interim,
            }),
            (_, Some(code), _) => Err(H2Failure::Reset(code)),
            _ => Err(H2Failure::Malformed("a stream ended without a head".to_string())),
        })
    }

    fn end(&self) -> H2Failure {
        match self.goaway {
            Some((last, code)) => H2Failure::GoAway { last, code },
            None => H2Failure::Closed,
        }
    }

    /// Reads one frame and takes it in.
    fn step(&mut self, end: Instant) -> io::Result<Option<Frame>> {
        let Some(frame) = self.wire.frame(end)? else { return Ok(None) };
        self.take(&frame).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
        Ok(Some(frame))
    }

    fn take(&mut self, frame: &Frame) -> Result<(), String> {
        if let Some((stream, ..)) = &self.block
            && (frame.kind != kind::CONTINUATION || frame.stream != *stream)
        {
            return Err(format!("{frame:?} inside the header block of stream {stream}"));
        }
        match frame.kind {
            kind::HEADERS => {
                let block = frame.content().ok_or("HEADERS whose padding does not fit")?.to_vec();
                self.take_block(frame, frame.has(flag::END_STREAM), block)
            }
            kind::CONTINUATION => {
                let (_, ends, mut block) = self.block.take().ok_or("CONTINUATION of nothing")?;
                block.extend_from_slice(&frame.payload);
                self.take_block(frame, ends, block)
            }
            kind::DATA => self.take_data(frame),
            kind::RST_STREAM => {
                self.streams.entry(frame.stream).or_default().reset = frame.error_code();
                Ok(())
            }
            kind::SETTINGS if !frame.has(flag::ACK) => {
                self.take_settings(&frame.settings_list());
                self.acknowledge(&Frame::settings_ack())
            }
            kind::PING if !frame.has(flag::ACK) => {
                self.acknowledge(&Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone()))
            }
            kind::GOAWAY => {
                self.goaway = frame.last_stream().zip(frame.error_code());
                Ok(())
            }
            kind::WINDOW_UPDATE => {
                let increment = i64::from(frame.number(0).ok_or("a short WINDOW_UPDATE")?);
                match frame.stream {
                    0 => self.windows.connection += increment,
                    stream => {
                        self.window(stream);
                        *self.windows.streams.entry(stream).or_default() += increment;
                    }
                }
                Ok(())
            }
            kind::PUSH_PROMISE => Err("PUSH_PROMISE, which nobody wants".to_string()),
            _ => Ok(()),
        }
    }

    fn take_settings(&mut self, settings: &[(u16, u32)]) {
        for &(id, value) in settings {
            let before = self.settings.insert(id, value);
            if id == setting::INITIAL_WINDOW_SIZE {
                let change = i64::from(value) - before.map_or(DEFAULT_WINDOW, i64::from);
                self.windows.streams.values_mut().for_each(|window| *window += change);
            }
        }
    }

    fn take_block(&mut self, frame: &Frame, ends: bool, block: Vec<u8>) -> Result<(), String> {
        if !frame.has(flag::END_HEADERS) {
            self.block = Some((frame.stream, ends, block));
            return Ok(());
        }
        let headers = self.decoder.decode(&block)?;
        let incoming = self.streams.entry(frame.stream).or_default();
        match headers.get(":status") {
            Some(status) if incoming.head.is_none() => {
                let status: u16 = status.parse().map_err(|_| format!("the status {status:?}"))?;
                match status {
                    100..200 => incoming.interim.push(headers),
                    _ => incoming.head = Some((status, headers)),
                }
            }
            None if incoming.head.is_some() => incoming.trailers = headers,
            _ => return Err(format!("a head out of order: {headers:?}")),
        }
        incoming.ended |= ends;
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame) -> Result<(), String> {
        let content = frame.content().ok_or("DATA whose padding does not fit")?;
        let incoming = self.streams.entry(frame.stream).or_default();
        incoming.body.extend_from_slice(content);
        incoming.ended |= frame.has(flag::END_STREAM);
        let (length, open) = (frame.payload.len() as u32, !incoming.ended);
        if length > 0 && self.manners.gives_windows_back {
            let mut updates = Frame::window_update(0, length).to_bytes();
            if open {
                updates.extend(Frame::window_update(frame.stream, length).to_bytes());
            }
            // The server may be gone; the next read tells.
            let _ = self.try_send_raw(updates);
        }
        Ok(())
    }

    fn acknowledge(&mut self, frame: &Frame) -> Result<(), String> {
        if self.manners.acknowledges {
            let _ = self.try_send(frame);
        }
        Ok(())
    }
}

/// RFC 9113 §6.9.2.
const DEFAULT_WINDOW: i64 = 65_535;
const DEADLINE: Duration = Duration::from_secs(10);
