//! Heads: start line and fields. `httparse` cuts the tokens; every rule beyond its grammar is here.

use std::mem::MaybeUninit;

use crate::authority;
use crate::error::HeadError;
use crate::fields::{Fields, Slot, Span};
use crate::method::Method;
use crate::name::{Name, imitates_framing, same_name};
use crate::scan::{HeadLimits, HeadScanner, MAX_FIELDS};
use crate::target::{self, Scheme, TargetForm};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }
}

/// The head of a request that follows every rule. Used again for the next request on a connection.
#[derive(Debug, Clone)]
pub struct RequestHead {
    pub method: Method,
    pub version: Version,
    pub form: TargetForm,
    pub fields: Fields,
    /// Fields with `_` in their names, left out: behind the proxy many origins take `_` for `-`, and so
    /// would take such a field for one that the proxy vouches for.
    pub dropped_fields: u32,
    pub(crate) method_name: Span,
    pub(crate) target: Span,
    path: Span,
    query: Option<Span>,
    host: Span,
    pub(crate) authority: Span,
    port: Option<u16>,
    /// Lasts longer than the request.
    last_host: LastHost,
}

impl Default for RequestHead {
    fn default() -> Self {
        RequestHead {
            method: Method::Get,
            version: Version::Http11,
            form: TargetForm::Origin,
            fields: Fields::new(),
            dropped_fields: 0,
            method_name: Span::default(),
            target: Span::default(),
            path: Span::default(),
            query: None,
            host: Span::default(),
            authority: Span::default(),
            port: None,
            last_host: LastHost::default(),
        }
    }
}

/// The last authority that was read, and what it came to: nearly every request asks the same one as the request
/// before it, and to compare costs 180 instructions less than to read it again.
#[derive(Debug, Clone, Default)]
struct LastHost {
    /// As received, where the host in it needed no change; empty when there was none yet.
    text: Vec<u8>,
    host_len: u32,
    port: Option<u16>,
}

impl LastHost {
    /// Length of the host that `text` begins with, and the port, when it was the last one.
    fn recall(&self, text: &[u8]) -> Option<(u32, Option<u16>)> {
        (self.text == text && !text.is_empty()).then_some((self.host_len, self.port))
    }

    fn keep(&mut self, text: &[u8], host_len: u32, port: Option<u16>) {
        self.text.clear();
        // Longer ones are no usual names, and not worth the memory.
        if text.len() <= 80 {
            self.text.extend_from_slice(text);
        }
        (self.host_len, self.port) = (host_len, port);
    }
}

impl RequestHead {
    /// Reads a head from the start of a buffer, which may hold less than it or more; gives where it ends,
    /// or `None` when more bytes are needed. Call it again with the same buffer, grown, and the same scanner.
    ///
    /// Nearly every head comes in one piece and far below its limits: it is parsed at once, without a search
    /// for its end before. Whatever is unusual goes the long way, so that no verdict depends on the cut.
    pub fn read(
        &mut self,
        buffer: &[u8],
        scanner: &mut HeadScanner,
        limits: &HeadLimits,
    ) -> Result<Option<usize>, HeadError> {
        if scanner.is_fresh()
            && let Ok(Some(end)) = self.parse_start(buffer)
            && limits.cannot_be_exceeded_by(end, self.fields.len() + self.dropped_fields as usize)
        {
            return Ok(Some(end));
        }
        let end = scanner.find_end(buffer, limits)?;
        if let Some(end) = end {
            self.parse(&buffer[..end])?;
        }
        Ok(end)
    }

