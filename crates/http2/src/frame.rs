//! Frames (RFC 9113 sections 4 and 6): their heads, read and written, and those of a fixed form.

/// What a client says before its first frame (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a head.
pub const HEAD: usize = 9;
/// Bytes of a payload that we take, which is the least that may be allowed (RFC 9113 section 4.2).
pub const MAX_PAYLOAD: usize = 16 << 10;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITY: u8 = 0x20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// To be ignored (RFC 9113 section 5.5).
    Unknown,
}

impl Kind {
    fn of(byte: u8) -> Kind {
        match byte {
            0 => Kind::Data,
            1 => Kind::Headers,
            2 => Kind::Priority,
            3 => Kind::RstStream,
            4 => Kind::Settings,
            5 => Kind::PushPromise,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            8 => Kind::WindowUpdate,
            9 => Kind::Continuation,
            _ => Kind::Unknown,
        }
    }
}

/// Why a stream or a connection ends (RFC 9113 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    NoError = 0x0,
    ProtocolError = 0x1,
    InternalError = 0x2,
    FlowControlError = 0x3,
    StreamClosed = 0x5,
    FrameSizeError = 0x6,
    RefusedStream = 0x7,
    Cancel = 0x8,
    CompressionError = 0x9,
    EnhanceYourCalm = 0xb,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Of the payload, in bytes.
    pub length: usize,
    pub kind: Kind,
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
}

impl FrameHead {
    /// From the first bytes of `bytes`; `None` when there are fewer than nine.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<FrameHead> {
        let [a, b, c, kind, flags, e, f, g, h] = *bytes.first_chunk::<HEAD>()?;
        Some(FrameHead {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind: Kind::of(kind),
            flags,
            // The first bit has no meaning (RFC 9113 section 4.1).
            stream: u32::from_be_bytes([e & 0x7f, f, g, h]),
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Numbers of the kinds that we write.
pub(crate) mod number {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Nine bytes before a payload of `length` bytes.
#[inline]
pub(crate) fn head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; HEAD] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [e, f, g, h] = stream.to_be_bytes();
    [a, b, c, kind, flags, e, f, g, h]
}

fn fixed(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&head(payload.len(), kind, flags, stream));
    out.extend_from_slice(payload);
}

pub(crate) fn reset(out: &mut Vec<u8>, stream: u32, reason: Reason) {
    fixed(out, number::RST_STREAM, 0, stream, &(reason as u32).to_be_bytes());
}

pub(crate) fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    fixed(out, number::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
}

pub(crate) fn ping(out: &mut Vec<u8>, flags: u8, payload: &[u8; 8]) {
    fixed(out, number::PING, flags, 0, payload);
}

pub(crate) fn go_away(out: &mut Vec<u8>, last: u32, reason: Reason) {
    out.extend_from_slice(&head(8, number::GOAWAY, 0, 0));
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(reason as u32).to_be_bytes());
}

pub(crate) fn settings_ack(out: &mut Vec<u8>) {
    fixed(out, number::SETTINGS, ACK, 0, &[]);
}

pub(crate) fn settings(out: &mut Vec<u8>, values: &[(u16, u32)]) {
    out.extend_from_slice(&head(values.len() * 6, number::SETTINGS, 0, 0));
    for (id, value) in values {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// The payload without its padding (RFC 9113 section 6.1); `None` when that is longer than the rest.
pub(crate) fn without_padding(head: FrameHead, payload: &[u8]) -> Option<&[u8]> {
    if !head.has(PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(padding))?)
}

/// Four bytes as a number of 31 bits.
pub(crate) fn number31(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}
