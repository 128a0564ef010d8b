//! Writes an answer to a client: our status line and framing, the end-to-end fields, the body as fast as
//! the client takes it.

use std::future::poll_fn;
use std::task::{Context, Poll};

use ::http1::connection::is_nominated;
use ::http1::fields::Field;
use ::http1::{BodyLength, ConnectionOptions, Fields, Method, Name, RequestHead, Version, encode};
use tokio::time::Instant;

use super::pace::Pace;
use crate::message::{Body, BodyStream, Failure, Outgoing, OutgoingError, Response};
use crate::wire::{Scratch, Socket, Watchdog, clock};
use ::http1::connection::accepts_trailers;

/// A body up to this size is copied behind the head, to leave in one plain send.
const COPY_UP_TO: usize = 4096;

/// What the client asked, as far as the form of the answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub method: Method,
    pub version: Version,
    /// The client said `TE: trailers`.
    pub trailers: bool,
}

impl Asked {
    pub fn of(head: &RequestHead) -> Asked {
        Asked { method: head.method, version: head.version, trailers: accepts_trailers(head) }
    }
}

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub length: BodyLength,
    /// The connection ends behind it.
    pub close: bool,
}

/// The framing of the answer; a body that can only be ended by a close makes one.
pub fn form(asked: Asked, response: &Response<'_>, close: bool) -> Form {
    let status = response.head.status;
    if asked.method == Method::Head || matches!(status, 100..=199 | 204 | 304) {
        return Form { length: BodyLength::NONE, close };
    }
    match (response.body.length(), asked.version) {
        (BodyLength::Exact(length), _) => Form { length: BodyLength::Exact(length), close },
        (_, Version::Http11) => Form { length: BodyLength::Chunked, close },
        (_, Version::Http10) => Form { length: BodyLength::UntilClose, close: true },
    }
}

/// An answer as it is written to a client. It is made before the future that writes it and lent to that, since
/// to move it in cost 75 instructions.
pub struct Answer<'c> {
    outgoing: Outgoing,
    body: Source<'c>,
}

impl<'c> Answer<'c> {
    /// Head and body go behind `out`.
    pub fn new(mut out: Scratch, asked: Asked, form: Form, response: Response<'c>) -> Answer<'c> {
        if out.is_empty() {
            out = Scratch::take();
        }
        write_head(&mut out, asked, form, &response);
        let body = match response.body {
            _ if form.length == BodyLength::NONE => Source::None,
            Body::Empty | Body::Upgraded(_) => Source::None,
            Body::Received(buffer) if buffer.len() <= COPY_UP_TO => {
                out.extend_from_slice(buffer.data());
                Source::None
            }
            Body::Text(text) if text.len() <= COPY_UP_TO => {
                out.extend_from_slice(&text);
                Source::None
            }
            Body::Text(text) => Source::Bytes(Bytes::Text(text), 0),
            Body::Received(buffer) => Source::Bytes(Bytes::Buffer(buffer), 0),
            Body::Stream(stream) => Source::Stream(stream, asked.trailers),
        };
        Answer { outgoing: Outgoing::new(out, form.length), body }
    }

    /// Bytes that were written so far.
    pub fn written(&self) -> u64 {
        self.outgoing.written
    }

    /// Writes it; a failure says why the client did not get all of it.
    pub async fn write(
        &mut self,
        socket: &Socket,
        watchdog: &Watchdog,
        pace: &mut Pace,
    ) -> Result<(), Failure> {
        poll_fn(|cx| self.poll_write(socket, watchdog, pace, cx)).await
    }

    fn poll_write(
        &mut self,
        socket: &Socket,
        watchdog: &Watchdog,
        pace: &mut Pace,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let Answer { outgoing, body } = self;
        let before = outgoing.written;
        let source: Option<&mut dyn BodyStream> = match body {
            Source::None => None,
            source => Some(source),
        };
        let polled = outgoing.poll_send(socket, source, cx);
        if outgoing.written != before {
            pace.progressed(outgoing.written - before, Instant::now);
        }
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(OutgoingError::Source(failure))) => Poll::Ready(Err(failure)),
            Poll::Ready(Err(OutgoingError::Socket(_))) => Poll::Ready(Err(Failure::ClientClosed)),
            Poll::Pending if outgoing.starved => {
                pace.paused(Instant::now);
                Poll::Pending
            }
            Poll::Pending => pace.poll_too_slow(watchdog, cx).map(|()| Err(Failure::ClientTooSlow)),
        }
    }
}

