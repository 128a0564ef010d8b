//! A body that is made of another one, piece by piece, as fast as it is taken.

use std::task::{Context, Poll};

use http1::{BodyLength, Fields};

use crate::message::{BodyStream, Failure};

/// Makes the pieces.
pub trait Maker {
    /// Puts the next piece into `out`, in place of the last one, which was sent; what stands there counts only when the
    /// piece is ready. It may be empty: then the next one is asked for.
    fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>>;

    /// Those of the whole; after the last piece.
    fn trailers(&mut self) -> Option<Fields>;
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    More,
    Last,
}

/// What a maker makes, as a body.
pub struct Remade<M> {
    pub(super) maker: M,
    out: Vec<u8>,
    /// So much of `out` was sent.
    at: usize,
    ended: bool,
}

impl<M: Maker> Remade<M> {
    pub fn new(maker: M) -> Remade<M> {
        Remade { maker, out: Vec::new(), at: 0, ended: false }
    }
}

impl<M: Maker> BodyStream for Remade<M> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        while self.at >= self.out.len() && !self.ended {
            self.at = 0;
            match self.maker.poll_piece(cx, &mut self.out) {
                Poll::Ready(Ok(piece)) => self.ended = piece == Piece::Last,
                unmade => {
                    self.out.clear();
                    return unmade.map_ok(|_| &[][..]);
                }
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
        self.maker.trailers()
    }
}
