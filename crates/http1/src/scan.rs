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

impl HeadLimits {
    /// Of the strict profile.
    pub const STRICT: HeadLimits =
        HeadLimits { head: 64 << 10, start_line: 8 << 10, field: 16 << 10, fields: MAX_FIELDS };
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits::STRICT
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

impl HeadLimits {
    /// True when a head of so many bytes and fields is within every limit, however its lines are cut.
    pub(crate) fn cannot_be_exceeded_by(&self, bytes: usize, fields: usize) -> bool {
        bytes <= self.head.min(self.start_line).min(self.field) && fields <= self.fields
    }
}

impl HeadScanner {
    /// Nothing was searched yet: no head, or one that came whole.
    pub fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Where the head ends (the index after its empty line), or `None` when more bytes are needed.
    ///
    /// The verdict does not depend on how the bytes were cut on their way: rules are checked in the order
    /// of the bytes, and nothing behind the limit of the head is looked at.
    pub fn find_end(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let seen = &buffer[..buffer.len().min(limits.head)];
        let (words, rest) = seen[self.scanned..].as_chunks::<8>();
        for word in words {
            let mut found = line_feeds(*word);
            while found != 0 {
                let lf = self.scanned + (found.trailing_zeros() / 8) as usize;
                if self.end_line(seen, lf, limits)? {
                    return Ok(Some(lf + 1));
                }
                found &= found - 1;
            }
            self.scanned += 8;
        }
        for byte in rest {
            if *byte == b'\n' && self.end_line(seen, self.scanned, limits)? {
                return Ok(Some(self.scanned + 1));
            }
            self.scanned += 1;
        }
        // The CR of a line end whose LF is still on its way does not count.
        let line = &seen[self.line_start..];
        self.check_line(line.strip_suffix(b"\r").unwrap_or(line).len(), limits)?;
        if buffer.len() > limits.head { Err(HeadError::HeadTooLong) } else { Ok(None) }
    }

    /// A line ends with the LF at `lf`; true when it is the empty one behind the fields.
    fn end_line(&mut self, seen: &[u8], lf: usize, limits: &HeadLimits) -> Result<bool, HeadError> {
        let line = &seen[self.line_start..lf];
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        self.check_line(text.len(), limits)?;
        if text.len() == line.len() {
            return Err(HeadError::BareLf);
        }
        if text.is_empty() {
            return if self.lines == 0 { Err(HeadError::LeadingEmptyLine) } else { Ok(true) };
        }
        self.lines += 1;
        self.line_start = lf + 1;
        Ok(false)
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

/// The high bit of each byte that is LF.
fn line_feeds(word: [u8; 8]) -> u64 {
    const LOW: u64 = u64::MAX / 255 * 0x7f;
    // A byte that is LF becomes 0, and only a 0 stays below the high bit in this sum.
    let word = u64::from_le_bytes(word) ^ (u64::MAX / 255 * b'\n' as u64);
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use super::line_feeds;

    #[test]
    fn line_feeds_are_found_wherever_they_are_and_nothing_else() {
        for byte in 0..=255 {
            for place in 0..8 {
                let mut word = [0x0b; 8];
                word[place] = byte;
                let expected = if byte == b'\n' { 0x80 << (8 * place) } else { 0 };
                assert_eq!(line_feeds(word), expected, "{byte} at {place}");
            }
        }
        assert_eq!(line_feeds(*b"\r\n\r\nab\n\n"), 0x8080_0000_8000_8000);
    }
}
