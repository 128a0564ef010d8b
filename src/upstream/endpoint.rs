//! One address of a group: what all workers share about it. It survives a reload.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::pool::Waiter;
use super::{EndpointAddress, EndpointOptions, PoolOptions, UpstreamOptions};
use crate::observe;

/// The endpoints of all configurations so far, by upstream and address, so that a reload finds the pools
/// of those that stay.
#[derive(Debug)]
pub struct Endpoints {
    by_identity: Mutex<HashMap<Identity, Arc<Endpoint>>>,
    /// One mailbox per worker: "somebody waits for a connection to this endpoint".
    mailboxes: Arc<[UnboundedSender<Arc<Endpoint>>]>,
}

type Identity = (String, EndpointAddress);

impl Endpoints {
    /// For so many workers; the receivers are theirs, in order.
    pub fn new(workers: usize) -> (Endpoints, Vec<UnboundedReceiver<Arc<Endpoint>>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
        (Endpoints { by_identity: Mutex::default(), mailboxes: senders.into() }, receivers)
    }

    /// The endpoints of one upstream, in the order of its options; known ones are found again and take
    /// over the new settings.
    pub fn of(&self, upstream: &UpstreamOptions) -> Vec<Arc<Endpoint>> {
        let mut known = self.by_identity.lock().expect("no panic while held");
        let mut found = Vec::with_capacity(upstream.endpoints.len());
        for options in &upstream.endpoints {
            let identity = (upstream.name.clone(), options.address.clone());
            let slot = known.len();
            let endpoint = known
                .entry(identity)
                .or_insert_with(|| Arc::new(Endpoint::new(slot, options, self.mailboxes.clone())));
            endpoint.adopt(&upstream.pool);
            found.push(endpoint.clone());
        }
        found
    }

    /// After a reload: endpoints that are in no upstream any more close their idle connections.
    pub fn retire_all_but(&self, used: &[Arc<Endpoint>]) {
        let known = self.by_identity.lock().expect("no panic while held");
        for endpoint in known.values() {
            let stays = used.iter().any(|used| Arc::ptr_eq(used, endpoint));
            endpoint.retired.store(!stays, Relaxed);
        }
    }

    pub fn all(&self) -> Vec<Arc<Endpoint>> {
        let mut all: Vec<_> =
            self.by_identity.lock().expect("no panic while held").values().cloned().collect();
        all.sort_by_key(|endpoint| endpoint.slot);
        all
    }
}

/// What workers share about one address: how many connections are open and who waits for one.
#[derive(Debug)]
pub struct Endpoint {
    /// Index into each worker's table of idle connections.
    pub slot: usize,
    pub address: EndpointAddress,
    /// The address as text, for metrics and notices.
    pub label: String,
    /// Its member of a log line.
    pub log_member: Vec<u8>,
    pub(super) resolved: RwLock<Arc<[SocketAddr]>>,
    /// Connections that are open or being opened, over all workers.
    pub(super) open: AtomicU32,
    /// Requests that wait for a connection.
    pub(super) waiting: AtomicU32,
    pub(super) queue: Mutex<VecDeque<Waiter>>,
    /// Idle connections of each worker, written by it alone.
    pub(super) idle: Box<[AtomicU32]>,
    /// Goes up when the pool must be emptied: connections of an older generation are not used again.
    pub(super) generation: AtomicU32,
    pub(super) retired: AtomicBool,
    pub(super) mailboxes: Arc<[UnboundedSender<Arc<Endpoint>>]>,
    pub(super) settings: Settings,
    pub counters: Counters,
}

/// Settings of the pool; atomics, since a reload changes them in place.
#[derive(Debug, Default)]
pub(super) struct Settings {
    max_connections: AtomicU32,
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
    pub queued: AtomicU64,
    pub queue_refused: AtomicU64,
    pub queue_timeouts: AtomicU64,
    pub taken_over: AtomicU64,
    pub resends: AtomicU64,
    pub probe_failures: AtomicU64,
}

impl Endpoint {
    fn new(
        slot: usize,
        options: &EndpointOptions,
        mailboxes: Arc<[UnboundedSender<Arc<Endpoint>>]>,
    ) -> Endpoint {
        let resolved: Arc<[SocketAddr]> = match &options.address {
            EndpointAddress::Socket(address) => Arc::new([*address]),
            EndpointAddress::Name { .. } | EndpointAddress::Unix(_) => Arc::new([]),
        };
        Endpoint {
            slot,
            address: options.address.clone(),
            label: options.address.to_string(),
            log_member: observe::member("endpoint", &options.address.to_string()),
            resolved: RwLock::new(resolved),
            open: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            queue: Mutex::default(),
            idle: mailboxes.iter().map(|_| AtomicU32::new(0)).collect(),
            generation: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            mailboxes,
            settings: Settings::default(),
            counters: Counters::default(),
        }
    }

    fn adopt(&self, options: &PoolOptions) {
        let settings = &self.settings;
        settings.max_connections.store(options.max_connections, Relaxed);
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

    /// Addresses to connect to; empty while a name is not resolved. Unused for unix sockets.
    pub fn addresses(&self) -> Arc<[SocketAddr]> {
        self.resolved.read().expect("no panic while held").clone()
    }

    /// Found for the name, from now on. No idle connection knows which address it leads to: when one is gone,
    /// none of them is used again.
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        let mut resolved = self.resolved.write().expect("no panic while held");
        if resolved.iter().any(|known| !addresses.contains(known)) {
            self.empty_pool();
        }
        *resolved = addresses.into();
    }

    /// A name that never resolved is down; anything else may be tried.
    pub fn is_usable(&self) -> bool {
        !matches!(self.address, EndpointAddress::Name { .. }) || !self.addresses().is_empty()
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// Idle connections over all workers, as last noted.
    pub fn idle_connections(&self) -> u32 {
        self.idle.iter().map(|count| count.load(Relaxed)).sum()
    }

    pub fn open_connections(&self) -> u32 {
        self.open.load(Relaxed)
    }

    pub fn waiting_requests(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    /// No idle connection of now will be used again.
    pub fn empty_pool(&self) {
        self.generation.fetch_add(1, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
