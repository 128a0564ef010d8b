//! A message on its way out: bytes that are ready (head, chunk lines), then the body as its source gives
//! it. The same for the answer to a client and the request to an origin.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use http1::{BodyLength, encode};
use rustix::io::Errno;

use super::{BodyStream, Failure, FileBody, failure_of};
use crate::wire::{Scratch, Socket};

/// Up to this much body is copied behind the head, so that both leave in one plain send: for so few bytes
/// the copy costs less than a gathering write.
const COPY_UP_TO: usize = 2048;

#[derive(Debug)]
pub struct Outgoing {
    /// Head and chunk lines; they go before the body bytes at hand.
    out: Scratch,
    sent: usize,
    chunked: bool,
    /// Body bytes that the last chunk line promised and that are not written yet.
    promised: usize,
    /// What is left to write of the CRLF behind a chunk.
    tail: &'static [u8],
    ended: bool,
    /// The last poll found no body bytes at hand: it is the source that is waited for, not the socket.
    pub starved: bool,
    /// Bytes written so far, framing included.
    pub written: u64,
}

#[derive(Debug)]
pub enum OutgoingError {
    /// The body could not be read.
    Source(Failure),
    /// The peer does not take it.
    Socket(io::Error),
}

impl Outgoing {
    /// `out` holds the head and maybe the whole body; `length` frames what the source gives besides.
    pub fn new(out: Scratch, length: BodyLength) -> Outgoing {
        Outgoing {
            out,
            sent: 0,
            chunked: length == BodyLength::Chunked,
            promised: 0,
            tail: b"",
            ended: false,
            starved: false,
            written: 0,
        }
    }

    /// Writes until all is written, the source has nothing, or the socket takes nothing.
    pub fn poll_send(
        &mut self,
        socket: &Socket,
        mut source: Option<&mut (dyn BodyStream + '_)>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutgoingError>> {
        if source.is_none() {
            return self.poll_send_ready(socket, cx);
        }
        loop {
            self.starved = false;
            let data: &[u8] = match source.as_mut() {
                Some(source) if self.tail.is_empty() && !self.ended => match source.poll_data(cx) {
                    Poll::Pending => {
                        self.starved = true;
                        b""
                    }
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(OutgoingError::Source(failure))),
                    Poll::Ready(Ok(b"")) => {
                        self.ended = true;
                        if self.chunked {
                            encode::last_chunk(&mut self.out, source.trailers().as_ref());
                        }
                        continue;
                    }
                    Poll::Ready(Ok(data)) if self.chunked => self.promise(data),
                    Poll::Ready(Ok(data)) => data,
                },
                Some(source) if !self.ended => {
                    // The end of a chunk is still to be written. The source goes on all the same: an answer's
                    // moves the rest of the request, which the origin may wait for.
                    if let Poll::Ready(Err(failure)) = source.poll_data(cx) {
                        return Poll::Ready(Err(OutgoingError::Source(failure)));
                    }
                    b""
                }
                _ => b"",
            };
            if !self.chunked && !data.is_empty() && data.len() <= COPY_UP_TO && self.sent == 0 {
                self.out.extend_from_slice(data);
                let count = data.len();
                if let Some(source) = source.as_mut() {
                    source.consume(count);
                }
                continue;
            }
            if self.sent == self.out.len() && data.is_empty() && self.tail.is_empty() {
                let flushed = socket.poll_flush(cx).map_err(OutgoingError::Socket);
                return if self.starved && !matches!(flushed, Poll::Ready(Err(_))) {
                    Poll::Pending
                } else {
                    flushed
                };
            }
            let count = ready!(self.poll_write(socket, data, cx)).map_err(OutgoingError::Socket)?;
            if count == 0 {
                return Poll::Ready(Err(OutgoingError::Socket(io::ErrorKind::WriteZero.into())));
            }
            let len = data.len();
            let consumed = self.wrote(count, len);
            if let (Some(source), 1..) = (source.as_mut(), consumed) {
                source.consume(consumed);
            }
        }
    }

