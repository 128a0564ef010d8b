//! HTTP/2 codec (RFC 9113), from the side of the server: bytes in, messages out. Pure: no sockets, no clock, no
//! runtime, no `unsafe`.
//!
//! [`hpack`] is the compression of fields (RFC 7541).

#![forbid(unsafe_code)]

pub mod hpack;
