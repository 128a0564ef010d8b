//! HTTP/2 for tests, frame by frame: a client and an origin that can keep every rule and break each of them.
//!
//! Like the rest of the kit this shares nothing with the proxy: its own frames, its own HPACK.

mod client;
mod frame;
mod hpack;
mod huffman;
mod origin;
mod script;
mod session;
mod wire;

pub use client::{H2Client, H2Failure, H2Response};
pub use frame::{Frame, error, flag, kind, setting};
pub use hpack::{Block, Decoder, encode};
pub use origin::{H2Origin, H2OriginOptions, H2Request};
pub use script::{GoAwayAt, H2Script, H2Step};
pub use wire::PREFACE;

#[cfg(test)]
mod tests;
