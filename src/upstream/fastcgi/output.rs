//! The records of an answer on their way in: a buffer that is filled from a socket and decoded in place.

use std::task::{Context, Poll, ready};

use ::fastcgi::{AnswerError, AnswerReader, End};

use super::complaints::Complaints;
use crate::wire::{Buffer, Socket};

/// ```text
/// buffer:  [ data | raw ]     data: the application's output, without its records
///                             raw:  the beginning of a record; behind the end of the answer, surplus
/// ```
pub struct Output {
    buffer: Buffer,
    reader: AnswerReader,
    data: usize,
    /// Anything at all has come.
    pub received: bool,
}

#[derive(Debug)]
pub enum OutputError {
    Malformed(AnswerError),
    /// The server closed, or what was between broke.
    Closed,
    /// No byte more fits in.
    Full,
}

impl Output {
    pub fn new() -> Output {
        Output { buffer: Buffer::new(), reader: AnswerReader::default(), data: 0, received: false }
    }

    /// Output that was not consumed yet.
    pub fn data(&self) -> &[u8] {
        &self.buffer.data()[..self.data]
    }

    /// Forgets the first `count` bytes of it.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.data);
        self.buffer.consume(count);
        self.data -= count;
    }

    /// How the answer ended, once all of it was received.
    pub fn end(&self) -> Option<End> {
        self.reader.end()
    }

    /// Bytes came that belong to no answer.
    pub fn has_surplus(&self) -> bool {
        self.reader.is_over() && self.buffer.len() > self.data
    }

    /// The first `count` bytes of output as a buffer of their own.
    pub fn into_data(mut self, count: usize) -> Buffer {
        self.buffer.truncate(self.data.min(count));
        self.buffer
    }

    /// Reads once, behind what is there. Complaints go to `complaints`. Not for an answer that is over.
    pub fn poll_fill(
        &mut self,
        socket: &Socket,
        complaints: &mut Complaints,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), OutputError>> {
        if self.buffer.is_full() && !self.buffer.enlarge() {
            return Poll::Ready(Err(OutputError::Full));
        }
        match ready!(socket.poll_fill(cx, &mut self.buffer)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(OutputError::Closed)),
            Ok(_) => self.received = true,
        }
        if self.buffer.is_full() {
            // A sender that fills a small buffer has more: it is read in larger pieces.
            self.buffer.enlarge();
        }
        Poll::Ready(self.decode(complaints).map_err(OutputError::Malformed))
    }

    fn decode(&mut self, complaints: &mut Complaints) -> Result<(), AnswerError> {
        let raw = &mut self.buffer.data_mut()[self.data..];
        let decoded = self.reader.decode(raw, |text| complaints.note(text))?;
        let kept = decoded.output + decoded.rest;
        if self.data == 0 {
            self.buffer.consume(decoded.start);
        } else {
            raw.copy_within(decoded.start..decoded.start + kept, 0);
        }
        self.buffer.truncate(self.data + kept);
        self.data += decoded.output;
        Ok(())
    }
}
