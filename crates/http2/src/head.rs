//! Heads of requests, and their trailers: one frame or several (RFC 9113 sections 4.3, 6.2 and 8.1).

use crate::body::end;
use crate::connection::State;
use crate::ending::Leaving;
use crate::frame::{self, END_HEADERS, END_STREAM, FrameHead, PRIORITY, Reason, number31};
use crate::hpack::FieldBlock;
use crate::input::{Event, is_of_client};
use crate::request;
use crate::settings::DEFAULT_WINDOW;
use crate::table::Fault;

/// Bytes of one head before they are decoded: twice what is taken when they are.
const MAX_BLOCK: usize = 64 << 10;
/// Memory that the parts of a head keep, and its fields.
const KEPT: usize = 4 << 10;
const KEPT_FIELDS: usize = 16 << 10;
/// Bytes of the fields behind a body, with 32 more for each: few have any.
const MAX_TRAILERS: usize = 8 << 10;
/// A head that is so many times as large as is allowed is not answered any more.
const MOST_TOO_LARGE: usize = 4;

impl State {
    pub(crate) fn begin_head(&mut self, head: FrameHead, payload: &[u8]) -> Result<Event, Fault> {
        if !is_of_client(head.stream) {
            return Err(Fault::Connection(Reason::ProtocolError));
        }
        let mut block =
            frame::without_padding(head, payload).ok_or(Fault::Connection(Reason::ProtocolError))?;
        let mut depends_on_itself = false;
        if head.has(PRIORITY) {
            let (priority, rest) =
                block.split_first_chunk::<5>().ok_or(Fault::Connection(Reason::FrameSizeError))?;
            let [a, b, c, d, _] = *priority;
            depends_on_itself = number31([a, b, c, d]) == head.stream;
            block = rest;
        }
        if depends_on_itself {
            // The block has to be read all the same; the id is not used again.
            self.input.last = self.input.last.max(head.stream);
            self.refuse(head.stream, Reason::ProtocolError);
        }
        if head.has(END_HEADERS) {
            return self.finish_head(head, block);
        }
        self.input.block.clear();
        self.input.block.extend_from_slice(block);
        self.input.open = Some(head);
        Ok(Event::Frame(head))
    }

    pub(crate) fn continue_head(&mut self, head: FrameHead, payload: &[u8]) -> Result<Event, Fault> {
        if self.input.block.len() + payload.len() > MAX_BLOCK {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        self.input.block.extend_from_slice(payload);
        if !head.has(END_HEADERS) {
            return Ok(Event::Frame(head));
        }
        let Some(open) = self.input.open.take() else { return Err(Fault::Connection(Reason::ProtocolError)) };
        let mut block = std::mem::take(&mut self.input.block);
        let event = self.finish_head(open, &block);
        block.clear();
        block.shrink_to(KEPT);
        self.input.block = block;
        event
    }

    /// A whole head is there. Whatever becomes of it, it is decoded: later ones refer to it.
    fn finish_head(&mut self, head: FrameHead, block: &[u8]) -> Result<Event, Fault> {
        if self.input.fields.capacity() > KEPT_FIELDS {
            self.input.fields = FieldBlock::new();
        }
        let limit = self.input.limits.header_list as usize;
        self.input
            .decoder
            .decode(block, limit, &mut self.input.fields)
            .map_err(|_| Fault::Connection(Reason::CompressionError))?;
        if self.input.fields.size() > MOST_TOO_LARGE * limit {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        if head.stream > self.input.last {
            return self.open_stream(head);
        }
        let ends = head.has(END_STREAM);
        if self.streams.was_reset_here(head.stream) {
            // The client may not have heard of it (RFC 9113 section 5.1).
            self.output.sent.refused += 1;
            return Ok(Event::Frame(head));
        }
        let entry = self.streams.find(head.stream).and_then(|key| self.streams.get(key));
        let Some(entry) = entry.filter(|entry| entry.broken.is_none()) else {
            return Err(Fault::Connection(Reason::StreamClosed));
        };
        if entry.incoming.ended {
            return Err(Fault::Stream(head.stream, Reason::StreamClosed));
        }
        // A second head has to be the trailers (RFC 9113 section 8.1).
        if !ends || !request::is_trailers(&self.input.fields) {
            return Err(Fault::Stream(head.stream, Reason::ProtocolError));
        }
        if self.input.fields.size() > MAX_TRAILERS {
            return Err(Fault::Stream(head.stream, Reason::EnhanceYourCalm));
        }
        if !self.input.fields.is_empty() {
            entry.incoming.trailers = Some(Box::new(self.input.fields.clone()));
        }
        end(entry).map_err(|reason| Fault::Stream(head.stream, reason))?;
        Ok(Event::Frame(head))
    }

    fn open_stream(&mut self, head: FrameHead) -> Result<Event, Fault> {
        if let Leaving::Gone { last } = self.input.leaving
            && head.stream > last
        {
            // It hears from our last words that nothing becomes of it.
            self.output.sent.refused += 1;
            self.input.last = head.stream;
            self.streams.remember_reset(head.stream);
            return Ok(Event::Frame(head));
        }
        self.input.last = head.stream;
        if self.streams.len() >= self.input.limits.streams as usize {
            return Err(Fault::Stream(head.stream, Reason::RefusedStream));
        }
        let key = self.streams.open(head.stream, i64::from(DEFAULT_WINDOW), self.output.initial_window);
        let ends = head.has(END_STREAM);
        if ends && let Some(entry) = self.streams.get(key) {
            entry.incoming.ended = true;
        }
        Ok(Event::Request { frame: head, key, ends })
    }
}