    /// Reads a whole head, its end found by [`HeadScanner`]; what was in `self` is gone. After an error
    /// `self` holds what was understood so far: good for a log line, not for forwarding.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        match self.parse_start(bytes)? {
            Some(end) if end == bytes.len() => Ok(()),
            _ => Err(HeadError::BadSyntax),
        }
    }

    /// Where the head ends that `bytes` begin with; `None` when there is more to come.
    fn parse_start(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        self.reset();
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut []);
        let bytes = match parsed.parse_with_uninit_headers(bytes, &mut slots) {
            Ok(httparse::Status::Complete(end)) => &bytes[..end],
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(syntax_error(error, bytes)),
        };
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        self.version = version(parsed.version);
        self.method = Method::classify(method.as_bytes());
        self.fields.text.extend_from_slice(bytes);
        self.method_name = span_of(bytes, method.as_bytes());
        self.target = span_of(bytes, target.as_bytes());
        if self.method_name.start != 0 {
            return Err(HeadError::LeadingEmptyLine);
        }
        self.dropped_fields = index(&mut self.fields, bytes, parsed.headers, Sender::Client)?;
        self.split_target()?;
        self.find_host()?;
        Ok(Some(bytes.len()))
    }

    pub(crate) fn reset(&mut self) {
        self.fields.clear();
        self.dropped_fields = 0;
        self.form = TargetForm::Origin;
        self.method_name = Span::default();
        (self.target, self.path, self.query) = (Span::default(), Span::default(), None);
        (self.host, self.authority, self.port) = (Span::default(), Span::default(), None);
    }

    pub(crate) fn split_target(&mut self) -> Result<(), HeadError> {
        let start = self.target.start;
        let parts = target::parse(self.method, self.fields.at(self.target))?;
        let span = |(from, to): (usize, usize)| Span { start: start + from as u32, len: (to - from) as u32 };
        self.form = parts.form;
        self.authority = span(parts.authority);
        self.path = span(parts.path);
        self.query = parts.query.map(span);
        if self.path.len == 0 && self.form == TargetForm::Absolute {
            // `http://host` means `/`, and for OPTIONS `*` (RFC 9112 section 3.2.4); both have one byte.
            let path: &[u8] =
                if self.method == Method::Options && self.query.is_none() { b"*" } else { b"/" };
            self.path = self.fields.append(path);
        }
        Ok(())
    }

    /// Exactly one valid `Host` in HTTP/1.1, at most one in 1.0, and the same as the target's authority.
    fn find_host(&mut self) -> Result<(), HeadError> {
        let field = self.host_field()?;
        let in_target = self.authority.len > 0;
        match field {
            None if self.version == Version::Http11 => Err(HeadError::MissingHost),
            None if !in_target => Ok(()),
            field => self.settle_host(field, in_target, self.target_scheme().unwrap_or(Scheme::Http)),
        }
    }

    /// The value of `Host`, of which there is one at most.
    pub(crate) fn host_field(&self) -> Result<Option<Span>, HeadError> {
        let mut hosts = self.fields.slots_of(Name::Host).iter().filter(|slot| slot.known == Name::Host);
        let field = hosts.next().map(|slot| slot.value);
        if hosts.next().is_some() { Err(HeadError::RepeatedHost) } else { Ok(field) }
    }

    /// Takes the host from the target's authority, which `field` must agree with, or else from `field`. A port that
    /// is not named is the one of `scheme`.
    pub(crate) fn settle_host(
        &mut self,
        field: Option<Span>,
        in_target: bool,
        scheme: Scheme,
    ) -> Result<(), HeadError> {
        let chosen = field.filter(|_| !in_target).unwrap_or(self.authority);
        let alone = field.is_none() || !in_target;
        if alone && let Some((len, port)) = self.last_host.recall(self.fields.at(chosen)) {
            self.port = port;
            self.authority = chosen;
            self.host = Span { start: chosen.start, len };
            return Ok(());
        }
        let error = if in_target { HeadError::BadTarget } else { HeadError::BadHost };
        let found = authority::parse(self.fields.at(chosen)).ok_or(error)?;
        if let (Some(field), true) = (field, in_target) {
            let named = authority::parse(self.fields.at(field)).ok_or(HeadError::BadHost)?;
            // `CONNECT a:443` with `Host: a` is what RFC 9112 section 3.2.3 itself shows.
            let of_scheme = Some(scheme.default_port());
            let default = if self.form == TargetForm::Authority { found.port } else { of_scheme };
            let same_port = named.port.or(default) == found.port.or(default);
            if !named.host.eq_ignore_ascii_case(found.host) || !same_port {
                return Err(HeadError::HostMismatch);
            }
        }
        let authority::Authority { host, port, has_upper } = found;
        let (len, trimmed) = (host.len(), host.strip_suffix(b".").unwrap_or(host).len());
        self.port = port;
        self.authority = chosen;
        self.host = Span { start: chosen.start, len: trimmed as u32 };
        // Lower case and without the dot of a fully qualified name, so that one name has one spelling.
        if has_upper || trimmed != len {
            self.host = self.fields.append_lower(self.host);
        } else {
            self.last_host.keep(self.fields.at(chosen), self.host.len, port);
        }
        Ok(())
    }

    /// Bytes that it takes up, with 32 for each field beside its text (as RFC 9113 section 6.5.2 counts them).
    pub fn weight(&self) -> usize {
        self.fields.text.len() + 32 * self.fields.len()
    }

    /// The method as received.
    pub fn method_name(&self) -> &[u8] {
        self.fields.at(self.method_name)
    }

    /// The target as received.
    pub fn target(&self) -> &[u8] {
        self.fields.at(self.target)
    }

    /// The path, `/` for an absolute target without one; canonical after [`RequestHead::set_path`].
    pub fn path(&self) -> &[u8] {
        self.fields.at(self.path)
    }

    /// The query without its question mark.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|query| self.fields.at(query))
    }

    /// The host that is asked for: lower case, no port, no trailing dot; empty when the client named none.
    pub fn host(&self) -> &[u8] {
        self.fields.at(self.host)
    }

    /// `host[:port]` as received.
    pub fn authority(&self) -> &[u8] {
        self.fields.at(self.authority)
    }

    /// The scheme that an absolute target names. Whether it fits the connection is for the listener to say.
    pub fn target_scheme(&self) -> Option<Scheme> {
        match (self.form, self.fields.at(self.target).get(4)) {
            (TargetForm::Absolute, Some(b':')) => Some(Scheme::Http),
            (TargetForm::Absolute, _) => Some(Scheme::Https),
            _ => None,
        }
    }

    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Makes a request of it that wants the whole answer.
    pub fn set_get(&mut self) {
        self.method = Method::Get;
        self.method_name = self.fields.append(b"GET");
    }

    pub fn set_path(&mut self, path: &[u8]) {
        self.path = self.fields.append(path);
    }

    pub fn set_query(&mut self, query: Option<&[u8]>) {
        self.query = query.map(|query| self.fields.append(query));
    }

    /// The client waits for a 100 before it sends the body. Ignored in HTTP/1.0 (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> Result<bool, HeadError> {
        if !self.fields.may_have(Name::Expect) {
            return Ok(false);
        }
        let mut values = self.fields.all(Name::Expect);
        match (self.version, values.next(), values.next()) {
            (Version::Http10, ..) | (_, None, _) => Ok(false),
            (_, Some(value), None) if same_name(value, b"100-continue") => Ok(true),
            _ => Err(HeadError::BadExpectation),
        }
    }

    /// True when the connection may carry another request, as far as the client's wish goes.
    pub fn wants_keep_alive(&self, options: crate::ConnectionOptions) -> bool {
        keep_alive(self.version, options)
    }
}

