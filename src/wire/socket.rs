//! A connected stream socket of any kind. Its methods take `&self`, since one side of an exchange reads
//! from it while another writes; all of them are polled by the one task that owns the connection.
//!
//! Reads and writes go to the system directly, with the runtime asked only for readiness: the way through
//! the runtime's own stream types and libc's cancellable calls takes more instructions, four times a request.
//!
//! This file has `unsafe`: the runtime cannot see by itself that a descriptor stays open.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};

use super::Buffer;
use super::tls::{Agreed, Session, to_io as tls_error};

/// Parts below this size are copied together before they are sealed.
const GATHERED: usize = 4 << 10;
/// Reads of what an idle peer may send unasked at a time.
const MOST_UNASKED: usize = 16;

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
    fd: AsyncFd<Link>,
}

/// A socket between two runtimes.
#[derive(Debug)]
pub struct Portable(Link);

/// The descriptor, and the TLS session that all bytes go through when there is one.
#[derive(Debug)]
struct Link {
    fd: OwnedFd,
    /// The last read filled its room to the byte: whether there is more is not known.
    unsure: Cell<bool>,
    tls: OnceCell<Box<RefCell<Session>>>,
}

impl Socket {
    /// Takes a connected TCP socket, which must not block; small writes are sent at once.
    pub fn tcp(fd: OwnedFd) -> io::Result<Socket> {
        rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
        Socket::unix(fd)
    }

    /// Takes a connected unix socket, which must not block.
    pub fn unix(fd: OwnedFd) -> io::Result<Socket> {
        Socket::from_portable(Portable(Link { fd, unsure: Cell::new(false), tls: OnceCell::new() }))
    }

    /// From here on everything goes through `session`; for a socket that has none.
    pub fn secure(&self, session: Session) {
        let was_unset = self.fd.get_ref().tls.set(Box::new(RefCell::new(session))).is_ok();
        debug_assert!(was_unset, "a socket has one session");
    }

    /// Drives the handshake of the session; ready when it is over.
    pub fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<Agreed>> {
        let Some(tls) = self.tls() else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let mut session = tls.borrow_mut();
        loop {
            let over = match session.shake_hands() {
                Ok(over) => over,
                Err(error) => return Poll::Ready(Err(self.fail(&mut session, error))),
            };
            ready!(self.poll_send(cx, &mut session))?;
            if over {
                return Poll::Ready(Ok(Agreed::of(&session)));
            }
            ready!(self.poll_receive(cx, &mut session))?;
        }
    }

