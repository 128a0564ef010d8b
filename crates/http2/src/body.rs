//! Bodies of requests: DATA is kept for whoever reads the stream, and the windows say how much of it may come
//! (RFC 9113 sections 5.2 and 6.9).

use crate::connection::State;
use crate::frame::{self, END_STREAM, FrameHead, Reason};
use crate::output::Output;
use crate::settings::DEFAULT_WINDOW;
use crate::table::{Entry, Key};

impl State {
    /// Where the DATA of a frame goes; nowhere when it is to be thrown away. The windows are those of the whole
    /// payload, padding included (RFC 9113 section 6.9.1).
    pub(crate) fn begin_data(&mut self, head: FrameHead) -> Result<Option<Key>, Reason> {
        let key = self.known(head)?;
        let length = head.length as i64;
        if length > self.input.window {
            return Err(Reason::FlowControlError);
        }
        self.input.window -= length;
        let entry = key.and_then(|key| Some((key, self.streams.get(key)?)));
        let Some((key, entry)) = entry.filter(|(_, entry)| entry.broken.is_none()) else {
            self.refuse(head.stream, Reason::StreamClosed);
            return Ok(None);
        };
        let reason = if entry.incoming.ended {
            Reason::StreamClosed
        } else if length > entry.incoming.window {
            Reason::FlowControlError
        } else {
            entry.incoming.window -= length;
            return Ok(Some(key));
        };
        self.refuse(head.stream, reason);
        Ok(None)
    }

    /// Keeps DATA for whoever reads the stream.
    pub(crate) fn store(&mut self, into: Option<Key>, data: &[u8]) {
        let count = data.len() as u32;
        match into.and_then(|key| self.streams.get(key)).filter(|entry| entry.broken.is_none()) {
            Some(entry) => {
                let incoming = &mut entry.incoming;
                incoming.held += count;
                let rest = incoming.left.map(|left| left.checked_sub(u64::from(count)));
                if rest == Some(None) {
                    // More than was told (RFC 9113 section 8.1.1).
                    let id = entry.id;
                    self.refuse(id, Reason::ProtocolError);
                    return;
                }
                incoming.left = rest.flatten();
                incoming.data.extend_from_slice(data);
                if count > 0 {
                    incoming.reader.wake();
                }
            }
            None => self.release(count),
        }
    }

    pub(crate) fn finish_data(&mut self, head: FrameHead, into: Option<Key>) {
        if !head.has(END_STREAM) {
            return;
        }
        let Some(entry) = into.and_then(|key| self.streams.get(key)) else { return };
        if let Err(reason) = end(entry) {
            self.refuse(head.stream, reason);
        }
    }

    /// Bytes of a stream were taken: the client may send as many again.
    pub(crate) fn give_back(&mut self, key: Key, count: usize) {
        // What a stream held that was broken off is given back already.
        let Some(entry) = self.streams.get(key).filter(|entry| entry.broken.is_none()) else { return };
        let count = (count as u32).min(entry.incoming.held);
        entry.incoming.held -= count;
        credit(entry, count, &mut self.output);
        self.release(count);
    }

    pub(crate) fn skip_padding(&mut self, into: Option<Key>, count: u32) {
        if let Some(entry) = into.and_then(|key| self.streams.get(key)).filter(|entry| entry.broken.is_none())
        {
            credit(entry, count, &mut self.output);
        }
        self.release(count);
    }

    pub(crate) fn release(&mut self, count: u32) {
        self.input.untold += count;
        if self.input.untold >= self.input.limits.window / 2 {
            frame::window_update(self.output.frames(), 0, self.input.untold);
            self.input.window += i64::from(std::mem::take(&mut self.input.untold));
        }
    }
}

/// The client may send so many bytes more on a stream; it hears of them when they are worth a frame.
fn credit(entry: &mut Entry, count: u32, output: &mut Output) {
    let incoming = &mut entry.incoming;
    incoming.untold += count;
    if !incoming.ended && incoming.untold >= DEFAULT_WINDOW / 2 {
        frame::window_update(output.frames(), entry.id, incoming.untold);
        incoming.window += i64::from(std::mem::take(&mut incoming.untold));
    }
}

/// The client has sent all of a request; an error when that is less than it told.
pub(crate) fn end(entry: &mut Entry) -> Result<(), Reason> {
    if entry.incoming.left.is_some_and(|left| left > 0) {
        return Err(Reason::ProtocolError);
    }
    entry.incoming.ended = true;
    entry.incoming.reader.wake();
    Ok(())
}