/// The head of an answer that follows every rule.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    pub status: u16,
    pub version: Version,
    pub fields: Fields,
    reason: Span,
}

impl ResponseHead {
    /// A head of our own, without fields.
    pub fn new(status: u16) -> ResponseHead {
        let mut head = ResponseHead::default();
        head.set_status(status);
        head
    }

    /// Makes it a head of our own, without fields, and keeps its memory.
    pub fn set_status(&mut self, status: u16) {
        self.fields.clear();
        self.status = status;
        self.version = Version::Http11;
        self.reason = self.fields.append(standard_reason(status).as_bytes());
    }

    /// As [`RequestHead::read`].
    pub fn read(
        &mut self,
        buffer: &[u8],
        scanner: &mut HeadScanner,
        limits: &HeadLimits,
    ) -> Result<Option<usize>, HeadError> {
        if scanner.is_fresh()
            && let Ok(Some(end)) = self.parse_start(buffer)
            && limits.cannot_be_exceeded_by(end, self.fields.len())
        {
            return Ok(Some(end));
        }
        let end = scanner.find_end(buffer, limits)?;
        if let Some(end) = end {
            self.parse(&buffer[..end])?;
        }
        Ok(end)
    }

    /// As [`RequestHead::parse`].
    pub fn parse(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        match self.parse_start(bytes)? {
            Some(end) if end == bytes.len() => Ok(()),
            _ => Err(HeadError::BadSyntax),
        }
    }

