//! HTTP/1 messages read strictly from a blocking source: what is ambiguous is an error, nothing is repaired.
//!
//! Client and origin of the kit share this reader. It is slow, plain and independent of the proxy's codec, so
//! that a message which the proxy framed wrongly is noticed on the other side.

use std::io::{self, Read};
use std::ops::Deref;

/// Header or trailer fields in the order in which they arrived, with their spelling. One byte is one `char`
/// (ISO-8859-1), so no byte is lost or merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn from_fields(fields: Vec<(String, String)>) -> Headers {
        Headers(fields)
    }

    /// The first value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// Every value of `name`, whatever its case, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|field| field.1.as_str()).collect()
    }

    /// True when the comma-separated values of `name` have the element `token`, whatever its case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let elements = self.all(name).into_iter().flat_map(|value| value.split(','));
        elements.into_iter().any(|element| element.trim().eq_ignore_ascii_case(token))
    }
}

impl Deref for Headers {
    type Target = [(String, String)];

    fn deref(&self) -> &[(String, String)] {
        &self.0
    }
}

/// A message head: start line and fields.
#[derive(Debug)]
pub(crate) struct Head {
    pub start_line: String,
    pub headers: Headers,
}

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Framing {
    pub fn of_request(headers: &Headers) -> Result<Framing, String> {
        Ok(declared_framing(headers)?.unwrap_or(Framing::Length(0)))
    }

    /// `to_head`: the request was a HEAD, so the fields describe a body that does not come.
    pub fn of_response(status: u16, to_head: bool, headers: &Headers) -> Result<Framing, String> {
        let declared = declared_framing(headers)?;
        let bodiless = to_head || status < 200 || status == 204 || status == 304;
        Ok(if bodiless { Framing::Length(0) } else { declared.unwrap_or(Framing::UntilClose) })
    }
}

/// Bytes from `source`, consumed message by message. What was consumed is kept as raw bytes until taken.
#[derive(Debug)]
pub(crate) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    consumed: Vec<u8>,
}

impl<R: Read> Input<R> {
    pub fn new(source: R) -> Input<R> {
        Input { source, buffer: Vec::new(), consumed: Vec::new() }
    }

    pub fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// What has been received and not yet consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// The raw bytes consumed since the last call.
    pub fn take_consumed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.consumed)
    }

    /// Reads once; false at the end of the stream.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut piece = [0; 64 * 1024];
        let count = loop {
            match self.source.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => break result?,
            }
        };
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count > 0)
    }

    /// The next head, or `None` when the stream ends before its first byte.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        let length = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            // Otherwise a head with bare line feeds would keep us waiting for an end that never comes.
            if has_bare_line_feed(&self.buffer) {
                return Err(malformed(format!("bare LF in a message head: {:?}", latin1(&self.buffer))));
            }
            if !self.fill()? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(truncated("in a message head")) };
            }
        };
        let raw = self.consume(length);
        parse_head(&raw[..length - 2]).map(Some).map_err(malformed)
    }

    /// The body that follows the head, and its trailers.
    pub fn body(&mut self, framing: Framing) -> io::Result<(Vec<u8>, Headers)> {
        match framing {
            Framing::Length(length) => Ok((self.exactly(length)?, Headers::default())),
            Framing::Chunked => self.chunks(),
            Framing::UntilClose => {
                while self.fill()? {}
                Ok((self.consume(self.buffer.len()), Headers::default()))
            }
        }
    }

    fn chunks(&mut self) -> io::Result<(Vec<u8>, Headers)> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = parse_chunk_size(&line).map_err(malformed)?;
            if size == 0 {
                return Ok((body, self.trailers()?));
            }
            body.extend(self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(malformed(format!("no CRLF after a chunk of {size} bytes")));
            }
        }
    }

    fn trailers(&mut self) -> io::Result<Headers> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Headers(fields));
            }
            fields.push(parse_field(&line).map_err(malformed)?);
        }
    }

    /// One line without its CRLF.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let mut line = self.consume(end + 2);
                line.truncate(end);
                return Ok(line);
            }
            if !self.fill()? {
                return Err(truncated("in a chunked body"));
            }
        }
    }

    fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill()? {
                return Err(truncated(&format!(
                    "{} bytes before the end of a body",
                    count - self.buffer.len()
                )));
            }
        }
        Ok(self.consume(count))
    }

    fn consume(&mut self, count: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.buffer.drain(..count).collect();
        self.consumed.extend_from_slice(&bytes);
        bytes
    }
}

/// One byte, one `char`.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