    /// Writes what is ready, when that is all there will be: the usual case of a small message.
    fn poll_send_ready(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<(), OutgoingError>> {
        while self.sent < self.out.len() {
            let written = socket.poll_write_small(cx, &self.out[self.sent..]);
            let count = ready!(written).map_err(OutgoingError::Socket)?;
            if count == 0 {
                return Poll::Ready(Err(OutgoingError::Socket(io::ErrorKind::WriteZero.into())));
            }
            self.sent += count;
            self.written += count as u64;
        }
        socket.poll_flush(cx).map_err(OutgoingError::Socket)
    }

    /// Has the system send a file behind the head, on a socket without TLS; its length was told.
    pub fn poll_send_file(
        &mut self,
        socket: &Socket,
        file: &mut FileBody,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutgoingError>> {
        self.starved = false;
        while self.sent < self.out.len() {
            let written = socket.poll_write_more(cx, &self.out[self.sent..]);
            let count = ready!(written).map_err(OutgoingError::Socket)?;
            if count == 0 {
                return Poll::Ready(Err(OutgoingError::Socket(io::ErrorKind::WriteZero.into())));
            }
            self.sent += count;
            self.written += count as u64;
        }
        while file.left() > 0 {
            let Poll::Ready(piece) = file.poll_piece(cx) else {
                self.starved = true;
                return Poll::Pending;
            };
            let piece = piece.map_err(OutgoingError::Source)?;
            match ready!(socket.poll_send_file(cx, piece.file, piece.offset, piece.len)) {
                Ok(0) => return Poll::Ready(Err(OutgoingError::Source(Failure::FileShrank))),
                Ok(count) => {
                    file.sent(count);
                    self.written += count as u64;
                }
                Err(error) => match Errno::from_io_error(&error) {
                    // The file system gives its files to readers only.
                    Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                        file.must_be_copied();
                        return self.poll_send(socket, Some(file), cx);
                    }
                    Some(error @ (Errno::IO | Errno::STALE)) => {
                        return Poll::Ready(Err(OutgoingError::Source(failure_of(error))));
                    }
                    _ => return Poll::Ready(Err(OutgoingError::Socket(error))),
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Opens a chunk for the data at hand when none is open; gives the part of the data that is in it.
    fn promise<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        if self.promised == 0 && !data.is_empty() {
            let (line, len) = encode::chunk_line(data.len());
            self.out.extend_from_slice(&line[..len]);
            self.promised = data.len();
        }
        &data[..data.len().min(self.promised)]
    }

    fn poll_write(&self, socket: &Socket, data: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let ready = &self.out[self.sent..];
        let tail: &[u8] = if self.chunked && !data.is_empty() { b"\r\n" } else { self.tail };
        match (ready.is_empty(), data.is_empty(), tail.is_empty()) {
            (false, true, true) => socket.poll_write(cx, ready),
            (true, false, true) => socket.poll_write(cx, data),
            _ => {
                let parts = [IoSlice::new(ready), IoSlice::new(data), IoSlice::new(tail)];
                socket.poll_write_vectored(cx, &parts)
            }
        }
    }

    /// Notes that `count` bytes were written while `len` bytes of data were at hand; gives how many of
    /// those were among them.
    fn wrote(&mut self, count: usize, len: usize) -> usize {
        self.written += count as u64;
        let of_ready = count.min(self.out.len() - self.sent);
        self.sent += of_ready;
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        let of_data = (count - of_ready).min(len);
        let of_tail = count - of_ready - of_data;
        if self.chunked && len > 0 {
            self.promised -= of_data;
            if self.promised == 0 {
                self.tail = &b"\r\n"[of_tail..];
            }
        } else {
            self.tail = &self.tail[of_tail..];
        }
        of_data
    }
}