    fn parse_start(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        self.fields.clear();
        self.reason = Span::default();
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let bytes = match config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots) {
            Ok(httparse::Status::Complete(end)) => &bytes[..end],
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(syntax_error(error, bytes)),
        };
        if !bytes.starts_with(b"HTTP/") {
            return Err(HeadError::LeadingEmptyLine);
        }
        self.status = parsed.code.unwrap_or_default();
        if !(100..=599).contains(&self.status) {
            return Err(HeadError::BadStatus);
        }
        self.version = version(parsed.version);
        self.fields.text.extend_from_slice(bytes);
        let reason = parsed.reason.unwrap_or_default().as_bytes();
        if !reason.is_empty() {
            self.reason = span_of(bytes, reason);
        }
        index(&mut self.fields, bytes, parsed.headers, Sender::Origin)?;
        Ok(Some(bytes.len()))
    }

    pub fn reason(&self) -> &[u8] {
        self.fields.at(self.reason)
    }

    /// True when the origin will take another request on this connection.
    pub fn allows_keep_alive(&self, options: crate::ConnectionOptions) -> bool {
        keep_alive(self.version, options)
    }
}

/// RFC 9112 section 9.3.
fn keep_alive(version: Version, options: crate::ConnectionOptions) -> bool {
    !options.close && (version == Version::Http11 || options.keep_alive)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Origin,
}

/// Fills the index from httparse's slices into `bytes`, which `fields.text` starts with. Returns how many
/// fields were left out. httparse lets lines end in LF alone, so their ends are looked at here.
fn index(
    fields: &mut Fields,
    bytes: &[u8],
    headers: &[httparse::Header<'_>],
    sender: Sender,
) -> Result<u32, HeadError> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return Err(HeadError::BareLf);
    }
    let mut dropped = 0;
    fields.slots.reserve(headers.len() + 8);
    for header in headers {
        let known = Name::classify(header.name.as_bytes());
        let name = span_of(bytes, header.name.as_bytes());
        if bytes.get((name.start as usize).wrapping_sub(2)) != Some(&b'\r') {
            return Err(HeadError::BareLf);
        }
        if sender == Sender::Client && known == Name::Other {
            if imitates_framing(header.name.as_bytes()) {
                return Err(HeadError::DisguisedFraming);
            }
            if header.name.contains('_') {
                dropped += 1;
                continue;
            }
        }
        let value = match header.value {
            [] => Span { start: name.end(), len: 0 },
            value => span_of(bytes, value),
        };
        let plain = value.start == name.end() + 2
            && bytes.get(name.end() as usize + 1) == Some(&b' ')
            && bytes.get(value.end() as usize) == Some(&b'\r');
        fields.add(Slot { name, value, known, plain });
    }
    Ok(dropped)
}

/// Where a slice that httparse cut out of `bytes` lies in it.
fn span_of(bytes: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
    debug_assert!(start + part.len() <= bytes.len());
    Span { start: start as u32, len: part.len() as u32 }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

fn syntax_error(error: httparse::Error, bytes: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::Version if names_other_version(bytes) => HeadError::BadVersion,
        _ => HeadError::BadSyntax,
    }
}

/// The start line has an `HTTP/d.d` where the version belongs: well-formed, but none that we speak.
fn names_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let version = match words.next() {
        Some(first) if first.starts_with(b"HTTP/") => first,
        _ => match (words.nth(1), words.next()) {
            (Some(third), None) => third,
            _ => return false,
        },
    };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit() && (*major != b'1' || *minor > b'1'))
}

/// Reason phrases of RFC 9110 and its companions; empty for a status without one.
pub fn standard_reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_is_used_again_says_what_a_fresh_one_says() {
        let requests = [
            "GET / HTTP/1.1\r\nHost: a.test:80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test:80\r\n\r\n",
            "GET http://a.test:80/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET http://a.test:80/ HTTP/1.1\r\nHost: b.test:80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: A.test\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
        ];
        let facts = |head: &RequestHead| {
            (head.host().to_vec(), head.port(), head.authority().to_vec(), head.target().to_vec())
        };
        let mut used = RequestHead::default();
        for first in requests {
            for second in requests {
                let mut fresh = RequestHead::default();
                let _ = used.parse(first.as_bytes());
                assert_eq!(used.parse(second.as_bytes()), fresh.parse(second.as_bytes()), "{second:?}");
                assert_eq!(facts(&used), facts(&fresh), "{second:?} behind {first:?}");
            }
        }
    }
}
