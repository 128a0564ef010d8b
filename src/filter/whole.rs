//! A body that is complete, for who reads streams.

use std::borrow::Cow;
use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use crate::message::{Body, BodyStream, Failure};
use crate::wire::Buffer;

pub struct Whole {
    bytes: Bytes,
    at: usize,
}

enum Bytes {
    Text(Cow<'static, [u8]>),
    Buffer(Buffer),
}

impl Whole {
    /// `Err` gives back what has no bytes, or not all of them.
    pub fn of(body: Body<'_>) -> Result<Whole, Body<'_>> {
        let bytes = match body {
            Body::Text(text) => Bytes::Text(text),
            Body::Received(buffer) => Bytes::Buffer(buffer),
            body => return Err(body),
        };
        Ok(Whole { bytes, at: 0 })
    }

    fn rest(&self) -> &[u8] {
        let all = match &self.bytes {
            Bytes::Text(text) => text,
            Bytes::Buffer(buffer) => buffer.data(),
        };
        all.get(self.at..).unwrap_or_default()
    }
}

/// Any body as a stream; `Err` gives back one that is none: nothing, or a tunnel.
pub fn stream(body: Body<'_>) -> Result<Box<dyn BodyStream + '_>, Body<'_>> {
    match body {
        Body::Stream(stream) => Ok(stream),
        body => Ok(Box::new(Whole::of(body)?)),
    }
}

impl BodyStream for Whole {
    fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        Poll::Ready(Ok(self.rest()))
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }

    fn length(&self) -> BodyLength {
        BodyLength::Exact(self.rest().len() as u64)
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}
