//! What a tunnel joins: a connection, or a stream of one that carries many.

use std::io;
use std::task::{Context, Poll, ready};

use ::http2::{Incoming, Reason as ClientReason, Stream};
use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};

use crate::wire::{Buffer, Socket, stream};

/// Bytes come from here.
pub(super) enum Source<'s> {
    Socket(&'s Socket, Buffer),
    Stream(RecvStream, Bytes),
    /// What came and how much of it is consumed.
    ClientStream(&'s Stream<'s>, Vec<u8>, usize),
}

/// Bytes go here.
pub(super) enum Sink<'s> {
    Socket(&'s Socket),
    Stream(SendStream<Bytes>),
    ClientStream(&'s Stream<'s>),
}

/// One end of a tunnel.
pub struct End<'s> {
    pub(super) source: Source<'s>,
    pub(super) sink: Sink<'s>,
}

impl<'s> End<'s> {
    /// `received` are bytes that came already.
    pub fn socket(socket: &'s Socket, received: Buffer) -> End<'s> {
        End { source: Source::Socket(socket, received), sink: Sink::Socket(socket) }
    }

    /// An end that is cut off resets the stream; one that has ended ends it.
    pub fn stream(receive: RecvStream, send: SendStream<Bytes>) -> End<'s> {
        End { source: Source::Stream(receive, Bytes::new()), sink: Sink::Stream(send) }
    }

    /// The same for a stream of a client's connection.
    pub fn client_stream(stream: &'s Stream<'s>) -> End<'s> {
        End { source: Source::ClientStream(stream, Vec::new(), 0), sink: Sink::ClientStream(stream) }
    }
}

impl Source<'_> {
    pub(super) fn data(&self) -> &[u8] {
        match self {
            Source::Socket(_, buffer) => buffer.data(),
            Source::Stream(_, chunk) => chunk,
            Source::ClientStream(_, chunk, at) => chunk.get(*at..).unwrap_or_default(),
        }
    }

    pub(super) fn consume(&mut self, count: usize) {
        match self {
            Source::Socket(_, buffer) => buffer.consume(count),
            Source::Stream(stream, chunk) => {
                chunk.advance(count.min(chunk.len()));
                let _ = stream.flow_control().release_capacity(count);
            }
            Source::ClientStream(stream, chunk, at) => {
                let count = count.min(chunk.len() - *at);
                *at += count;
                stream.release(count);
            }
        }
    }

    /// Waits for bytes when there are none; false at the end.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self {
            Source::Socket(socket, buffer) => socket.poll_fill(cx, buffer).map_ok(|count| count > 0),
            Source::Stream(stream, chunk) => loop {
                match ready!(stream.poll_data(cx)) {
                    Some(Ok(more)) if more.is_empty() => {}
                    Some(Ok(more)) => {
                        *chunk = more;
                        return Poll::Ready(Ok(true));
                    }
                    Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                    None => return Poll::Ready(Ok(false)),
                }
            },
            Source::ClientStream(stream, chunk, at) => match ready!(stream.poll_data(chunk, cx)) {
                Ok(Incoming::Data) => {
                    *at = 0;
                    Poll::Ready(Ok(true))
                }
                Ok(Incoming::End) => Poll::Ready(Ok(false)),
                Err(_) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            },
        }
    }
}

impl Sink<'_> {
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Sink::Socket(socket) => socket.poll_write(cx, bytes),
            Sink::Stream(own) => {
                stream::poll_send(own, bytes, false, cx).map_err(|_| io::ErrorKind::ConnectionReset.into())
            }
            Sink::ClientStream(stream) => {
                stream.poll_send(bytes, false, cx).map_err(|_| io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Sink::Socket(socket) => socket.poll_flush(cx),
            Sink::Stream(stream) => match stream.poll_reset(cx) {
                // Whoever waits for bytes to send hears here that nobody takes them any more.
                Poll::Ready(_) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Poll::Pending => Poll::Ready(Ok(())),
            },
            Sink::ClientStream(stream) => match stream.poll_broken(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Poll::Pending => Poll::Ready(Ok(())),
            },
        }
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&mut self) -> bool {
        match self {
            Sink::Socket(socket) => socket.shutdown().is_ok(),
            Sink::Stream(stream) => stream.send_data(Bytes::new(), true).is_ok(),
            Sink::ClientStream(stream) => stream.end().is_ok(),
        }
    }

    /// Nothing more comes, and what came is not all.
    pub(super) fn cut(&mut self) {
        match self {
            Sink::Socket(socket) => socket.reset_on_close(),
            Sink::Stream(stream) => stream.send_reset(Reason::CANCEL),
            Sink::ClientStream(stream) => stream.reset(ClientReason::Cancel),
        }
    }
}
