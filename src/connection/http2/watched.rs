//! The socket as the engine sees it, with an eye on the frames that pass.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::{Frames, PREFACE, Watch};
use crate::wire::{Buffer, Duplex, Socket};

/// Reads and writes the socket of one connection.
pub struct Watched<'c> {
    duplex: Duplex<&'c Socket>,
    watch: &'c RefCell<Watch>,
    /// How many streams are open.
    streams: &'c std::cell::Cell<usize>,
    incoming: Frames,
    outgoing: Frames,
}

impl<'c> Watched<'c> {
    /// `received` is what came already.
    pub fn new(
        socket: &'c Socket,
        received: Buffer,
        watch: &'c RefCell<Watch>,
        streams: &'c std::cell::Cell<usize>,
    ) -> Watched<'c> {
        let duplex = Duplex::new(socket, received);
        Watched { duplex, watch, streams, incoming: Frames::new(PREFACE.len()), outgoing: Frames::new(0) }
    }

    fn note_sent(&mut self, parts: &[IoSlice<'_>], count: usize) {
        let mut left = count;
        let watch = self.watch;
        for part in parts {
            let sent = &part[..part.len().min(left)];
            left -= sent.len();
            self.outgoing.pass(sent, |frame| watch.borrow_mut().sent(frame, Instant::now));
        }
    }
}

impl AsyncRead for Watched<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut own.duplex).poll_read(cx, into))?;
        let (watch, streams) = (own.watch, own.streams.get());
        let read = into.filled().get(before..).unwrap_or_default();
        own.incoming.pass(read, |frame| watch.borrow_mut().received(frame, streams, Instant::now));
        watch.borrow_mut().looked(own.incoming.in_frame(), Instant::now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let count = ready!(Pin::new(&mut own.duplex).poll_write(cx, bytes))?;
        own.note_sent(&[IoSlice::new(bytes)], count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let count = ready!(Pin::new(&mut own.duplex).poll_write_vectored(cx, parts))?;
        own.note_sent(parts, count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_shutdown(cx)
    }
}
