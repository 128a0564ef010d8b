//! HTTP/2 (RFC 9113), the server's side of a connection. Pure: bytes in, bytes out; no sockets, no clock, no `unsafe`.
//!
//! [`Connection`] takes the bytes that a client sent and says which requests begin in them; [`Stream`] is one of
//! these, for whoever answers it. Flow control, header compression and the states of streams are known here, and
//! which error each broken rule is. What is allowed and yet too much is for the caller to judge: it sees every frame.

#![forbid(unsafe_code)]

mod body;
mod connection;
mod ending;
mod frame;
mod head;
pub mod hpack;
mod input;
mod output;
pub mod request;
mod settings;
mod stream;
mod table;

pub use connection::Connection;
pub use frame::{FrameHead, Kind, PREFACE, Reason};
pub use hpack::FieldBlock;
pub use input::{Event, Taken};
pub use output::{Closed, Sent};
pub use settings::Limits;
pub use stream::{Head, Incoming, Lost, Stream};
pub use table::Key;

/// Flags of frames (RFC 9113 section 6).
pub mod flags {
    pub use crate::frame::{ACK, END_HEADERS, END_STREAM, PADDED, PRIORITY};
}
