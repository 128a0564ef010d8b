//! An origin that speaks HTTP/2: it notes every stream and answers what the test scripts, frame by frame.
//!
//! What the proxy must never send (a broken header block, more than a window allows, more streams than were
//! allowed, fields that HTTP/2 forbids) is kept in [`H2Origin::violations`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::frame::Frame;
use super::script::H2Script;
use super::session::Session;
use crate::origin::{Behaviour, Origin, OriginConnection, RecordedRequest};
use crate::parse::Headers;
use crate::tls::{Handshake, TlsServer};
use crate::{Address, poll_until};

/// A server that runs until it is dropped or stopped.
pub struct H2Origin {
    origin: Origin,
    shared: Arc<Shared>,
}

/// How an origin begins, and how it treats every stream.
#[derive(Clone, Debug)]
pub struct H2OriginOptions {
    tls: Option<TlsServer>,
    pub(super) settings: Vec<(u16, u32)>,
    pub(super) greeting: Option<Vec<u8>>,
    pub(super) early: bool,
    pub(super) gives_windows_back: bool,
    http1: Option<fn(OriginConnection)>,
}

/// A stream as the origin got it.
#[derive(Clone, Debug)]
pub struct H2Request {
    /// The connection that it came on, counted from 0 in order of acceptance.
    pub connection: usize,
    pub stream: u32,
    /// With the pseudo fields, in the order in which they arrived.
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// The proxy has ended the stream in order.
    pub complete: bool,
    /// The code of the proxy's RST_STREAM.
    pub reset: Option<u32>,
}

impl H2Request {
    /// The first value of the field `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    pub fn method(&self) -> &str {
        self.header(":method").unwrap_or_default()
    }

    pub fn path(&self) -> &str {
        self.header(":path").unwrap_or_default()
    }

    /// As an origin of HTTP/1 would have noted it; the raw head is a line for each field.
    pub(super) fn as_recorded(&self) -> RecordedRequest {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        RecordedRequest {
            connection: self.connection,
            method: self.method().to_string(),
            target: self.path().to_string(),
            version: "HTTP/2".to_string(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            trailers: self.trailers.clone(),
            raw: (lines + "\r\n").into_bytes(),
        }
    }
}

impl H2OriginOptions {
    /// Without TLS (prior knowledge), with empty SETTINGS, windows given back as data arrive, and a script that
    /// starts when the request is complete.
    pub fn new() -> H2OriginOptions {
        H2OriginOptions {
            tls: None,
            settings: Vec::new(),
            greeting: None,
            early: false,
            gives_windows_back: true,
            http1: None,
        }
    }

    /// With TLS; `tls` should offer `h2`.
    pub fn tls(mut self, tls: TlsServer) -> H2OriginOptions {
        self.tls = Some(tls);
        self
    }

    /// Connections whose handshake agrees on something else than `h2` are served by this.
    pub fn http1(mut self, serve: fn(OriginConnection)) -> H2OriginOptions {
        self.http1 = Some(serve);
        self
    }

    /// A setting to tell in the first frame.
    pub fn setting(mut self, id: u16, value: u32) -> H2OriginOptions {
        self.settings.push((id, value));
        self
    }

    /// Sends these bytes in place of SETTINGS.
    pub fn greeting(mut self, bytes: impl Into<Vec<u8>>) -> H2OriginOptions {
        self.greeting = Some(bytes.into());
        self
    }

    /// The script starts with the head, before the body.
    pub fn early(mut self) -> H2OriginOptions {
        self.early = true;
        self
    }

    /// Windows that are used up stay so.
    pub fn hold_windows(mut self) -> H2OriginOptions {
        self.gives_windows_back = false;
        self
    }
}

impl Default for H2OriginOptions {
    fn default() -> H2OriginOptions {
        H2OriginOptions::new()
    }
}

/// Says what to do with a stream; the number counts the streams of all connections, from 0.
pub(super) type StreamFn = dyn Fn(&H2Request, usize) -> H2Script + Send + Sync;

