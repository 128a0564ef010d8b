//! A connected stream socket of any kind. Its methods take `&self`, since one side of an exchange reads
//! from it while another writes; all of them are polled by the one task that owns the connection.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Debug)]
pub struct Socket {
    stream: RefCell<Stream>,
}

macro_rules! on_stream {
    ($socket:expr, $stream:ident => $action:expr) => {
        match &mut *$socket.stream.borrow_mut() {
            Stream::Tcp($stream) => $action,
            Stream::Unix($stream) => $action,
        }
    };
}

impl Socket {
    /// Takes a connected TCP stream; small writes are sent at once.
    pub fn tcp(stream: TcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        Ok(Socket { stream: RefCell::new(Stream::Tcp(stream)) })
    }

    pub fn unix(stream: UnixStream) -> Socket {
        Socket { stream: RefCell::new(Stream::Unix(stream)) }
    }

    /// Reads what is there, at most `room`; 0 is the end of the stream. Costs no system call when nothing
    /// is there, and a short read is not followed by one that finds nothing.
    pub fn poll_read(&self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        on_stream!(self, stream => Pin::new(stream).poll_read(cx, &mut room)).map_ok(|()| room.filled().len())
    }

    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, stream => Pin::new(stream).poll_write_vectored(cx, parts))
    }

    /// Writes what the socket takes at once, if anything.
    pub fn try_write(&self, bytes: &[u8]) {
        let _ = match &*self.stream.borrow() {
            // A socket that was just accepted is writable, which the runtime does not know yet: so past it.
            Stream::Tcp(stream) => rustix::net::send(stream, bytes, rustix::net::SendFlags::DONTWAIT),
            Stream::Unix(stream) => rustix::net::send(stream, bytes, rustix::net::SendFlags::DONTWAIT),
        };
    }

    /// Ready when there is something to read, the end of the stream included.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_read_ready(cx))
    }

    /// Sends FIN; the other direction stays open.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// True when the peer has neither closed nor sent anything: fit for the next exchange. Looks at what
    /// the runtime already knows, so it makes a system call only when something did happen.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        let read = match &*self.stream.borrow() {
            Stream::Tcp(stream) => stream.try_read(&mut byte),
            Stream::Unix(stream) => stream.try_read(&mut byte),
        };
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Makes the coming close a reset, so that the peer cannot take a truncated message for a whole one.
    pub fn reset_on_close(&self) {
        if let Stream::Tcp(stream) = &*self.stream.borrow() {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Leaves this worker's runtime, to enter another's with [`Socket::from_portable`].
    pub fn into_portable(self) -> io::Result<Portable> {
        match self.stream.into_inner() {
            Stream::Tcp(stream) => stream.into_std().map(Portable::Tcp),
            Stream::Unix(stream) => stream.into_std().map(Portable::Unix),
        }
    }

    pub fn from_portable(portable: Portable) -> io::Result<Socket> {
        let stream = match portable {
            Portable::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream)?),
            Portable::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
        };
        Ok(Socket { stream: RefCell::new(stream) })
    }
}

/// A socket between two runtimes.
#[derive(Debug)]
pub enum Portable {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}
