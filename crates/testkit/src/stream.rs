//! A connected socket, TCP or Unix, plain or with TLS on it, behind one type.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::Address;
use crate::tls::{TlsFacts, TlsStream};

/// A connected stream socket. The socket options that tests play with are the same for all kinds.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Connects within `deadline` (TCP; a Unix socket connects at once or not at all).
    pub fn connect(address: &Address, deadline: Duration) -> io::Result<Stream> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, deadline)?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Address::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        }
    }

    /// Connects over TCP with `source` as its own address.
    pub fn connect_from(source: IpAddr, address: SocketAddr, deadline: Duration) -> io::Result<Stream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&address.into(), deadline)?;
        socket.set_tcp_nodelay(true)?;
        Ok(Stream::Tcp(socket.into()))
    }

    /// A second handle to the same socket. That of a TLS stream leads to the socket beneath, for its options and
    /// for shutdown.
    pub fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
            Stream::Tls(stream) => stream.beneath().try_clone(),
        }
    }

    /// What the handshake has agreed on; `None` without TLS.
    pub fn tls(&self) -> Option<TlsFacts> {
        match self {
            Stream::Tls(stream) => Some(stream.facts()),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    /// Says that nothing more will be sent, as the protocol wants it: FIN, and close_notify before it in TLS.
    /// [`Stream::shutdown`] leaves that out.
    pub fn finish(&mut self) {
        match self {
            Stream::Tls(stream) => stream.finish(),
            // The peer may have closed already; the reads that follow will tell.
            Stream::Tcp(_) | Stream::Unix(_) => drop(self.shutdown(Shutdown::Write)),
        }
    }

    /// How long one read may wait; `None` waits for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_read_timeout(timeout)
    }

    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(self).shutdown(how)
    }

    /// Makes the coming close a reset (TCP RST): unsent data is thrown away, the peer's read fails.
    pub fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
            Stream::Tls(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tls(stream) => stream.flush(),
            Stream::Tcp(_) | Stream::Unix(_) => Ok(()),
        }
    }
}

/// True for the errors with which a read past its time-out comes back.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
