//! A body whose text is replaced while it passes.

use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use super::Editor;
use crate::filter::coding::representation::without_digests;
use crate::message::{BodyStream, Failure};

/// About so much is made at once, whatever a piece grows to.
const PIECE: usize = 64 << 10;
/// The largest and the smallest piece that is read for it.
const READ: (usize, usize) = (16 << 10, 64);

pub struct Replaced<'c> {
    stream: Box<dyn BodyStream + 'c>,
    editor: Editor,
    out: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<'c> Replaced<'c> {
    pub fn new(stream: Box<dyn BodyStream + 'c>, editor: Editor) -> Replaced<'c> {
        Replaced { stream, editor, out: Vec::new(), at: 0, ended: false }
    }

    /// Reads one piece, which may give nothing yet.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let count = match self.stream.poll_data(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Ready(Ok(data)) => {
                let most = (PIECE / self.editor.growth()).clamp(READ.1, READ.0);
                let piece = data.get(..most).unwrap_or(data);
                self.out.clear();
                self.at = 0;
                self.ended = piece.is_empty();
                self.editor.push(piece, self.ended, &mut self.out);
                piece.len()
            }
        };
        self.stream.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl BodyStream for Replaced<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        while self.at >= self.out.len() && !self.ended {
            match self.poll_piece(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(self.out.get(self.at..).unwrap_or_default()))
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }

    /// What it becomes is not known before its end.
    fn length(&self) -> BodyLength {
        BodyLength::Chunked
    }

    fn trailers(&mut self) -> Option<Fields> {
        without_digests(self.stream.trailers())
    }
}
