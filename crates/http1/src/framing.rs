//! The one place that decides how long a body is (RFC 9112 section 6). One rule: what could be read in
//! two ways is refused.

use crate::error::HeadError;
use crate::fields::{Fields, is_token};
use crate::head::{RequestHead, ResponseHead, Version};
use crate::method::Method;
use crate::name::{Name, same_name};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes; 0 is no body.
    Exact(u64),
    Chunked,
    /// Until the sender closes; answers only.
    UntilClose,
}

impl BodyLength {
    pub const NONE: BodyLength = BodyLength::Exact(0);
}

/// Length of a request's body. Without `Content-Length` and `Transfer-Encoding` there is none, whatever
/// the version (RFC 9112 section 6.3, rule 7).
pub fn request_length(head: &RequestHead) -> Result<BodyLength, HeadError> {
    if !head.fields.contains(Name::TransferEncoding) {
        return Ok(BodyLength::Exact(content_length(&head.fields)?.unwrap_or(0)));
    }
    if head.version == Version::Http10 {
        return Err(HeadError::CodingInOldVersion);
    }
    if head.fields.contains(Name::ContentLength) {
        return Err(HeadError::LengthAndCoding);
    }
    transfer_coding(&head.fields)?;
    Ok(BodyLength::Chunked)
}

/// Length of an answer's body, and whether the connection may be used again as far as framing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseLength {
    pub length: BodyLength,
    pub reusable: bool,
    /// What `Content-Length` says of a body that does not follow (HEAD, 304).
    pub announced: Option<u64>,
}

/// RFC 9112 section 6.3 for the answer to a request with `method`.
pub fn response_length(head: &ResponseHead, method: Method) -> Result<ResponseLength, HeadError> {
    let coding = transfer_coding(&head.fields)?;
    let length = content_length(&head.fields)?;
    let body = |length, reusable| Ok(ResponseLength { length, reusable, announced: None });
    match head.status {
        // What follows are the bytes of the tunnel.
        200..=299 if method == Method::Connect => body(BodyLength::NONE, false),
        // No body whatever the fields say; one that announces a body all the same is not trusted to
        // keep it to itself.
        100..=199 | 204 => body(BodyLength::NONE, !coding && length.unwrap_or(0) == 0),
        // The same of two contradicting announcements.
        _ if method == Method::Head || head.status == 304 => Ok(ResponseLength {
            length: BodyLength::NONE,
            reusable: !coding || length.is_none(),
            announced: length.filter(|_| !coding),
        }),
        // A coding from a 1.0 server may be a leftover of somebody before it: only the close tells.
        _ if coding && head.version == Version::Http10 => body(BodyLength::UntilClose, false),
        // The coding wins, and the connection ends (RFC 9112 section 6.3, rule 3).
        _ if coding => body(BodyLength::Chunked, length.is_none()),
        _ => match length {
            Some(length) => body(BodyLength::Exact(length), true),
            None => body(BodyLength::UntilClose, false),
        },
    }
}

/// True for exactly one `Transfer-Encoding: chunked`.
fn transfer_coding(fields: &Fields) -> Result<bool, HeadError> {
    if !fields.may_have(Name::TransferEncoding) {
        return Ok(false);
    }
    let mut values = fields.all(Name::TransferEncoding);
    let Some(value) = values.next() else { return Ok(false) };
    if values.next().is_some() {
        return Err(HeadError::BadCoding);
    }
    if same_name(value, b"chunked") {
        return Ok(true);
    }
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).peekable();
    let mut chunked = 0;
    while let Some(coding) = codings.next() {
        let is_chunked = same_name(coding, b"chunked");
        chunked += u32::from(is_chunked);
        if !is_token(coding) || chunked > 1 || (is_chunked && codings.peek().is_some()) {
            return Err(HeadError::BadCoding);
        }
    }
    Err(HeadError::UnknownCoding)
}

/// One line of digits, at most 2^63 - 1 (RFC 9110 section 8.6).
fn content_length(fields: &Fields) -> Result<Option<u64>, HeadError> {
    if !fields.may_have(Name::ContentLength) {
        return Ok(None);
    }
    let mut values = fields.all(Name::ContentLength);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeadError::RepeatedLength);
    }
    if value.is_empty() || value.len() > 19 {
        return Err(HeadError::BadLength);
    }
    let mut length = 0u64;
    for digit in value {
        if !digit.is_ascii_digit() {
            return Err(if *digit == b',' { HeadError::RepeatedLength } else { HeadError::BadLength });
        }
        // 19 digits are below 10^19, which fits 64 bits.
        length = length * 10 + u64::from(digit - b'0');
    }
    if length > i64::MAX as u64 { Err(HeadError::BadLength) } else { Ok(Some(length)) }
}
