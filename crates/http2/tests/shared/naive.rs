//! HPACK as RFC 7541 tells it, one bit after the other: what the real decoder is compared with.

pub type Field = (Vec<u8>, Vec<u8>);

/// How a field was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Indexed,
    WithIndexing,
    WithoutIndexing,
    NeverIndexed,
}

pub struct Naive {
    /// The newest is the first.
    pub table: Vec<Field>,
    pub size: usize,
    announced: usize,
}

impl Naive {
    pub fn new(announced: usize) -> Naive {
        Naive { table: Vec::new(), size: announced, announced }
    }

    /// The fields of a block, or `None` when it is broken.
    pub fn decode(&mut self, block: &[u8]) -> Option<Vec<(Kind, Field)>> {
        let mut input = Bits { bytes: block, at: 0 };
        let (mut fields, mut updates) = (Vec::new(), 0);
        while input.at < 8 * block.len() {
            if input.bit()? {
                let index = input.integer(7)?;
                fields.push((Kind::Indexed, self.entry(index)?));
            } else if input.bit()? {
                let field = self.literal(&mut input, 6)?;
                self.table.insert(0, field.clone());
                self.evict();
                fields.push((Kind::WithIndexing, field));
            } else if input.bit()? {
                updates += 1;
                self.size = input.integer(5)?;
                if !fields.is_empty() || updates > 2 || self.size > self.announced {
                    return None;
                }
                self.evict();
            } else {
                let kind = if input.bit()? { Kind::NeverIndexed } else { Kind::WithoutIndexing };
                fields.push((kind, self.literal(&mut input, 4)?));
            }
        }
        Some(fields)
    }

    fn literal(&self, input: &mut Bits<'_>, prefix: usize) -> Option<Field> {
        let name = match input.integer(prefix)? {
            0 => input.string()?,
            index => self.entry(index)?.0,
        };
        Some((name, input.string()?))
    }

    fn entry(&self, index: usize) -> Option<Field> {
        let own = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        match index {
            0 => None,
            1..=61 => STATIC.get(index - 1).map(own),
            _ => self.table.get(index - 62).cloned(),
        }
    }

    fn evict(&mut self) {
        while super::weight(&self.table) > self.size {
            self.table.pop();
        }
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    fn number(&mut self, bits: usize) -> Option<u64> {
        (0..bits).try_fold(0, |number, _| Some(2 * number + u64::from(self.bit()?)))
    }

    /// At most five bytes behind the prefix are taken.
    fn integer(&mut self, prefix: usize) -> Option<usize> {
        let mut value = self.number(prefix)?;
        if value == (1 << prefix) - 1 {
            for position in 0.. {
                if position == 5 {
                    return None;
                }
                let is_last = !self.bit()?;
                value += self.number(7)? << (7 * position);
                if is_last {
                    break;
                }
            }
        }
        usize::try_from(value).ok()
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let is_huffman = self.bit()?;
        let length = self.integer(7)?;
        let bytes = self.bytes.get(self.at / 8..)?.get(..length)?;
        self.at += 8 * length;
        if is_huffman { huffman(bytes) } else { Some(bytes.to_vec()) }
    }
}

fn huffman(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut code, mut bits, mut ones) = (Vec::new(), 0, 0, true);
    let mut input = Bits { bytes, at: 0 };
    while let Some(bit) = input.bit() {
        code = 2 * code + u32::from(bit);
        bits += 1;
        ones &= bit;
        if let Some(symbol) = symbol(code, bits) {
            text.push(u8::try_from(symbol).ok()?);
            (code, bits, ones) = (0, 0, true);
        }
    }
    (bits < 8 && ones).then_some(text)
}

/// The symbol with this code of so many bits.
fn symbol(code: u32, bits: u32) -> Option<u16> {
    // The codes of one length follow each other, and those of the next go on behind the last.
    let mut first = 0;
    let mut before = 0;
    for (length, symbols) in CODES {
        first <<= length - before;
        before = *length;
        if *length == bits {
            return symbols.get(code.checked_sub(first)? as usize).copied();
        }
        first += symbols.len() as u32;
    }
    None
}

/// Appendix B in the order of the codes: their length, and the symbols that have them.
#[rustfmt::skip]
const CODES: &[(u32, &[u16])] = &[
    (5, &[48, 49, 50, 97, 99, 101, 105, 111, 115, 116]),
    (6, &[32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114,
          117]),
    (7, &[58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107,
          113, 118, 119, 120, 121, 122]),
    (8, &[38, 42, 44, 59, 88, 90]),
    (10, &[33, 34, 40, 41, 63]),
    (11, &[39, 43, 124]),
    (12, &[35, 62]),
    (13, &[0, 36, 64, 91, 93, 126]),
    (14, &[94, 125]),
    (15, &[60, 96, 123]),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (22, &[129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190,
           196, 198, 228, 232, 233]),
    (23, &[1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180,
           182, 183, 188, 191, 197, 231, 239]),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (27, &[203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]),
    (28, &[2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220,
           249]),
    (30, &[10, 13, 22, 256]),
];

/// Appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
    ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
    ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""),
    ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
    ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""),
    ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
    ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];
