//! The socket of a shared connection as the engine sees it. The engine keeps the text of an error only, so what a
//! server says of our certificate (an alert, which in TLS 1.3 comes behind the handshake) is noted where it passes.
//! And the engine reads for as long as there is something, while whoever counts interim answers waits for its turn:
//! a turn of reading has an end here.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::message::Failure;
use crate::upstream::tls;
use crate::wire::{Buffer, Duplex, Socket};

/// The alert that came, shared with whoever wants to know.
pub type Alert = Rc<Cell<Option<Failure>>>;

/// Bytes that are read before those are polled who wait for them.
const TURN: usize = 32 << 10;

pub struct Wire {
    duplex: Duplex<Box<Socket>>,
    alert: Alert,
    /// Bytes that were read in this turn.
    read: usize,
    /// Writing has failed.
    is_broken: bool,
}

impl Wire {
    pub fn new(socket: Socket, alert: Alert) -> Wire {
        Wire { duplex: Duplex::new(Box::new(socket), Buffer::new()), alert, read: 0, is_broken: false }
    }

    #[cold]
    fn note(&self, error: &io::Error) {
        if let Some(failure) = tls::alert(error) {
            self.alert.set(Some(failure));
        }
    }

    /// A write that failed is told by the next read, which may first bring what the server said before it closed:
    /// that alert, or answers. Until then all that is written counts as `taken`.
    fn after_write<T>(&mut self, polled: Poll<io::Result<T>>, taken: T) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Err(error)) => {
                self.note(&error);
                self.is_broken = true;
                Poll::Ready(Ok(taken))
            }
            other => other,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        if own.read >= TURN {
            own.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        let polled = Pin::new(&mut own.duplex).poll_read(cx, into);
        match &polled {
            Poll::Ready(Ok(())) => own.read += into.filled().len() - before,
            Poll::Ready(Err(error)) => own.note(error),
            Poll::Pending => own.read = 0,
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        if own.is_broken {
            return Poll::Ready(Ok(bytes.len()));
        }
        let polled = Pin::new(&mut own.duplex).poll_write(cx, bytes);
        own.after_write(polled, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let all = || parts.iter().map(|part| part.len()).sum();
        if own.is_broken {
            return Poll::Ready(Ok(all()));
        }
        let polled = Pin::new(&mut own.duplex).poll_write_vectored(cx, parts);
        match polled {
            Poll::Ready(Err(_)) => own.after_write(polled, all()),
            polled => polled,
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        if own.is_broken {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut own.duplex).poll_flush(cx);
        own.after_write(polled, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().duplex).poll_shutdown(cx)
    }
}
