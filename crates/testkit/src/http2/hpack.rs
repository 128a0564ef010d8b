//! HPACK (RFC 7541): an encoder that remembers nothing, the pieces to build any block by hand, and a decoder.

use std::collections::VecDeque;

use super::huffman;
use crate::parse::{Headers, latin1};

/// A header block with these fields. Nothing is put into the peer's table: fields that the static table has are
/// indexed, all others are literals.
pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Block::new();
    for (name, value) in fields {
        block = block.field(name, value);
    }
    block.into()
}

/// A header block that is built piece by piece, well formed or not.
#[derive(Clone, Debug, Default)]
pub struct Block(Vec<u8>);

impl Block {
    pub fn new() -> Block {
        Block::default()
    }

    /// A field that the peer does not remember.
    pub fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        let (name, value) = (name.as_ref(), value.as_ref());
        let known = STATIC.iter().position(|&(a, b)| a.as_bytes() == name && b.as_bytes() == value);
        match known.filter(|_| !value.is_empty()) {
            Some(at) => self.indexed(at as u64 + 1),
            None => match STATIC.iter().position(|&(a, _)| a.as_bytes() == name) {
                Some(at) => self.integer(0, 4, at as u64 + 1).string(value),
                None => self.integer(0, 4, 0).string(name).string(value),
            },
        }
    }

    /// A field that the peer puts into its table (§6.2.1).
    pub fn remembered(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.integer(0x40, 6, 0).string(name.as_ref()).string(value.as_ref())
    }

    /// A field that nobody on the way may put into a table (§6.2.3).
    pub fn never_remembered(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.integer(0x10, 4, 0).string(name.as_ref()).string(value.as_ref())
    }

    /// A field in Huffman code that the peer does not remember.
    pub fn huffman(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        let block = self.integer(0, 4, 0);
        block.huffman_string(name.as_ref()).huffman_string(value.as_ref())
    }

    /// The field at this place of the static (1 to 61) or dynamic table (from 62).
    pub fn indexed(self, index: u64) -> Block {
        self.integer(0x80, 7, index)
    }

    /// Tells the peer the size of its table from now on (§6.3).
    pub fn table_size(self, size: u64) -> Block {
        self.integer(0x20, 5, size)
    }

    /// An integer after the bits `pattern`, in a prefix of `bits` (§5.1).
    pub fn integer(mut self, pattern: u8, bits: u8, value: u64) -> Block {
        let most = (1u64 << bits) - 1;
        if value < most {
            self.0.push(pattern | value as u8);
            return self;
        }
        self.0.push(pattern | most as u8);
        let mut rest = value - most;
        while rest >= 128 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    /// A string as it is (§5.2).
    pub fn string(self, text: &[u8]) -> Block {
        self.integer(0, 7, text.len() as u64).raw(text)
    }

    pub fn huffman_string(self, text: &[u8]) -> Block {
        let code = huffman::encode(text);
        self.integer(0x80, 7, code.len() as u64).raw(code)
    }

    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Block {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }
}

impl From<Block> for Vec<u8> {
    fn from(block: Block) -> Vec<u8> {
        block.0
    }
}

/// What a peer's header blocks mean, in the order in which they came.
#[derive(Debug)]
pub struct Decoder {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    capacity: usize,
    /// What we allowed in SETTINGS; the peer may choose less.
    limit: usize,
}

impl Decoder {
    /// With a dynamic table of at most `limit` bytes: the value of our SETTINGS_HEADER_TABLE_SIZE, 4096 if we
    /// said nothing.
    pub fn new(limit: usize) -> Decoder {
        Decoder { table: VecDeque::new(), size: 0, capacity: limit.min(4096), limit }
    }

    /// The fields of a whole block, strictly: an error of the peer is an error here.
    pub fn decode(&mut self, block: &[u8]) -> Result<Headers, String> {
        let mut input = Reader { rest: block };
        let mut fields = Vec::new();
        while let Some(&first) = input.rest.first() {
            if first & 0xe0 == 0x20 {
                let size = input.integer(5)?;
                if !fields.is_empty() || size > self.limit {
                    return Err(format!("an update of the table to {size} bytes, of {}", self.limit));
                }
                self.capacity = size;
                self.evict(0);
                continue;
            }
            let (name, value) = if first & 0x80 != 0 {
                let index = input.integer(7)?;
                self.at(index)?
            } else {
                let remembers = first & 0x40 != 0;
                let index = input.integer(if remembers { 6 } else { 4 })?;
                let name = if index == 0 { input.string()? } else { self.at(index)?.0 };
                let value = input.string()?;
                if remembers {
                    self.remember(&name, &value);
                }
                (name, value)
            };
            fields.push((latin1(&name), latin1(&value)));
        }
        Ok(Headers::from_fields(fields))
    }

