//! One address of a group: what all workers share about it. It survives a reload.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::PoolOptions;
use super::approach::Approach;
use super::balance::hash_key;
use super::group::Group;
use super::health::Standing;
use super::observed::Observed;
use super::pool::Waiter;
use super::slots::Slot;
use crate::observe;
use crate::wire::worker;

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One mailbox per worker: "somebody waits for a connection to this endpoint".
pub type Mailboxes = Arc<[UnboundedSender<Arc<Endpoint>>]>;

/// What workers share about one address: how it stands, how many connections are open and who waits for
/// one.
#[derive(Debug)]
pub struct Endpoint {
    /// Index into each worker's table of idle connections.
    pub slot: Slot,
    pub address: Address,
    pub(super) approach: Approach,
    /// Its last handshake agreed on HTTP/1, where HTTP/2 was offered.
    pub(super) agreed_http1: AtomicBool,
    /// The address as text, for metrics and notices.
    pub label: String,
    /// By which hash balances and sticky sessions know it, also in other processes.
    pub identity: u64,
    /// Its member of a log line.
    pub log_member: Vec<u8>,
    pub group: Weak<Group>,
    pub standing: Mutex<Standing>,
    /// What requests met.
    pub observed: Observed,
    pub(super) lobby: Lobby,
    /// Goes up when the pool must be emptied: connections of an older generation are not used again.
    pub(super) generation: AtomicU32,
    pub(super) retired: AtomicBool,
    pub(super) settings: Settings,
    pub counters: Counters,
}

/// Connections and those who wait for one.
#[derive(Debug)]
pub(super) struct Lobby {
    /// Connections that are open or being opened, over all workers.
    pub open: AtomicU32,
    /// Requests that wait for a connection.
    pub waiting: AtomicU32,
    pub queue: Mutex<VecDeque<Waiter>>,
    /// Idle connections of each worker, written by it alone.
    pub idle: Box<[OwnLine]>,
    /// Shared connections of each worker; none where nothing can be shared.
    pub shared: Box<[SharedLine]>,
    pub mailboxes: Mailboxes,
}

/// The connections of one worker that requests share, written by it alone but for the first.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct SharedLine {
    /// Rights to have a connection open that its worker has.
    pub permits: AtomicU32,
    pub connections: AtomicU32,
    /// Those that take requests and have none.
    pub idle: AtomicU32,
    /// On all of them.
    pub streams: AtomicU32,
}

impl Lobby {
    /// Changes the counters of this worker.
    pub fn own_shared<T>(&self, change: impl FnOnce(&SharedLine) -> T) {
        if let Some(line) = self.shared.get(worker::index()) {
            change(line);
        }
    }
}

/// A worker's counter on a cache line of its own: its neighbours' writes do not slow it down.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct OwnLine(pub AtomicU32);

/// Settings of the pool; atomics, since a reload changes them in place.
#[derive(Debug, Default)]
pub(super) struct Settings {
    max_connections: AtomicU32,
    /// Over all endpoints of the group.
    max_group_connections: AtomicU32,
    max_queue: AtomicU32,
    idle_seconds: AtomicU32,
    queue_millis: AtomicU64,
    probe_millis: AtomicU64,
}

