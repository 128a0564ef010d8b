//! HPACK (RFC 7541): fields as blocks of bytes, with a table on each side that remembers earlier ones.
//!
//! [`Decoder`] reads the blocks of requests, strictly: whatever the RFC calls an error is one, and after it the
//! tables of the two sides differ, so the connection is over. [`Encoder`] writes the blocks of answers and learns
//! which fields are worth an entry. What a name or a value may consist of is not looked at here.
//!
//! ```
//! use http2::hpack::{Decoder, Encoder, FieldBlock};
//!
//! let (mut encoder, mut block) = (Encoder::new(), Vec::new());
//! encoder.begin(&mut block);
//! encoder.status(200, &mut block);
//! encoder.field(b"Content-Type", b"text/plain", &mut block);
//!
//! let (mut decoder, mut fields) = (Decoder::new(4096), FieldBlock::new());
//! decoder.decode(&block, 64 << 10, &mut fields).expect("a whole block");
//! let fields: Vec<_> = fields.iter().collect();
//! assert_eq!(fields, [(&b":status"[..], &b"200"[..]), (b"content-type", b"text/plain")]);
//! ```

mod block;
mod decoder;
mod dynamic_table;
mod encoder;
mod hash;
mod huffman;
mod integer;
mod learned;
mod literal;
mod lower;
mod static_table;

pub use block::FieldBlock;
pub use decoder::Decoder;
pub use encoder::Encoder;

/// A block that is not HPACK, or not of this connection: COMPRESSION_ERROR, and the connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// What an entry weighs besides its bytes, in a table (RFC 7541 4.1) and in a list (RFC 9113 6.5.2).
const OVERHEAD: usize = 32;

/// The first bits of each representation (RFC 7541 6), and how many bits its integer has in the first byte.
const INDEXED: (u8, u32) = (0x80, 7);
const WITH_INDEXING: (u8, u32) = (0x40, 6);
const TABLE_SIZE: (u8, u32) = (0x20, 5);
const NEVER_INDEXED: (u8, u32) = (0x10, 4);
const WITHOUT_INDEXING: (u8, u32) = (0x00, 4);

/// A string (RFC 7541 5.2) that is in Huffman code.
const HUFFMAN: (u8, u32) = (0x80, 7);
const PLAIN: (u8, u32) = (0x00, 7);
