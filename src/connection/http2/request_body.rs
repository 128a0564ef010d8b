//! The body of a request on a stream of HTTP/2.

use std::cell::Cell;
use std::task::{Context, Poll, ready};

use ::http1::{BodyLength, Fields, HeadLimits};
use ::http2::{Incoming, Lost, Reason, Stream};
use tokio::time::Instant;

use super::together::{Together, Waiting};
use crate::connection::pace::Pace;
use crate::message::{BodyStream, Failure};
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
    stream: &'s Stream<'s>,
    length: BodyLength,
    /// Received, and how much of it is consumed.
    chunk: Vec<u8>,
    at: usize,
    trailers: Option<Fields>,
    ended: bool,
    pace: Pace,
    together: &'s Together,
    /// While the client is waited for.
    waiting: Option<Waiting<'s>>,
    watchdog: &'s Watchdog,
    /// The client waits for a 100.
    is_expected: bool,
    state: &'s BodyState,
}

impl<'s> RequestBody<'s> {
    /// `is_expected`: the client waits for a 100 before it sends.
    pub fn new(
        stream: &'s Stream<'s>,
        (length, is_expected): (BodyLength, bool),
        (pace, together): (Pace, &'s Together),
        watchdog: &'s Watchdog,
        state: &'s BodyState,
    ) -> RequestBody<'s> {
        RequestBody {
            stream,
            length,
            chunk: Vec::new(),
            at: 0,
            trailers: None,
            ended: false,
            pace,
            together,
            waiting: None,
            watchdog,
            is_expected,
            state,
        }
    }

    fn invite(&mut self) {
        if std::mem::take(&mut self.is_expected) && !self.state.answered.get() {
            // A client that is gone shows so when its body is read.
            let _ = self.stream.send_interim(100, |_| ());
        }
    }

    /// Goes to the next bytes, or to the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.at == self.chunk.len() && !self.ended {
            match ready!(self.stream.poll_data(&mut self.chunk, cx)) {
                Ok(Incoming::Data) => {
                    self.at = 0;
                    let count = self.chunk.len() as u64;
                    self.state.received.set(self.state.received.get() + count);
                    self.pace.progressed(count, Instant::now);
                    self.together.moved(count);
                    // A client that did not wait needs no invitation, now or later.
                    self.is_expected = false;
                }
                Ok(Incoming::End) => {
                    self.trailers = self.read_trailers()?;
                    self.ended = true;
                }
                Err(Lost::Malformed) => return Poll::Ready(Err(Failure::BodyMismatch)),
                Err(Lost::Gone) => return Poll::Ready(Err(Failure::ClientClosed)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Those that may not be there break a rule, those that may not be passed on are left out.
    fn read_trailers(&self) -> Result<Option<Fields>, Failure> {
        let Some(block) = self.stream.take_trailers() else { return Ok(None) };
        match Fields::of_trailers(block.iter(), &HeadLimits::STRICT) {
            Ok(fields) => Ok(Some(fields)),
            Err(_) => {
                self.stream.reset(Reason::ProtocolError);
                Err(Failure::BodyMismatch)
            }
        }
    }
}

impl BodyStream for RequestBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        match self.poll_chunk(cx) {
            Poll::Ready(outcome) => {
                self.waiting = None;
                Poll::Ready(outcome.map(|()| self.chunk.get(self.at..).unwrap_or_default()))
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
        let count = count.min(self.chunk.len() - self.at);
        self.at += count;
        // The client may send as much again.
        self.stream.release(count);
    }

    fn length(&self) -> BodyLength {
        self.length
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}
