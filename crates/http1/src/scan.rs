//! Finds the end of a head while its bytes arrive, and holds the limits on the way: a head that comes
//! byte by byte is looked at once, not once per read.

use crate::error::HeadError;

/// What a head may weigh, in bytes and fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Start line and fields together. Far below 4 GiB, as positions in a head have 32 bits.
    pub head: usize,
    pub start_line: usize,
    pub field: usize,
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { head: 64 << 10, start_line: 8 << 10, field: 16 << 10, fields: MAX_FIELDS }
    }
}

/// No limit on the number of fields may be above this: the tokenizer's array has this size.
pub const MAX_FIELDS: usize = 100;

/// Remembers how far a buffer was searched. Feed it the same growing buffer until it finds the end.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    lines: usize,
}

impl HeadScanner {
    /// Where the head ends (the index after its empty line), or `None` when more bytes are needed.
    ///
    /// The verdict does not depend on how the bytes were cut on their way: rules are checked in the order
    /// of the bytes, and nothing behind the limit of the head is looked at.
    pub fn find_end(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let seen = &buffer[..buffer.len().min(limits.head)];
        while let Some(lf) = line_feed(seen, self.scanned) {
            self.scanned = lf + 1;
            let line = &seen[self.line_start..lf];
            let text = line.strip_suffix(b"\r").unwrap_or(line);
            self.check_line(text.len(), limits)?;
            if text.len() == line.len() {
                return Err(HeadError::BareLf);
            }
            if text.is_empty() {
                return if self.lines == 0 { Err(HeadError::LeadingEmptyLine) } else { Ok(Some(lf + 1)) };
            }
            self.lines += 1;
            self.line_start = lf + 1;
        }
        self.scanned = seen.len();
        // The CR of a line end whose LF is still on its way does not count.
        let line = &seen[self.line_start..];
        self.check_line(line.strip_suffix(b"\r").unwrap_or(line).len(), limits)?;
        if buffer.len() > limits.head { Err(HeadError::HeadTooLong) } else { Ok(None) }
    }

    fn check_line(&self, len: usize, limits: &HeadLimits) -> Result<(), HeadError> {
        match self.lines {
            0 if len > limits.start_line => Err(HeadError::TargetTooLong),
            0 => Ok(()),
            _ if len > limits.field => Err(HeadError::FieldTooLong),
            // The empty line that ends the head is no field.
            lines if lines > limits.fields && len > 0 => Err(HeadError::TooManyFields),
            _ => Ok(()),
        }
    }
}

/// The first LF from `from` on. Lines of a head are short: looking at eight bytes at a time costs half of
/// what a call of a vectorised search does.
fn line_feed(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        // A byte that is LF becomes 0. The lowest bit that the subtraction sets belongs to the first 0.
        let word = u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64);
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| *byte == b'\n').map(|offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::line_feed;

    #[test]
    fn line_feeds_are_found_wherever_they_are() {
        for len in 0..40 {
            for from in 0..=len {
                let mut bytes = vec![0x8a; len];
                assert_eq!(line_feed(&bytes, from), None);
                for at in from..len {
                    bytes[at] = b'\n';
                    assert_eq!(line_feed(&bytes, from), Some(at), "{len} {from}");
                    bytes[at] = 0x0b;
                }
            }
        }
    }
}
