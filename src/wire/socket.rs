//! A connected stream socket of any kind. Its methods take `&self`, since one side of an exchange reads
//! from it while another writes; all of them are polled by the one task that owns the connection.
//!
//! Reads and writes go to the system directly, with the runtime asked only for readiness: the way through
//! the runtime's own stream types and libc's cancellable calls takes more instructions, four times a request.
//!
//! This file has `unsafe`: the runtime cannot see by itself that a descriptor stays open.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Buffer;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A process on this machine.
    Unix,
}

/// How far a peer has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    None,
    /// It sends nothing more (FIN). Over TCP nobody can tell whether it still reads.
    Half,
    /// It neither sends nor reads: a reset, or a unix socket that was closed.
    Gone,
}

#[derive(Debug)]
pub struct Socket {
    fd: AsyncFd<OwnedFd>,
    /// The last read filled its room to the byte: whether there is more is not known.
    unsure: Cell<bool>,
}

/// A socket between two runtimes.
#[derive(Debug)]
pub struct Portable(OwnedFd);

impl Socket {
    /// Takes a connected TCP socket, which must not block; small writes are sent at once.
    pub fn tcp(fd: OwnedFd) -> io::Result<Socket> {
        rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
        Socket::from_portable(Portable(fd))
    }

    /// Takes a connected unix socket, which must not block.
    pub fn unix(fd: OwnedFd) -> io::Result<Socket> {
        Socket::from_portable(Portable(fd))
    }

    /// Reads what is there into `buffer` and gives how much that was; 0 is the end of the stream. Costs no
    /// system call when nothing is there, and the buffer has memory only when something is: waiting costs
    /// none. A full buffer has no room, which would look like the end: the caller sees to it.
    pub fn poll_fill(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = match self.fd.poll_read_ready(cx)? {
                Poll::Ready(ready) => ready,
                Poll::Pending => {
                    buffer.release_when_empty();
                    return Poll::Pending;
                }
            };
            let room = buffer.room();
            let len = room.len();
            match recv(self.fd.get_ref(), room, RecvFlags::empty()) {
                Ok((_, count)) => {
                    buffer.filled(count);
                    // A short read has emptied the socket (epoll(7)): no second one is needed to know.
                    self.unsure.set(count == len);
                    if count > 0 && count < len {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_output(cx, bytes.len(), |fd| send(fd, bytes, SendFlags::NOSIGNAL))
    }

    /// As [`Socket::poll_write`], but outside of the task's budget: for a message that is small, so that its
    /// writer soon waits for something else. The runtime is asked for readiness only when the socket takes
    /// nothing: that saves 80 instructions, twice a request.
    pub fn poll_write_small(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut short = None;
        let written = self.fd.try_io(Interest::WRITABLE, |fd| match send(fd, bytes, SendFlags::NOSIGNAL)? {
            count if count == bytes.len() => Ok(count),
            // A short write has filled the socket: the runtime is told so.
            count => {
                short = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        match (written, short) {
            (Ok(count), _) | (Err(_), Some(count)) => Poll::Ready(Ok(count)),
            // Whatever it is, it shows again on the usual way.
            (Err(_), None) => self.poll_write(cx, bytes),
        }
    }

    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = parts.iter().map(|part| part.len()).sum();
        self.poll_output(cx, len, |fd| {
            let mut ancillary = rustix::net::SendAncillaryBuffer::default();
            rustix::net::sendmsg(fd, parts, &mut ancillary, SendFlags::NOSIGNAL)
        })
    }

    fn poll_output(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        write: impl Fn(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(cx))?;
            match write(self.fd.get_ref()) {
                Ok(count) => {
                    // A short write has filled the socket.
                    if count < len {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Writes what the socket takes at once, if anything, whatever the runtime knows of it.
    pub fn try_write(&self, bytes: &[u8]) {
        let _ = send(self.fd.get_ref(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Ready when there is something to read, the end of the stream included.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            if !self.unsure.take() || self.has_arrived() {
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Sends FIN; the other direction stays open.
    pub fn shutdown(&self) -> io::Result<()> {
        Ok(shutdown(self.fd.get_ref(), Shutdown::Write)?)
    }

    /// True when the peer has neither closed nor sent anything: fit for the next exchange. Looks at what
    /// the runtime already knows, so it makes a system call only when something did happen.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        let peeked = self
            .fd
            .try_io(Interest::READABLE, |fd| Ok(recv(fd, &mut byte, RecvFlags::DONTWAIT | RecvFlags::PEEK)?));
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// True when there is something to read, the end of the stream included; asks the system, which may know
    /// more than the runtime.
    pub fn has_arrived(&self) -> bool {
        let peeked = recv(self.fd.get_ref(), &mut [0u8; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK);
        !matches!(peeked, Err(Errno::AGAIN))
    }

    /// Whether the peer has gone, as the system knows; what it sent before may still be unread.
    pub fn departure(&self) -> Departure {
        let asked = PollFlags::RDHUP;
        let mut fds = [PollFd::new(self.fd.get_ref(), asked)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let Ok(_) = poll(&mut fds, Some(&now)) else { return Departure::None };
        let flags = fds[0].revents();
        if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            Departure::Gone
        } else if flags.contains(PollFlags::RDHUP) {
            Departure::Half
        } else {
            Departure::None
        }
    }

    /// Makes the coming close a reset, so that the peer cannot take a truncated message for a whole one.
    pub fn reset_on_close(&self) {
        // Fails for unix sockets, which know no reset.
        let _ = rustix::net::sockopt::set_socket_linger(self.fd.get_ref(), Some(Duration::ZERO));
    }

    /// Leaves this worker's runtime, to enter another's with [`Socket::from_portable`].
    pub fn into_portable(self) -> Portable {
        Portable(self.fd.into_inner())
    }

    /// Enters this worker's runtime.
    pub fn from_portable(portable: Portable) -> io::Result<Socket> {
        // SAFETY: an `OwnedFd` stays the same open descriptor until it is dropped, and the runtime takes it
        // off its list before it drops it.
        let fd = unsafe { AsyncFd::register(portable.0) }?;
        Ok(Socket { fd, unsure: Cell::new(false) })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Bytes that no socket takes at once, written in pieces that make short writes likely.
    const ALL: usize = 4 << 20;
    const PIECE: usize = 300_000;

    #[test]
    fn small_writes_wait_for_room_and_lose_nothing() {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let (full, is_full) = sync_channel(1);
        // Reads nothing before the socket was full once.
        let reader = std::thread::spawn(move || {
            is_full.recv().unwrap();
            let mut read = Vec::new();
            far.read_to_end(&mut read).map(|_| read)
        });
        let sent: Vec<u8> = (0..ALL).map(|index| (index / 1000) as u8).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = Socket::unix(near.into()).unwrap();
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let piece = &rest[..rest.len().min(PIECE)];
                let write = poll_fn(|cx| {
                    let polled = socket.poll_write_small(cx, piece);
                    if polled.is_pending() {
                        let _ = full.try_send(());
                    }
                    polled
                });
                let count =
                    tokio::time::timeout(Duration::from_secs(20), write).await.expect("a wake").unwrap();
                rest = &rest[count..];
            }
        });
        assert!(reader.join().unwrap().unwrap() == sent, "other bytes arrived");
    }
}
