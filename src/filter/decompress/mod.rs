//! Takes a coding off an answer for a client that does not take it.

mod body;
mod decoder;

use http1::{Name, RequestHead};

use self::body::Decompressing;
use self::decoder::Decoder;
use super::coding::memory::Share;
use super::coding::representation::{self, Coded, Known};
use super::coding::whole;
use super::coding::{Accepted, Coding};
use super::remade::Remade;
use super::vary::add_vary;
use crate::message::{Body, Response};
use crate::observe::compression::{self, Skipped};

/// A route's filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decompress {
    /// What the encoders and decoders of a worker may hold, in bytes.
    pub memory: u64,
}

/// What the client takes.
#[derive(Debug)]
pub struct Asked {
    accepted: Accepted,
    known: Known,
}

impl Decompress {
    pub fn ask(head: &RequestHead) -> Asked {
        Asked { accepted: Accepted::of(&head.fields), known: Known::of(&head.fields) }
    }

    pub fn answer(&self, asked: &Asked, response: &mut Response<'_>) {
        if response.head.status == 304 {
            asked.known.name_again(&mut response.head.fields);
            return;
        }
        let Some(coding) = removable(response) else { return };
        let fields = &mut response.head.fields;
        add_vary(fields, "Accept-Encoding");
        if asked.accepted.weight(coding) > 0 {
            return;
        }
        if !matches!(response.body, Body::Empty) {
            let Some(share) = Share::take(Decoder::cost(coding), self.memory) else {
                compression::count_skipped(Skipped::Memory);
                return;
            };
            let Some(decoder) = Decoder::new(coding) else { return };
            response.body = match whole::stream(std::mem::take(&mut response.body)) {
                Ok(stream) => Body::Stream(Box::new(Remade::new(Decompressing::new(stream, decoder, share)))),
                Err(body) => body,
            };
            compression::count_decompressed(coding.token());
        }
        representation::changed(fields);
        fields.remove(Name::ContentEncoding);
        fields.remove(Name::ContentLength);
        response.announced = None;
    }
}

/// The coding that may be taken off: one that we know, alone, and around the whole.
fn removable(response: &Response<'_>) -> Option<Coding> {
    let (status, fields) = (response.head.status, &response.head.fields);
    let stays = matches!(status, 100..=199 | 204 | 205)
        || matches!(response.body, Body::Upgraded(_))
        || representation::is_part(status, fields)
        || representation::forbids_transform(fields)
        || representation::is_of_call(fields);
    match representation::content_coding(fields) {
        Coded::Once(token) if !stays => Coding::named(token),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http1::BodyLength;

    use super::*;

    fn answer(status: u16, lines: &[(&str, &str)]) -> Response<'static> {
        let mut response = Response::text(status, b"text/plain", b"x".as_slice().into());
        for (name, value) in lines {
            response.head.fields.push(Name::classify(name.as_bytes()), name.as_bytes(), value.as_bytes());
        }
        response
    }

    #[test]
    fn one_known_coding_around_the_whole_is_taken_off() {
        for (status, lines, wanted) in [
            (200, &[("Content-Encoding", "gzip")][..], Some(Coding::Gzip)),
            (404, &[("Content-Encoding", "X-GZIP")], Some(Coding::Gzip)),
            (200, &[("Content-Encoding", "deflate, identity")], Some(Coding::Deflate)),
            (200, &[], None),
            (200, &[("Content-Encoding", "compress")], None),
            (200, &[("Content-Encoding", "gzip, gzip")], None),
            (200, &[("Content-Encoding", "gzip"), ("Cache-Control", "no-transform")], None),
            (206, &[("Content-Encoding", "gzip")], None),
            (416, &[("Content-Encoding", "gzip"), ("Content-Range", "bytes */5")], None),
            (204, &[("Content-Encoding", "gzip")], None),
        ] {
            assert_eq!(removable(&answer(status, lines)), wanted, "{status} {lines:?}");
        }
    }

    #[test]
    fn who_takes_the_coding_gets_it() {
        let filter = Decompress { memory: 1 << 30 };
        for (accepts, coded) in [(Some("br, gzip"), true), (Some("br"), false), (None, false)] {
            let mut head = RequestHead::default();
            if let Some(accepts) = accepts {
                head.fields.push(Name::AcceptEncoding, b"Accept-Encoding", accepts.as_bytes());
            }
            let mut response = answer(200, &[("Content-Encoding", "gzip"), ("ETag", "\"a\"")]);
            filter.answer(&Decompress::ask(&head), &mut response);
            let fields = &response.head.fields;
            let tag = fields.all_named(b"etag").next().unwrap();
            assert_eq!(fields.contains(Name::ContentEncoding), coded, "{accepts:?}");
            assert_eq!(tag, if coded { &b"\"a\""[..] } else { b"W/\"a\"" }, "{accepts:?}");
            assert_eq!(fields.all_named(b"vary").next(), Some(&b"Accept-Encoding"[..]));
            let length = if coded { BodyLength::Exact(1) } else { BodyLength::Chunked };
            assert_eq!(response.body.length(), length);
        }
    }

    #[test]
    fn without_memory_it_stays_as_it_is() {
        let mut response = answer(200, &[("Content-Encoding", "gzip")]);
        Decompress { memory: 1 }.answer(&Decompress::ask(&RequestHead::default()), &mut response);
        assert!(response.head.fields.contains(Name::ContentEncoding));
    }
}