/// Events off the path of a plain request.
#[derive(Debug, Default)]
pub struct Counters {
    pub connects: AtomicU64,
    pub connect_failures: AtomicU64,
    /// TLS handshakes from the beginning.
    pub handshakes: AtomicU64,
    /// Those that went on with an earlier session.
    pub handshakes_resumed: AtomicU64,
    pub handshake_failures: AtomicU64,
    pub queued: AtomicU64,
    pub queue_refused: AtomicU64,
    pub queue_timeouts: AtomicU64,
    pub taken_over: AtomicU64,
    pub resends: AtomicU64,
    pub retries: AtomicU64,
    pub hedges: AtomicU64,
    pub probe_failures: AtomicU64,
    pub check_passes: AtomicU64,
    pub check_failures: AtomicU64,
    pub ejections: AtomicU64,
    /// Requests of which an application said something beside its output (FastCGI).
    pub complaints: AtomicU64,
    /// In which second, counted from 1, one was told last.
    pub(super) complaint_told: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(
        slot: Slot,
        address: Address,
        approach: Approach,
        group: Weak<Group>,
        mailboxes: Mailboxes,
    ) -> Endpoint {
        let label = address.to_string();
        Endpoint {
            slot,
            identity: hash_key(label.as_bytes()),
            log_member: observe::json::member("endpoint", &label),
            address,
            agreed_http1: AtomicBool::new(false),
            label,
            group,
            standing: Mutex::default(),
            observed: Observed::default(),
            lobby: Lobby {
                open: AtomicU32::new(0),
                waiting: AtomicU32::new(0),
                queue: Mutex::default(),
                idle: mailboxes.iter().map(|_| OwnLine::default()).collect(),
                shared: match approach.may_share() {
                    true => mailboxes.iter().map(|_| SharedLine::default()).collect(),
                    false => Box::default(),
                },
                mailboxes,
            },
            approach,
            generation: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            settings: Settings::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn adopt(&self, options: &PoolOptions, max_group_connections: u32) {
        let settings = &self.settings;
        settings.max_connections.store(options.max_connections, Relaxed);
        settings.max_group_connections.store(max_group_connections, Relaxed);
        settings.max_queue.store(options.max_queue, Relaxed);
        settings
            .idle_seconds
            .store(options.idle_timeout.as_secs().max(1).min(u64::from(u32::MAX)) as u32, Relaxed);
        settings.queue_millis.store(millis(options.queue_timeout), Relaxed);
        settings.probe_millis.store(millis(options.probe_interval), Relaxed);
    }

    pub(super) fn max_connections(&self) -> u32 {
        self.settings.max_connections.load(Relaxed)
    }

    /// True when more connections are open than the circuit breaker of the group allows.
    pub(super) fn exceeds_group(&self) -> bool {
        let max = self.settings.max_group_connections.load(Relaxed);
        let open = |group: Arc<Group>| group.sum(Endpoint::open_connections);
        max < u32::MAX && self.group.upgrade().map_or(0, open) > max
    }

    pub(super) fn max_queue(&self) -> u32 {
        self.settings.max_queue.load(Relaxed)
    }

    /// False when the settings allow no waiting at all.
    pub(super) fn may_queue(&self) -> bool {
        self.max_queue() > 0 && !self.queue_timeout().is_zero()
    }

    pub(super) fn idle_seconds(&self) -> u32 {
        self.settings.idle_seconds.load(Relaxed)
    }

    pub(super) fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.queue_millis.load(Relaxed))
    }

    /// Zero is never.
    pub fn probe_interval(&self) -> Duration {
        Duration::from_millis(self.settings.probe_millis.load(Relaxed))
    }

    /// It is in no configuration any more; its connections end when they are idle.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// Idle connections over all workers, as last noted.
    pub fn idle_connections(&self) -> u32 {
        let shared = self.lobby.shared.iter().map(|line| line.idle.load(Relaxed)).fold(0, u32::wrapping_add);
        self.idle_plain().saturating_add(shared)
    }

    /// Of these, those that are of one request at a time, and that another worker may take over.
    pub(super) fn idle_plain(&self) -> u32 {
        self.lobby.idle.iter().map(|count| count.0.load(Relaxed)).sum()
    }

    pub fn open_connections(&self) -> u32 {
        self.lobby.open.load(Relaxed)
    }

    pub fn waiting_requests(&self) -> u32 {
        self.lobby.waiting.load(Relaxed)
    }

    /// Requests on their way over all workers, those that wait for a connection among them: nobody counts
    /// them, as a connection that is not idle has one.
    pub fn load(&self) -> u32 {
        let mut busy = self.open_connections().saturating_sub(self.idle_plain());
        // In place of a shared connection, its streams count.
        for line in &self.lobby.shared {
            let connections = line.connections.load(Relaxed);
            busy = busy.saturating_sub(connections).saturating_add(line.streams.load(Relaxed));
        }
        busy.saturating_add(self.waiting_requests())
    }

    /// Whoever waits for a connection has no endpoint, and may look for another.
    pub(super) fn send_waiting_away(&self) {
        let waiting = std::mem::take(&mut *self.lobby.queue.lock().expect("no panic while held"));
        drop(waiting);
    }

    /// No idle connection of now will be used again.
    pub fn empty_pool(&self) {
        self.generation.fetch_add(1, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
