//! The body of a request on a client's connection.

use std::cell::Cell;
use std::task::{Context, Poll};

use ::http1::{BodyLength, Fields};
use tokio::time::Instant;

use super::pace::Pace;
use crate::message::{BodyStream, Failure};
use crate::wire::{Buffer, Incoming, IncomingError, Socket, Watchdog};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How far the body got; seen by the connection while somebody else reads the body.
#[derive(Debug)]
pub struct BodyState {
    /// Once the final answer has begun no 100 may follow (RFC 9110 section 10.1.1).
    pub answered: Cell<bool>,
    pub received: Cell<u64>,
    /// Silence within it is not slowness.
    pub is_call: Cell<bool>,
    left: Cell<Left>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Bytes(u64),
    /// Chunked.
    Unknown,
    /// The client waits for a 100 that it did not get: whether it sends the body is open.
    NotInvited,
    /// Its end cannot be found any more.
    Lost,
}

impl BodyState {
    pub fn new(length: BodyLength, expects_continue: bool) -> BodyState {
        let left = match length {
            _ if expects_continue && length != BodyLength::NONE => Left::NotInvited,
            BodyLength::Exact(length) => Left::Bytes(length),
            _ => Left::Unknown,
        };
        let (answered, received, is_call) = (Cell::new(false), Cell::new(0), Cell::new(false));
        BodyState { answered, received, is_call, left: Cell::new(left) }
    }

    /// All of the body was received, whoever looked at it.
    pub fn is_complete(&self) -> bool {
        self.left.get() == Left::Bytes(0)
    }

    /// The rest is short enough to be read and thrown away, so that the connection can go on.
    pub fn is_drainable(&self, limit: u64) -> bool {
        matches!(self.left.get(), Left::Bytes(left) if left <= limit)
    }
}

/// Reads the body as it is asked for, and asks the client for it when that waits to be asked.
pub struct RequestBody<'c> {
    socket: &'c Socket,
    watchdog: &'c Watchdog,
    incoming: Incoming,
    length: BodyLength,
    pace: Pace,
    /// What is left to send of the 100 that the client waits for.
    invitation: &'static [u8],
    state: &'c BodyState,
}

impl<'c> RequestBody<'c> {
    /// `buffer` holds what came behind the head.
    pub fn new(
        socket: &'c Socket,
        watchdog: &'c Watchdog,
        buffer: Buffer,
        length: BodyLength,
        pace: Pace,
        state: &'c BodyState,
    ) -> RequestBody<'c> {
        let incoming = Incoming::new(buffer, length);
        let invitation = if state.left.get() == Left::NotInvited { CONTINUE } else { b"" };
        RequestBody { socket, watchdog, incoming, length, pace, invitation, state }
    }

    /// Bytes came behind the body.
    pub fn has_surplus(&self) -> bool {
        self.incoming.has_surplus()
    }

    /// What came behind the body.
    pub fn into_buffer(self) -> Buffer {
        self.incoming.into_buffer()
    }

    fn note_left(&self) {
        self.state.left.set(match self.incoming.bytes_to_receive() {
            Some(left) => Left::Bytes(left),
            None => Left::Unknown,
        });
    }

    /// The client is waited for; ready when it is too slow, and the rest of the body lost.
    fn poll_lost<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Failure>> {
        if self.state.is_call.get() {
            return Poll::Pending;
        }
        self.pace.poll_too_slow(self.watchdog, cx).map(|()| {
            self.state.left.set(Left::Lost);
            Err(Failure::BodyTimeout)
        })
    }

    fn poll_invite(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.state.answered.get() {
            return Poll::Ready(Ok(()));
        }
        while !self.invitation.is_empty() {
            match self.socket.poll_write(cx, self.invitation) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(count)) if count > 0 => self.invitation = &self.invitation[count..],
                Poll::Ready(_) => return Poll::Ready(Err(Failure::ClientClosed)),
            }
        }
        let _ = self.socket.poll_flush(cx);
        Poll::Ready(Ok(()))
    }
}

impl BodyStream for RequestBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        if self.incoming.has_raw() {
            // A client that did not wait needs no invitation, now or later.
            self.invitation = b"";
        }
        if !self.invitation.is_empty() {
            match self.poll_invite(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return self.poll_lost(cx),
            }
        }
        if !self.incoming.has_data() {
            match self.incoming.poll_data(self.socket, cx) {
                Poll::Ready(Ok(data)) => {
                    let count = data.len() as u64;
                    self.pace.progressed(count, Instant::now);
                    self.state.received.set(self.state.received.get() + count);
                    self.note_left();
                }
                Poll::Ready(Err(error)) => {
                    self.state.left.set(Left::Lost);
                    return Poll::Ready(Err(match error {
                        IncomingError::Malformed(error) => Failure::BadBody(error),
                        IncomingError::Truncated | IncomingError::Socket(_) => Failure::ClientClosed,
                    }));
                }
                Poll::Pending => {
                    self.note_left();
                    return self.poll_lost(cx);
                }
            }
        }
        Poll::Ready(Ok(self.incoming.data()))
    }

    fn consume(&mut self, count: usize) {
        self.incoming.consume(count);
    }

    fn length(&self) -> BodyLength {
        self.length
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.incoming.trailers()
    }
}

/// What a request carries: the connection keeps the body itself, to know afterwards how far it was read.
impl BodyStream for &mut RequestBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        (**self).poll_data(cx)
    }

    fn consume(&mut self, count: usize) {
        (**self).consume(count);
    }

    fn length(&self) -> BodyLength {
        (**self).length()
    }

    fn trailers(&mut self) -> Option<Fields> {
        (**self).trailers()
    }
}
