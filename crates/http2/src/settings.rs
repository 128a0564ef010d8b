//! Settings (RFC 9113 section 6.5.2, RFC 8441 section 3): those that we announce, and those of the peer that change
//! what we do.

use crate::frame::Reason;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// What a window has before anybody says otherwise (RFC 9113 section 6.9.2).
pub const DEFAULT_WINDOW: u32 = 65_535;
/// The largest window (RFC 9113 section 6.9.1).
pub const MAX_WINDOW: i64 = 0x7fff_ffff;

/// What a server allows its client.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Streams at the same time.
    pub streams: u32,
    /// Bytes of a head's fields, with 32 more for each.
    pub header_list: u32,
    /// Bytes of request bodies, of all streams together, that may be on their way; at least 65,535. One stream may
    /// have 65,535 of them.
    pub window: u32,
    /// Bytes of answers that wait for the socket before more are taken.
    pub output: usize,
}

impl Limits {
    pub(crate) fn announced(&self) -> [(u16, u32); 3] {
        [
            (MAX_CONCURRENT_STREAMS, self.streams),
            (MAX_HEADER_LIST_SIZE, self.header_list),
            (ENABLE_CONNECT_PROTOCOL, 1),
        ]
    }
}

/// One setting of the peer that matters to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    HeaderTableSize(u32),
    InitialWindowSize(u32),
    MaxFrameSize(u32),
    /// It changes nothing.
    Other,
}

/// Reads one entry of a SETTINGS frame.
pub(crate) fn read([a, b, c, d, e, f]: [u8; 6]) -> Result<Setting, Reason> {
    let value = u32::from_be_bytes([c, d, e, f]);
    match u16::from_be_bytes([a, b]) {
        HEADER_TABLE_SIZE => Ok(Setting::HeaderTableSize(value)),
        ENABLE_PUSH if value > 1 => Err(Reason::ProtocolError),
        INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => Err(Reason::FlowControlError),
        INITIAL_WINDOW_SIZE => Ok(Setting::InitialWindowSize(value)),
        MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => Err(Reason::ProtocolError),
        MAX_FRAME_SIZE => Ok(Setting::MaxFrameSize(value)),
        ENABLE_CONNECT_PROTOCOL if value > 1 => Err(Reason::ProtocolError),
        _ => Ok(Setting::Other),
    }
}
