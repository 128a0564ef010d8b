//! What a user sets about compression.

use super::types::Types;
use crate::filter::coding::Coding;

/// `compress = { ... }` of a route, checked and complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressOptions {
    /// The first of those that a client takes equally is used.
    pub encodings: Vec<Coding>,
    pub types: Types,
    /// Bytes; a body that is known to be shorter is left as it is.
    pub min_size: u64,
    pub levels: Levels,
    /// The origin sees which encodings the client takes, and may compress by itself.
    pub at_origin: bool,
}

/// Of each encoder, in its own scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    pub zstd: u32,
    pub brotli: u32,
    pub gzip: u32,
}

impl Levels {
    pub const FASTEST: Levels = Levels { zstd: 1, brotli: 1, gzip: 1 };

    pub fn of(self, coding: Coding) -> u32 {
        match coding {
            Coding::Zstd => self.zstd,
            Coding::Brotli => self.brotli,
            Coding::Gzip | Coding::Deflate => self.gzip,
        }
    }
}

impl Default for CompressOptions {
    fn default() -> CompressOptions {
        CompressOptions {
            encodings: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            types: Types::default(),
            min_size: 1 << 10,
            levels: Levels { zstd: 3, brotli: 4, gzip: 5 },
            at_origin: true,
        }
    }
}

/// What holds for all routes: `[server]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLimits {
    /// Less is compressed when a worker is busy.
    pub guard: bool,
    /// What the encoders and decoders of each worker may hold, in bytes.
    pub memory: u64,
}

impl Default for CompressionLimits {
    fn default() -> CompressionLimits {
        CompressionLimits { guard: true, memory: 128 << 20 }
    }
}