pub(crate) fn malformed(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// `raw`: the head with the CRLF of its last field, without the empty line.
fn parse_head(raw: &[u8]) -> Result<Head, String> {
    let mut lines = split_lines(raw)?.into_iter();
    let start_line = lines.next().ok_or("no start line")?;
    // A reason phrase may have tabs (RFC 9112 section 4).
    let is_status_line = start_line.starts_with(b"HTTP/");
    if start_line.iter().any(|&byte| byte.is_ascii_control() && !(is_status_line && byte == b'\t')) {
        return Err(format!("control character in start line {:?}", latin1(start_line)));
    }
    let fields = lines.map(parse_field).collect::<Result<_, _>>()?;
    Ok(Head { start_line: latin1(start_line), headers: Headers(fields) })
}

/// Lines that end with CRLF. A CR or LF on its own stays in the line, where the field rules refuse it.
fn split_lines(mut raw: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut lines = Vec::new();
    while !raw.is_empty() {
        let end = find(raw, b"\r\n").ok_or("a line does not end with CRLF")?;
        lines.push(&raw[..end]);
        raw = &raw[end + 2..];
    }
    Ok(lines)
}

/// RFC 9112 §5. A space before the colon or at the start of the line (obs-fold) is not part of a token.
fn parse_field(line: impl AsRef<[u8]>) -> Result<(String, String), String> {
    let line = line.as_ref();
    let wrong = |reason: &str| format!("{reason} in field line {:?}", latin1(line));
    let colon = line.iter().position(|&byte| byte == b':').ok_or_else(|| wrong("no colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(wrong("name is not a token"));
    }
    if value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(wrong("control character"));
    }
    Ok((latin1(name), latin1(value).trim_matches([' ', '\t']).to_string()))
}

/// What the fields say about the body. One Content-Length or one `Transfer-Encoding: chunked`, never both.
fn declared_framing(headers: &Headers) -> Result<Option<Framing>, String> {
    match (&headers.all("Content-Length")[..], &headers.all("Transfer-Encoding")[..]) {
        ([], []) => Ok(None),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| format!("Content-Length {length} is too large"))?;
            Ok(Some(Framing::Length(length)))
        }
        (lengths, codings) => {
            Err(format!("ambiguous framing: Content-Length {lengths:?}, Transfer-Encoding {codings:?}"))
        }
    }
}

/// Hexadecimal digits and nothing else: the proxy makes its own chunks and has no extensions to send.
fn parse_chunk_size(line: &[u8]) -> Result<usize, String> {
    let text = latin1(line);
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("chunk size line {text:?}"));
    }
    usize::from_str_radix(&text, 16).map_err(|_| format!("chunk size {text} is too large"))
}

fn truncated(place: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the stream ended {place}"))
}

fn has_bare_line_feed(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| bytes[at] == b'\n' && (at == 0 || bytes[at - 1] != b'\r'))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_body(raw: &str) -> io::Result<(Vec<u8>, Headers)> {
        let mut input = Input::new(raw.as_bytes());
        let head = input.head()?.expect("a head");
        let framing = Framing::of_request(&head.headers).map_err(malformed)?;
        input.body(framing)
    }

    #[test]
    fn reads_pipelined_messages_one_by_one() {
        let raw: &[u8] =
            b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nX: \t y \r\n\r\n";
        let mut input = Input::new(raw);
        assert_eq!(input.head().unwrap().unwrap().start_line, "POST /a HTTP/1.1");
        assert_eq!(input.body(Framing::Length(2)).unwrap().0, b"hi");
        assert_eq!(input.take_consumed(), &raw[..41]);
        let second = input.head().unwrap().unwrap();
        assert_eq!(second.headers.get("x"), Some("y"));
        assert_eq!(input.take_consumed(), &raw[41..]);
        assert!(input.head().unwrap().is_none());
    }

    #[test]
    fn reads_chunks_and_trailers() {
        let (body, trailers) = request_body(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\nA\r\n0123456789\r\n0\r\nSum: 9\r\n\r\n",
        )
        .unwrap();
        assert_eq!(body, b"wiki0123456789");
        assert_eq!(trailers.get("sum"), Some("9"));
    }

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        for fields in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length : 1\r\n",
            "X: a\r\n folded\r\n",
            "X: a\nY: b\r\n",
            "X: a\rb\r\n",
            "X: a\0b\r\n",
            ": empty\r\n",
            "no colon\r\n",
        ] {
            let error = request_body(&format!("POST / HTTP/1.1\r\n{fields}\r\n1")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{fields:?}");
        }
    }

    #[test]
    fn refuses_chunks_out_of_grammar() {
        for chunks in [
            "0x1\r\na\r\n0\r\n\r\n",
            "1;ext\r\na\r\n0\r\n\r\n",
            " 1\r\na\r\n0\r\n\r\n",
            "\r\n",
            "1\r\naXX0\r\n\r\n",
        ] {
            let raw = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            assert_eq!(request_body(&raw).unwrap_err().kind(), io::ErrorKind::InvalidData, "{chunks:?}");
        }
    }

    #[test]
    fn tells_truncated_from_malformed() {
        for raw in [
            "GET / HTT",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            assert_eq!(request_body(raw).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{raw:?}");
        }
    }

    #[test]
    fn knows_which_answers_have_no_body() {
        let headers = Headers(vec![("Content-Length".into(), "5".into())]);
        assert_eq!(Framing::of_response(200, false, &headers), Ok(Framing::Length(5)));
        assert_eq!(Framing::of_response(200, true, &headers), Ok(Framing::Length(0)));
        assert_eq!(Framing::of_response(304, false, &headers), Ok(Framing::Length(0)));
        assert_eq!(Framing::of_response(200, false, &Headers::default()), Ok(Framing::UntilClose));
        assert_eq!(Framing::of_response(103, false, &Headers::default()), Ok(Framing::Length(0)));
    }

    #[test]
    fn finds_tokens_in_lists() {
        let headers = Headers(vec![("Connection".into(), "keep-alive, Close".into())]);
        assert!(headers.has_token("connection", "close"));
        assert!(!headers.has_token("connection", "clos"));
    }
}
