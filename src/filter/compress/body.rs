//! A body that is compressed as it comes.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use http1::Fields;

use super::encoder::{Broken, Step};
use super::pool::Lease;
use crate::filter::coding::Coding;
use crate::filter::coding::representation;
use crate::filter::remade::{Maker, Piece};
use crate::message::{BodyStream, Failure};
use crate::observe::compression;

/// Bytes of the body that go into the encoder at a time, so that what comes out is bounded too.
const PIECE: usize = 32 << 10;
/// After so many bytes without a pause the other tasks of the worker get their turn.
const RUN: usize = 256 << 10;

pub struct Compressing<'c> {
    stream: Box<dyn BodyStream + 'c>,
    coding: Coding,
    /// `None` behind the end.
    encoder: Option<Lease>,
    held: Held,
    /// Bytes since the last pause.
    run: usize,
    /// Bytes of the body, and of what became of it.
    taken: u64,
    made: u64,
}

/// What the encoder may still hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Nothing,
    Some,
    /// Some, and nothing more came in the turn after it.
    Overdue,
}

impl<'c> Compressing<'c> {
    pub fn new(stream: Box<dyn BodyStream + 'c>, coding: Coding, encoder: Lease) -> Compressing<'c> {
        let encoder = Some(encoder);
        Compressing { stream, coding, encoder, held: Held::Nothing, run: 0, taken: 0, made: 0 }
    }

    /// Has the encoder make output of the next piece. When nothing more is there, what it holds goes out, after one
    /// turn of the other tasks: what is on its way in the same moment comes along, and an event waits for nothing else.
    fn poll_step(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>> {
        if self.run >= RUN {
            self.run = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.stream.poll_data(cx) {
            Poll::Pending => match self.held {
                Held::Nothing => Poll::Pending,
                Held::Some => {
                    self.held = Held::Overdue;
                    self.run = 0;
                    // Wakes this task when the sockets were looked at again.
                    let _ = pin!(tokio::task::yield_now()).poll(cx);
                    Poll::Pending
                }
                Held::Overdue => {
                    self.held = Held::Nothing;
                    encode(&mut self.encoder, b"", Step::Flush, out)?;
                    Poll::Ready(Ok(Piece::More))
                }
            },
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Ready(Ok(b"")) => {
                encode(&mut self.encoder, b"", Step::Finish, out)?;
                // Somebody else can have it while the client takes the rest.
                self.encoder = None;
                Poll::Ready(Ok(Piece::Last))
            }
            Poll::Ready(Ok(data)) => {
                let piece = data.get(..PIECE).unwrap_or(data);
                encode(&mut self.encoder, piece, Step::More, out)?;
                let count = piece.len();
                self.stream.consume(count);
                self.held = Held::Some;
                self.run += count;
                self.taken += count as u64;
                Poll::Ready(Ok(Piece::More))
            }
        }
    }
}

fn encode(encoder: &mut Option<Lease>, input: &[u8], step: Step, out: &mut Vec<u8>) -> Result<(), Failure> {
    let encoder = encoder.as_mut().ok_or(Failure::CompressionFailed)?;
    encoder.encode(input, step, out).map_err(|Broken| Failure::CompressionFailed)
}

impl Maker for Compressing<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>> {
        out.clear();
        let piece = ready!(self.poll_step(cx, out))?;
        self.made += out.len() as u64;
        Poll::Ready(Ok(piece))
    }

    fn trailers(&mut self) -> Option<Fields> {
        representation::without_digests(self.stream.trailers())
    }
}

impl Drop for Compressing<'_> {
    fn drop(&mut self) {
        compression::count_bytes(self.coding.token(), self.taken, self.made);
    }
}

#[cfg(test)]
mod tests;
