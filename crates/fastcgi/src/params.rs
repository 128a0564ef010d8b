//! Names and values (section 3.4): lengths of up to 127 in one byte, longer ones in four.

use crate::record::{self, HEADER, Kind, MAX_CONTENT};

/// The names and values of one request, on their way into `out`. All of them are one record: a request that needs
/// more than its 65,535 bytes is refused.
#[derive(Debug)]
pub struct Params<'o> {
    out: &'o mut Vec<u8>,
    /// Where the content begins.
    start: usize,
}

/// More than a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl<'o> Params<'o> {
    /// The record goes behind what `out` holds.
    pub fn begin(out: &'o mut Vec<u8>) -> Params<'o> {
        out.extend_from_slice(&[0; HEADER]);
        let start = out.len();
        Params { out, start }
    }

    /// Adds one. Behind what does not fit nothing is kept: memory has a limit before [`Params::end`] says so.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        if self.out.len() - self.start > MAX_CONTENT {
            return;
        }
        let (Some(name_len), Some(value_len)) = (length(name), length(value)) else {
            // The mark of what is too long.
            self.out.resize(self.start + MAX_CONTENT + 1, 0);
            return;
        };
        for len in [name_len, value_len] {
            match u8::try_from(len) {
                Ok(short @ 0..=127) => self.out.push(short),
                _ => self.out.extend_from_slice(&(len | 1 << 31).to_be_bytes()),
            }
        }
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(value);
    }

    /// Ends the record and the stream that it is of.
    pub fn end(self) -> Result<(), TooLong> {
        let content = u16::try_from(self.out.len() - self.start).map_err(|_| TooLong)?;
        // Of no content at all the record is already the end.
        let header = record::header(Kind::Params, content);
        if let Some(place) = self.out.get_mut(self.start - HEADER..self.start) {
            place.copy_from_slice(&header);
        }
        if content > 0 {
            self.out.extend_from_slice(&record::header(Kind::Params, 0));
        }
        Ok(())
    }
}

/// The length, when it may fit.
fn length(bytes: &[u8]) -> Option<u32> {
    u32::try_from(bytes.len()).ok().filter(|len| *len as usize <= MAX_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pairs: &[(&[u8], &[u8])]) -> Result<Vec<u8>, TooLong> {
        let mut out = Vec::new();
        let mut params = Params::begin(&mut out);
        for (name, value) in pairs {
            params.add(name, value);
        }
        params.end().map(|()| out)
    }

    #[test]
    fn short_lengths_have_one_byte_and_long_ones_four() {
        let out = written(&[(b"AB", b"c"), (b"D", &[b'x'; 127]), (b"E", &[b'y'; 128])]).unwrap();
        let mut expected = vec![1, 4, 0, 1, 1, 0x0d, 0, 0];
        expected.extend_from_slice(b"\x02\x01ABc");
        expected.extend_from_slice(&[1, 127, b'D']);
        expected.extend_from_slice(&[b'x'; 127]);
        expected.extend_from_slice(&[1, 0x80, 0, 0, 128, b'E']);
        expected.extend_from_slice(&[b'y'; 128]);
        let content = (expected.len() - HEADER) as u16;
        expected[4..6].copy_from_slice(&content.to_be_bytes());
        expected.extend_from_slice(&[1, 4, 0, 1, 0, 0, 0, 0]);
        assert_eq!(out, expected);
        assert_eq!(written(&[]).unwrap(), [1, 4, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn what_does_not_fit_into_a_record_is_refused_and_takes_no_memory() {
        // One byte of name, and one and four of lengths.
        assert!(written(&[(b"A", &[b'x'; 65_535 - 6])]).is_ok());
        assert_eq!(written(&[(b"A", &[b'x'; 65_535 - 5])]), Err(TooLong));
        assert_eq!(written(&[(b"A", &vec![b'x'; 1 << 20])]), Err(TooLong));
        assert_eq!(written(&[(b"A", b"b"), (&vec![b'x'; 65_536], b"")]), Err(TooLong));
        let mut out = Vec::new();
        let mut params = Params::begin(&mut out);
        for _ in 0..1000 {
            params.add(b"NAME", &[b'x'; 60_000]);
        }
        assert_eq!(params.end(), Err(TooLong));
        assert!(out.len() < 3 * MAX_CONTENT);
    }
}
