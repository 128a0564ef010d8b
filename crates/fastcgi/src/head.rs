//! The head that an application's output begins with (RFC 3875 section 6): fields, of which `Status` tells the
//! status. Lines end in CRLF or LF; everything else is held to the rules of an answer of HTTP/1.

use http1::name::same_name;
use http1::{HeadError, HeadLimits, HeadScanner, Name, ResponseHead};
use memchr::memchr;

/// Looks for the end of a head while its bytes arrive: each of them once.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeadReader {
    scanned: usize,
    line_start: usize,
}

impl HeadReader {
    /// Reads a head from the start of `bytes`; gives where it ends, or `None` when more bytes are needed. Call it
    /// again with the same bytes, and more.
    pub fn read(&mut self, bytes: &[u8], head: &mut ResponseHead) -> Result<Option<usize>, HeadError> {
        let limits = &HeadLimits::STRICT;
        // The status line, which is made here, is counted with it; one limit for all ways to cut the bytes.
        let seen = &bytes[..bytes.len().min(limits.head)];
        match self.find_end(seen) {
            Some(end) => parse(&seen[..end], head, limits).map(|()| Some(end)),
            None if bytes.len() > limits.head => Err(HeadError::HeadTooLong),
            None => Ok(None),
        }
    }

    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(found) = memchr(b'\n', &bytes[self.scanned..]) {
            let lf = self.scanned + found;
            let line = &bytes[self.line_start..lf];
            (self.scanned, self.line_start) = (lf + 1, lf + 1);
            if matches!(line, b"" | b"\r") {
                return Some(lf + 1);
            }
        }
        self.scanned = bytes.len();
        None
    }
}

fn parse(block: &[u8], head: &mut ResponseHead, limits: &HeadLimits) -> Result<(), HeadError> {
    let mut status = None;
    let mut has_location = false;
    let mut lines = Vec::with_capacity(block.len() + 64);
    for line in block.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let colon = memchr(b':', line).ok_or(HeadError::BadSyntax)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if same_name(name, b"status") {
            if status.is_some() {
                return Err(HeadError::BadStatus);
            }
            status = Some(value);
            continue;
        }
        has_location |= same_name(name, b"location");
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    if status.is_none() && lines.is_empty() {
        // There is at least one field (RFC 3875 section 6.2).
        return Err(HeadError::LeadingEmptyLine);
    }
    // A redirect needs no status (section 6.2.3); nothing is asked anew here, so 302 also for a mere path.
    let status = status.unwrap_or(if has_location { b"302 Found" } else { b"200 OK" });
    let (code, reason) = status.split_at_checked(3).ok_or(HeadError::BadStatus)?;
    let is_final = matches!(code, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    if !is_final || !matches!(reason, [] | [b' ', ..]) {
        return Err(HeadError::BadStatus);
    }
    let reason = reason.trim_ascii();
    let mut whole = Vec::with_capacity(lines.len() + 64);
    for part in [b"HTTP/1.1 ", code, b" ", reason, b"\r\n", &lines, b"\r\n"] {
        whole.extend_from_slice(part);
    }
    if head.read(&whole, &mut HeadScanner::default(), limits)? != Some(whole.len()) {
        return Err(HeadError::BadSyntax);
    }
    // Records are the framing here.
    if head.fields.contains(Name::TransferEncoding) {
        return Err(HeadError::BadCoding);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(u16, String, usize)>, HeadError> {
        let mut head = ResponseHead::default();
        let end = HeadReader::default().read(text.as_bytes(), &mut head)?;
        Ok(end.map(|end| {
            let mut fields = Vec::new();
            head.fields.write_lines(&mut fields, |_| true);
            (head.status, String::from_utf8(fields).unwrap(), end)
        }))
    }

    #[test]
    fn heads_are_read() {
        for (text, status, fields) in [
            ("Content-Type: text/html\r\n\r\n", 200, "Content-Type: text/html\r\n"),
            ("Content-Type: a/b\n\nbody", 200, "Content-Type: a/b\r\n"),
            ("Status: 404 Not Found\r\nX-A: 1\r\n\r\n", 404, "X-A: 1\r\n"),
            ("status:201\nX-A: 1\n\n", 201, "X-A: 1\r\n"),
            ("X-A: 1\r\nStatus: 500\r\n\r\n", 500, "X-A: 1\r\n"),
            ("Location: /there\r\n\r\n", 302, "Location: /there\r\n"),
            ("Location: /there\r\nStatus: 201 Created\r\n\r\n", 201, "Location: /there\r\n"),
            ("Status: 204\n\n", 204, ""),
            ("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n", 200, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"),
        ] {
            let (found, lines, end) = read(text).unwrap().unwrap();
            assert_eq!((found, lines.as_str()), (status, fields), "{text:?}");
            assert_eq!(&text[end..], if text.ends_with("body") { "body" } else { "" }, "{text:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        use HeadError::*;
        for (text, error) in [
            ("\r\n", LeadingEmptyLine),
            ("\n\n", LeadingEmptyLine),
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", BadSyntax),
            ("<html>\r\n\r\n", BadSyntax),
            (": b\r\n\r\n", BadSyntax),
            ("A b: c\r\n\r\n", BadSyntax),
            ("A : c\r\n\r\n", BadSyntax),
            ("A: b\r\n c: d\r\n\r\n", BadSyntax),
            ("A: b\r\n folded\r\n\r\n", BadSyntax),
            ("A: b\rc: d\r\n\r\n", BadSyntax),
            ("A: b\r\r\n\r\n", BadSyntax),
            ("A: b\0\r\n\r\n", BadSyntax),
            ("Status: 200 O\0K\r\n\r\n", BadSyntax),
            ("Status: 200\r\nStatus: 200\r\n\r\n", BadStatus),
            ("Status: 099\r\n\r\n", BadStatus),
            ("Status: 100\r\n\r\n", BadStatus),
            ("Status: 101 Switching Protocols\r\n\r\n", BadStatus),
            ("Status: 600\r\n\r\n", BadStatus),
            ("Status: 2000\r\n\r\n", BadStatus),
            ("Status: 200OK\r\n\r\n", BadStatus),
            ("Status: 20\r\n\r\n", BadStatus),
            ("Status: +20\r\n\r\n", BadStatus),
            ("Status:\r\n\r\n", BadStatus),
            ("A: b\r\nTransfer-Encoding: chunked\r\n\r\n", BadCoding),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_head_that_is_not_all_there_is_waited_for_up_to_a_limit() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("Content-Type: text/html\r\n"), Ok(None));
        assert_eq!(read("Content-Type: text/html\r\n\r"), Ok(None));
        let many = "X-A: 1\r\n".repeat(9000);
        assert_eq!(read(&many), Err(HeadError::HeadTooLong));
        assert_eq!(read(&format!("{}\r\n", "X-A: 1\r\n".repeat(101))), Err(HeadError::TooManyFields));
        assert_eq!(read(&format!("X: {}\r\n\r\n", "a".repeat(20_000))), Err(HeadError::FieldTooLong));
    }
}
