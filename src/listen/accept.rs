//! Accepts connections on one worker and gives them to the serve loop, here or on a less loaded worker.
//!
//! This file has `unsafe`: the runtime cannot see by itself that a descriptor stays open.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;

use super::limits::{ConnectionLimits, Full};
use super::{Listening, Roster};
use crate::connection::{self, Serving};
use crate::message::Client;
use crate::observe::metrics::PROCESS;
use crate::observe::notice;
use crate::wire::{Peer, Portable, Socket, worker};

/// After an accept that failed for want of descriptors or memory.
const BREATHER: Duration = Duration::from_millis(20);
/// A worker keeps a connection unless it has more than another by a quarter and by this many.
const TOLERANCE: usize = 8;

/// Open connections of each worker, written by it alone.
#[derive(Debug)]
pub struct Loads(Vec<AtomicUsize>);

impl Loads {
    pub fn new(workers: usize) -> Loads {
        Loads((0..workers).map(|_| AtomicUsize::new(0)).collect())
    }

    fn note(&self, open: usize) {
        if let Some(own) = self.0.get(worker::index()) {
            own.store(open, Relaxed);
        }
    }

    /// The worker that should rather have the next connection than this one.
    fn better_than(&self, open: usize) -> Option<usize> {
        let (index, least) =
            self.0.iter().map(|load| load.load(Relaxed)).enumerate().min_by_key(|(_, load)| *load)?;
        (open > least + TOLERANCE + least / 4 && index != worker::index()).then_some(index)
    }
}

/// A connection on its way to another worker.
#[derive(Debug)]
pub struct Handed {
    pub socket: Portable,
    pub peer: Peer,
    pub listener: usize,
}

/// Accepts from one listening socket until dropped. `listener` is the number that the worker knows it by;
/// `neighbours` are the mailboxes of all workers, empty for listeners that only one worker has.
pub async fn accept_from(
    listening: Listening,
    listener: usize,
    serving: Rc<Serving>,
    roster: Rc<Roster>,
    limits: Arc<ConnectionLimits>,
    shared: Rc<Neighbours>,
) -> io::Result<()> {
    let door = Door::open(listening)?;
    let mut tired = false;
    loop {
        match door.accept().await {
            Ok((socket, peer)) => {
                tired = false;
                PROCESS.accepted.fetch_add(1, Relaxed);
                if let Some(socket) = shared.keep_or_hand_over(socket, peer, listener, roster.open()) {
                    serve_connection(socket, peer, listener, &serving, &roster, &limits);
                }
                shared.loads.note(roster.open());
            }
            Err(error) if is_exhaustion(&error) => {
                if !tired {
                    notice(&format!("cannot accept connections for now: {error}"));
                    tired = true;
                }
                // An idle connection gives its descriptor to a client that wants something.
                roster.close_one_idle();
                tokio::time::sleep(BREATHER).await;
            }
            // The client was gone before it was accepted: the next one may be there.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// The other workers, as an accept loop sees them.
#[derive(Debug)]
pub struct Neighbours {
    pub loads: Arc<Loads>,
    pub mailboxes: Vec<UnboundedSender<Handed>>,
}

impl Neighbours {
    /// Gives the connection away when another worker has clearly less to do.
    fn keep_or_hand_over(&self, socket: Socket, peer: Peer, listener: usize, open: usize) -> Option<Socket> {
        if self.mailboxes.len() < 2 {
            return Some(socket);
        }
        let Some(index) = self.loads.better_than(open) else { return Some(socket) };
        let handed = Handed { socket: socket.into_portable(), peer, listener };
        match self.mailboxes.get(index)?.send(handed) {
            Ok(()) => {
                PROCESS.handed_over.fetch_add(1, Relaxed);
                None
            }
            // That worker has ended; ours goes on.
            Err(back) => Socket::from_portable(back.0.socket).ok(),
        }
    }

    pub fn note(&self, open: usize) {
        self.loads.note(open);
    }
}

/// Starts the task of one connection, if the limits allow it.
pub fn serve_connection(
    socket: Socket,
    peer: Peer,
    listener: usize,
    serving: &Rc<Serving>,
    roster: &Rc<Roster>,
    limits: &Arc<ConnectionLimits>,
) {
    let client = Client::new(peer);
    let max = &serving.current().limits;
    let enter = || limits.enter(client.peer, max.max_connections, max.max_connections_per_client);
    let ticket = match enter() {
        Ok(ticket) => ticket,
        Err(full) => {
            PROCESS.refused.fetch_add(1, Relaxed);
            // Room for the next one: an idle connection is worth less than a new one.
            if full == Full::Process {
                roster.close_one_idle();
            }
            refuse(&socket);
            return;
        }
    };
    let idle = Rc::new(Cell::new(true));
    let place = Rc::new(Cell::new(usize::MAX));
    let leaving = Leaving { roster: roster.clone(), place: place.clone() };
    let (serving, watched) = (serving.clone(), idle.clone());
    let task = tokio::task::spawn_local(async move {
        let _held = (ticket, leaving);
        connection::serve(socket, client, serving, watched).await;
    });
    place.set(roster.enter(task.abort_handle(), idle, listener));
}

/// Says why, when the socket takes it at once, and closes.
fn refuse(socket: &Socket) {
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    socket.try_write(BUSY);
}

/// Takes a connection off the roster, however its task ends.
struct Leaving {
    roster: Rc<Roster>,
    place: Rc<Cell<usize>>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.roster.leave(self.place.get());
        if std::thread::panicking() {
            PROCESS.panics.fetch_add(1, Relaxed);
        }
    }
}

/// A listening socket in the worker's runtime.
struct Door {
    fd: AsyncFd<OwnedFd>,
    is_unix: bool,
}

impl Door {
    fn open(listening: Listening) -> io::Result<Door> {
        let (fd, is_unix) = match listening {
            Listening::Tcp(listener) => (OwnedFd::from(listener), false),
            Listening::Unix(listener) => (OwnedFd::from(listener), true),
        };
        // SAFETY: an `OwnedFd` stays the same open descriptor until it is dropped, and the runtime takes it
        // off its list before it drops it.
        let fd = unsafe { AsyncFd::register(fd) }?;
        Ok(Door { fd, is_unix })
    }

    async fn accept(&self) -> io::Result<(Socket, Peer)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        loop {
            let mut ready = self.fd.readable().await?;
            match acceptfrom_with(self.fd.get_ref(), flags) {
                Ok((fd, _)) if self.is_unix => return Ok((Socket::unix(fd)?, Peer::Unix)),
                Ok((fd, peer)) => {
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
                    return Ok((Socket::tcp(fd)?, Peer::Tcp(peer)));
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: it will pass, but not at once.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}