    /// Reads what is there into `buffer` and gives how much that was; 0 is the end of the stream. Costs no
    /// system call when nothing is there, and the buffer has memory only when something is: waiting costs
    /// none. A full buffer has no room, which would look like the end: the caller sees to it.
    pub fn poll_fill(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        if let Some(tls) = self.tls() {
            return self.poll_fill_opened(cx, tls, buffer);
        }
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
                    self.fd.get_ref().unsure.set(count == len);
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

    /// Ready when more than `known` bytes are there, or all that come: copies them and takes none. Only for a socket
    /// without a session.
    pub fn poll_peek(&self, cx: &mut Context<'_>, into: &mut [u8], known: usize) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            match recv(self.fd.get_ref(), &mut *into, RecvFlags::PEEK) {
                Ok((_, count)) if count > known || count == 0 || ready.ready().is_read_closed() => {
                    return Poll::Ready(Ok(count));
                }
                // What is there tells no more by being looked at again: the system tells when there is more.
                Ok(_) | Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Takes bytes that [`Socket::poll_peek`] has shown.
    pub fn skip(&self, mut count: usize) -> bool {
        let mut gone = [0; 512];
        while count > 0 {
            let room = gone.len().min(count);
            match recv(self.fd.get_ref(), &mut gone[..room], RecvFlags::empty()) {
                Ok((_, taken)) if taken > 0 => count -= taken.min(count),
                Err(Errno::INTR) => {}
                _ => return false,
            }
        }
        true
    }

    #[inline(never)]
    fn poll_fill_opened(
        &self,
        cx: &mut Context<'_>,
        tls: &RefCell<Session>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut session = tls.borrow_mut();
        loop {
            if session.has_input() {
                let mut into = ReadBuf::new(buffer.room());
                let opened = session.open(&mut into);
                let count = into.filled().len();
                buffer.filled(count);
                if count > 0 {
                    return Poll::Ready(Ok(count));
                }
                if let Err(error) = opened {
                    return Poll::Ready(Err(self.fail(&mut session, error)));
                }
            }
            if session.is_peer_closed() {
                return Poll::Ready(Ok(0));
            }
            match self.poll_more(cx, &mut session) {
                Poll::Ready(received) => received?,
                Poll::Pending => {
                    buffer.release_when_empty();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads into `into`, as [`Socket::poll_fill`] does; nothing put there is the end of the stream.
    pub fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let Some(tls) = self.tls() else { return self.poll_read_plain(cx, into) };
        let mut session = tls.borrow_mut();
        loop {
            if session.has_input() {
                let opened = session.open(into);
                if into.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
                if let Err(error) = opened {
                    return Poll::Ready(Err(self.fail(&mut session, error)));
                }
            }
            if session.is_peer_closed() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_more(cx, &mut session))?;
        }
    }

    fn poll_read_plain(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            // SAFETY: nothing is read from the memory, nor made uninitialised in it.
            let room = unsafe { into.unfilled_mut() };
            let len = room.len();
            match recv(self.fd.get_ref(), room, RecvFlags::empty()) {
                Ok((_, count)) => {
                    // SAFETY: the system has written so many bytes to the start of it.
                    unsafe { into.assume_init(count) };
                    into.advance(count);
                    if count > 0 && count < len {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Writes the beginning of `bytes`. Behind a TLS session they count as written when they are sealed: the
    /// last of them leave with [`Socket::poll_flush`].
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.tls() {
            None => self.poll_output(cx, bytes.len(), |fd| send(fd, bytes, SendFlags::NOSIGNAL)),
            Some(tls) => self.poll_write_sealed(cx, tls, bytes),
        }
    }

    /// As [`Socket::poll_write`], but outside of the task's budget: for a message that is small, so that its
    /// writer soon waits for something else. The runtime is asked for readiness only when the socket takes
    /// nothing: that saves 80 instructions, twice a request.
    pub fn poll_write_small(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(tls) = self.tls() {
            return self.poll_write_sealed(cx, tls, bytes);
        }
        match self.write_at_once(bytes) {
            Ok(count) => Poll::Ready(Ok(count)),
            // Whatever it is, it shows again on the usual way.
            Err(_) => self.poll_write(cx, bytes),
        }
    }

    fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut short = None;
        let written = self.fd.try_io(Interest::WRITABLE, |fd| match send(fd, bytes, SendFlags::NOSIGNAL)? {
            count if count == bytes.len() => Ok(count),
            // A short write has filled the socket: the runtime is told so.
            count => {
                short = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        short.map_or(written, Ok)
    }

    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(tls) = self.tls() {
            return self.poll_write_gathered(cx, tls, parts);
        }
        let len = parts.iter().map(|part| part.len()).sum();
        self.poll_output(cx, len, |fd| {
            let mut ancillary = rustix::net::SendAncillaryBuffer::default();
            rustix::net::sendmsg(fd, parts, &mut ancillary, SendFlags::NOSIGNAL)
        })
    }

    /// As [`Socket::poll_write`], for bytes that [`Socket::poll_send_file`] follows: they leave together.
    pub fn poll_write_more(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_output(cx, bytes.len(), |fd| send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::MORE))
    }

    /// Has the system send `len` bytes of `file` from `offset` on, as many as the socket takes; 0 when the file
    /// has none there. Only for a socket without TLS.
    pub fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        len: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(cx))?;
            let mut offset = offset;
            match rustix::fs::sendfile(self.fd.get_ref(), file, Some(&mut offset), len) {
                Ok(count) => {
                    // Less than was asked for: the socket is full, unless the file has become shorter. A full one is
                    // left alone until it has much room again. The peer reads meanwhile, and to fill each gap that
                    // it makes would be a call for every few pages.
                    if count < len && !self.takes_much() {
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

    /// Whether a good part of the socket's buffer is free. Asked so, the system also tells when it is again.
    fn takes_much(&self) -> bool {
        let mut asked = [PollFd::new(self.fd.get_ref(), PollFlags::OUT)];
        !matches!(poll(&mut asked, Some(&Timespec::default())), Ok(0))
    }

    /// Whether what is written goes through a TLS session.
    pub fn is_secured(&self) -> bool {
        self.tls().is_some()
    }

    /// Ready when nothing is left of what was written.
    #[inline]
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.tls() {
            None => Poll::Ready(Ok(())),
            Some(tls) => self.poll_send(cx, &mut tls.borrow_mut()),
        }
    }

    fn poll_output(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        write: impl Fn(&Link) -> rustix::io::Result<usize>,
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

    fn poll_write_sealed(
        &self,
        cx: &mut Context<'_>,
        tls: &RefCell<Session>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut session = tls.borrow_mut();
        ready!(self.poll_send(cx, &mut session))?;
        let count = session.seal(bytes).map_err(tls_error)?;
        // What the socket does not take now is sent before anything else is sealed.
        if let Poll::Ready(Err(error)) = self.poll_send(cx, &mut session) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    /// Puts short parts together, so that they share a record; a long one is sealed where it lies.
    fn poll_write_gathered(
        &self,
        cx: &mut Context<'_>,
        tls: &RefCell<Session>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        let (first, second) = (filled.next(), filled.next());
        match (first, second) {
            (None, _) => Poll::Ready(Ok(0)),
            (Some(only), None) => self.poll_write_sealed(cx, tls, only),
            (Some(first), Some(_)) if first.len() >= GATHERED => self.poll_write_sealed(cx, tls, first),
            _ => {
                let mut gathered = Buffer::new();
                for part in parts {
                    if gathered.append(part) < part.len() {
                        break;
                    }
                }
                self.poll_write_sealed(cx, tls, gathered.data())
            }
        }
    }

    /// Writes what the socket takes at once, if anything, whatever the runtime knows of it.
    pub fn try_write(&self, bytes: &[u8]) {
        let link = self.fd.get_ref();
        match self.tls().map(RefCell::try_borrow_mut) {
            None => link.send_now(bytes),
            Some(Ok(mut session)) => {
                if session.is_established() && session.to_send().is_empty() && session.seal(bytes).is_ok() {
                    link.send_now(session.to_send());
                }
            }
            Some(Err(_)) => {}
        }
    }

    /// Ready when there is something to read, the end of the stream included.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = self.tls() {
            let mut session = tls.borrow_mut();
            // Of what was received already, only the beginning of a record may stay.
            session.open(&mut ReadBuf::new(&mut [])).map_err(tls_error)?;
            session.rest();
            if session.has_plain() || session.is_peer_closed() {
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            if !self.fd.get_ref().unsure.take() || self.has_bytes() {
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Sends FIN; the other direction stays open.
    pub fn shutdown(&self) -> io::Result<()> {
        let link = self.fd.get_ref();
        link.say_close();
        Ok(shutdown(link, Shutdown::Write)?)
    }

    /// True when the peer has neither closed nor sent anything: fit for the next exchange. Looks at what
    /// the runtime already knows, so it makes a system call only when something did happen.
    pub fn is_quiet(&self) -> bool {
        if let Some(tls) = self.tls() {
            return self.is_quiet_inside(&mut tls.borrow_mut());
        }
        let mut byte = [0u8; 1];
        let peeked = self
            .fd
            .try_io(Interest::READABLE, |fd| Ok(recv(fd, &mut byte, RecvFlags::DONTWAIT | RecvFlags::PEEK)?));
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Session tickets and new keys come unasked and are no unrest.
    fn is_quiet_inside(&self, session: &mut Session) -> bool {
        for _ in 0..MOST_UNASKED {
            if session.open(&mut ReadBuf::new(&mut [])).is_err() || !session.to_send().is_empty() {
                return false;
            }
            if session.has_plain() || session.is_peer_closed() {
                return false;
            }
            let received =
                self.fd.try_io(Interest::READABLE, |fd| Ok(recv(fd, session.room(), RecvFlags::DONTWAIT)?.1));
            match received {
                Ok(count) if count > 0 => session.received(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    session.rest();
                    // The beginning of a record is of something that was not asked for.
                    return !session.has_input();
                }
                _ => return false,
            }
        }
        false
    }

    /// True when there is something to read, the end of the stream included; asks the system, which may know
    /// more than the runtime.
    pub fn has_arrived(&self) -> bool {
        let opened = |tls: &RefCell<Session>| {
            tls.try_borrow().is_ok_and(|session| session.has_plain() || session.is_peer_closed())
        };
        self.tls().is_some_and(opened) || self.has_bytes()
    }

    fn has_bytes(&self) -> bool {
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
        if let Some(tls) = self.tls() {
            tls.borrow_mut().abandon();
        }
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
        Ok(Socket { fd })
    }

    #[inline]
    fn tls(&self) -> Option<&RefCell<Session>> {
        self.fd.get_ref().tls.get().map(Box::as_ref)
    }

    /// Sends what the session has to send.
    fn poll_send(&self, cx: &mut Context<'_>, session: &mut Session) -> Poll<io::Result<()>> {
        while !session.to_send().is_empty() {
            let records = session.to_send();
            let sent = match self.write_at_once(records) {
                Ok(count) => count,
                Err(_) => {
                    ready!(self.poll_output(cx, records.len(), |fd| send(fd, records, SendFlags::NOSIGNAL)))?
                }
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            session.sent(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what the session has to send, as far as that goes, and receives more records.
    fn poll_more(&self, cx: &mut Context<'_>, session: &mut Session) -> Poll<io::Result<()>> {
        match (self.poll_send(cx, session), self.poll_receive(cx, session)) {
            // A peer that takes no more may have said why: an alert, or a whole answer.
            (_, Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (_, received) => received,
        }
    }

    fn poll_receive(&self, cx: &mut Context<'_>, session: &mut Session) -> Poll<io::Result<()>> {
        loop {
            let mut ready = match self.fd.poll_read_ready(cx)? {
                Poll::Ready(ready) => ready,
                Poll::Pending => {
                    session.rest();
                    return Poll::Pending;
                }
            };
            let room = session.room();
            let len = room.len();
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            match recv(self.fd.get_ref(), room, RecvFlags::empty()) {
                // Without a word before (RFC 8446 section 6.1) the end of the stream is one that was cut.
                Ok((_, 0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok((_, count)) => {
                    session.received(count);
                    self.fd.get_ref().unsure.set(count == len);
                    if count < len {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// The session has failed: the peer is told why, when the socket takes it at once.
    #[cold]
    fn fail(&self, session: &mut Session, error: rustls::Error) -> io::Error {
        session.fail();
        self.fd.get_ref().send_now(session.to_send());
        tls_error(error)
    }
}

impl Link {
    fn send_now(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let _ = send(&self.fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        }
    }

    fn say_close(&self) {
        let Some(Ok(mut session)) = self.tls.get().map(|tls| tls.try_borrow_mut()) else { return };
        // Behind records that are still to be sent it would not arrive, nor be true.
        if session.to_send().is_empty() {
            session.close();
            self.send_now(session.to_send());
            let all = session.to_send().len();
            session.sent(all);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.say_close();
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
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
