//! One connection of an HTTP/2 origin: frames come in, scripts of streams go on beside each other.
//!
//! One thread does both. It waits for a frame until the next pause of a script is over.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use super::frame::{Frame, MAX_STREAM, error, flag, kind, setting};
use super::hpack::{Decoder, encode};
use super::origin::{H2OriginOptions, H2Request, Shared, StreamFn};
use super::script::{GoAwayAt, H2Step};
use super::wire::{PREFACE, Wire};
use crate::origin::OriginConnection;
use crate::parse::Headers;
use crate::stream::is_timeout;

pub(super) struct Session<'a> {
    wire: Wire<OriginConnection>,
    index: usize,
    options: &'a H2OriginOptions,
    shared: &'a Shared,
    script: &'a StreamFn,
    decoder: Decoder,
    /// The block that CONTINUATION goes on with: its stream, and whether the stream ends with it.
    block: Option<(u32, bool, Vec<u8>)>,
    streams: BTreeMap<u32, Stream>,
    highest: u32,
    /// Our settings count from the moment at which the proxy has acknowledged them.
    acknowledged: bool,
    /// What we may send.
    window: i64,
    peer: Peer,
    /// What the proxy may send on the connection.
    granted: i64,
}

/// What the proxy's SETTINGS say.
struct Peer {
    initial_window: i64,
    max_frame: usize,
}

struct Stream {
    steps: VecDeque<H2Step>,
    /// The next step has to wait until then.
    due: Option<Instant>,
    /// What we may send.
    window: i64,
    /// What the proxy may send.
    granted: i64,
    /// Which side has ended it.
    ended_by_peer: bool,
    ended_by_us: bool,
}

/// Why a connection is over.
enum End {
    Close,
    Abort,
    Lost,
}

type Going = Result<(), End>;

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Lost
    }
}

