//! Finds the end of a head while its bytes arrive, and holds the limits on the way: a head that comes
//! byte by byte is looked at once, not once per read.

use crate::error::HeadError;

/// What a head may weigh, in bytes and fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Start line and fields together.
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
    pub fn find_end(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        for offset in memchr::memchr_iter(b'\n', &buffer[self.scanned..]) {
            let lf = self.scanned + offset;
            if lf == self.line_start || buffer[lf - 1] != b'\r' {
                return Err(HeadError::BareLf);
            }
            self.check_line(lf - 1 - self.line_start, limits)?;
            if lf - 1 == self.line_start {
                let end = lf + 1;
                return match self.lines {
                    0 => Err(HeadError::LeadingEmptyLine),
                    _ if end > limits.head => Err(HeadError::HeadTooLong),
                    _ => Ok(Some(end)),
                };
            }
            self.lines += 1;
            self.line_start = lf + 1;
        }
        self.scanned = buffer.len();
        self.check_line(buffer.len() - self.line_start, limits)?;
        if buffer.len() > limits.head {
            return Err(HeadError::HeadTooLong);
        }
        Ok(None)
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
