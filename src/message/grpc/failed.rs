//! What a call hears when it failed in the proxy: a status of gRPC and a message, in fields.

use http1::{Fields, Name};

use super::Framing;
use crate::message::{Failure, RequestId, Response, pages};

/// Statuses of gRPC that a proxy has reason to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// A call that may have been acted on is not told to be unavailable: clients send such a call again.
fn status_of(failure: Failure) -> Status {
    match failure {
        Failure::ReadTimeout | Failure::SendTimeout => Status::DeadlineExceeded,
        failure if failure.is_of_call() => Status::DeadlineExceeded,
        failure => of_http(pages::status(failure)),
    }
}

fn of_http(status: u16) -> Status {
    match status {
        401 => Status::Unauthenticated,
        403 => Status::PermissionDenied,
        404 | 405 | 501 => Status::Unimplemented,
        413 | 431 | 507 => Status::ResourceExhausted,
        429 | 502 | 503 | 504 => Status::Unavailable,
        400..=499 | 505 | 508 => Status::Internal,
        _ => Status::Unknown,
    }
}

/// The whole answer to a call that failed: a head and nothing behind it ("Trailers-Only").
pub fn explain(failure: Failure, framing: Framing, id: &RequestId) -> Response<'static> {
    let mut response = Response::empty(200);
    let fields = &mut response.head.fields;
    fields.push(Name::ContentType, b"Content-Type", framing.media_type());
    append(fields, failure, id);
    response
}

/// The end of an answer that had begun.
pub fn trailers(failure: Failure, id: &RequestId) -> Fields {
    let mut fields = Fields::new();
    append(&mut fields, failure, id);
    fields
}

fn append(fields: &mut Fields, failure: Failure, id: &RequestId) {
    let text = pages::sentence(failure);
    fields.push(Name::Other, b"grpc-status", (status_of(failure) as u8).to_string().as_bytes());
    fields.push_with(Name::Other, b"grpc-message", |out| {
        percent_encode(out, text.as_bytes());
        percent_encode(out, b" Request id: ");
        percent_encode(out, id.as_bytes());
    });
}

/// As the value of `grpc-message` is written: printable ASCII but `%` as it is, any other byte as `%XX`.
fn percent_encode(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b'%' | ..b' ' | 0x7f.. => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.push(b'%');
                out.extend_from_slice(&digits);
            }
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::HeadError;

    #[test]
    fn failures_have_statuses() {
        let cases = [
            (Failure::NoRoute, 12),
            (Failure::BadPath("x"), 13),
            (Failure::BadHead(HeadError::BadSyntax), 13),
            (Failure::BadHead(HeadError::HeadTooLong), 8),
            (Failure::BodyTooLarge, 8),
            (Failure::OutOfSpace, 8),
            (Failure::ConnectRefused, 14),
            // Nothing of it was sent.
            (Failure::ConnectTimeout, 14),
            (Failure::NoEndpoint, 14),
            (Failure::QueueTimeout, 14),
            (Failure::QueueFull, 14),
            (Failure::BreakerOpen, 14),
            (Failure::BadAnswer(HeadError::BadSyntax), 14),
            (Failure::ClosedBeforeAnswer, 14),
            (Failure::ReadTimeout, 4),
            (Failure::SendTimeout, 4),
            (Failure::CallDeadline, 4),
            (Failure::CallSilent, 4),
            (Failure::Loop, 13),
            (Failure::BodyTimeout, 13),
        ];
        for (failure, wanted) in cases {
            assert_eq!(status_of(failure) as u8, wanted, "{failure:?}");
        }
        for (status, wanted) in [(401, 16), (403, 7), (404, 12), (413, 8), (429, 14), (500, 2), (400, 13)] {
            assert_eq!(of_http(status) as u8, wanted, "{status}");
        }
    }

    #[test]
    fn a_message_is_percent_encoded() {
        let mut out = Vec::new();
        percent_encode(&mut out, "100 %, \u{e4}\r\n~\x7f".as_bytes());
        assert_eq!(out, b"100 %25, %C3%A4%0D%0A~%7F");
    }

    #[test]
    fn the_answer_is_a_head_alone() {
        let id = RequestId::make();
        let response = explain(Failure::NoRoute, Framing::Native, &id);
        let told = |name: &'static [u8]| response.head.fields.all_named(name).next().unwrap().to_vec();
        assert_eq!((response.head.status, response.body.length()), (200, http1::BodyLength::NONE));
        assert_eq!(told(b"content-type"), b"application/grpc");
        assert_eq!(told(b"grpc-status"), b"12");
        let message = String::from_utf8(told(b"grpc-message")).unwrap();
        assert_eq!(message, format!("Nothing is served under this address. Request id: {}", id.as_str()));
    }
}
