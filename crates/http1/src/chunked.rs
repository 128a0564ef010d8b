//! Reader of the chunked coding (RFC 9112 section 7.1), in place: the data of all chunks in a buffer is
//! moved together at its start, so it can be sent on without a copy of its own.

use crate::body::Decoded;
use crate::error::BodyError;
use crate::fields::Fields;
use crate::name::Name;
use crate::scan::MAX_FIELDS;

/// Extension bytes of one message. They are dropped, so their only use is to waste our time.
const MAX_EXTENSIONS: u32 = 16 << 10;
const MAX_TRAILERS: usize = 16 << 10;
const MAX_SIZE_DIGITS: u8 = 16;

/// ```text
/// Size ─┬─────────────> SizeLf ─┬─> Data ─> DataCr ─> DataLf ─> Size
///       └─> Extension ────┘     └─> Trailers ─> Done      (after size 0)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// One chunked body.
#[derive(Debug, Clone)]
pub struct ChunkedReader {
    state: State,
    /// Of the chunk: its size while that is read, then what is left of it.
    left: u64,
    extensions: u32,
    /// The trailer section as received, its final empty line included once it is there.
    trailers: Vec<u8>,
}

impl Default for ChunkedReader {
    fn default() -> Self {
        ChunkedReader { state: State::Size { digits: 0 }, left: 0, extensions: 0, trailers: Vec::new() }
    }
}

impl ChunkedReader {
    pub fn new() -> ChunkedReader {
        ChunkedReader::default()
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads what is in `buffer`: all of it, or up to the end of the body. The data is then at its start.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, BodyError> {
        let (mut at, mut data) = (0, 0);
        while at < buffer.len() && self.state != State::Done {
            if self.state == State::Data {
                let len = self.left.min((buffer.len() - at) as u64) as usize;
                if at != data {
                    buffer.copy_within(at..at + len, data);
                }
                (at, data) = (at + len, data + len);
                self.left -= len as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(buffer[at])?;
                at += 1;
            }
        }
        Ok(Decoded { data, consumed: at })
    }

    /// One byte outside of chunk data.
    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        match self.state {
            State::Size { digits } => self.size(byte, digits),
            State::Extension => self.extension(byte),
            State::SizeLf if byte != b'\n' => Err(BodyError::BadChunkSize),
            State::SizeLf if self.left == 0 => Ok(State::Trailers),
            State::SizeLf => Ok(State::Data),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(State::Size { digits: 0 }),
            State::DataCr | State::DataLf => Err(BodyError::BadChunkEnd),
            State::Trailers => self.trailer(byte),
            State::Data | State::Done => Ok(self.state),
        }
    }

    fn size(&mut self, byte: u8, digits: u8) -> Result<State, BodyError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::SizeLf),
            b';' if digits > 0 => return self.extension(byte),
            _ => return Err(BodyError::BadChunkSize),
        };
        if digits == MAX_SIZE_DIGITS {
            return Err(BodyError::BadChunkSize);
        }
        self.left = if digits == 0 { 0 } else { self.left << 4 } | u64::from(digit);
        Ok(State::Size { digits: digits + 1 })
    }

    fn extension(&mut self, byte: u8) -> Result<State, BodyError> {
        self.extensions += 1;
        match byte {
            b'\r' => Ok(State::SizeLf),
            b'\t' | b' '..=b'~' | 0x80.. if self.extensions <= MAX_EXTENSIONS => Ok(State::Extension),
            _ => Err(BodyError::BadExtension),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<State, BodyError> {
        if self.trailers.len() == MAX_TRAILERS {
            return Err(BodyError::BadTrailers);
        }
        self.trailers.push(byte);
        if byte != b'\n' {
            return Ok(State::Trailers);
        }
        match self.trailers.as_slice() {
            b"\r\n" => Ok(State::Done),
            section if section.ends_with(b"\r\n\r\n") => {
                parse_trailers(section, &mut Fields::new())?;
                Ok(State::Done)
            }
            section if section.ends_with(b"\r\n") => Ok(State::Trailers),
            _ => Err(BodyError::BadTrailers),
        }
    }

    /// The trailer fields that may be passed on; empty before the end of the body.
    pub fn trailers(&self) -> Fields {
        let mut fields = Fields::new();
        if self.is_done() && self.trailers.len() > 2 {
            // The section was checked when it was read.
            let _ = parse_trailers(&self.trailers, &mut fields);
        }
        fields
    }
}

fn parse_trailers(section: &[u8], into: &mut Fields) -> Result<(), BodyError> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let Ok(httparse::Status::Complete((end, headers))) = httparse::parse_headers(section, &mut slots) else {
        return Err(BodyError::BadTrailers);
    };
    if end != section.len() {
        return Err(BodyError::BadTrailers);
    }
    for header in headers {
        let known = Name::classify(header.name.as_bytes());
        if !known.is_forbidden_in_trailers() && !header.name.contains('_') {
            into.push(known, header.name.as_bytes(), header.value);
        }
    }
    Ok(())
}
