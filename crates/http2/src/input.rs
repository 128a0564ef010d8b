//! What comes from the peer: bytes become frames, and each frame changes something or breaks a rule (RFC 9113
//! section 6). Nothing here waits. Heads are in `head`, bodies in `body`.

use crate::connection::State;
use crate::ending::{FAREWELL, Leaving};
use crate::frame::{self, ACK, FrameHead, Kind, MAX_PAYLOAD, PADDED, PREFACE, Reason, number31};
use crate::hpack::{Decoder, FieldBlock};
use crate::settings::{self, Limits, Setting};
use crate::table::{Broken, Fault, Key};

/// The table of the fields that our peer may refer to.
const HEADER_TABLE: usize = 4096;

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

/// What is known of what came.
pub(crate) struct Input {
    place: Place,
    pub decoder: Decoder,
    /// Parts of a head that is not complete.
    pub block: Vec<u8>,
    /// The first frame of it.
    pub open: Option<FrameHead>,
    /// The last head.
    pub fields: FieldBlock,
    pub limits: Limits,
    /// Bytes of DATA that may come, over all streams; and those that were given back and not told.
    pub window: i64,
    pub untold: u32,
    /// The largest id that the client has used.
    pub last: u32,
    pub leaving: Leaving,
    /// The client asks for nothing more.
    pub is_left: bool,
    /// The client has taken our settings.
    pub is_aware: bool,
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
}

