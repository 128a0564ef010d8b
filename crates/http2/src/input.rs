//! What comes from the peer: bytes become frames, and each frame changes something or breaks a rule (RFC 9113
//! section 6). Nothing here waits.

use crate::frame::{
    self, ACK, END_HEADERS, END_STREAM, FrameHead, Kind, MAX_PAYLOAD, PADDED, PREFACE, PRIORITY, Reason,
    number31,
};
use crate::hpack::{Decoder, FieldBlock};
use crate::output::Output;
use crate::request;
use crate::settings::{self, DEFAULT_WINDOW, Limits, Setting};
use crate::table::{Broken, Entry, Fault, Key, Sending, Table};

/// The table of the fields that our peer may refer to.
const HEADER_TABLE: usize = 4096;
/// Bytes of one head before they are decoded: twice what is taken when they are.
const MAX_BLOCK: usize = 64 << 10;
/// Memory that the parts of a head keep, and its fields.
const KEPT: usize = 4 << 10;
const KEPT_FIELDS: usize = 16 << 10;
/// Bytes of the fields behind a body, with 32 more for each: few have any.
const MAX_TRAILERS: usize = 8 << 10;
/// A head that is so many times as large as is allowed is not answered any more.
const MOST_TOO_LARGE: usize = 4;
/// Ids up to here may be used before the client has heard how many streams it may have.
const UNAWARE: u32 = 2000;
/// The payload of the PING behind the first of our last words.
const FAREWELL: [u8; 8] = *b"farewell";

/// What one frame meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// More bytes are wanted first.
    Starved,
    /// The preface came; it is no frame.
    Preface,
    /// A frame was taken, and all that it asks for is done.
    Frame(FrameHead),
    /// A request begins; its fields are at hand until the next frame is read. `ends` when it has no body.
    Request { frame: FrameHead, key: Key, ends: bool },
}

/// How many of the bytes were used, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub count: usize,
    pub event: Event,
}

/// Where in the bytes the peer is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Preface,
    Between,
    /// A head is read, its payload is not complete.
    Inside(FrameHead),
    /// DATA is taken as it comes.
    Data {
        head: FrameHead,
        left: usize,
        into: Option<Key>,
    },
}

pub(crate) struct Input {
    place: Place,
    decoder: Decoder,
    /// Parts of a head that is not complete.
    block: Vec<u8>,
    /// The first frame of it.
    open: Option<FrameHead>,
    /// The last head.
    pub fields: FieldBlock,
    limits: Limits,
    /// Bytes of DATA that may come, over all streams; and those that were given back and not told.
    window: i64,
    untold: u32,
    /// The largest id that the client has used.
    pub last: u32,
    pub leaving: Leaving,
    /// The client asks for nothing more.
    pub is_left: bool,
    /// The client has taken our settings.
    is_aware: bool,
}

/// How far we are with going away (RFC 9113 section 6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    No,
    /// Announced; what the client asks until it has heard of it is still answered.
    Announced,
    /// Streams behind the last one are not looked at.
    Gone {
        last: u32,
    },
}

impl Input {
    pub fn new(limits: Limits) -> Input {
        Input {
            place: Place::Preface,
            decoder: Decoder::new(HEADER_TABLE),
            block: Vec::new(),
            open: None,
            fields: FieldBlock::new(),
            limits,
            window: i64::from(limits.window),
            untold: 0,
            last: 0,
            leaving: Leaving::No,
            is_left: false,
            is_aware: false,
        }
    }

    /// The frame that came last is a part of a head, or of the preface, that is not complete.
    pub fn is_in_head(&self) -> bool {
        match self.place {
            Place::Preface => true,
            Place::Inside(head) => {
                self.open.is_some() || matches!(head.kind, Kind::Headers | Kind::Continuation)
            }
            Place::Between | Place::Data { .. } => self.open.is_some(),
        }
    }

    /// Gives memory back.
    pub fn rest(&mut self) {
        if self.open.is_none() {
            self.block = Vec::new();
        }
        self.fields = FieldBlock::new();
    }

