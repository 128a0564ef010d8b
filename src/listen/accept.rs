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
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::limits::{ConnectionLimits, Full, Ticket};
use super::proxy_protocol::Introduction;
use super::{Listening, Roster};
use crate::connection::{Connection, Serving};
use crate::message::Client;
use crate::observe::metrics::PROCESS;
use crate::observe::notice;
use crate::wire::{Peer, Portable, Socket, worker};

/// After an accept that failed for want of descriptors or memory.
const BREATHER: Duration = Duration::from_millis(20);
/// Of one accept loop, so that a flood of connections is no flood in the log.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);
/// Connections accepted before the others of this worker have their turn.
const TURN: usize = 32;
/// Connections taken from the queue of a listener that closes: as many as a queue can hold.
const LAST_ACCEPTS: usize = 65_536;
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

/// A connection that was accepted and is not served yet.
#[derive(Debug)]
pub struct Arrival {
    pub socket: Socket,
    pub peer: Peer,
    /// Number of the listener that it came in by.
    pub listener: usize,
    /// When all places are taken: how many other workers may still be asked for an idle connection to
    /// close in favour of this one.
    pub others_to_ask: usize,
}

/// An arrival on its way to another worker.
#[derive(Debug)]
pub struct Handed {
    pub socket: Portable,
    pub peer: Peer,
    pub listener: usize,
    pub others_to_ask: usize,
}

impl Arrival {
    fn into_handed(self) -> Handed {
        let Arrival { socket, peer, listener, others_to_ask } = self;
        Handed { socket: socket.into_portable(), peer, listener, others_to_ask }
    }
}

impl Handed {
    /// In the runtime of the worker that got it.
    pub fn arrive(self) -> io::Result<Arrival> {
        let Handed { socket, peer, listener, others_to_ask } = self;
        Ok(Arrival { socket: Socket::from_portable(socket)?, peer, listener, others_to_ask })
    }
}

/// Accepts from one listening socket until `closing` says that it is enough. `listener` is the number that
/// the worker knows it by; `shared` are the mailboxes of all workers, none for listeners that only one
/// worker has.
pub async fn accept_from(
    listening: Listening,
    listener: usize,
    closing: Rc<Notify>,
    serving: Rc<Serving>,
    roster: Rc<Roster>,
    limits: Arc<ConnectionLimits>,
    shared: Rc<Neighbours>,
) -> io::Result<()> {
    let door = Door::open(listening)?;
    let others = shared.mailboxes.len().saturating_sub(1);
    let mut in_a_row = 0usize;
    let mut next_complaint = Instant::now();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.notified() => break,
            accepted = door.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                PROCESS.accepted.fetch_add(1, Relaxed);
                let arrival = Arrival { socket, peer, listener, others_to_ask: others };
                if let Some(arrival) = shared.keep_or_hand_over(arrival, roster.open()) {
                    serve_connection(arrival, &serving, &roster, &limits, &shared);
                }
                shared.loads.note(roster.open());
                in_a_row += 1;
                if in_a_row.is_multiple_of(TURN) {
                    // A flood of connections must not keep those that are here from being served.
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_exhaustion(&error) => {
                if Instant::now() >= next_complaint {
                    notice(&format!("cannot accept connections for now: {error}"));
                    next_complaint = Instant::now() + BETWEEN_COMPLAINTS;
                }
                // An idle connection gives its descriptor to a client that wants something.
                roster.close_one_idle();
                tokio::time::sleep(BREATHER).await;
            }
            // The client was gone before it was accepted: the next one may be there.
            Err(_) => tokio::task::yield_now().await,
        }
    }
    // Who is in the queue has connected, and would be reset by the close of the socket.
    for _ in 0..LAST_ACCEPTS {
        let Some(Ok((socket, peer))) = door.try_accept() else { break };
        PROCESS.accepted.fetch_add(1, Relaxed);
        let arrival = Arrival { socket, peer, listener, others_to_ask: 0 };
        serve_connection(arrival, &serving, &roster, &limits, &shared);
    }
    Ok(())
}

/// The other workers, as an accept loop sees them.
#[derive(Debug)]
pub struct Neighbours {
    pub loads: Arc<Loads>,
    pub mailboxes: Vec<UnboundedSender<Handed>>,
}

impl Neighbours {
    /// Gives the connection away when another worker has clearly less to do.
    fn keep_or_hand_over(&self, arrival: Arrival, open: usize) -> Option<Arrival> {
        if self.mailboxes.len() < 2 {
            return Some(arrival);
        }
        match self.loads.better_than(open) {
            Some(index) => {
                PROCESS.handed_over.fetch_add(1, Relaxed);
                self.send(index, arrival)
            }
            None => Some(arrival),
        }
    }

    /// Lets the next worker look for a place; gives the connection back when all were asked.
    fn ask_next(&self, arrival: Arrival) -> Option<Arrival> {
        if arrival.others_to_ask == 0 || self.mailboxes.len() < 2 {
            return Some(arrival);
        }
        let next = (worker::index() + 1) % self.mailboxes.len();
        self.send(next, Arrival { others_to_ask: arrival.others_to_ask - 1, ..arrival })
    }

