//! Compresses answers for clients that say they take it.

mod body;
mod brotli;
mod encoder;
mod guard;
mod options;
mod pool;
mod types;

use http1::{BodyLength, Method, Name, RequestHead};

pub use self::options::{CompressOptions, CompressionLimits, Levels};
pub use self::types::Types;

use self::body::Compressing;
use self::encoder::Step;
use self::guard::Effort;
use self::pool::{Lease, NoEncoder};
use super::coding::representation::{self, Coded, Known};
use super::coding::whole;
use super::coding::{Accepted, Coding};
use super::remade::Remade;
use super::vary::add_vary;
use crate::message::{Body, Response};
use crate::observe::compression::{self, Skipped};

/// A route's filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    pub options: CompressOptions,
    pub limits: CompressionLimits,
}

/// What the client takes, and what it has.
#[derive(Debug)]
pub struct Asked {
    accepted: Accepted,
    known: Known,
    is_head: bool,
}

/// What is to be done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Leave,
    /// It stays as it is for this client, and may not for another one.
    Depends,
    Compress(Coding),
}

impl Compress {
    /// Looks at a request, and takes `Accept-Encoding` off it when the origin shall not see that.
    pub fn ask(&self, head: &mut RequestHead) -> Asked {
        let transforms = !representation::forbids_transform(&head.fields);
        let asked = Asked {
            accepted: if transforms { Accepted::of(&head.fields) } else { Accepted::default() },
            known: Known::of(&head.fields),
            is_head: head.method == Method::Head,
        };
        if !self.options.at_origin {
            head.fields.remove(Name::AcceptEncoding);
        }
        asked
    }

    pub fn answer(&self, asked: &Asked, response: &mut Response<'_>) {
        match self.judge(asked, response) {
            Verdict::Leave => {}
            Verdict::Depends => self.depends(asked, response),
            Verdict::Compress(coding) => {
                self.depends(asked, response);
                if asked.is_head {
                    // Its length would be told, and is not the one of the answer to a GET.
                    response.body = Body::Empty;
                    declare(coding, response);
                } else if self.compress(coding, response) {
                    declare(coding, response);
                }
            }
        }
    }

    fn judge(&self, asked: &Asked, response: &Response<'_>) -> Verdict {
        let (status, fields) = (response.head.status, &response.head.fields);
        if matches!(status, 100..=199 | 204 | 205)
            || matches!(response.body, Body::Upgraded(_))
            || representation::is_of_call(fields)
            || representation::content_coding(fields) != Coded::Plain
            || representation::forbids_transform(fields)
        {
            return Verdict::Leave;
        }
        let covered =
            fields.get(Name::ContentType).map(|content_type| self.options.types.cover(content_type));
        match (status, covered) {
            // It need not tell its type (RFC 9110 section 15.4.5).
            (304, Some(true) | None) => return Verdict::Depends,
            (_, Some(true)) => {}
            _ => return Verdict::Leave,
        }
        match length(asked, response) {
            Some(length) if length < self.options.min_size.max(1) => Verdict::Leave,
            _ if representation::is_part(status, fields) => Verdict::Depends,
            _ => asked.accepted.choose(&self.options.encodings).map_or(Verdict::Depends, Verdict::Compress),
        }
    }

    fn depends(&self, asked: &Asked, response: &mut Response<'_>) {
        let status = response.head.status;
        let fields = &mut response.head.fields;
        add_vary(fields, "Accept-Encoding");
        if status == 304 {
            asked.known.name_again(fields);
        }
    }

    /// Replaces the body; false when it stays, for want of time or memory or because it would not become smaller.
    fn compress(&self, coding: Coding, response: &mut Response<'_>) -> bool {
        let levels = match if self.limits.guard { guard::effort() } else { Effort::Full } {
            // Each holds its encoder for as long as it lasts, so it gets the smallest.
            Effort::Full if is_event_stream(response) => Levels::FASTEST,
            Effort::Full => self.options.levels,
            Effort::Fast => Levels::FASTEST,
            Effort::Off => {
                compression::count_skipped(Skipped::Overload);
                return false;
            }
        };
        let size = match response.body.length() {
            BodyLength::Exact(size) => Some(size),
            _ => None,
        };
        let mut encoder = match Lease::take(coding, levels.of(coding), size, self.limits.memory) {
            Ok(encoder) => encoder,
            Err(NoEncoder::Full) => {
                compression::count_skipped(Skipped::Memory);
                return false;
            }
            Err(NoEncoder::Broken) => return false,
        };
        let whole = match &response.body {
            Body::Text(text) if text.len() <= AT_ONCE => Some(&text[..]),
            Body::Received(buffer) if buffer.len() <= AT_ONCE => Some(buffer.data()),
            Body::File(file) => file.bytes().filter(|bytes| bytes.len() <= AT_ONCE),
            _ => None,
        };
        if let Some(whole) = whole {
            let Some(made) = at_once(&mut encoder, whole).filter(|made| made.len() < whole.len()) else {
                return false;
            };
            compression::count_bytes(coding.token(), whole.len() as u64, made.len() as u64);
            response.body = Body::Text(made.into());
        } else {
            match whole::stream(std::mem::take(&mut response.body)) {
                Ok(stream) => {
                    let maker = Compressing::new(stream, coding, encoder);
                    response.body = Body::Stream(Box::new(Remade::new(maker)));
                }
                Err(body) => {
                    response.body = body;
                    return false;
                }
            }
        }
        compression::count_compressed(coding.token());
        true
    }
}

/// A body that is there and not longer is compressed before its head is sent, which can then tell the length. For
/// more, the other tasks of the worker should not have to wait.
const AT_ONCE: usize = 128 << 10;

fn at_once(encoder: &mut Lease, body: &[u8]) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(body.len() / 2);
    encoder.encode(body, Step::Finish, &mut made).ok()?;
    Some(made)
}

/// How long the body is that a GET gets, if that is known.
fn length(asked: &Asked, response: &Response<'_>) -> Option<u64> {
    match (response.body.length(), asked.is_head) {
        (BodyLength::NONE, true) => response.announced,
        (BodyLength::Exact(length), _) => Some(length),
        _ => None,
    }
}

fn is_event_stream(response: &Response<'_>) -> bool {
    let content_type = response.head.fields.get(Name::ContentType).unwrap_or_default();
    content_type.get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
}

const EVENTS: &[u8] = b"text/event-stream";

/// Says in the head what became of the body.
fn declare(coding: Coding, response: &mut Response<'_>) {
    let fields = &mut response.head.fields;
    representation::changed(fields);
    fields.remove(Name::ContentEncoding);
    fields.remove(Name::ContentLength);
    fields.push(Name::ContentEncoding, b"Content-Encoding", coding.token().as_bytes());
    response.announced = None;
}

/// A body in a coding, for tests of what reads it.
#[cfg(test)]
pub fn coded(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut encoder = Lease::take(coding, 4, None, 1 << 30).unwrap();
    at_once(&mut encoder, body).unwrap()
}

#[cfg(test)]
mod tests;
