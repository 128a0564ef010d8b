//! Reader of a body, whatever its framing.

use crate::chunked::ChunkedReader;
use crate::error::BodyError;
use crate::fields::Fields;
use crate::framing::BodyLength;

/// What [`BodyReader::decode`] did with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// So many bytes of body are now at the start of the buffer.
    pub data: usize,
    /// So many bytes of the buffer were used up, framing included; `data` is never more.
    pub consumed: usize,
}

/// Turns received bytes into body bytes and knows when the body is complete.
#[derive(Debug, Clone)]
pub enum BodyReader {
    /// Bytes left.
    Exact(u64),
    Chunked(ChunkedReader),
    UntilClose,
}

impl BodyReader {
    pub fn new(length: BodyLength) -> BodyReader {
        match length {
            BodyLength::Exact(left) => BodyReader::Exact(left),
            BodyLength::Chunked => BodyReader::Chunked(ChunkedReader::new()),
            BodyLength::UntilClose => BodyReader::UntilClose,
        }
    }

    /// Reads what is in `buffer`, in place.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, BodyError> {
        match self {
            BodyReader::Exact(left) => {
                let data = (*left).min(buffer.len() as u64) as usize;
                *left -= data as u64;
                Ok(Decoded { data, consumed: data })
            }
            BodyReader::Chunked(reader) => reader.decode(buffer),
            BodyReader::UntilClose => Ok(Decoded { data: buffer.len(), consumed: buffer.len() }),
        }
    }

    /// The body is complete. One that lasts until the close is complete only then, which
    /// [`BodyReader::may_end_here`] tells.
    pub fn is_done(&self) -> bool {
        match self {
            BodyReader::Exact(left) => *left == 0,
            BodyReader::Chunked(reader) => reader.is_done(),
            BodyReader::UntilClose => false,
        }
    }

    /// True when a close at this point is the end of the body and not a truncation.
    pub fn may_end_here(&self) -> bool {
        self.is_done() || matches!(self, BodyReader::UntilClose)
    }

    /// Trailer fields that may be passed on.
    pub fn trailers(&self) -> Option<Fields> {
        match self {
            BodyReader::Chunked(reader) => Some(reader.trailers()).filter(|fields| !fields.is_empty()),
            _ => None,
        }
    }
}
