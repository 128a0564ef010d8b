//! What must hold for every input, whoever made it: corpus, property test or fuzzer.
//!
//! [`request`], [`response`] and [`chunked`] read a message as the proxy does, from a connection that gives
//! its bytes in pieces, and say all that was understood. The checks compare such readings and panic where
//! two of them differ.

use http_desync_guardian::RequestSafetyTier;
use http_desync_guardian::http_token_utils::{TokenSimilarity, determine_similarity};
use http_desync_guardian::request_analyzer::HttpRequestData;

use super::corpus::escape;
use http1::framing::{request_length, response_length};
use http1::{
    BodyLength, BodyReader, ConnectionOptions, Fields, HeadError, HeadLimits, HeadScanner, Method, Name,
    RequestHead, ResponseHead, TargetForm, encode,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Accepted(Accepted),
    /// The reason code.
    Rejected(&'static str),
    /// The input ended before the message did.
    Incomplete,
}

/// Everything that was understood of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    pub summary: String,
    pub fields: Vec<Vec<u8>>,
    pub body: Vec<u8>,
    pub trailers: Vec<Vec<u8>>,
    /// How many bytes of the input belong to the message.
    pub consumed: usize,
}

/// All checks of a request that is cut at `cuts`.
pub fn every_request(input: &[u8], cuts: &[usize]) {
    assert_eq!(request(input, &[]), request(input, cuts), "cut at {cuts:?}: {}", escape(input));
    request_survives_encoding(input);
    guardian_agrees(input);
}

/// All checks of an answer that is cut at `cuts`.
pub fn every_response(input: &[u8], cuts: &[usize]) {
    for method in [Method::Get, Method::Head, Method::Connect] {
        let whole = response(input, method, &[]);
        assert_eq!(whole, response(input, method, cuts), "cut at {cuts:?}: {}", escape(input));
        response_survives_encoding(input, method);
    }
}

/// All checks of a chunked body that is cut at `cuts`.
pub fn every_chunked(input: &[u8], cuts: &[usize]) {
    assert_eq!(chunked(input, &[]), chunked(input, cuts), "cut at {cuts:?}: {}", escape(input));
    chunked_survives_encoding(input);
}

/// A connection that gives `input` in pieces which end at `cuts` and, last, at the end of the input.
struct Feed<'a> {
    input: &'a [u8],
    cuts: std::slice::Iter<'a, usize>,
    given: usize,
}

impl<'a> Feed<'a> {
    fn new(input: &'a [u8], cuts: &'a [usize]) -> Feed<'a> {
        let mut feed = Feed { input, cuts: cuts.iter(), given: 0 };
        feed.more();
        feed
    }

    /// Says whether there was more.
    fn more(&mut self) -> bool {
        let before = self.given;
        let end = self.input.len();
        while self.given == before && self.given < end {
            self.given = self.cuts.next().map_or(end, |cut| (*cut).clamp(before, end));
        }
        self.given > before
    }

    fn head_end(&mut self, limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        let mut scanner = HeadScanner::default();
        loop {
            if let Some(end) = scanner.find_end(&self.input[..self.given], limits)? {
                return Ok(Some(end));
            }
            if !self.more() {
                return Ok(None);
            }
        }
    }

    /// Reads a body that starts at `accepted.consumed`.
    fn body(&mut self, length: BodyLength, mut accepted: Accepted) -> Outcome {
        let mut reader = BodyReader::new(length);
        while !reader.is_done() {
            let mut piece = self.input[accepted.consumed..self.given].to_vec();
            let decoded = match reader.decode(&mut piece) {
                Ok(decoded) => decoded,
                Err(error) => return Outcome::Rejected(error.reason()),
            };
            assert!(decoded.data <= decoded.consumed && decoded.consumed <= piece.len());
            assert!(reader.is_done() || decoded.consumed == piece.len(), "bytes left of an unfinished body");
            accepted.body.extend(&piece[..decoded.data]);
            accepted.consumed += decoded.consumed;
            if !reader.is_done() && !self.more() {
                if !reader.may_end_here() {
                    return Outcome::Incomplete;
                }
                break;
            }
        }
        accepted.trailers = reader.trailers().as_ref().map(lines).unwrap_or_default();
        Outcome::Accepted(accepted)
    }
}

