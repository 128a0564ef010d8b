//! Records: eight bytes of header, content, padding (section 3.3). Lengths of content have 16 bits; nothing here
//! casts one down.

/// Bytes of a header.
pub const HEADER: usize = 8;
/// Most bytes of content in one record.
pub const MAX_CONTENT: usize = u16::MAX as usize;
/// The one request on a connection.
pub const REQUEST: u16 = 1;

const VERSION: u8 = 1;
/// Of `FCGI_BEGIN_REQUEST`: what answers, and that the connection outlives the request.
const RESPONDER: u16 = 1;
const KEEP_CONNECTION: u8 = 1;

/// The types of records that this side writes or understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    BeginRequest = 1,
    EndRequest = 3,
    Params = 4,
    Stdin = 5,
    Stdout = 6,
    Stderr = 7,
}

/// A header as it was received; its kind and version may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub version: u8,
    pub kind: u8,
    pub request: u16,
    pub content: u16,
    pub padding: u8,
}

impl Header {
    pub fn decode(bytes: [u8; HEADER]) -> Header {
        let [version, kind, id_high, id_low, length_high, length_low, padding, _reserved] = bytes;
        Header {
            version,
            kind,
            request: u16::from_be_bytes([id_high, id_low]),
            content: u16::from_be_bytes([length_high, length_low]),
            padding,
        }
    }

    pub fn encode(self) -> [u8; HEADER] {
        let ([id_high, id_low], [length_high, length_low]) =
            (self.request.to_be_bytes(), self.content.to_be_bytes());
        [self.version, self.kind, id_high, id_low, length_high, length_low, self.padding, 0]
    }

    pub fn is_of_this_version(self) -> bool {
        self.version == VERSION
    }
}

/// The header of a record of ours, without padding.
pub fn header(kind: Kind, content: u16) -> [u8; HEADER] {
    Header { version: VERSION, kind: kind as u8, request: REQUEST, content, padding: 0 }.encode()
}

/// Begins a request; with `keep` the server is asked to keep the connection open behind it.
pub fn begin_request(out: &mut Vec<u8>, keep: bool) {
    out.extend_from_slice(&header(Kind::BeginRequest, 8));
    let [high, low] = RESPONDER.to_be_bytes();
    let flags = if keep { KEEP_CONNECTION } else { 0 };
    out.extend_from_slice(&[high, low, flags, 0, 0, 0, 0, 0]);
}

/// The header for a piece of the body that begins with `len` bytes at hand, and how many of them the record has:
/// fewer where they do not fit into one. None at all ends the body.
pub fn stdin(len: usize) -> ([u8; HEADER], usize) {
    let content = u16::try_from(len).unwrap_or(u16::MAX);
    (header(Kind::Stdin, content), usize::from(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_cut_and_never_truncated() {
        for (len, taken) in
            [(0, 0), (1, 1), (65_534, 65_534), (65_535, 65_535), (65_536, 65_535), (99_000, 65_535)]
        {
            let (bytes, count) = stdin(len);
            assert_eq!(count, taken, "{len}");
            let header = Header::decode(bytes);
            assert_eq!(usize::from(header.content), taken, "{len}");
            assert_eq!((header.kind, header.request, header.padding), (5, 1, 0));
        }
    }

    #[test]
    fn a_request_begins_with_its_role_and_what_becomes_of_the_connection() {
        let mut out = Vec::new();
        begin_request(&mut out, true);
        assert_eq!(out, [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
        out.clear();
        begin_request(&mut out, false);
        assert_eq!(out, [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
}
