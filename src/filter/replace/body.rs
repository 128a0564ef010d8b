//! A body whose text is replaced while it passes.

use std::task::{Context, Poll, ready};

use http1::Fields;

use super::Editor;
use crate::filter::coding::representation::without_digests;
use crate::filter::remade::{Maker, Piece};
use crate::message::{BodyStream, Failure};

/// About so much is made at once, whatever a piece grows to.
const PIECE: usize = 64 << 10;
/// The largest and the smallest piece that is read for it.
const READ: (usize, usize) = (16 << 10, 64);

pub struct Replacing<'c> {
    pub stream: Box<dyn BodyStream + 'c>,
    pub editor: Editor,
}

impl Maker for Replacing<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>> {
        let data = ready!(self.stream.poll_data(cx))?;
        let most = (PIECE / self.editor.growth()).clamp(READ.1, READ.0);
        let piece = data.get(..most).unwrap_or(data);
        let (count, last) = (piece.len(), piece.is_empty());
        out.clear();
        self.editor.push(piece, last, out);
        self.stream.consume(count);
        Poll::Ready(Ok(if last { Piece::Last } else { Piece::More }))
    }

    fn trailers(&mut self) -> Option<Fields> {
        without_digests(self.stream.trailers())
    }
}