/// `read` gives what the scanner and then `parse` give, however the head is cut.
fn reads_as_parsed(
    input: &[u8],
    cuts: &[usize],
    mut read: impl FnMut(&[u8], &mut HeadScanner, &HeadLimits) -> Result<Option<usize>, HeadError>,
    parse: impl FnOnce(&[u8]) -> Result<(), HeadError>,
) {
    let limits = HeadLimits::default();
    let apart = Feed::new(input, cuts).head_end(&limits).and_then(|end| match end {
        Some(end) => parse(&input[..end]).map(|()| Some(end)),
        None => Ok(None),
    });
    let (mut feed, mut scanner) = (Feed::new(input, cuts), HeadScanner::default());
    let at_once = loop {
        match read(&input[..feed.given], &mut scanner, &limits) {
            Ok(None) if feed.more() => {}
            outcome => break outcome,
        }
    };
    assert_eq!(at_once, apart, "cut at {cuts:?}: {}", escape(input));
}

/// Reads one request.
pub fn request(input: &[u8], cuts: &[usize]) -> Outcome {
    let (mut one, mut other) = (RequestHead::default(), RequestHead::default());
    reads_as_parsed(input, cuts, |b, scanner, limits| one.read(b, scanner, limits), |b| other.parse(b));
    let mut feed = Feed::new(input, cuts);
    let end = match feed.head_end(&HeadLimits::default()) {
        Ok(Some(end)) => end,
        Ok(None) => return Outcome::Incomplete,
        Err(error) => return Outcome::Rejected(error.reason()),
    };
    match request_head(&input[..end]) {
        Ok(found) => {
            let accepted = Accepted {
                summary: found.summary(),
                fields: lines(&found.head.fields),
                consumed: end,
                ..Accepted::default()
            };
            feed.body(found.length, accepted)
        }
        Err(error) => Outcome::Rejected(error.reason()),
    }
}

/// A request head and what the framing rules say of it.
pub struct RequestFound {
    pub head: RequestHead,
    pub length: BodyLength,
    options: ConnectionOptions,
    expects_continue: bool,
    upgrade: Option<Vec<u8>>,
}

/// Everything that the proxy decides from a whole head.
pub fn request_head(bytes: &[u8]) -> Result<RequestFound, HeadError> {
    let mut head = RequestHead::default();
    let parsed = head.parse(bytes);
    touch(&head);
    parsed?;
    let length = request_length(&head)?;
    let options = ConnectionOptions::parse(&head.fields)?;
    let expects_continue = head.expects_continue()?;
    let upgrade = http1::connection::requested_upgrade(&head, options, length)?.map(<[u8]>::to_vec);
    Ok(RequestFound { head, length, options, expects_continue, upgrade })
}

/// No accessor may panic, also after an error.
fn touch(head: &RequestHead) {
    let parts = [head.method_name(), head.target(), head.path(), head.host(), head.authority()];
    std::hint::black_box((parts, head.query(), head.fields.iter().count()));
}

impl RequestFound {
    fn summary(&self) -> String {
        let head = &self.head;
        let text = escape;
        let target = if head.form == TargetForm::Authority { head.target() } else { head.path() };
        let mut summary = format!("{} {}", text(head.method_name()), text(target));
        if let Some(query) = head.query() {
            summary += &format!("?{}", text(query));
        }
        summary += &format!(" {} host={}", &head.version.as_str()[5..], text(head.host()));
        if let Some(port) = head.port() {
            summary += &format!(" port={port}");
        }
        summary += &format!(" body={}", length_text(self.length));
        summary += if head.wants_keep_alive(self.options) { " keep-alive" } else { " close" };
        match head.form {
            TargetForm::Origin => {}
            form => summary += &format!(" form={}", format!("{form:?}").to_lowercase()),
        }
        if self.expects_continue {
            summary += " expect";
        }
        if let Some(protocol) = &self.upgrade {
            summary += &format!(" upgrade={}", text(protocol));
        }
        if head.dropped_fields > 0 {
            summary += &format!(" dropped={}", head.dropped_fields);
        }
        summary
    }
}

