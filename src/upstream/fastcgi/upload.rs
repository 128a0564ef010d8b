//! A request on its way to the server: its beginning and params, then the body in records, as fast as the server
//! takes it.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use ::fastcgi::record;

use crate::message::Failure;
use crate::upstream::http1::Payload;
use crate::wire::{Scratch, Socket};

/// Bytes of the body in one record; far below what its length can tell.
const PIECE: usize = 32 << 10;
/// Up to this much of it is copied behind its header, so that both leave in one plain send.
const COPY_UP_TO: usize = 2 << 10;

pub struct Upload<'c> {
    /// Headers and what is copied; goes before the body bytes at hand.
    out: Scratch,
    sent: usize,
    payload: Payload<'c>,
    /// Bytes of the body that were announced as its length and not taken yet.
    left: u64,
    /// Bytes that the last header promised and that are not written yet.
    promised: usize,
    ended: bool,
    state: State,
    /// It is the client's body that is waited for, not the server.
    pub starved: bool,
    /// Bytes written so far.
    pub written: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Done,
    /// The server takes no more; it may still have answered.
    Refused,
}

impl<'c> Upload<'c> {
    /// `out` holds beginning and params; `length` is that of the body.
    pub fn new(out: Scratch, payload: Payload<'c>, length: u64) -> Upload<'c> {
        Upload {
            out,
            sent: 0,
            payload,
            left: length,
            promised: 0,
            ended: false,
            state: State::Running,
            starved: false,
            written: 0,
        }
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub fn has_body(&self) -> bool {
        !self.payload.is_none()
    }

    /// Sends what the server takes; ready when nothing is left to send. A failure is one of the body's source: the
    /// client.
    pub fn poll_send(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.state != State::Running {
            return Poll::Ready(Ok(()));
        }
        let outcome = match ready!(self.poll_all(socket, cx)) {
            Ok(outcome) => outcome,
            Err(failure) => return Poll::Ready(Err(failure)),
        };
        self.state = if outcome.is_ok() { State::Done } else { State::Refused };
        Poll::Ready(Ok(()))
    }

    fn poll_all(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<io::Result<()>, Failure>> {
        loop {
            self.starved = false;
            let mut data: &[u8] = b"";
            if !self.ended {
                match self.payload.source().map(|source| source.poll_data(cx)) {
                    Some(Poll::Pending) => self.starved = true,
                    Some(Poll::Ready(Err(failure))) => return Poll::Ready(Err(failure)),
                    None | Some(Poll::Ready(Ok(b""))) => {
                        if self.promised > 0 || self.left > 0 {
                            return Poll::Ready(Err(Failure::BodyMismatch));
                        }
                        self.out.extend_from_slice(&record::stdin(0).0);
                        self.ended = true;
                    }
                    Some(Poll::Ready(Ok(found))) => {
                        if self.promised == 0 {
                            if found.len() as u64 > self.left {
                                return Poll::Ready(Err(Failure::BodyMismatch));
                            }
                            let (header, count) = record::stdin(found.len().min(PIECE));
                            self.out.extend_from_slice(&header);
                            self.promised = count;
                        }
                        data = &found[..found.len().min(self.promised)];
                    }
                }
            }
            if !data.is_empty() && data.len() <= COPY_UP_TO && self.sent == 0 && self.out.len() < PIECE {
                let count = data.len();
                self.out.extend_from_slice(data);
                self.took(count);
                continue;
            }
            if self.sent == self.out.len() && data.is_empty() {
                return if self.starved { Poll::Pending } else { Poll::Ready(Ok(Ok(()))) };
            }
            let written = match data.is_empty() {
                true => socket.poll_write(cx, &self.out[self.sent..]),
                false => socket
                    .poll_write_vectored(cx, &[IoSlice::new(&self.out[self.sent..]), IoSlice::new(data)]),
            };
            match ready!(written) {
                Ok(0) => return Poll::Ready(Ok(Err(io::ErrorKind::WriteZero.into()))),
                Ok(count) => self.wrote(count),
                Err(error) => return Poll::Ready(Ok(Err(error))),
            }
        }
    }

    fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        let of_out = count.min(self.out.len() - self.sent);
        self.sent += of_out;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        if count > of_out {
            self.took(count - of_out);
        }
    }

    /// So much of what was promised is out of the body's hands.
    fn took(&mut self, count: usize) {
        self.promised = self.promised.saturating_sub(count);
        self.left = self.left.saturating_sub(count as u64);
        if let Some(source) = self.payload.source() {
            source.consume(count);
        }
    }
}
