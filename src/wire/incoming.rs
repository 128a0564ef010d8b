//! A body on its way in: a buffer that is filled from a socket and decoded in place. The same for the
//! request of a client and the answer of an origin.

use std::io;
use std::task::{Context, Poll, ready};

use http1::{BodyError, BodyLength, BodyReader, Fields};

use super::{Buffer, Socket};

/// ```text
/// buffer:  [ data | gap | raw ]     data: body bytes, decoded
///                                   gap:  framing, used up
///                                   raw:  not decoded; after the end of the body, the next message
/// ```
#[derive(Debug)]
pub struct Incoming {
    buffer: Buffer,
    reader: BodyReader,
    data: usize,
    gap: usize,
    ended: bool,
}

#[derive(Debug)]
pub enum IncomingError {
    Malformed(BodyError),
    /// The peer closed before the body was complete.
    Truncated,
    Socket(io::Error),
}

impl Incoming {
    /// `buffer` holds what came behind the head.
    pub fn new(buffer: Buffer, length: BodyLength) -> Incoming {
        Incoming { buffer, reader: BodyReader::new(length), data: 0, gap: 0, ended: false }
    }

    /// Body bytes that are there, reading when there are none; empty at the end of the body. The bytes
    /// stay until they are consumed.
    pub fn poll_data(&mut self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Result<&[u8], IncomingError>> {
        while self.data == 0 && !self.is_ended() {
            if self.decode()? {
                break;
            }
            if self.is_ended() {
                break;
            }
            match ready!(socket.poll_fill(cx, &mut self.buffer)).map_err(IncomingError::Socket)? {
                0 if self.reader.may_end_here() => self.ended = true,
                0 => return Poll::Ready(Err(IncomingError::Truncated)),
                // A sender that fills a small buffer has more: read it in larger pieces.
                _ if self.buffer.is_full() => drop(self.buffer.enlarge()),
                _ => {}
            }
        }
        Poll::Ready(Ok(&self.buffer.data()[..self.data]))
    }

    /// Decodes what is in the buffer without reading; true when there is data.
    pub fn decode(&mut self) -> Result<bool, IncomingError> {
        if self.data == 0 && !self.buffer.is_empty() && !self.is_ended() {
            let decoded = self.reader.decode(self.buffer.data_mut()).map_err(IncomingError::Malformed)?;
            self.data = decoded.data;
            self.gap = decoded.consumed - decoded.data;
            self.close_gap();
        }
        Ok(self.data > 0)
    }

    /// Body bytes that were decoded and not yet consumed.
    pub fn data(&self) -> &[u8] {
        &self.buffer.data()[..self.data]
    }

    /// Bytes are here that were not looked at yet.
    pub fn has_raw(&self) -> bool {
        self.buffer.len() > self.data + self.gap
    }

    pub fn has_data(&self) -> bool {
        self.data > 0
    }

    /// Forgets the first `count` bytes of data.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.data);
        self.buffer.consume(count);
        self.data -= count;
        self.close_gap();
    }

    fn close_gap(&mut self) {
        if self.data == 0 {
            self.buffer.consume(self.gap);
            self.gap = 0;
        }
    }

    /// All of the body was received, decoded and consumed.
    pub fn is_finished(&self) -> bool {
        self.data == 0 && self.is_ended()
    }

    fn is_ended(&self) -> bool {
        self.ended || self.reader.is_done()
    }

    /// Body bytes that were not received yet; `None` when only its end will tell.
    pub fn bytes_to_receive(&self) -> Option<u64> {
        match &self.reader {
            BodyReader::Exact(left) => Some(*left),
            _ if self.is_ended() => Some(0),
            _ => None,
        }
    }

    /// Bytes that belong to no body: behind its end.
    pub fn has_surplus(&self) -> bool {
        self.is_ended() && self.has_raw()
    }

    pub fn trailers(&self) -> Option<Fields> {
        self.reader.trailers()
    }

    /// The buffer with what came behind the body.
    pub fn into_buffer(mut self) -> Buffer {
        self.consume(self.data);
        self.buffer
    }

    /// The data as a buffer of its own, everything else forgotten.
    pub fn into_data(mut self) -> Buffer {
        self.buffer.truncate(self.data);
        self.buffer
    }
}