/// Reads the answer to a request with `method`; the end of the input is the close of the connection.
pub fn response(input: &[u8], method: Method, cuts: &[usize]) -> Outcome {
    let (mut one, mut other) = (ResponseHead::default(), ResponseHead::default());
    reads_as_parsed(input, cuts, |b, scanner, limits| one.read(b, scanner, limits), |b| other.parse(b));
    let mut feed = Feed::new(input, cuts);
    let end = match feed.head_end(&HeadLimits::default()) {
        Ok(Some(end)) => end,
        Ok(None) => return Outcome::Incomplete,
        Err(error) => return Outcome::Rejected(error.reason()),
    };
    let mut head = ResponseHead::default();
    let parsed = head.parse(&input[..end]);
    std::hint::black_box(head.reason());
    let found =
        parsed.and_then(|()| Ok((response_length(&head, method)?, ConnectionOptions::parse(&head.fields)?)));
    let (framing, options) = match found {
        Ok(found) => found,
        Err(error) => return Outcome::Rejected(error.reason()),
    };
    let mut summary = format!("{} {}", head.status, escape(head.reason()));
    summary += &format!(" {} body={}", &head.version.as_str()[5..], length_text(framing.length));
    if let Some(announced) = framing.announced {
        summary += &format!(" announced={announced}");
    }
    let reusable = framing.reusable && head.allows_keep_alive(options);
    summary += if reusable { " keep-alive" } else { " close" };
    let accepted = Accepted { summary, fields: lines(&head.fields), consumed: end, ..Accepted::default() };
    feed.body(framing.length, accepted)
}

/// Reads one chunked body.
pub fn chunked(input: &[u8], cuts: &[usize]) -> Outcome {
    Feed::new(input, cuts).body(BodyLength::Chunked, Accepted::default())
}

fn length_text(length: BodyLength) -> String {
    match length {
        BodyLength::NONE => "none".to_owned(),
        BodyLength::Exact(length) => length.to_string(),
        BodyLength::Chunked => "chunked".to_owned(),
        BodyLength::UntilClose => "until-close".to_owned(),
    }
}

fn lines(fields: &Fields) -> Vec<Vec<u8>> {
    fields.iter().map(|field| [field.name, b": ", field.value].concat()).collect()
}

/// What is accepted gives the same when it is written anew and read again.
pub fn request_survives_encoding(input: &[u8]) {
    let Outcome::Accepted(first) = request(input, &[]) else { return };
    let end = HeadScanner::default().find_end(input, &HeadLimits::default()).unwrap().unwrap();
    let found = request_head(&input[..end]).unwrap();
    let head = &found.head;
    let mut out = Vec::new();
    encode::request_line(&mut out, head);
    let host = if head.authority().is_empty() { b"fallback.test" } else { head.authority() };
    http1::fields::write_line(&mut out, b"Host", host);
    head.fields.write_lines(&mut out, |field| passes(field.known));
    if found.length != BodyLength::NONE {
        encode::framing(&mut out, found.length);
    }
    out.extend_from_slice(b"\r\n");
    let head_len = out.len();
    write_body(&mut out, found.length, &first.body);

    // A written line may be a byte longer than the received one, so the limits are off.
    let limits = HeadLimits { head: usize::MAX, start_line: usize::MAX, field: usize::MAX, fields: 100 };
    let again = HeadScanner::default().find_end(&out, &limits);
    if again == Err(HeadError::TooManyFields) && head.fields.len() > 98 {
        return;
    }
    assert_eq!(again, Ok(Some(head_len)), "written: {:?}", escape(&out));
    let second = request_head(&out[..head_len]).expect("what we write follows our rules");
    let essence = |head: &RequestHead| {
        let fields: Vec<_> = head
            .fields
            .iter()
            .filter(|field| passes(field.known))
            .map(|field| (field.name.to_vec(), field.value.to_vec()))
            .collect();
        (head.method_name().to_vec(), head.path().to_vec(), head.query().map(<[u8]>::to_vec), fields)
    };
    assert_eq!(essence(head), essence(&second.head));
    assert_eq!(second.length, found.length);
    if !head.host().is_empty() {
        assert_eq!((second.head.host(), second.head.port()), (head.host(), head.port()));
    }
    let Outcome::Accepted(body) = Feed::new(&out[head_len..], &[]).body(found.length, Accepted::default())
    else {
        panic!("a written body is not read")
    };
    assert_eq!(body.body, first.body);
}

