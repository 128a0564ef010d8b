//! The health check of gRPC (`grpc.health.v1.Health/Check`): one message there, one back. Both are so small that
//! they are written and read here.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};

use super::over_http2::{Stream, exchange};

/// Passes when the server says that it serves `service`; the error is for the operator.
pub async fn check(stream: Stream, scheme: &str, host: &str, service: &str) -> Result<(), String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{scheme}://{host}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "palisade-health")
        .body(())
        .map_err(|error| format!("cannot be asked over HTTP/2: {error}"))?;
    let (answer, trailers) = exchange(stream, request, question(service)).await?;
    if answer.status() != 200 {
        return Err(format!("answered {}", answer.status().as_u16()));
    }
    // In the trailers, or in the head when that is all there is.
    let code = |fields: &HeaderMap| {
        fields.get("grpc-status").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    match code(&trailers).or_else(|| code(answer.headers())).as_deref() {
        Some("0") => {}
        Some("5") => return Err(format!("knows no service {service:?} (gRPC status 5)")),
        Some("12") => return Err("has no health service (gRPC status 12)".to_owned()),
        Some(code) => return Err(format!("gRPC status {code}")),
        None => return Err("an answer without gRPC status".to_owned()),
    }
    match standing(answer.body()) {
        Some(SERVING) => Ok(()),
        Some(2) => Err("says NOT_SERVING".to_owned()),
        Some(3) => Err("says SERVICE_UNKNOWN".to_owned()),
        Some(0) => Err("says UNKNOWN".to_owned()),
        Some(other) => Err(format!("says {other}")),
        None => Err("malformed answer: no HealthCheckResponse".to_owned()),
    }
}

const SERVING: u64 = 1;
/// In front of a message: not compressed, and its length.
const PREFIX: usize = 5;
/// `string service = 1` and `ServingStatus status = 1`, with their wire types.
const SERVICE: u8 = 0x0a;
const STATUS: u64 = 0x08;

/// A `HealthCheckRequest` with its prefix. A name has 127 bytes at most: its length is then one byte.
fn question(service: &str) -> Bytes {
    let length = u8::try_from(service.len()).unwrap_or(u8::MAX);
    let mut message = Vec::with_capacity(PREFIX + 2 + service.len());
    let size = if service.is_empty() { 0 } else { 2 + length };
    message.extend_from_slice(&[0, 0, 0, 0, size]);
    if !service.is_empty() {
        message.extend_from_slice(&[SERVICE, length]);
        message.extend_from_slice(service.as_bytes());
    }
    message.into()
}

/// The status in a `HealthCheckResponse` with its prefix; 0 when it is not there, as protobuf has it.
fn standing(body: &[u8]) -> Option<u64> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let length = usize::try_from(u32::from_be_bytes(*prefix.last_chunk()?)).ok()?;
    let mut message = message.get(..length).filter(|_| prefix.first() == Some(&0))?;
    let mut status = 0;
    while !message.is_empty() {
        let (key, rest) = varint(message)?;
        let (value, rest) = match key & 7 {
            0 => varint(rest)?,
            1 => (0, rest.get(8..)?),
            2 => {
                let (length, rest) = varint(rest)?;
                (0, rest.get(usize::try_from(length).ok()?..)?)
            }
            5 => (0, rest.get(4..)?),
            _ => return None,
        };
        if key == STATUS {
            status = value;
        }
        message = rest;
    }
    Some(status)
}

/// Seven bits a byte, the low ones first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_message() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("a.B")[..], [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
    }

    #[test]
    fn an_answer_says_how_things_stand() {
        for (body, expected) in [
            (&[0, 0, 0, 0, 2, 0x08, 1][..], Some(1)),
            (&[0, 0, 0, 0, 2, 0x08, 2], Some(2)),
            // The default is left out, and fields that we do not know are skipped.
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 9, 0x12, 2, 1, 1, 0x18, 0x80, 1, 0x08, 1], Some(1)),
            // Cut, compressed, or nonsense.
            (&[0, 0, 0, 0, 2, 0x08], None),
            (&[0, 0, 0, 0, 1, 0x08], None),
            (&[1, 0, 0, 0, 2, 0x08, 1], None),
            (&[0, 0, 0, 0, 2, 0x0b, 1], None),
            (&[0, 0, 0, 0, 3, 0x12, 0x7f, 1], None),
            (&[0, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(standing(body), expected, "{body:?}");
        }
    }
}