fn write_head(out: &mut Vec<u8>, asked: Asked, form: Form, response: &Response<'_>) {
    encode::status_line(out, &response.head);
    write_fields(out, response);
    write_framing(out, asked, form, response);
    out.extend_from_slice(b"\r\n");
}

/// The end-to-end fields of an answer, and the date: the same for every version.
fn write_fields(out: &mut Vec<u8>, response: &Response<'_>) {
    let fields = &response.head.fields;
    fields.write_lines(out, end_to_end(fields));
    if !fields.contains(Name::Date) {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(&clock::http_date());
        out.extend_from_slice(b"\r\n");
    }
}

/// The same one by one, for a version that does not have them as lines.
pub(super) fn each_field(response: &Response<'_>, mut each: impl FnMut(&[u8], &[u8])) {
    let fields = &response.head.fields;
    let mut passes = end_to_end(fields);
    for field in fields.iter().filter(|field| passes(*field)) {
        each(field.name, field.value);
    }
    if !fields.contains(Name::Date) {
        each(b"date", &clock::http_date());
    }
}

/// Whether a field is of the message, and not of the connection that it came on.
fn end_to_end(fields: &Fields) -> impl FnMut(Field<'_>) -> bool {
    let nominations = ConnectionOptions::parse(fields).is_ok_and(|options| options.nominations > 0);
    move |field| {
        field.known != Name::ContentLength
            && !field.known.is_hop_by_hop()
            && !(nominations && field.known != Name::Own && is_nominated(fields, field.known, field.name))
    }
}

fn write_framing(out: &mut Vec<u8>, asked: Asked, form: Form, response: &Response<'_>) {
    let status = response.head.status;
    if status == 101 {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        return;
    }
    if asked.method == Method::Head || status == 304 {
        // What a GET would get: as the origin announced it, or as our own body is long.
        let own = match response.body.length() {
            BodyLength::Exact(length) if length > 0 => Some(length),
            _ => None,
        };
        if let Some(length) = response.announced.or(own) {
            encode::framing(out, BodyLength::Exact(length));
        }
    } else if status != 204 {
        encode::framing(out, form.length);
    }
    match (form.close, asked.version) {
        (true, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (false, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, Version::Http11) => {}
    }
}

/// The body of an answer, whatever its kind.
enum Source<'c> {
    None,
    Bytes(Bytes, usize),
    /// With whether trailers may follow.
    Stream(Box<dyn BodyStream + 'c>, bool),
}

enum Bytes {
    Text(std::borrow::Cow<'static, [u8]>),
    Buffer(crate::wire::Buffer),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Text(text) => text,
            Bytes::Buffer(buffer) => buffer.data(),
        }
    }
}

impl BodyStream for Source<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        match self {
            Source::None => Poll::Ready(Ok(b"")),
            Source::Bytes(bytes, at) => Poll::Ready(Ok(bytes.as_slice().get(*at..).unwrap_or_default())),
            Source::Stream(stream, _) => stream.poll_data(cx),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Source::None => {}
            Source::Bytes(_, at) => *at += count,
            Source::Stream(stream, _) => stream.consume(count),
        }
    }

    fn length(&self) -> BodyLength {
        match self {
            Source::None => BodyLength::NONE,
            Source::Bytes(bytes, _) => BodyLength::Exact(bytes.as_slice().len() as u64),
            Source::Stream(stream, _) => stream.length(),
        }
    }

    fn trailers(&mut self) -> Option<Fields> {
        match self {
            Source::Stream(stream, true) => stream.trailers(),
            _ => None,
        }
    }
}