/// As [`request_survives_encoding`].
pub fn response_survives_encoding(input: &[u8], method: Method) {
    let Outcome::Accepted(first) = response(input, method, &[]) else { return };
    let mut head = ResponseHead::default();
    let end = HeadScanner::default().find_end(input, &HeadLimits::default()).unwrap().unwrap();
    head.parse(&input[..end]).unwrap();
    let length = response_length(&head, method).unwrap().length;
    let mut out = Vec::new();
    encode::status_line(&mut out, &head);
    head.fields.write_lines(&mut out, |field| passes(field.known));
    if length != BodyLength::NONE {
        encode::framing(&mut out, length);
    }
    out.extend_from_slice(b"\r\n");
    let head_len = out.len();
    write_body(&mut out, length, &first.body);

    let mut again = ResponseHead::default();
    again.parse(&out[..head_len]).expect("what we write follows our rules");
    assert_eq!((again.status, again.reason()), (head.status, head.reason()));
    let passed = |head: &ResponseHead| {
        let mut fields = head.fields.clone();
        fields.retain(|field| passes(field.known));
        lines(&fields)
    };
    assert_eq!(passed(&again), passed(&head));
    if length != BodyLength::NONE {
        assert_eq!(response_length(&again, method).map(|found| found.length), Ok(length));
    }
    let Outcome::Accepted(body) = Feed::new(&out[head_len..], &[]).body(length, Accepted::default()) else {
        panic!("a written body is not read")
    };
    assert_eq!(body.body, first.body);
}

/// As [`request_survives_encoding`]; also that what follows the body is left alone.
pub fn chunked_survives_encoding(input: &[u8]) {
    let Outcome::Accepted(first) = chunked(input, &[]) else { return };
    let mut out = Vec::new();
    write_body(&mut out, BodyLength::Chunked, &first.body);
    let written = out.len();
    out.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let Outcome::Accepted(second) = chunked(&out, &[]) else { panic!("a written body is not read") };
    assert_eq!((second.body, second.consumed), (first.body, written));
}

/// What the proxy copies as it is: the rest it writes anew.
fn passes(known: Name) -> bool {
    !known.is_hop_by_hop() && !matches!(known, Name::ContentLength | Name::Host | Name::Expect)
}

fn write_body(out: &mut Vec<u8>, length: BodyLength, body: &[u8]) {
    if length != BodyLength::Chunked {
        out.extend_from_slice(body);
        return;
    }
    // Pieces of growing size, to get size lines of several lengths.
    let (mut rest, mut size) = (body, 1);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        let (line, len) = encode::chunk_line(piece.len());
        out.extend_from_slice(&line[..len]);
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        (rest, size) = (after, size * 3);
    }
    encode::last_chunk(out, None);
}

/// A second judge: a request head that the guardian calls severe must not be accepted.
pub fn guardian_agrees(input: &[u8]) {
    if let Some(objection) = guardian_objection(input) {
        panic!("accepted, but the guardian objects: {objection}: {}", escape(input));
    }
}

/// What the guardian holds against a request head that we accept.
pub fn guardian_objection(input: &[u8]) -> Option<String> {
    let end = HeadScanner::default().find_end(input, &HeadLimits::default()).ok()??;
    request_head(&input[..end]).ok()?;
    let mut shown = input[..end].to_vec();
    for line in shown.split_mut(|byte| *byte == b'\n').skip(1) {
        let name = line.iter().position(|byte| *byte == b':').unwrap_or(0);
        if guardian_misreads(&line[..name]) {
            line[..name].fill(b'x');
        }
    }
    let verdict = HttpRequestData::analyze_raw_request(&shown);
    let severe = verdict.tier == RequestSafetyTier::Severe;
    severe.then(|| format!("{:?} {}", verdict.reason, verdict.message.unwrap_or_default()))
}

/// A reviewed exception: names that the guardian takes for a framing name although their letters differ.
/// It lets any byte stand for the hyphen (`TransferkEncoding`), and past the first letter that differs it
/// only sees whether letters follow (`Content-Lengt~`, even fourteen hyphens).
fn guardian_misreads(name: &[u8]) -> bool {
    let letters = |name: &[u8]| -> Vec<u8> {
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
    };
    [&b"content-length"[..], b"transfer-encoding"].iter().any(|framing| {
        matches!(determine_similarity(framing, name), TokenSimilarity::SameLetters)
            && letters(name) != letters(framing)
    })
}
