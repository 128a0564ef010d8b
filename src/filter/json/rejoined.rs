//! A body whose beginning was read already, in one piece with the rest of it.

use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use crate::message::{BodyStream, Collected, Failure};

pub struct Rejoined<'c> {
    beginning: Option<Collected>,
    at: usize,
    rest: Box<dyn BodyStream + 'c>,
}

impl<'c> Rejoined<'c> {
    pub fn new(beginning: Collected, rest: Box<dyn BodyStream + 'c>) -> Rejoined<'c> {
        Rejoined { beginning: Some(beginning), at: 0, rest }
    }
}

impl BodyStream for Rejoined<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        let left = self.beginning.as_ref().map_or(0, |beginning| beginning.bytes().len() - self.at);
        if left == 0 {
            self.beginning = None;
            return self.rest.poll_data(cx);
        }
        let bytes = self.beginning.as_ref().map_or(&[][..], Collected::bytes);
        Poll::Ready(Ok(bytes.get(self.at..).unwrap_or_default()))
    }

    fn consume(&mut self, count: usize) {
        if self.beginning.is_some() {
            self.at += count;
        } else {
            self.rest.consume(count);
        }
    }

    /// The rest tells how its sender framed the whole: a sum would be wrong.
    fn length(&self) -> BodyLength {
        BodyLength::Chunked
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.rest.trailers()
    }
}
