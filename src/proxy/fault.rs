//! Bugs on purpose, so that a test can see what a bug does. Only in builds with debug assertions, and only
//! when the variable `PALISADE_FAULTS` is set; a release has none of this.

use std::env;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use http1::{BodyLength, Fields, RequestHead};

use crate::message::{Body, BodyStream, Failure, Response};

/// A request with this in its path meets a panic before anything answers it.
const BEFORE: &[u8] = b"/panic-before";
/// With this the panic comes when a part of the answer was sent.
const WITHIN: &[u8] = b"/panic-within";

fn is_wanted(head: &RequestHead, moment: &[u8]) -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| env::var_os("PALISADE_FAULTS").is_some())
        && memchr::memmem::find(head.path(), moment).is_some()
}

pub fn before(head: &RequestHead) {
    assert!(!is_wanted(head, BEFORE), "a bug on purpose, before the answer");
}

pub fn within<'c>(head: &RequestHead, response: &mut Response<'c>) {
    if is_wanted(head, WITHIN)
        && let Body::Stream(stream) = std::mem::take(&mut response.body)
    {
        response.body = Body::Stream(Box::new(Faulty { stream, consumed: false }));
    }
}

/// A body that ends in a panic behind its first piece.
struct Faulty<'c> {
    stream: Box<dyn BodyStream + 'c>,
    consumed: bool,
}

impl BodyStream for Faulty<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        assert!(!self.consumed, "a bug on purpose, within the answer");
        self.stream.poll_data(cx)
    }

    fn consume(&mut self, count: usize) {
        self.consumed |= count > 0;
        self.stream.consume(count);
    }

    fn length(&self) -> BodyLength {
        self.stream.length()
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.stream.trailers()
    }
}
