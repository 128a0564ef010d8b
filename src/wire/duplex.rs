//! A socket in the shape that the runtime's readers and writers have: for protocol engines that bring their
//! own buffers.

use std::io::{self, IoSlice};
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Buffer, Socket};

/// Reads and writes a socket, which is borrowed or owned.
#[derive(Debug)]
pub struct Duplex<S> {
    socket: S,
    /// What was received already, and is read first.
    received: Buffer,
}

impl<S: Deref<Target = Socket>> Duplex<S> {
    pub fn new(socket: S, received: Buffer) -> Duplex<S> {
        Duplex { socket, received }
    }
}

impl<S: Deref<Target = Socket> + Unpin> AsyncRead for Duplex<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.received.is_empty() {
            return self.socket.poll_read(cx, into);
        }
        let count = self.received.len().min(into.remaining());
        into.put_slice(&self.received.data()[..count]);
        self.received.consume(count);
        self.received.release_when_empty();
        Poll::Ready(Ok(()))
    }
}

impl<S: Deref<Target = Socket> + Unpin> AsyncWrite for Duplex<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write_small(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(self.socket.shutdown()),
            other => other,
        }
    }
}