    fn send(&self, index: usize, arrival: Arrival) -> Option<Arrival> {
        match self.mailboxes.get(index)?.send(arrival.into_handed()) {
            Ok(()) => None,
            // That worker has ended; ours goes on.
            Err(back) => back.0.arrive().ok(),
        }
    }

    pub fn note(&self, open: usize) {
        self.loads.note(open);
    }
}

/// Starts the task of one connection, if the limits allow it.
pub fn serve_connection(
    arrival: Arrival,
    serving: &Rc<Serving>,
    roster: &Rc<Roster>,
    limits: &Arc<ConnectionLimits>,
    neighbours: &Neighbours,
) {
    let peer = arrival.peer;
    let client = Client::new(peer);
    let current = serving.current();
    let (max, proxies) = (&current.limits, current.entrance.proxy_protocol);
    // Of a proxy's clients each counts by itself, when it is known.
    let per_client = if proxies.is_some() { 0 } else { max.max_connections_per_client };
    let enter = |places| limits.enter(client.peer, places, per_client);
    let ticket = match enter(max.max_connections) {
        Ok(ticket) => ticket,
        // An idle connection is worth less than a new one, which gets its place a moment before it ends.
        Err(Full::Process) if roster.close_one_idle() => match enter(usize::MAX) {
            Ok(ticket) => ticket,
            Err(full) => return refuse(&arrival.socket, full, serving),
        },
        Err(Full::Process) => match neighbours.ask_next(arrival) {
            Some(arrival) => {
                complain_of_full(max.max_connections);
                return refuse(&arrival.socket, Full::Process, serving);
            }
            None => return,
        },
        Err(Full::Client) => return refuse(&arrival.socket, Full::Client, serving),
    };
    let Arrival { socket, listener, .. } = arrival;
    let client = proxies.is_none().then_some(client);
    let connection = Rc::new(Connection::new(socket, client, serving.clone()));
    let leaving = Leaving { roster: roster.clone(), connection: connection.clone(), _ticket: ticket };
    // All of `leaving` moves in, since it has a drop of its own, and lives as long as the task.
    let mut introduction =
        proxies.map(|expected| Box::new(Introduction::expected(peer, expected, limits.clone())));
    // One place alone serves, so that the loop is in line with the task.
    let task = tokio::task::spawn_local(async move {
        if let Some(introduction) = &mut introduction
            && !Box::pin(introduction.made(&leaving.connection)).await
        {
            return;
        }
        leaving.connection.serve().await;
    });
    roster.enter(task.abort_handle(), connection, listener);
}

/// Once in a while, whatever the number of those that are refused.
fn complain_of_full(max: usize) {
    thread_local! {
        static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    if NEXT.get().is_none_or(|next| now >= next) {
        NEXT.set(Some(now + BETWEEN_COMPLAINTS));
        notice(&format!("connections are refused: all {max} of server.max_connections have a request"));
    }
}

/// Says why, when the socket takes it at once, and closes. Who speaks TLS or nothing but HTTP/2 would not understand
/// it, and is told by the close alone.
fn refuse(socket: &Socket, full: Full, serving: &Serving) {
    match full {
        Full::Process => PROCESS.refused.fetch_add(1, Relaxed),
        Full::Client => PROCESS.refused_per_client.fetch_add(1, Relaxed),
    };
    const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if serving.begins_with_http1() {
        socket.try_write(BUSY);
    }
}

/// The same of a client whom only its proxy has named.
pub fn refuse_client(connection: &Connection) {
    connection.refuse_at_once(|socket, serving| refuse(socket, Full::Client, serving));
}

/// Takes a connection off the roster, however its task ends.
struct Leaving {
    roster: Rc<Roster>,
    connection: Rc<Connection>,
    _ticket: Ticket,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.roster.leave(&self.connection);
        // The runtime catches the panic, and everybody else's connections live on.
        if std::thread::panicking() {
            PROCESS.panics.fetch_add(1, Relaxed);
            self.connection.end_after_panic();
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
        loop {
            let mut ready = self.fd.readable().await?;
            match self.try_accept() {
                Some(accepted) => return accepted,
                None => ready.clear_ready(),
            }
        }
    }

    /// A connection that is there; `None` when none is.
    fn try_accept(&self) -> Option<io::Result<(Socket, Peer)>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match acceptfrom_with(self.fd.get_ref(), flags) {
            Ok((fd, _)) if self.is_unix => Some(Socket::unix(fd).map(|socket| (socket, Peer::Unix))),
            Ok((fd, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let peer = peer.ok_or_else(|| io::ErrorKind::ConnectionAborted.into());
                Some(peer.and_then(|peer| Ok((Socket::tcp(fd)?, Peer::Tcp(peer)))))
            }
            Err(Errno::AGAIN) => None,
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// EMFILE, ENFILE, ENOBUFS, ENOMEM: it will pass, but not at once.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}
