//! The body of an answer as gRPC-Web has it: the messages, and behind them a frame with the trailers.

use std::task::{Context, Poll};

use http1::Fields;

use super::text::{self, PIECE};
use crate::filter::remade::{Maker, Piece};
use crate::message::grpc::Framing;
use crate::message::{BodyStream, Failure};

/// Marks a frame that has trailers in place of a message.
const TRAILERS: u8 = 0x80;
/// A frame of trailers is not longer; what tells how the call ended comes first.
const MOST_TRAILERS: usize = 64 << 10;

/// Trailers as a frame: a mark, the length in four bytes, and `name: value` lines.
pub fn trailer_frame(trailers: &Fields) -> Vec<u8> {
    let mut frame = vec![TRAILERS, 0, 0, 0, 0];
    let tells = |name: &[u8]| name.eq_ignore_ascii_case(b"grpc-status");
    let first = trailers.iter().filter(|field| tells(field.name));
    for field in first.chain(trailers.iter().filter(|field| !tells(field.name))) {
        let line = field.name.len() + field.value.len() + 4;
        if frame.len() + line <= MOST_TRAILERS {
            frame.extend(field.name.iter().map(u8::to_ascii_lowercase));
            frame.extend_from_slice(b": ");
            frame.extend_from_slice(field.value);
            frame.extend_from_slice(b"\r\n");
        }
    }
    let length = (frame.len() - 5) as u32;
    frame[1..5].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Reads an answer of gRPC and gives one of gRPC-Web.
pub struct Framed<'c> {
    stream: Box<dyn BodyStream + 'c>,
    framing: Framing,
    /// The last one or two bytes, which make no whole group of base64.
    begun: Vec<u8>,
}

impl<'c> Framed<'c> {
    pub fn new(stream: Box<dyn BodyStream + 'c>, framing: Framing) -> Framed<'c> {
        Framed { stream, framing, begun: Vec::new() }
    }

    fn write(&mut self, bytes: &[u8], whole: bool, out: &mut Vec<u8>) {
        self.begun.extend_from_slice(bytes);
        let groups = if whole { self.begun.len() } else { self.begun.len() / 3 * 3 };
        let rest = self.begun.split_off(groups);
        let made = std::mem::replace(&mut self.begun, rest);
        *out = if self.framing == Framing::WebText { text::encode(&made) } else { made };
    }
}

impl Maker for Framed<'_> {
    /// Text is padded when nothing more is there: a message must not wait for the next one.
    fn poll_piece(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Piece, Failure>> {
        match self.stream.poll_data(cx) {
            Poll::Pending if self.begun.is_empty() => return Poll::Pending,
            Poll::Pending => self.write(&[], true, out),
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Ready(Ok(b"")) => {
                let frame = self.stream.trailers().map(|trailers| trailer_frame(&trailers));
                self.write(&frame.unwrap_or_default(), true, out);
                return Poll::Ready(Ok(Piece::Last));
            }
            Poll::Ready(Ok(data)) => {
                let piece = data.get(..PIECE).unwrap_or(data).to_vec();
                self.stream.consume(piece.len());
                self.write(&piece, self.framing == Framing::Web, out);
            }
        }
        Poll::Ready(Ok(Piece::More))
    }

    /// They are in the last frame.
    fn trailers(&mut self) -> Option<Fields> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::filter::remade::Remade;
    use http1::{BodyLength, Name};

    /// Bytes, or a pause.
    type Said = Option<&'static [u8]>;

    /// A stream of these.
    struct Scripted(Vec<Said>, Option<Fields>);

    impl BodyStream for Scripted {
        fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
            match self.0.first().copied() {
                Some(None) => {
                    self.0.remove(0);
                    Poll::Pending
                }
                Some(Some(data)) => Poll::Ready(Ok(data)),
                None => Poll::Ready(Ok(b"")),
            }
        }

        fn consume(&mut self, count: usize) {
            match self.0.first_mut() {
                Some(Some(data)) if count < data.len() => *data = &data[count..],
                _ => drop(self.0.remove(0)),
            }
        }

        fn length(&self) -> BodyLength {
            BodyLength::Chunked
        }

        fn trailers(&mut self) -> Option<Fields> {
            self.1.take()
        }
    }

    fn trailers() -> Fields {
        let mut fields = Fields::new();
        fields.push(Name::Other, b"X-Bytes-Bin", b"AAE=");
        fields.push(Name::Other, b"Grpc-Status", b"0");
        fields
    }

    const FRAME: &[u8] = b"\x80\x00\x00\x00\x23grpc-status: 0\r\nx-bytes-bin: AAE=\r\n";

    /// All of it, with `|` where it was waited for.
    fn read(framing: Framing, pieces: &[Said], end: Option<Fields>) -> Vec<u8> {
        let mut body = Remade::new(Framed::new(Box::new(Scripted(pieces.to_vec(), end)), framing));
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        loop {
            match body.poll_data(&mut cx) {
                Poll::Pending => all.push(b'|'),
                Poll::Ready(data) => {
                    let data = data.unwrap();
                    if data.is_empty() {
                        return all;
                    }
                    all.extend_from_slice(data);
                    let count = data.len();
                    body.consume(count);
                }
            }
        }
    }

    #[test]
    fn trailers_are_the_last_frame() {
        let got = read(Framing::Web, &[Some(b"one"), None, Some(b"two")], Some(trailers()));
        assert_eq!(got, [b"one|two", FRAME].concat());
        assert_eq!(read(Framing::Web, &[], None), b"");
    }

    #[test]
    fn text_is_padded_only_where_nothing_more_is_there() {
        let cases: [(&[Said], &str); 5] = [
            (&[Some(b"hello")], "aGVsbG8="),
            (&[Some(b"he"), Some(b"llo")], "aGVsbG8="),
            (&[Some(b"hello"), None, None, Some(b"hello")], "aGVsbG8=|aGVsbG8="),
            (&[Some(b"hel"), None, Some(b"lo")], "aGVs|bG8="),
            (&[None], "|"),
        ];
        for (pieces, wanted) in cases {
            let got = read(Framing::WebText, pieces, None);
            // The pause at which a piece is padded is not passed on, since there is something to send.
            let got = String::from_utf8(got).unwrap();
            assert_eq!(got, wanted, "{pieces:?}");
        }
        let got = read(Framing::WebText, &[Some(b"hello")], Some(trailers()));
        assert_eq!(data_encoding::BASE64.decode(&got).unwrap(), [b"hello", FRAME].concat());
    }

    #[test]
    fn a_frame_of_trailers_is_bounded_and_keeps_the_status() {
        let mut fields = Fields::new();
        for _ in 0..20 {
            fields.push(Name::Other, b"x", "v".repeat(8000).as_bytes());
        }
        fields.push(Name::Other, b"grpc-status", b"5");
        let frame = trailer_frame(&fields);
        assert!(frame.len() <= MOST_TRAILERS && frame.len() > MOST_TRAILERS - 9000, "{}", frame.len());
        assert!(frame[5..].starts_with(b"grpc-status: 5\r\n"));
    }
}
