//! The base64 of gRPC-Web text. A stream of it may consist of pieces with their own padding, as each side sends
//! what it has.

use std::task::{Context, Poll, ready};

use data_encoding::BASE64;
use http1::Fields;

use crate::filter::remade::{Maker, Piece};
use crate::message::{BodyStream, Failure};

/// Encoded or decoded at a time; whole groups, either way.
pub const PIECE: usize = 12 << 10;

pub fn encode(bytes: &[u8]) -> Vec<u8> {
    BASE64.encode(bytes).into_bytes()
}

/// The body of a request, decoded as it comes.
pub struct Decoded<'c> {
    stream: Box<dyn BodyStream + 'c>,
    /// The beginning of a group of four.
    begun: Vec<u8>,
}

impl<'c> Decoded<'c> {
    pub fn new(stream: Box<dyn BodyStream + 'c>) -> Decoded<'c> {
        Decoded { stream, begun: Vec::new() }
    }
}

impl Maker for Decoded<'_> {
    fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>> {
        let data = ready!(self.stream.poll_data(cx))?;
        if data.is_empty() {
            out.clear();
            let whole = self.begun.is_empty();
            return Poll::Ready(if whole { Ok(Piece::Last) } else { Err(Failure::BadBase64) });
        }
        let taken = data.len().min(PIECE);
        self.begun.extend(data.iter().take(taken));
        self.stream.consume(taken);
        let rest = self.begun.split_off(self.begun.len() / 4 * 4);
        let groups = std::mem::replace(&mut self.begun, rest);
        *out = BASE64.decode(&groups).map_err(|_| Failure::BadBase64)?;
        Poll::Ready(Ok(Piece::More))
    }

    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use http1::BodyLength;

    use super::*;
    use crate::filter::remade::Remade;

    /// A body in these pieces.
    pub struct Pieces(pub VecDeque<Vec<u8>>);

    impl BodyStream for Pieces {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
            Poll::Ready(Ok(self.0.front().map(Vec::as_slice).unwrap_or_default()))
        }

        fn consume(&mut self, count: usize) {
            if let Some(front) = self.0.front_mut() {
                front.drain(..count);
                if front.is_empty() {
                    self.0.pop_front();
                }
            }
        }

        fn length(&self) -> BodyLength {
            BodyLength::Chunked
        }

        fn trailers(&mut self) -> Option<Fields> {
            None
        }
    }

    fn decoded(text: &[u8], cut: usize, taken: usize) -> Result<Vec<u8>, Failure> {
        let pieces = text.chunks(cut).map(<[u8]>::to_vec).collect();
        let mut body = Remade::new(Decoded::new(Box::new(Pieces(pieces))));
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        loop {
            let Poll::Ready(data) = body.poll_data(&mut cx) else { panic!("nothing is waited for") };
            let data = data?;
            let count = data.len().min(taken);
            if count == 0 {
                return Ok(all);
            }
            all.extend_from_slice(&data[..count]);
            body.consume(count);
        }
    }

    #[test]
    fn pieces_with_their_own_padding_are_one_stream() {
        let cases: [(&[u8], Option<&[u8]>); 11] = [
            (b"", Some(b"")),
            (b"AAAA", Some(&[0; 3])),
            (b"aGVsbG8=", Some(b"hello")),
            (b"aA==ZWxsbw==", Some(b"hello")),
            (b"aGU=bGxv", Some(b"hello")),
            (b"aGVsbG8", None),
            (b"aGVs bG8=", None),
            (b"aGVs\r\nbG8=", None),
            (b"a===", None),
            // Bits that stand for nothing.
            (b"aGVsbG9=", None),
            (b"____", None),
        ];
        for (text, wanted) in cases {
            for cut in 1..=text.len().max(1) {
                for taken in [1, 2, 100] {
                    let wanted = wanted.map(<[u8]>::to_vec).ok_or(Failure::BadBase64);
                    assert_eq!(decoded(text, cut, taken), wanted, "{} by {cut}", text.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn a_long_piece_is_decoded_in_parts() {
        let bytes: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
        assert!(decoded(&encode(&bytes), 70_000, usize::MAX) == Ok(bytes));
    }
}
