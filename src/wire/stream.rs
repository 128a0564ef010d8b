//! The sending half of a stream of HTTP/2, as everybody here writes to one: no more than its windows take, so that
//! what waits in the engine is bounded.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

/// Given to the engine at a time: a frame.
const PIECE: usize = 16 << 10;

/// Whoever read the stream does so no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Hands over the beginning of `data`, which is not empty; gives how much that was. When all of it went and `last`
/// holds, the stream ends with it.
pub fn poll_send(
    stream: &mut SendStream<Bytes>,
    data: &[u8],
    last: bool,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Closed>> {
    let wanted = data.len().min(PIECE);
    stream.reserve_capacity(wanted);
    let mut capacity = stream.capacity();
    while capacity == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(granted)) => capacity = granted,
            Some(Err(_)) | None => return Poll::Ready(Err(Closed)),
        }
    }
    let piece = &data[..wanted.min(capacity)];
    let ends = last && piece.len() == data.len();
    let sent = stream.send_data(Bytes::copy_from_slice(piece), ends);
    Poll::Ready(sent.map(|()| piece.len()).map_err(|_| Closed))
}