    /// Takes the next frame of `bytes`, or what there is of it.
    pub fn take(&mut self, bytes: &[u8], streams: &mut Table, output: &mut Output) -> Result<Taken, Reason> {
        let starved = |count| Ok(Taken { count, event: Event::Starved });
        let (used, head) = match self.place {
            Place::Preface => return self.take_preface(bytes),
            Place::Data { head, left, into } => {
                let count = left.min(bytes.len());
                let piece = bytes.get(..count).unwrap_or_default();
                let left = left - count;
                self.store(into, piece, streams, output);
                if left > 0 {
                    self.place = Place::Data { head, left, into };
                    return starved(count);
                }
                self.place = Place::Between;
                self.finish_data(head, into, streams, output);
                return Ok(Taken { count, event: Event::Frame(head) });
            }
            Place::Inside(head) => (0, head),
            Place::Between => match FrameHead::read(bytes) {
                None => return starved(0),
                Some(head) => {
                    self.check_order(head)?;
                    (frame::HEAD, head)
                }
            },
        };
        let rest = bytes.get(used..).unwrap_or_default();
        let Some(payload) = rest.get(..head.length) else {
            if head.kind == Kind::Data && !head.has(PADDED) {
                let into = self.begin_data(head, streams, output)?;
                self.store(into, rest, streams, output);
                self.place = Place::Data { head, left: head.length - rest.len(), into };
                return starved(bytes.len());
            }
            self.place = Place::Inside(head);
            return starved(used);
        };
        self.place = Place::Between;
        let event = match self.handle(head, payload, streams, output) {
            Ok(event) => event,
            Err(Fault::Connection(reason)) => return Err(reason),
            Err(Fault::Stream(id, reason)) => {
                self.refuse(id, reason, streams, output);
                Event::Frame(head)
            }
        };
        Ok(Taken { count: used + head.length, event })
    }

    fn take_preface(&mut self, bytes: &[u8]) -> Result<Taken, Reason> {
        let count = PREFACE.len().min(bytes.len());
        if bytes.get(..count) != PREFACE.get(..count) {
            return Err(Reason::ProtocolError);
        }
        if count < PREFACE.len() {
            return Ok(Taken { count: 0, event: Event::Starved });
        }
        self.place = Place::Between;
        Ok(Taken { count, event: Event::Preface })
    }

    /// What is wrong whatever a frame holds.
    fn check_order(&self, head: FrameHead) -> Result<(), Reason> {
        if head.length > MAX_PAYLOAD {
            return Err(Reason::FrameSizeError);
        }
        match (&self.open, head.kind) {
            (None, Kind::Continuation) => Err(Reason::ProtocolError),
            (Some(open), Kind::Continuation) if open.stream == head.stream => Ok(()),
            // Nothing may come between the parts of a head (RFC 9113 section 4.3).
            (Some(_), _) => Err(Reason::ProtocolError),
            (None, _) => Ok(()),
        }
    }

