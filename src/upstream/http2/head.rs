//! Heads between our form and the HTTP/2 engine's.

use h2::ext::Protocol;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http1::connection::accepts_trailers;
use http1::fields::write_line;
use http1::{BodyLength, HeadError, HeadLimits, Name, RequestHead, ResponseHead, encode};

use crate::message::convert::{append_fields, header_map};
use crate::message::{Failure, Recycled};
use crate::upstream::forward::{self, Facts};
use crate::wire::Scratch;

/// The head that the origin gets; `secure` when it gets it through TLS.
pub fn request(head: &RequestHead, facts: &Facts<'_>, secure: bool) -> Result<Request<()>, Failure> {
    let impossible = Failure::BadPath("target_not_for_http2");
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method_name()).map_err(|_| impossible)?;
    let authority = facts.host.map_or(head.authority(), str::as_bytes);
    *request.uri_mut() = uri(head, authority, secure).ok_or(impossible)?;
    // Only a request without any authority is not one of HTTP/2 by origin (RFC 9113 section 8.3.1).
    let relative = request.uri().authority().is_none();
    *request.version_mut() = if relative { Version::HTTP_11 } else { Version::HTTP_2 };
    let mut lines = Scratch::take();
    forward::write_fields(&mut lines, head, facts);
    if let BodyLength::Exact(_) = facts.length
        && forward::tells_length(head, facts)
    {
        encode::framing(&mut lines, facts.length);
    }
    if accepts_trailers(head) {
        write_line(&mut lines, b"te", b"trailers");
    }
    *request.headers_mut() = header_map(&lines);
    if let Some(id) = request.headers_mut().get_mut("x-request-id") {
        // It never comes again: in the table of the connection it would only take the place of what does.
        id.set_sensitive(true);
    }
    if facts.upgrade.is_some() {
        // What a GET asks for that changes the protocol of a connection (RFC 8441 section 5).
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        request.headers_mut().remove(http::header::SEC_WEBSOCKET_KEY);
    }
    Ok(request)
}

fn uri(head: &RequestHead, authority: &[u8], secure: bool) -> Option<Uri> {
    let mut target = Scratch::take();
    target.extend_from_slice(head.path());
    if let Some(query) = head.query() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    let target = match PathAndQuery::try_from(target.as_slice()) {
        Ok(target) => target,
        // A few bytes that others let through as they are.
        Err(_) => PathAndQuery::try_from(escaped(&target)).ok()?,
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(target);
    if !authority.is_empty() {
        parts.authority = Some(Authority::try_from(authority).ok()?);
        parts.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    }
    Uri::from_parts(parts).ok()
}

/// Bytes that RFC 3986 has no place for, as it writes them.
fn escaped(target: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(target.len() + 16);
    for &byte in target {
        let plain = byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
        if plain {
            out.push(byte);
        } else {
            let digit = |nibble: u8| DIGITS[usize::from(nibble & 0xf)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
        }
    }
    out
}

/// The head of an answer, final or interim, under the limits that hold for every version.
pub fn response(status: StatusCode, fields: &HeaderMap) -> Result<Recycled<ResponseHead>, HeadError> {
    let limits = &HeadLimits::STRICT;
    if !(100..=599).contains(&status.as_u16()) {
        return Err(HeadError::BadStatus);
    }
    if fields.len() > limits.fields {
        return Err(HeadError::TooManyFields);
    }
    let mut weight = 0;
    for (name, value) in fields {
        let line = name.as_str().len() + value.len();
        weight += line + 4;
        if line > limits.field {
            return Err(HeadError::FieldTooLong);
        }
        if Name::classify(name.as_str().as_bytes()) == Name::TransferEncoding {
            return Err(HeadError::BadCoding);
        }
    }
    if weight > limits.head {
        return Err(HeadError::HeadTooLong);
    }
    let mut head = Recycled::<ResponseHead>::take();
    head.set_status(status.as_u16());
    append_fields(fields, &mut head.fields);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_the_engine_does_not_take_are_escaped() {
        assert_eq!(escaped(b"/a<b>?c=`d`|%20"), b"/a%3Cb%3E?c=%60d%60%7C%20");
    }

    #[test]
    fn heads_of_answers_have_the_limits_of_every_version() {
        let mut fields = HeaderMap::new();
        for number in 0..100 {
            fields.append("x-many", number.into());
        }
        assert!(response(StatusCode::OK, &fields).is_ok());
        fields.append("x-many", 100.into());
        assert_eq!(response(StatusCode::OK, &fields).unwrap_err(), HeadError::TooManyFields);
        let odd = StatusCode::from_u16(700).unwrap();
        assert_eq!(response(odd, &HeaderMap::new()).unwrap_err(), HeadError::BadStatus);
        let mut long = HeaderMap::new();
        long.insert("x-long", "a".repeat(17_000).parse().unwrap());
        assert_eq!(response(StatusCode::OK, &long).unwrap_err(), HeadError::FieldTooLong);
    }
}