impl<'a> Session<'a> {
    pub fn new(
        connection: OriginConnection,
        index: usize,
        options: &'a H2OriginOptions,
        shared: &'a Shared,
        script: &'a StreamFn,
    ) -> Session<'a> {
        let own = |id, default| {
            let own = options.settings.iter().rev().find(|(setting, _)| *setting == id);
            own.map_or(default, |(_, value)| *value)
        };
        Session {
            wire: Wire::new(connection),
            index,
            options,
            shared,
            script,
            decoder: Decoder::new(own(setting::HEADER_TABLE_SIZE, 4096) as usize),
            block: None,
            streams: BTreeMap::new(),
            highest: 0,
            acknowledged: false,
            window: DEFAULT_WINDOW,
            peer: Peer { initial_window: DEFAULT_WINDOW, max_frame: 16_384 },
            granted: DEFAULT_WINDOW,
        }
    }

    pub fn serve(mut self) {
        let mut records = self.shared.records();
        if records.frames.len() <= self.index {
            records.frames.resize(self.index + 1, Vec::new());
        }
        drop(records);
        if let Err(End::Abort) = self.run() {
            self.wire.stream.reset();
        }
    }

    fn run(&mut self) -> Going {
        let preface = self.wire.bytes(PREFACE.len(), Instant::now() + LONG)?;
        if preface != PREFACE {
            return self
                .violation(error::PROTOCOL_ERROR, format!("the preface {:?}", preface.escape_ascii()));
        }
        match &self.options.greeting {
            Some(bytes) => self.wire.send(bytes)?,
            None => self.send(&Frame::settings(&self.options.settings))?,
        }
        loop {
            self.play()?;
            let pauses = self.streams.values().filter_map(|stream| stream.due);
            let end = pauses.min().unwrap_or_else(|| Instant::now() + LONG);
            match self.wire.frame(end) {
                Ok(Some(frame)) => self.take(frame)?,
                Ok(None) => return Err(End::Close),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Does all steps that can be done now.
    fn play(&mut self) -> Going {
        let ids: Vec<u32> = self.streams.keys().copied().collect();
        for id in ids {
            while self.step(id)? {}
        }
        self.streams
            .retain(|_, stream| !(stream.ended_by_us && stream.ended_by_peer && stream.steps.is_empty()));
        Ok(())
    }

    /// Does the next step of a stream; false when it has none, or has to wait.
    fn step(&mut self, id: u32) -> Result<bool, End> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(false) };
        if stream.due.is_some_and(|due| Instant::now() < due) {
            return Ok(false);
        }
        stream.due = None;
        let Some(step) = stream.steps.pop_front() else { return Ok(false) };
        match step {
            H2Step::Head { status, fields, end } => {
                let status = (":status".to_string(), status.to_string());
                let block = encode(&[&[status], &fields[..]].concat());
                stream.ended_by_us |= end;
                self.send_block(id, &block, end)?;
            }
            H2Step::Data { bytes, end } => return self.send_data(id, bytes, end),
            H2Step::Trailers(fields) => {
                stream.ended_by_us = true;
                self.send_block(id, &encode(&fields), true)?;
            }
            H2Step::Reset(code) => {
                stream.ended_by_us = true;
                stream.ended_by_peer = true;
                self.send(&Frame::reset(id, code))?;
            }
            H2Step::GoAway { at, code } => {
                let last = match at {
                    GoAwayAt::Here => id,
                    GoAwayAt::Before => id.saturating_sub(2),
                    GoAwayAt::Last => MAX_STREAM,
                };
                self.send(&Frame::goaway(last, code))?;
            }
            H2Step::Pause(time) => stream.due = Some(Instant::now() + time),
            H2Step::Await(bytes) => {
                let ended = stream.ended_by_peer;
                let index = self.index;
                let here = self.shared.records().stream(index, id).map_or(0, |request| request.body.len());
                if !ended && here < bytes {
                    if let Some(stream) = self.streams.get_mut(&id) {
                        stream.steps.push_front(H2Step::Await(bytes));
                    }
                    return Ok(false);
                }
            }
            H2Step::Frame(frame) => self.send(&frame)?,
            H2Step::FrameHere(frame) => self.send(&Frame { stream: id, ..frame })?,
            H2Step::Raw(bytes) => self.wire.send(&bytes)?,
            H2Step::Close => return Err(End::Close),
            H2Step::Abort => return Err(End::Abort),
        }
        Ok(true)
    }

    /// As much as the windows allow; the rest stays the next step.
    fn send_data(&mut self, id: u32, mut bytes: Vec<u8>, end: bool) -> Result<bool, End> {
        loop {
            let Some(stream) = self.streams.get_mut(&id) else { return Ok(false) };
            let allowed = stream.window.min(self.window).clamp(0, self.peer.max_frame as i64) as usize;
            let most = allowed.min(bytes.len());
            if most == 0 && !bytes.is_empty() {
                stream.steps.push_front(H2Step::Data { bytes, end });
                return Ok(false);
            }
            let rest = bytes.split_off(most);
            let last = rest.is_empty();
            stream.window -= most as i64;
            stream.ended_by_us |= last && end;
            self.window -= most as i64;
            self.send(&Frame::data(id, bytes, last && end))?;
            if last {
                return Ok(true);
            }
            bytes = rest;
        }
    }

    fn send_block(&mut self, id: u32, block: &[u8], end: bool) -> Going {
        let (first, rest) = block.split_at(block.len().min(self.peer.max_frame));
        if rest.is_empty() {
            return self.send(&Frame::headers(id, first, end));
        }
        self.send(&Frame::headers_begun(id, first, end))?;
        let mut pieces = rest.chunks(self.peer.max_frame).peekable();
        while let Some(piece) = pieces.next() {
            self.send(&Frame::continuation(id, piece, pieces.peek().is_none()))?;
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame) -> Going {
        let known = frame.clone();
        self.shared.records().frames[self.index].push(known);
        if frame.payload.len() > 16_384 && self.own(setting::MAX_FRAME_SIZE) < frame.payload.len() as u32 {
            return self.violation(error::FRAME_SIZE_ERROR, format!("{frame:?}"));
        }
        if let Some((stream, ..)) = &self.block
            && (frame.kind != kind::CONTINUATION || frame.stream != *stream)
        {
            return self.violation(error::PROTOCOL_ERROR, format!("{frame:?} inside a header block"));
        }
        match frame.kind {
            kind::HEADERS => match frame.content().map(<[u8]>::to_vec) {
                Some(block) => self.take_block(&frame, frame.has(flag::END_STREAM), block),
                None => self.violation(error::PROTOCOL_ERROR, format!("the padding of {frame:?}")),
            },
            kind::CONTINUATION => match self.block.take() {
                Some((_, ends, mut block)) => {
                    block.extend_from_slice(&frame.payload);
                    self.take_block(&frame, ends, block)
                }
                None => self.violation(error::PROTOCOL_ERROR, "CONTINUATION of nothing".to_string()),
            },
            kind::DATA => self.take_data(&frame),
            kind::RST_STREAM => {
                self.streams.remove(&frame.stream);
                if let Some(request) = self.shared.records().stream(self.index, frame.stream) {
                    request.reset = frame.error_code();
                }
                Ok(())
            }
            kind::SETTINGS if frame.has(flag::ACK) => {
                self.acknowledged = true;
                Ok(())
            }
            kind::SETTINGS => self.take_settings(&frame),
            kind::PING if !frame.has(flag::ACK) => {
                self.send(&Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone()))
            }
            kind::WINDOW_UPDATE => self.take_window(&frame),
            kind::PUSH_PROMISE => {
                self.violation(error::PROTOCOL_ERROR, "PUSH_PROMISE of a client".to_string())
            }
            _ => Ok(()),
        }
    }

    fn take_block(&mut self, frame: &Frame, ends: bool, block: Vec<u8>) -> Going {
        if !frame.has(flag::END_HEADERS) {
            self.block = Some((frame.stream, ends, block));
            return Ok(());
        }
        let headers = match self.decoder.decode(&block) {
            Ok(headers) => headers,
            Err(reason) => return self.violation(error::COMPRESSION_ERROR, reason),
        };
        if let Some(broken) = broken_fields(&headers) {
            self.shared.records().violations.push(broken);
        }
        let id = frame.stream;
        if self.streams.contains_key(&id) {
            if let Some(request) = self.shared.records().stream(self.index, id) {
                request.trailers = headers;
            }
            return if ends { self.complete(id) } else { Ok(()) };
        }
        if id.is_multiple_of(2) || id <= self.highest {
            return self.violation(error::PROTOCOL_ERROR, format!("{frame:?} after stream {}", self.highest));
        }
        self.begin(id, headers)?;
        if self.options.early {
            self.start_script(id);
        }
        if ends { self.complete(id) } else { Ok(()) }
    }

    fn begin(&mut self, id: u32, headers: Headers) -> Going {
        self.highest = id;
        let initial = i64::from(self.own(setting::INITIAL_WINDOW_SIZE));
        let granted = if self.acknowledged { initial } else { initial.max(DEFAULT_WINDOW) };
        self.streams.insert(
            id,
            Stream {
                steps: VecDeque::new(),
                due: None,
                window: self.peer.initial_window,
                granted,
                ended_by_peer: false,
                ended_by_us: false,
            },
        );
        let open =
            self.streams.values().filter(|stream| !(stream.ended_by_us && stream.ended_by_peer)).count();
        let mut records = self.shared.records();
        records.most_concurrent = records.most_concurrent.max(open);
        records.streams.push(H2Request {
            connection: self.index,
            stream: id,
            headers,
            body: Vec::new(),
            trailers: Headers::default(),
            complete: false,
            reset: None,
        });
        drop(records);
        let allowed = self.own(setting::MAX_CONCURRENT_STREAMS) as usize;
        if self.acknowledged && open > allowed {
            self.shared.records().violations.push(format!("{open} streams at once, of {allowed}"));
            self.streams.remove(&id);
            return self.send(&Frame::reset(id, error::REFUSED_STREAM));
        }
        Ok(())
    }

    fn take_data(&mut self, frame: &Frame) -> Going {
        let Some(content) = frame.content() else {
            return self.violation(error::PROTOCOL_ERROR, format!("the padding of {frame:?}"));
        };
        let length = frame.payload.len() as i64;
        self.granted -= length;
        let id = frame.stream;
        let known = self.streams.get_mut(&id).map(|stream| {
            stream.granted -= length;
            (stream.granted, stream.ended_by_peer)
        });
        if self.granted < 0 || known.is_some_and(|(granted, _)| granted < 0) {
            return self.violation(error::FLOW_CONTROL_ERROR, format!("{frame:?} beyond the window"));
        }
        match known {
            Some((_, true)) => {
                return self.violation(error::STREAM_CLOSED, format!("{frame:?} after its end"));
            }
            None if id > self.highest => {
                return self.violation(error::PROTOCOL_ERROR, format!("{frame:?} on an idle stream"));
            }
            _ => {}
        }
        if let Some(request) = self.shared.records().stream(self.index, id) {
            request.body.extend_from_slice(content);
        }
        if self.options.gives_windows_back && length > 0 {
            self.granted += length;
            self.send(&Frame::window_update(0, length as u32))?;
            if !frame.has(flag::END_STREAM)
                && let Some(stream) = self.streams.get_mut(&id)
            {
                stream.granted += length;
                self.send(&Frame::window_update(id, length as u32))?;
            }
        }
        if frame.has(flag::END_STREAM) && known.is_some() { self.complete(id) } else { Ok(()) }
    }

    fn complete(&mut self, id: u32) -> Going {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ended_by_peer = true;
        }
        let mut wrong = None;
        if let Some(request) = self.shared.records().stream(self.index, id) {
            request.complete = true;
            let length = request.header("content-length").map(|length| length.parse());
            if length.is_some_and(|length| length != Ok(request.body.len())) {
                wrong = Some(format!(
                    "content-length {:?} of {} bytes",
                    request.header("content-length"),
                    request.body.len()
                ));
            }
        }
        self.shared.records().violations.extend(wrong);
        if !self.options.early {
            self.start_script(id);
        }
        Ok(())
    }

    fn start_script(&mut self, id: u32) {
        let mut records = self.shared.records();
        let number = records.begun;
        records.begun += 1;
        let request = records.stream(self.index, id).cloned();
        drop(records);
        if let Some((request, stream)) = request.zip(self.streams.get_mut(&id)) {
            stream.steps = (self.script)(&request, number).steps.into();
        }
    }

    fn take_settings(&mut self, frame: &Frame) -> Going {
        for (id, value) in frame.settings_list() {
            match id {
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - self.peer.initial_window;
                    self.peer.initial_window = i64::from(value);
                    self.streams.values_mut().for_each(|stream| stream.window += change);
                }
                setting::MAX_FRAME_SIZE => self.peer.max_frame = value as usize,
                _ => {}
            }
        }
        self.send(&Frame::settings_ack())
    }

    fn take_window(&mut self, frame: &Frame) -> Going {
        let increment = i64::from(frame.number(0).unwrap_or(0));
        if increment == 0 {
            return self.violation(error::PROTOCOL_ERROR, format!("{frame:?} that adds nothing"));
        }
        match frame.stream {
            0 => self.window += increment,
            id => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.window += increment;
                }
            }
        }
        Ok(())
    }

    /// What we told in SETTINGS, or the value without it.
    fn own(&self, id: u16) -> u32 {
        let told = self.options.settings.iter().rev().find(|(setting, _)| *setting == id);
        told.map_or(
            match id {
                setting::INITIAL_WINDOW_SIZE => DEFAULT_WINDOW as u32,
                setting::MAX_FRAME_SIZE => 16_384,
                _ => u32::MAX,
            },
            |(_, value)| *value,
        )
    }

    fn violation(&mut self, code: u32, reason: String) -> Going {
        self.shared.records().violations.push(reason);
        self.send(&Frame::goaway(self.highest, code))?;
        Err(End::Close)
    }

    fn send(&mut self, frame: &Frame) -> Going {
        Ok(self.wire.send(&frame.to_bytes())?)
    }
}

/// Fields that no request in HTTP/2 may have (RFC 9113 §8.2), and rules of pseudo fields (§8.3).
fn broken_fields(headers: &Headers) -> Option<String> {
    let mut regular = false;
    for (name, value) in headers.iter() {
        let pseudo = name.starts_with(':');
        let bad_name = name.is_empty()
            || name.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte.is_ascii_uppercase());
        let bad_value = value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
            || value.starts_with([' ', '\t'])
            || value.ends_with([' ', '\t']);
        let connection = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
        let wrong_te = name == "te" && value != "trailers";
        let twice = pseudo && headers.all(name).len() > 1;
        if bad_name
            || bad_value
            || connection.contains(&name.as_str())
            || wrong_te
            || twice
            || (pseudo && regular)
        {
            return Some(format!("the field {name:?}: {value:?}"));
        }
        regular |= !pseudo;
    }
    None
}

/// RFC 9113 §6.9.2.
const DEFAULT_WINDOW: i64 = 65_535;
/// A connection that says nothing for so long is none that a test waits for.
const LONG: Duration = Duration::from_secs(60);
