//! One HTTP/2 frame (RFC 9113 §4.1), well formed or not: a test may put any payload into any frame.

use std::fmt;

/// A frame as it is on the wire. The length is that of the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// Types of frames (RFC 9113 §6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings (RFC 9113 §6.5.2, RFC 8441 §3).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// Error codes (RFC 9113 §7).
pub mod error {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const SETTINGS_TIMEOUT: u32 = 4;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const CONNECT_ERROR: u32 = 10;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
    pub const INADEQUATE_SECURITY: u32 = 12;
    pub const HTTP_1_1_REQUIRED: u32 = 13;
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, flags, stream, payload: payload.into() }
    }

    pub fn data(stream: u32, payload: impl Into<Vec<u8>>, end: bool) -> Frame {
        Frame::new(kind::DATA, end_stream(end), stream, payload)
    }

    /// DATA with `padding` bytes of padding, and the byte that tells how many they are.
    pub fn padded_data(stream: u32, payload: &[u8], padding: u8, end: bool) -> Frame {
        let payload = [&[padding], payload, &vec![0; usize::from(padding)][..]].concat();
        Frame::new(kind::DATA, end_stream(end) | flag::PADDED, stream, payload)
    }

    /// A whole header block.
    pub fn headers(stream: u32, block: impl Into<Vec<u8>>, end: bool) -> Frame {
        Frame::new(kind::HEADERS, end_stream(end) | flag::END_HEADERS, stream, block)
    }

    /// The part of a header block that CONTINUATION follows.
    pub fn headers_begun(stream: u32, block: impl Into<Vec<u8>>, end: bool) -> Frame {
        Frame::new(kind::HEADERS, end_stream(end), stream, block)
    }

    pub fn continuation(stream: u32, block: impl Into<Vec<u8>>, last: bool) -> Frame {
        Frame::new(kind::CONTINUATION, if last { flag::END_HEADERS } else { 0 }, stream, block)
    }

    pub fn priority(stream: u32, depends_on: u32, weight: u8) -> Frame {
        Frame::new(kind::PRIORITY, 0, stream, [&depends_on.to_be_bytes()[..], &[weight]].concat())
    }

    pub fn reset(stream: u32, code: u32) -> Frame {
        Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub fn settings(settings: &[(u16, u32)]) -> Frame {
        let parts =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        Frame::new(kind::SETTINGS, 0, 0, parts.collect::<Vec<u8>>())
    }

    pub fn settings_ack() -> Frame {
        Frame::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    pub fn ping(payload: [u8; 8]) -> Frame {
        Frame::new(kind::PING, 0, 0, payload)
    }

    pub fn goaway(last: u32, code: u32) -> Frame {
        Frame::new(kind::GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
    }

    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The code of RST_STREAM or GOAWAY.
    pub fn error_code(&self) -> Option<u32> {
        match self.kind {
            kind::RST_STREAM => self.number(0),
            kind::GOAWAY => self.number(4),
            _ => None,
        }
    }

    /// The last stream that a GOAWAY speaks of.
    pub fn last_stream(&self) -> Option<u32> {
        (self.kind == kind::GOAWAY).then(|| self.number(0)).flatten().map(|id| id & MAX_STREAM)
    }

    /// The settings of a SETTINGS frame, in order; empty for any other.
    pub fn settings_list(&self) -> Vec<(u16, u32)> {
        if self.kind != kind::SETTINGS {
            return Vec::new();
        }
        let pairs = self.payload.as_chunks::<6>().0.iter();
        pairs
            .map(|&[a, b, c, d, e, f]| (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])))
            .collect()
    }

    /// The payload of DATA and HEADERS without padding and priority; `None` when they do not fit.
    pub fn content(&self) -> Option<&[u8]> {
        let mut content = &self.payload[..];
        if matches!(self.kind, kind::DATA | kind::HEADERS) && self.has(flag::PADDED) {
            let (&padding, rest) = content.split_first()?;
            content = rest.get(..rest.len().checked_sub(usize::from(padding))?)?;
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            content = content.get(5..)?;
        }
        Some(content)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a payload that fits into memory");
        assert!(length < 1 << 24, "a frame has at most 16777215 bytes, not {length}");
        let [_, a, b, c] = length.to_be_bytes();
        [&[a, b, c, self.kind, self.flags][..], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    /// The frame at the start of `bytes` and what it occupies there; `None` when more bytes are needed.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
        let &[a, b, c, kind, flags, d, e, f, g] = bytes.first_chunk::<HEADER>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = bytes.get(HEADER..HEADER + length)?;
        let stream = u32::from_be_bytes([d, e, f, g]) & MAX_STREAM;
        Some((Frame::new(kind, flags, stream, payload), HEADER + length))
    }

    /// The four bytes of the payload from `at` on.
    pub(crate) fn number(&self, at: usize) -> Option<u32> {
        self.payload.get(at..).and_then(|rest| rest.first_chunk()).map(|&bytes| u32::from_be_bytes(bytes))
    }
}

/// Short, because failing tests print them.
impl fmt::Debug for Frame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 10] = [
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH_PROMISE",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        match NAMES.get(usize::from(self.kind)) {
            Some(name) => write!(out, "{name}")?,
            None => write!(out, "type {}", self.kind)?,
        }
        write!(out, "(stream {}, flags {:#x}, {} bytes", self.stream, self.flags, self.payload.len())?;
        if let Some(code) = self.error_code() {
            write!(out, ", code {code}")?;
        }
        write!(out, ")")
    }
}

fn end_stream(end: bool) -> u8 {
    if end { flag::END_STREAM } else { 0 }
}

/// The highest number of a stream; the bit above it is reserved.
pub(crate) const MAX_STREAM: u32 = (1 << 31) - 1;
const HEADER: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_as_it_was_written() {
        for frame in [
            Frame::data(1, "hello", true),
            Frame::settings(&[(setting::MAX_FRAME_SIZE, 16384), (setting::ENABLE_PUSH, 0)]),
            Frame::goaway(7, error::ENHANCE_YOUR_CALM),
            Frame::new(77, 0xff, 5, vec![0; 70_000]),
        ] {
            let bytes = frame.to_bytes();
            assert_eq!(Frame::parse(&bytes), Some((frame, bytes.len())));
            assert_eq!(Frame::parse(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn tells_what_is_in_it() {
        assert_eq!(Frame::data(1, "hello", true).to_bytes(), b"\0\0\x05\0\x01\0\0\0\x01hello");
        assert_eq!(Frame::padded_data(1, b"hello", 3, false).content(), Some(&b"hello"[..]));
        assert_eq!(Frame::new(kind::DATA, flag::PADDED, 1, [9, 1]).content(), None);
        assert_eq!(Frame::goaway(7, 11).error_code(), Some(11));
        assert_eq!(Frame::goaway(7, 11).last_stream(), Some(7));
        assert_eq!(Frame::settings(&[(3, 100), (4, 0)]).settings_list(), [(3, 100), (4, 0)]);
    }
}
