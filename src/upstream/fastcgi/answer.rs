//! The body of an answer, read from the server as the client takes it. It is over when the server says so in a record
//! of its own: without that record it was cut short, whatever came.

use std::task::{Context, Poll};

use ::fastcgi::Verdict;
use http1::{BodyLength, Fields};

use super::exchange::Exchange;
use crate::message::{BodyStream, Failure};

pub struct Answer<'c> {
    pub exchange: Exchange<'c>,
    /// Bytes of the body that are to come, when the application told.
    pub left: Option<u64>,
}

pub struct AnswerBody<'c> {
    /// Gone once the answer is complete and its connection given back.
    state: Option<Answer<'c>>,
    framing: BodyLength,
}

impl<'c> AnswerBody<'c> {
    pub fn new(answer: Answer<'c>, framing: BodyLength) -> AnswerBody<'c> {
        AnswerBody { state: Some(answer), framing }
    }
}

/// What is to be done next with an answer.
enum Next {
    Give,
    /// All of it was given. `false`: the application said more than it had announced.
    Finish(bool),
}

impl Answer<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Failure>> {
        // Also while nobody takes the answer: a client may send all of its request before it reads.
        if let Poll::Ready(Err(failure)) = self.exchange.poll_upload(cx) {
            return Poll::Ready(Err(failure));
        }
        loop {
            let has_data = !self.exchange.output.data().is_empty();
            match (has_data, self.left, self.exchange.output.end()) {
                (true, Some(0), _) => return Poll::Ready(Ok(Next::Finish(false))),
                (true, ..) => return Poll::Ready(Ok(Next::Give)),
                (false, None | Some(0), Some(end)) if end.verdict == Verdict::Complete => {
                    return Poll::Ready(Ok(Next::Finish(true)));
                }
                (false, _, Some(_)) => {
                    return Poll::Ready(Err(self.exchange.broken_off(Failure::AnswerTruncated)));
                }
                (false, _, None) => match self.exchange.poll_more(cx) {
                    Poll::Ready(more) => more?,
                    // Also a server that sends what does not count: each time it is looked at anew.
                    Poll::Pending if self.exchange.is_silent(cx) => {
                        return Poll::Ready(Err(self.exchange.broken_off(Failure::ReadTimeout)));
                    }
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Output that is part of the body.
    fn data(&self) -> &[u8] {
        let data = self.exchange.output.data();
        let left = self.left.map_or(data.len(), |left| usize::try_from(left).unwrap_or(usize::MAX));
        &data[..data.len().min(left)]
    }
}

impl BodyStream for AnswerBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        let Some(answer) = &mut self.state else { return Poll::Ready(Ok(b"")) };
        let next = match answer.poll(cx) {
            Poll::Ready(next) => next?,
            Poll::Pending => return Poll::Pending,
        };
        if let Next::Finish(clean) = next
            && let Some(answer) = self.state.take()
        {
            answer.exchange.finish(clean);
        }
        Poll::Ready(Ok(self.state.as_ref().map_or(b"", Answer::data)))
    }

    fn consume(&mut self, count: usize) {
        if let Some(answer) = &mut self.state {
            let count = count.min(answer.data().len());
            answer.exchange.output.consume(count);
            answer.left = answer.left.map(|left| left.saturating_sub(count as u64));
        }
    }

    fn length(&self) -> BodyLength {
        self.framing
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}