    fn handle(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<Event, Fault> {
        match head.kind {
            Kind::Data => {
                let data =
                    frame::without_padding(head, payload).ok_or(Fault::Connection(Reason::ProtocolError))?;
                let into = self.begin_data(head, streams, output).map_err(Fault::Connection)?;
                self.store(into, data, streams, output);
                self.skip_padding(into, (payload.len() - data.len()) as u32, streams, output);
                self.finish_data(head, into, streams, output);
            }
            Kind::Headers => return self.begin_head(head, payload, streams, output),
            Kind::Continuation => return self.continue_head(head, payload, streams, output),
            Kind::Priority => self.take_priority(head, payload, streams)?,
            Kind::RstStream => self.take_reset(head, payload, streams, output)?,
            Kind::Settings => {
                self.take_settings(head, payload, streams, output).map_err(Fault::Connection)?
            }
            Kind::PushPromise => return Err(Fault::Connection(Reason::ProtocolError)),
            Kind::Ping => self.take_ping(head, payload, output).map_err(Fault::Connection)?,
            Kind::GoAway => {
                of_connection(head)?;
                if payload.len() < 8 {
                    return Err(Fault::Connection(Reason::FrameSizeError));
                }
                self.is_left = true;
            }
            Kind::WindowUpdate => self.take_window_update(head, payload, streams, output)?,
            Kind::Unknown => {}
        }
        Ok(Event::Frame(head))
    }

    /// Looks for the stream of a frame that only one that exists, or existed, can have.
    fn known(&self, head: FrameHead, streams: &Table) -> Result<Option<Key>, Reason> {
        if !is_of_client(head.stream) || head.stream > self.last {
            // Of the connection, of ours, or idle (RFC 9113 section 5.1).
            return Err(Reason::ProtocolError);
        }
        Ok(streams.find(head.stream))
    }

    // DATA

    /// Where the DATA of a frame goes; nowhere when it is to be thrown away. The windows are those of the whole
    /// payload, padding included (RFC 9113 section 6.9.1).
    fn begin_data(
        &mut self,
        head: FrameHead,
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<Option<Key>, Reason> {
        let key = self.known(head, streams)?;
        let length = head.length as i64;
        if length > self.window {
            return Err(Reason::FlowControlError);
        }
        self.window -= length;
        let entry = key.and_then(|key| Some((key, streams.get(key)?)));
        let Some((key, entry)) = entry.filter(|(_, entry)| entry.broken.is_none()) else {
            self.refuse(head.stream, Reason::StreamClosed, streams, output);
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
        self.refuse(head.stream, reason, streams, output);
        Ok(None)
    }

    /// Keeps DATA for whoever reads the stream.
    fn store(&mut self, into: Option<Key>, data: &[u8], streams: &mut Table, output: &mut Output) {
        let count = data.len() as u32;
        match into.and_then(|key| streams.get(key)).filter(|entry| entry.broken.is_none()) {
            Some(entry) => {
                let incoming = &mut entry.incoming;
                incoming.held += count;
                let rest = incoming.left.map(|left| left.checked_sub(u64::from(count)));
                if rest == Some(None) {
                    // More than was told (RFC 9113 section 8.1.1).
                    let id = entry.id;
                    self.refuse(id, Reason::ProtocolError, streams, output);
                    return;
                }
                incoming.left = rest.flatten();
                incoming.data.extend_from_slice(data);
                if count > 0 {
                    incoming.reader.wake();
                }
            }
            None => self.release(count, output),
        }
    }

    fn finish_data(&mut self, head: FrameHead, into: Option<Key>, streams: &mut Table, output: &mut Output) {
        if !head.has(END_STREAM) {
            return;
        }
        let Some(entry) = into.and_then(|key| streams.get(key)) else { return };
        if let Err(reason) = end(entry) {
            self.refuse(head.stream, reason, streams, output);
        }
    }

    /// Bytes of a stream were taken: the client may send as many again.
    pub fn give_back(&mut self, key: Key, count: usize, streams: &mut Table, output: &mut Output) {
        // What a stream held that was broken off is given back already.
        let Some(entry) = streams.get(key).filter(|entry| entry.broken.is_none()) else { return };
        let count = (count as u32).min(entry.incoming.held);
        entry.incoming.held -= count;
        credit(entry, count, output);
        self.release(count, output);
    }

    fn skip_padding(&mut self, into: Option<Key>, count: u32, streams: &mut Table, output: &mut Output) {
        if let Some(entry) = into.and_then(|key| streams.get(key)).filter(|entry| entry.broken.is_none()) {
            credit(entry, count, output);
        }
        self.release(count, output);
    }

    fn release(&mut self, count: u32, output: &mut Output) {
        self.untold += count;
        if self.untold >= self.limits.window / 2 {
            frame::window_update(output.frames(), 0, self.untold);
            self.window += i64::from(std::mem::take(&mut self.untold));
        }
    }

    // Heads

    fn begin_head(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<Event, Fault> {
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
            self.last = self.last.max(head.stream);
            self.refuse(head.stream, Reason::ProtocolError, streams, output);
        }
        if head.has(END_HEADERS) {
            return self.finish_head(head, block, streams, output);
        }
        self.block.clear();
        self.block.extend_from_slice(block);
        self.open = Some(head);
        Ok(Event::Frame(head))
    }

    fn continue_head(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<Event, Fault> {
        if self.block.len() + payload.len() > MAX_BLOCK {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        self.block.extend_from_slice(payload);
        if !head.has(END_HEADERS) {
            return Ok(Event::Frame(head));
        }
        let Some(open) = self.open.take() else { return Err(Fault::Connection(Reason::ProtocolError)) };
        let mut block = std::mem::take(&mut self.block);
        let event = self.finish_head(open, &block, streams, output);
        block.clear();
        block.shrink_to(KEPT);
        self.block = block;
        event
    }

    /// A whole head is there. Whatever becomes of it, it is decoded: later ones refer to it.
    fn finish_head(
        &mut self,
        head: FrameHead,
        block: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<Event, Fault> {
        if self.fields.capacity() > KEPT_FIELDS {
            self.fields = FieldBlock::new();
        }
        let limit = self.limits.header_list as usize;
        self.decoder
            .decode(block, limit, &mut self.fields)
            .map_err(|_| Fault::Connection(Reason::CompressionError))?;
        if self.fields.size() > MOST_TOO_LARGE * limit {
            return Err(Fault::Connection(Reason::EnhanceYourCalm));
        }
        if head.stream > self.last {
            return self.open_stream(head, streams, output);
        }
        let ends = head.has(END_STREAM);
        if streams.was_reset_here(head.stream) {
            // The client may not have heard of it (RFC 9113 section 5.1).
            output.sent.refused += 1;
            return Ok(Event::Frame(head));
        }
        let entry = streams.find(head.stream).and_then(|key| streams.get(key));
        let Some(entry) = entry.filter(|entry| entry.broken.is_none()) else {
            return Err(Fault::Connection(Reason::StreamClosed));
        };
        if entry.incoming.ended {
            return Err(Fault::Stream(head.stream, Reason::StreamClosed));
        }
        // A second head has to be the trailers (RFC 9113 section 8.1).
        if !ends || !request::is_trailers(&self.fields) {
            return Err(Fault::Stream(head.stream, Reason::ProtocolError));
        }
        if self.fields.size() > MAX_TRAILERS {
            return Err(Fault::Stream(head.stream, Reason::EnhanceYourCalm));
        }
        if !self.fields.is_empty() {
            entry.incoming.trailers = Some(Box::new(self.fields.clone()));
        }
        end(entry).map_err(|reason| Fault::Stream(head.stream, reason))?;
        Ok(Event::Frame(head))
    }

    fn open_stream(
        &mut self,
        head: FrameHead,
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<Event, Fault> {
        if let Leaving::Gone { last } = self.leaving
            && head.stream > last
        {
            // It hears from our last words that nothing becomes of it.
            output.sent.refused += 1;
            self.last = head.stream;
            streams.remember_reset(head.stream);
            return Ok(Event::Frame(head));
        }
        self.last = head.stream;
        if streams.len() >= self.limits.streams as usize {
            return Err(Fault::Stream(head.stream, Reason::RefusedStream));
        }
        let key = streams.open(head.stream, i64::from(DEFAULT_WINDOW), output.initial_window);
        let ends = head.has(END_STREAM);
        if ends && let Some(entry) = streams.get(key) {
            entry.incoming.ended = true;
        }
        Ok(Event::Request { frame: head, key, ends })
    }

    // Others

    fn take_reset(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(Fault::Connection(Reason::FrameSizeError));
        }
        let key = self.known(head, streams).map_err(Fault::Connection)?;
        self.break_off(key, Broken::Gone, streams, output);
        Ok(())
    }

    /// It has no effect (RFC 9113 section 5.3.2), but a form. One of a stream that there is not is an error of the
    /// connection: nothing may be said of such a stream (RFC 9113 section 6.4).
    fn take_priority(&self, head: FrameHead, payload: &[u8], streams: &Table) -> Result<(), Fault> {
        let fault = |reason| match streams.find(head.stream) {
            Some(_) => Fault::Stream(head.stream, reason),
            None => Fault::Connection(reason),
        };
        if head.stream == 0 {
            return Err(Fault::Connection(Reason::ProtocolError));
        }
        let [a, b, c, d, _] = *<&[u8; 5]>::try_from(payload).map_err(|_| fault(Reason::FrameSizeError))?;
        if number31([a, b, c, d]) == head.stream { Err(fault(Reason::ProtocolError)) } else { Ok(()) }
    }

    fn take_settings(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        if head.has(ACK) {
            self.is_aware = true;
            return if payload.is_empty() { Ok(()) } else { Err(Reason::FrameSizeError) };
        }
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(Reason::FrameSizeError);
        }
        for entry in entries {
            match settings::read(*entry)? {
                Setting::HeaderTableSize(size) => output.encoder.set_max_table_size(size),
                Setting::InitialWindowSize(size) => output.change_initial_window(size, streams)?,
                Setting::MaxFrameSize(size) => output.max_payload = (size as usize).min(MAX_PAYLOAD),
                Setting::Other => {}
            }
        }
        frame::settings_ack(output.frames());
        Ok(())
    }

    fn take_ping(&mut self, head: FrameHead, payload: &[u8], output: &mut Output) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        let payload: &[u8; 8] = payload.try_into().map_err(|_| Reason::FrameSizeError)?;
        if !head.has(ACK) {
            frame::ping(output.frames(), ACK, payload);
        } else if self.leaving == Leaving::Announced && *payload == FAREWELL {
            self.go_away(Reason::NoError, output);
        }
        Ok(())
    }

    fn take_window_update(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        streams: &mut Table,
        output: &mut Output,
    ) -> Result<(), Fault> {
        let payload: [u8; 4] = payload.try_into().map_err(|_| Fault::Connection(Reason::FrameSizeError))?;
        let increment = number31(payload);
        if head.stream == 0 {
            if increment == 0 {
                return Err(Fault::Connection(Reason::ProtocolError));
            }
            return output.widen(increment, streams).map_err(Fault::Connection);
        }
        let Some(key) = self.known(head, streams).map_err(Fault::Connection)? else { return Ok(()) };
        if increment == 0 {
            return Err(Fault::Stream(head.stream, Reason::ProtocolError));
        }
        output.widen_stream(key, increment, streams).map_err(|reason| Fault::Stream(head.stream, reason))
    }

    // Ends

    /// The client broke a rule on a stream, or may not have it. Said once: it may not have heard of it, or of a reset
    /// of ours.
    fn refuse(&mut self, id: u32, reason: Reason, streams: &mut Table, output: &mut Output) {
        let key = streams.find(id);
        let is_live = key.and_then(|key| streams.get(key)).is_some_and(|entry| entry.broken.is_none());
        if !is_live && streams.was_reset_here(id) {
            return;
        }
        let is_unaware = reason == Reason::RefusedStream && !self.is_aware && id < UNAWARE;
        output.sent.refused += u32::from(!is_unaware);
        output.reset(id, reason);
        streams.remember_reset(id);
        self.break_off(key, Broken::Malformed, streams, output);
    }

    /// Nobody reads a stream any more nor sends on it.
    pub fn break_off(&mut self, key: Option<Key>, broken: Broken, streams: &mut Table, output: &mut Output) {
        let Some(entry) = key.and_then(|key| streams.get(key)) else { return };
        entry.break_off(broken);
        let held = std::mem::take(&mut entry.incoming.held);
        if let Some((key, entry)) = key.and_then(|key| Some((key, streams.get(key)?))) {
            output.withdraw(key, entry);
        }
        self.release(held, output);
        output.grant(streams);
    }

    /// Announces that nothing new is to be asked.
    pub fn announce_end(&mut self, output: &mut Output) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Announced;
            frame::go_away(output.frames(), 0x7fff_ffff, Reason::NoError);
            frame::ping(output.frames(), 0, &FAREWELL);
        }
    }

    /// Says the last stream that is answered.
    pub fn go_away(&mut self, reason: Reason, output: &mut Output) {
        let last = match self.leaving {
            // Said already.
            Leaving::Gone { .. } if reason == Reason::NoError => return,
            // It may not become larger again.
            Leaving::Gone { last } => last,
            Leaving::No | Leaving::Announced => self.last,
        };
        self.leaving = Leaving::Gone { last };
        frame::go_away(output.frames(), last, reason);
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

fn is_of_client(stream: u32) -> bool {
    stream % 2 == 1
}

fn of_connection(head: FrameHead) -> Result<(), Fault> {
    if head.stream == 0 { Ok(()) } else { Err(Fault::Connection(Reason::ProtocolError)) }
}

/// The client has sent all of a request; an error when that is less than it told.
fn end(entry: &mut Entry) -> Result<(), Reason> {
    if entry.incoming.left.is_some_and(|left| left > 0) {
        return Err(Reason::ProtocolError);
    }
    entry.incoming.ended = true;
    entry.incoming.reader.wake();
    Ok(())
}

/// Whether an answer may still be sent.
pub(crate) fn is_answerable(entry: &Entry) -> bool {
    entry.broken.is_none() && entry.sending == Sending::Head
}