impl State {
    /// Takes the next frame of `bytes`, or what there is of it.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Taken, Reason> {
        let starved = |count| Ok(Taken { count, event: Event::Starved });
        let (used, head) = match self.input.place {
            Place::Preface => return self.take_preface(bytes),
            Place::Data { head, left, into } => {
                let count = left.min(bytes.len());
                let piece = bytes.get(..count).unwrap_or_default();
                let left = left - count;
                self.store(into, piece);
                if left > 0 {
                    self.input.place = Place::Data { head, left, into };
                    return starved(count);
                }
                self.input.place = Place::Between;
                self.finish_data(head, into);
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
                let into = self.begin_data(head)?;
                self.store(into, rest);
                self.input.place = Place::Data { head, left: head.length - rest.len(), into };
                return starved(bytes.len());
            }
            self.input.place = Place::Inside(head);
            return starved(used);
        };
        self.input.place = Place::Between;
        let event = match self.handle(head, payload) {
            Ok(event) => event,
            Err(Fault::Connection(reason)) => return Err(reason),
            Err(Fault::Stream(id, reason)) => {
                self.refuse(id, reason);
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
        self.input.place = Place::Between;
        Ok(Taken { count, event: Event::Preface })
    }

    /// What is wrong whatever a frame holds.
    fn check_order(&self, head: FrameHead) -> Result<(), Reason> {
        if head.length > MAX_PAYLOAD {
            return Err(Reason::FrameSizeError);
        }
        match (&self.input.open, head.kind) {
            (None, Kind::Continuation) => Err(Reason::ProtocolError),
            (Some(open), Kind::Continuation) if open.stream == head.stream => Ok(()),
            // Nothing may come between the parts of a head (RFC 9113 section 4.3).
            (Some(_), _) => Err(Reason::ProtocolError),
            (None, _) => Ok(()),
        }
    }

    fn handle(&mut self, head: FrameHead, payload: &[u8]) -> Result<Event, Fault> {
        match head.kind {
            Kind::Data => {
                let data =
                    frame::without_padding(head, payload).ok_or(Fault::Connection(Reason::ProtocolError))?;
                let into = self.begin_data(head).map_err(Fault::Connection)?;
                self.store(into, data);
                self.skip_padding(into, (payload.len() - data.len()) as u32);
                self.finish_data(head, into);
            }
            Kind::Headers => return self.begin_head(head, payload),
            Kind::Continuation => return self.continue_head(head, payload),
            Kind::Priority => self.take_priority(head, payload)?,
            Kind::RstStream => self.take_reset(head, payload)?,
            Kind::Settings => self.take_settings(head, payload).map_err(Fault::Connection)?,
            Kind::PushPromise => return Err(Fault::Connection(Reason::ProtocolError)),
            Kind::Ping => self.take_ping(head, payload).map_err(Fault::Connection)?,
            Kind::GoAway => {
                of_connection(head)?;
                if payload.len() < 8 {
                    return Err(Fault::Connection(Reason::FrameSizeError));
                }
                self.input.is_left = true;
            }
            Kind::WindowUpdate => self.take_window_update(head, payload)?,
            Kind::Unknown => {}
        }
        Ok(Event::Frame(head))
    }

    /// Looks for the stream of a frame that only one that exists, or existed, can have.
    pub(crate) fn known(&self, head: FrameHead) -> Result<Option<Key>, Reason> {
        if !is_of_client(head.stream) || head.stream > self.input.last {
            // Of the connection, of ours, or idle (RFC 9113 section 5.1).
            return Err(Reason::ProtocolError);
        }
        Ok(self.streams.find(head.stream))
    }

    fn take_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(Fault::Connection(Reason::FrameSizeError));
        }
        let key = self.known(head).map_err(Fault::Connection)?;
        self.break_off(key, Broken::Gone);
        Ok(())
    }

    /// It has no effect (RFC 9113 section 5.3.2), but a form. One of a stream that there is not is an error of the
    /// connection: nothing may be said of such a stream (RFC 9113 section 6.4).
    fn take_priority(&self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        let fault = |reason| match self.streams.find(head.stream) {
            Some(_) => Fault::Stream(head.stream, reason),
            None => Fault::Connection(reason),
        };
        if head.stream == 0 {
            return Err(Fault::Connection(Reason::ProtocolError));
        }
        let [a, b, c, d, _] = *<&[u8; 5]>::try_from(payload).map_err(|_| fault(Reason::FrameSizeError))?;
        if number31([a, b, c, d]) == head.stream { Err(fault(Reason::ProtocolError)) } else { Ok(()) }
    }

    fn take_settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        if head.has(ACK) {
            self.input.is_aware = true;
            return if payload.is_empty() { Ok(()) } else { Err(Reason::FrameSizeError) };
        }
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(Reason::FrameSizeError);
        }
        for entry in entries {
            match settings::read(*entry)? {
                Setting::HeaderTableSize(size) => self.output.encoder.set_max_table_size(size),
                Setting::InitialWindowSize(size) => {
                    self.output.change_initial_window(size, &mut self.streams)?
                }
                Setting::MaxFrameSize(size) => self.output.max_payload = (size as usize).min(MAX_PAYLOAD),
                Setting::Other => {}
            }
        }
        frame::settings_ack(self.output.frames());
        Ok(())
    }

    fn take_ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        let payload: &[u8; 8] = payload.try_into().map_err(|_| Reason::FrameSizeError)?;
        if !head.has(ACK) {
            frame::ping(self.output.frames(), ACK, payload);
        } else if self.input.leaving == Leaving::Announced && *payload == FAREWELL {
            self.go_away(Reason::NoError);
        }
        Ok(())
    }

    fn take_window_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        let payload: [u8; 4] = payload.try_into().map_err(|_| Fault::Connection(Reason::FrameSizeError))?;
        let increment = number31(payload);
        if head.stream == 0 {
            if increment == 0 {
                return Err(Fault::Connection(Reason::ProtocolError));
            }
            return self.output.widen(increment, &mut self.streams).map_err(Fault::Connection);
        }
        let Some(key) = self.known(head).map_err(Fault::Connection)? else { return Ok(()) };
        if increment == 0 {
            return Err(Fault::Stream(head.stream, Reason::ProtocolError));
        }
        self.output
            .widen_stream(key, increment, &mut self.streams)
            .map_err(|reason| Fault::Stream(head.stream, reason))
    }
}

pub(crate) fn is_of_client(stream: u32) -> bool {
    stream % 2 == 1
}

fn of_connection(head: FrameHead) -> Result<(), Fault> {
    if head.stream == 0 { Ok(()) } else { Err(Fault::Connection(Reason::ProtocolError)) }
}
