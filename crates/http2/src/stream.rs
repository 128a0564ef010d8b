//! One stream, as whoever serves it sees it: the body that comes, the answer that goes.

use std::task::{Context, Poll};

use crate::connection::{Connection, State};
use crate::frame::Reason;
use crate::hpack::{Encoder, FieldBlock};
use crate::output::Closed;
use crate::table::{Broken, Key, Sending};

/// A stream that is being served. With it goes its place among those that the client may have at the same time; what
/// is not whole by then is reset.
pub struct Stream<'c> {
    connection: &'c Connection,
    key: Key,
}

/// What came next of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    Data,
    End,
}

/// Why no more of a body comes, though it is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The client reset the stream, or is gone.
    Gone,
    /// The client broke a rule of the protocol, such as the length that it told.
    Malformed,
}

impl From<Broken> for Lost {
    fn from(broken: Broken) -> Lost {
        match broken {
            Broken::Gone => Lost::Gone,
            Broken::Malformed => Lost::Malformed,
        }
    }
}

/// Takes the fields of a head or of trailers, in order.
pub struct Head<'h> {
    encoder: &'h mut Encoder,
    out: &'h mut Vec<u8>,
}

impl Head<'_> {
    /// The caller vouches for the name, in any case, and the value; it belongs to no connection.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.encoder.field(name, value, self.out);
    }
}

impl<'c> Stream<'c> {
    pub(crate) fn new(connection: &'c Connection, key: Key) -> Stream<'c> {
        Stream { connection, key }
    }

    /// Lends the fields of the request, until the frame behind its head is taken.
    pub fn with_fields<T>(&self, look: impl FnOnce(&FieldBlock) -> T) -> T {
        look(&self.connection.state.borrow().input.fields)
    }

    /// The body is so many bytes long: a client that sends others breaks a rule (RFC 9113 section 8.1.1). To be said
    /// before the frame behind the head is taken.
    pub fn expect(&self, length: u64) {
        let State { streams, .. } = &mut *self.connection.state.borrow_mut();
        if let Some(entry) = streams.get(self.key) {
            entry.incoming.left = Some(length);
        }
    }

    /// Why nothing comes of it, when that is so already.
    pub fn lost(&self) -> Option<Lost> {
        let State { streams, .. } = &mut *self.connection.state.borrow_mut();
        streams.get(self.key).map_or(Some(Lost::Gone), |entry| entry.broken.map(Lost::from))
    }

    /// Puts what came of the body into `into`, which is empty: its memory is exchanged for that of the stream.
    pub fn poll_data(&self, into: &mut Vec<u8>, cx: &Context<'_>) -> Poll<Result<Incoming, Lost>> {
        let State { streams, .. } = &mut *self.connection.state.borrow_mut();
        let Some(entry) = streams.get(self.key) else { return Poll::Ready(Err(Lost::Gone)) };
        if let Some(broken) = entry.broken {
            return Poll::Ready(Err(broken.into()));
        }
        let incoming = &mut entry.incoming;
        if !incoming.data.is_empty() {
            into.clear();
            std::mem::swap(into, &mut incoming.data);
            return Poll::Ready(Ok(Incoming::Data));
        }
        if incoming.ended {
            return Poll::Ready(Ok(Incoming::End));
        }
        incoming.reader.wait(cx);
        Poll::Pending
    }

    /// So many bytes of the body were used: the client may send as many again.
    pub fn release(&self, count: usize) {
        self.connection.state.borrow_mut().give_back(self.key, count);
    }

    /// Those behind the end of the body, once.
    pub fn take_trailers(&self) -> Option<Box<FieldBlock>> {
        let State { streams, .. } = &mut *self.connection.state.borrow_mut();
        streams.get(self.key)?.incoming.trailers.take()
    }

    /// Ready when the stream was broken off.
    pub fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        let State { streams, .. } = &mut *self.connection.state.borrow_mut();
        match streams.get(self.key) {
            Some(entry) if entry.broken.is_none() => {
                entry.writer.wait(cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Sends a head that comes before that of the answer (RFC 9110 section 15.2). It is left out when so much waits
    /// for the socket already that no body would be taken either.
    pub fn send_interim(&self, status: u16, fields: impl FnOnce(&mut Head<'_>)) -> Result<(), Closed> {
        let State { streams, output, .. } = &mut *self.connection.state.borrow_mut();
        let entry = streams.get(self.key).filter(|entry| entry.is_answerable()).ok_or(Closed)?;
        if output.is_full() {
            return Ok(());
        }
        output.block(entry, false, |encoder, out| {
            encoder.status(status, out);
            fields(&mut Head { encoder, out });
        });
        Ok(())
    }

    /// Sends the head of the answer; `ends` when there is nothing else of it.
    pub fn send_head(
        &self,
        status: u16,
        ends: bool,
        fields: impl FnOnce(&mut Head<'_>),
    ) -> Result<(), Closed> {
        let State { streams, output, .. } = &mut *self.connection.state.borrow_mut();
        let entry = streams.get(self.key).filter(|entry| entry.is_answerable()).ok_or(Closed)?;
        entry.sending = Sending::Body;
        output.block(entry, ends, |encoder, out| {
            encoder.status(status, out);
            fields(&mut Head { encoder, out });
        });
        Ok(())
    }

    /// Sends the beginning of `data`, which is not empty; how much that was. With the last of it the answer ends,
    /// if `last` holds.
    pub fn poll_send(&self, data: &[u8], last: bool, cx: &Context<'_>) -> Poll<Result<usize, Closed>> {
        let State { output, streams, .. } = &mut *self.connection.state.borrow_mut();
        let Some(entry) = streams.get(self.key) else { return Poll::Ready(Err(Closed)) };
        let polled = output.poll_data(self.key, entry, data, last, cx);
        // What it did not use is for others.
        output.grant(streams);
        polled
    }

    /// Ends the answer behind what was sent of it.
    pub fn end(&self) -> Result<(), Closed> {
        let State { streams, output, .. } = &mut *self.connection.state.borrow_mut();
        let entry = streams.get(self.key).filter(|entry| entry.broken.is_none()).ok_or(Closed)?;
        output.end(entry)
    }

    /// Ends the answer with trailers.
    pub fn send_trailers(&self, fields: impl FnOnce(&mut Head<'_>)) -> Result<(), Closed> {
        let State { streams, output, .. } = &mut *self.connection.state.borrow_mut();
        let entry = streams.get(self.key).filter(|entry| entry.sending == Sending::Body).ok_or(Closed)?;
        output.block(entry, true, |encoder, out| fields(&mut Head { encoder, out }));
        Ok(())
    }

    /// Breaks the stream off, in both directions.
    pub fn reset(&self, reason: Reason) {
        self.connection.state.borrow_mut().reset(self.key, reason);
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.connection.state.borrow_mut().close(self.key);
    }
}