impl H2Origin {
    /// The echo service (see [`Origin::echo`]) on a free port of 127.0.0.1.
    pub fn echo(options: H2OriginOptions) -> H2Origin {
        H2Origin::scripted(options, |request, _| H2Script::echo(request))
    }

    /// An origin on a free port of 127.0.0.1 that does with each stream what `script` says.
    pub fn scripted(
        options: H2OriginOptions,
        script: impl Fn(&H2Request, usize) -> H2Script + Send + Sync + 'static,
    ) -> H2Origin {
        let shared = Arc::new(Shared::default());
        let tls = options.tls.clone();
        let behaviour = Behaviour::Raw(Box::new({
            let shared = shared.clone();
            move |connection, index| {
                let agreed = connection.stream().tls().and_then(|facts| facts.alpn);
                match options.http1 {
                    Some(serve) if agreed.as_deref() != Some("h2") => serve(connection),
                    _ => Session::new(connection, index, &options, &shared, &script).serve(),
                }
            }
        }));
        let origin = match tls {
            Some(tls) => Origin::serve_tls(tls, behaviour),
            None => Origin::serve(Address::Tcp(([127, 0, 0, 1], 0).into()), behaviour),
        };
        H2Origin { origin, shared }
    }

    pub fn address(&self) -> Address {
        self.origin.address()
    }

    /// Every stream so far in order of their heads, complete or not.
    pub fn streams(&self) -> Vec<H2Request> {
        self.shared.records().streams.clone()
    }

    /// The complete requests so far.
    pub fn requests(&self) -> Vec<H2Request> {
        self.streams().into_iter().filter(|request| request.complete).collect()
    }

    /// Waits until there are `count` complete requests and returns them.
    #[track_caller]
    pub fn wait_requests(&self, count: usize, deadline: Duration) -> Vec<H2Request> {
        poll_until(deadline, &format!("{count} requests at the origin"), || self.requests().len() >= count);
        self.requests()
    }

    /// Waits until `holds` for the streams so far.
    #[track_caller]
    pub fn wait_streams(&self, deadline: Duration, what: &str, holds: impl Fn(&[H2Request]) -> bool) {
        poll_until(deadline, what, || holds(&self.shared.records().streams));
    }

    /// The frames that came on each connection, in order; connections in order of acceptance.
    pub fn frames(&self) -> Vec<Vec<Frame>> {
        self.shared.records().frames.clone()
    }

    /// How many streams were open at once on one connection, at most.
    pub fn most_concurrent(&self) -> usize {
        self.shared.records().most_concurrent
    }

    /// The rules that the proxy broke, in order.
    pub fn violations(&self) -> Vec<String> {
        self.shared.records().violations.clone()
    }

    pub fn handshakes(&self) -> Vec<Handshake> {
        self.origin.handshakes()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.origin.connections().len()
    }

    pub fn open_connections(&self) -> usize {
        self.origin.open_connections()
    }

    /// Forgets streams and frames recorded so far; for tests that send thousands.
    pub fn forget(&self) {
        let mut records = self.shared.records();
        records.streams.retain(|stream| !stream.complete && stream.reset.is_none());
        records.frames.iter_mut().for_each(Vec::clear);
        drop(records);
        self.origin.forget();
    }

    /// Closes the listener and every connection.
    pub fn stop(&mut self) {
        self.origin.stop();
    }

    /// Listens again on the same address.
    pub fn restart(&mut self) {
        self.origin.restart();
    }
}

/// What the connections of one origin have in common.
#[derive(Default)]
pub(super) struct Shared {
    records: Mutex<Records>,
}

#[derive(Default)]
pub(super) struct Records {
    pub streams: Vec<H2Request>,
    pub frames: Vec<Vec<Frame>>,
    pub violations: Vec<String>,
    pub most_concurrent: usize,
    pub begun: usize,
}

impl Shared {
    pub fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    pub fn stream(&mut self, connection: usize, stream: u32) -> Option<&mut H2Request> {
        let mut newest_first = self.streams.iter_mut().rev();
        newest_first.find(|request| (request.connection, request.stream) == (connection, stream))
    }
}