    fn at(&self, index: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
        let none = || format!("index {index}, and the table has {} entries", STATIC.len() + self.table.len());
        let place = index.checked_sub(1).ok_or_else(none)?;
        match STATIC.get(place) {
            Some((name, value)) => Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec())),
            None => self.table.get(place - STATIC.len()).cloned().ok_or_else(none),
        }
    }

    fn remember(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        self.evict(size);
        if size <= self.capacity {
            self.table.push_front((name.to_vec(), value.to_vec()));
            self.size += size;
        }
    }

    fn evict(&mut self, needed: usize) {
        while self.size + needed > self.capacity {
            let Some((name, value)) = self.table.pop_back() else { return };
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (&first, rest) = self.rest.split_first().ok_or("a header block ends early")?;
        self.rest = rest;
        Ok(first)
    }

    fn integer(&mut self, bits: u8) -> Result<usize, String> {
        let most = (1usize << bits) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(self.byte()?);
            value += (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("an integer of more than five bytes".to_string())
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        let coded = self.rest.first().is_some_and(|byte| byte & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or("a string ends early")?;
        self.rest = rest;
        if coded { huffman::decode(text).map_err(str::to_string) } else { Ok(text.to_vec()) }
    }
}

/// What an entry costs beside its name and value (RFC 7541 §4.1).
const OVERHEAD: usize = 32;

/// RFC 7541 appendix A; the first has index 1.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(decoder: &mut Decoder, block: impl Into<Vec<u8>>) -> Vec<(String, String)> {
        decoder.decode(&block.into()).unwrap().to_vec()
    }

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_string(), value.to_string())
    }

    #[test]
    fn decodes_what_it_encodes() {
        let fields =
            [(":method", "GET"), (":path", "/a"), ("x-own", "1"), ("cookie", ""), ("accept-encoding", "br")];
        let block = encode(&fields);
        assert_eq!(block[0], 0x82, "an index of the static table");
        let decoded = decode(&mut Decoder::new(4096), block);
        assert_eq!(decoded, fields.map(|(name, value)| field(name, value)));
    }

    /// RFC 7541 appendix C.4: three requests that use the table.
    #[test]
    fn decodes_the_examples_of_the_rfc() {
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let mut decoder = Decoder::new(4096);
        let first = decode(&mut decoder, bytes("828684418cf1e3c2e5f23a6ba0ab90f4ff"));
        assert_eq!(first[3], field(":authority", "www.example.com"));
        let second = decode(&mut decoder, bytes("828684be5886a8eb10649cbf"));
        assert_eq!(second[3..], [field(":authority", "www.example.com"), field("cache-control", "no-cache")]);
        let third = decode(&mut decoder, bytes("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"));
        assert_eq!(third[3..], [field(":authority", "www.example.com"), field("custom-key", "custom-value")]);
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn the_table_forgets_the_oldest() {
        let mut decoder = Decoder::new(100);
        decode(&mut decoder, Block::new().remembered("a", "1").remembered("b", "2").remembered("c", "3"));
        assert_eq!(decode(&mut decoder, Block::new().indexed(62)), [field("c", "3")]);
        assert!(decoder.decode(&Vec::from(Block::new().indexed(64))).is_err());
        assert!(decode(&mut decoder, Block::new().table_size(0)).is_empty());
        assert!(decoder.decode(&Vec::from(Block::new().indexed(62))).is_err());
    }

    #[test]
    fn refuses_what_is_no_block() {
        for block in [
            Block::new().indexed(0),
            Block::new().indexed(62),
            Block::new().table_size(4097),
            Block::new().indexed(2).table_size(0),
            Block::new().raw([0x00, 0x05, b'a']),
            Block::new().raw([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Block::new().raw([0x40]),
        ] {
            assert!(Decoder::new(4096).decode(&Vec::from(block.clone())).is_err(), "{block:?}");
        }
        let long = Block::new().huffman("x-y", "a value").never_remembered("authorization", "z".repeat(300));
        assert_eq!(decode(&mut Decoder::new(4096), long)[1].1.len(), 300);
    }
}
