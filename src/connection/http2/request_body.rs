//! The body of a request on a stream of HTTP/2.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, ready};

use ::http1::{BodyLength, Fields};
use bytes::{Buf, Bytes};
use h2::RecvStream;
use h2::server::SendResponse;
use tokio::time::Instant;

use super::together::{Together, Waiting};
use crate::connection::pace::Pace;
use crate::message::{BodyStream, Failure, convert};
use crate::wire::Watchdog;

/// What the connection and the body know of each other.
#[derive(Debug, Default)]
pub struct BodyState {
    pub received: Cell<u64>,
    /// The final answer has begun: no 100 may follow (RFC 9110 section 10.1.1).
    pub answered: Cell<bool>,
    /// Silence within it is not slowness.
    pub is_call: Cell<bool>,
}

/// Reads the body as it is asked for, and asks the client for it when that waits to be asked.
pub struct RequestBody<'s> {
    stream: RecvStream,
    length: BodyLength,
    /// Received and not consumed.
    chunk: Bytes,
    trailers: Option<Fields>,
    ended: bool,
    pace: Pace,
    together: &'s Together,
    /// While the client is waited for.
    waiting: Option<Waiting<'s>>,
    watchdog: &'s Watchdog,
    /// Where a 100 goes, while the client waits for one.
    invitation: Option<&'s RefCell<SendResponse<Bytes>>>,
    state: &'s BodyState,
}

impl<'s> RequestBody<'s> {
    pub fn new(
        stream: RecvStream,
        length: BodyLength,
        (pace, together): (Pace, &'s Together),
        watchdog: &'s Watchdog,
        invitation: Option<&'s RefCell<SendResponse<Bytes>>>,
        state: &'s BodyState,
    ) -> RequestBody<'s> {
        RequestBody {
            stream,
            length,
            chunk: Bytes::new(),
            trailers: None,
            ended: false,
            pace,
            together,
            waiting: None,
            watchdog,
            invitation,
            state,
        }
    }

    fn invite(&mut self) {
        if let Some(respond) = self.invitation.take()
            && !self.state.answered.get()
        {
            let mut head = http::Response::new(());
            *head.status_mut() = http::StatusCode::CONTINUE;
            let _ = respond.borrow_mut().send_informational(head);
        }
    }

    /// Goes to the next bytes, or to the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.chunk.is_empty() && !self.ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(chunk)) => {
                    let received = &self.state.received;
                    received.set(received.get() + chunk.len() as u64);
                    if !chunk.is_empty() {
                        self.pace.progressed(chunk.len() as u64, Instant::now);
                        self.together.moved(chunk.len() as u64);
                        // A client that did not wait needs no invitation, now or later.
                        self.invitation = None;
                    }
                    self.chunk = chunk;
                }
                Some(Err(error)) => return Poll::Ready(Err(failure(&error))),
                None => {
                    let trailers = ready!(self.stream.poll_trailers(cx)).map_err(|error| failure(&error))?;
                    self.trailers = trailers.map(|map| {
                        let mut fields = Fields::new();
                        convert::append_trailers(&map, &mut fields);
                        fields
                    });
                    self.ended = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl BodyStream for RequestBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        match self.poll_chunk(cx) {
            Poll::Ready(outcome) => {
                self.waiting = None;
                Poll::Ready(outcome.map(|()| &self.chunk[..]))
            }
            Poll::Pending => {
                self.invite();
                if self.state.is_call.get() {
                    return Poll::Pending;
                }
                self.waiting.get_or_insert_with(|| self.together.wait(Instant::now()));
                self.pace.poll_too_slow(self.watchdog, cx).map(|()| Err(Failure::BodyTimeout))
            }
        }
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.chunk.len());
        self.chunk.advance(count);
        // The client may send as much again.
        let _ = self.stream.flow_control().release_capacity(count);
    }

    fn length(&self) -> BodyLength {
        self.length
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}

/// A body that does not keep to its length is a broken rule that the engine has found; everything else is a
/// client that gave up.
fn failure(error: &h2::Error) -> Failure {
    match error.reason() {
        Some(h2::Reason::PROTOCOL_ERROR) if !error.is_remote() => Failure::BodyMismatch,
        _ => Failure::ClientClosed,
    }
}
