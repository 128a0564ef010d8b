//! The body of an answer, read from its stream as the client takes it.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http1::{BodyLength, Fields};
use tokio::time::Instant;

use super::error::{is_early_end, within_answer};
use super::session::Place;
use super::upload::Upload;
use crate::message::convert::append_trailers;
use crate::message::{BodyStream, Failure};
use crate::upstream::Timeouts;
use crate::wire::Watchdog;

pub struct AnswerBody<'c> {
    /// Gone once the answer is complete, and the place of its stream with it.
    state: Option<Answer<'c>>,
    framing: BodyLength,
    trailers: Option<Fields>,
    /// Of the last frame, not consumed yet.
    data: Bytes,
}

struct Answer<'c> {
    stream: RecvStream,
    upload: Upload<'c>,
    watchdog: &'c Watchdog,
    timeouts: Timeouts,
    moved: Instant,
    /// Bytes that are still to come, when that was told.
    left: Option<u64>,
    /// Behind the halves of the stream: its place is free when they are gone.
    place: Place,
}

impl<'c> AnswerBody<'c> {
    pub fn new(
        stream: RecvStream,
        upload: Upload<'c>,
        place: Place,
        framing: BodyLength,
        watchdog: &'c Watchdog,
        timeouts: Timeouts,
    ) -> AnswerBody<'c> {
        let left = match framing {
            BodyLength::Exact(length) => Some(length),
            BodyLength::Chunked | BodyLength::UntilClose => None,
        };
        let state = Some(Answer { stream, upload, watchdog, timeouts, moved: Instant::now(), left, place });
        AnswerBody { state, framing, trailers: None, data: Bytes::new() }
    }
}

/// What the next look at the stream brings.
enum Piece {
    Data(Bytes),
    End(Option<Fields>),
}

impl Answer<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        let polled = match self.stream.poll_data(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(data))) => {
                self.moved = Instant::now();
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Poll::Ready(Ok(Piece::Data(data)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(self.end_of(&error)),
            Poll::Ready(None) => match self.stream.poll_trailers(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(trailers)) => Poll::Ready(Ok(Piece::End(trailers.map(|map| {
                    let mut fields = Fields::new();
                    append_trailers(&map, &mut fields);
                    fields
                })))),
                Poll::Ready(Err(error)) => Poll::Ready(self.end_of(&error)),
            },
        };
        if polled.is_pending() && self.watchdog.expired(cx, self.moved + self.timeouts.read) {
            self.place.session().doubt(self.timeouts.read);
            return Poll::Ready(Err(Failure::ReadTimeout));
        }
        polled
    }

    fn end_of(&self, error: &h2::Error) -> Result<Piece, Failure> {
        // An end of the stream that came before it is told as an end; so this is one only when a length says so.
        if is_early_end(error) && self.left == Some(0) {
            return Ok(Piece::End(None));
        }
        Err(within_answer(error))
    }
}

impl BodyStream for AnswerBody<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        let Some(answer) = &mut self.state else { return Poll::Ready(Ok(b"")) };
        // Also while nobody takes the answer: both go on beside each other.
        answer.upload.advance(cx)?;
        while self.data.is_empty() {
            match ready!(answer.poll_piece(cx)) {
                Ok(Piece::Data(data)) => self.data = data,
                Ok(Piece::End(trailers)) => {
                    self.trailers = trailers;
                    self.state = None;
                    return Poll::Ready(Ok(b""));
                }
                Err(failure) => {
                    answer.place.endpoint().note_failure(failure);
                    return Poll::Ready(Err(failure));
                }
            }
        }
        Poll::Ready(Ok(&self.data))
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.data.len());
        self.data.advance(count);
        if let Some(answer) = &mut self.state {
            // Fails for more than was received only.
            let _ = answer.stream.flow_control().release_capacity(count);
        }
    }

    fn length(&self) -> BodyLength {
        self.framing
    }

    fn trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}
