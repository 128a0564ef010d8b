//! Worker threads: one per core, each with a runtime of its own, its own listening sockets and pools.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::LocalRuntime;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::build::{Built, Identity, Shared};
use super::panics::{Essential, essential};
use crate::connection::{Current, Serving};
use crate::listen::{Handed, Listening, Loads, Neighbours, Roster, accept_from, serve_connection};
use crate::observe::{AccessLog, notice};
use crate::upstream::{Endpoint, pool};
use crate::wire::worker;

/// How often a worker that is done looks whether the others are.
const TICK: Duration = Duration::from_millis(20);
/// For answers to the operator, at the end.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Which proxy answers on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Public,
    /// Metrics and readiness over TCP.
    Admin,
    /// The unix socket of the operator.
    Operator,
}

/// What a worker is told to do.
#[derive(Debug)]
pub enum Order {
    Listen {
        number: usize,
        door: Door,
        identity: Identity,
        listening: Listening,
    },
    /// Stop accepting there; connections end after the request that they are at.
    Close {
        number: usize,
    },
    /// Serve by this from the next request on.
    Change(Built),
    /// Drop it: whoever waits knows then that everything before this is done.
    Report(mpsc::Sender<()>),
    /// Close everything but the admin listeners, wait for the requests in flight, then end.
    Drain(Duration),
}

/// The control's end of a worker.
#[derive(Debug)]
pub struct Worker {
    pub orders: UnboundedSender<Order>,
    thread: thread::JoinHandle<()>,
}

impl Worker {
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }
}

/// Starts all workers, with the pool mailbox of each.
pub fn start(
    shared: &Arc<Shared>,
    built: &Built,
    pool_mailboxes: Vec<UnboundedReceiver<Arc<Endpoint>>>,
) -> io::Result<Vec<Worker>> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..shared.workers).map(|_| unbounded_channel::<Handed>()).unzip();
    let mut workers = Vec::with_capacity(shared.workers);
    for (index, (handed, pool_mailbox)) in receivers.into_iter().zip(pool_mailboxes).enumerate() {
        let (orders, inbox) = unbounded_channel();
        let (shared, built, senders) = (shared.clone(), built.clone(), senders.clone());
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let _held = Essential("a worker");
            worker::set_index(index);
            let outcome = LocalRuntime::new().map(|runtime| {
                runtime.block_on(async {
                    tokio::task::spawn_local(essential("the pool", pool::attend(pool_mailbox)));
                    Floor::new(shared, built, senders).work(inbox, handed).await;
                });
            });
            if let Err(error) = outcome {
                notice(&format!("worker {index} cannot start: {error}"));
            }
        })?;
        workers.push(Worker { orders, thread });
    }
    Ok(workers)
}

/// What one worker has.
struct Floor {
    shared: Arc<Shared>,
    built: Built,
    /// Clients' connections.
    roster: Rc<Roster>,
    /// The operator's.
    admin_roster: Rc<Roster>,
    neighbours: Rc<Neighbours>,
    listeners: HashMap<usize, Listener>,
    /// Those that were closed; connections of them may still be on their way from another worker.
    closed: HashMap<usize, Rc<Serving>>,
    /// Connections of listeners that this worker has not heard of yet: another worker was told sooner,
    /// and had one to give away at once.
    early: Vec<Handed>,
    /// Listeners with a smaller number were heard of.
    known_below: usize,
}

struct Listener {
    door: Door,
    identity: Identity,
    serving: Rc<Serving>,
    closing: Rc<Notify>,
    accepting: JoinHandle<()>,
}

impl Floor {
    fn new(shared: Arc<Shared>, built: Built, mailboxes: Vec<UnboundedSender<Handed>>) -> Floor {
        AccessLog::attach(built.log.clone());
        let neighbours = Rc::new(Neighbours { loads: shared.loads.clone(), mailboxes });
        let [roster, admin_roster]: [Rc<Roster>; 2] = Default::default();
        for roster in [&roster, &admin_roster] {
            let closing = roster.clone().keep_closing_expired();
            tokio::task::spawn_local(essential("closing idle connections", closing));
        }
        Floor {
            shared,
            built,
            roster,
            admin_roster,
            neighbours,
            listeners: HashMap::new(),
            closed: HashMap::new(),
            early: Vec::new(),
            known_below: 0,
        }
    }

    async fn work(mut self, mut inbox: UnboundedReceiver<Order>, mut handed: UnboundedReceiver<Handed>) {
        loop {
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Listen { number, door, identity, listening }) => {
                        self.listen(number, door, identity, listening);
                    }
                    Some(Order::Close { number }) => {
                        self.close(number).await;
                    }
                    Some(Order::Change(built)) => self.change(built),
                    Some(Order::Report(done)) => drop(done),
                    Some(Order::Drain(patience)) => return self.drain(patience, handed).await,
                    None => return,
                },
                Some(handed) = handed.recv() => self.take(handed),
            }
        }
    }

    fn listen(&mut self, number: usize, door: Door, identity: Identity, listening: Listening) {
        let serving = Rc::new(Serving::new(self.current(door, &identity)));
        let (limits, roster, neighbours) = match door {
            Door::Public => (self.shared.connections.clone(), self.roster.clone(), self.neighbours.clone()),
            // Only one worker has the admin listeners.
            Door::Admin | Door::Operator => {
                let alone = Neighbours { loads: Arc::new(Loads::new(0)), mailboxes: Vec::new() };
                (self.shared.admin_connections.clone(), self.admin_roster.clone(), Rc::new(alone))
            }
        };
        let closing = Rc::<Notify>::default();
        let accepting = tokio::task::spawn_local({
            let (closing, serving) = (closing.clone(), serving.clone());
            async move {
                let accepting = accept_from(listening, number, closing, serving, roster, limits, neighbours);
                if let Err(error) = essential("accepting connections", accepting).await {
                    notice(&format!("listener cannot be served: {error}"));
                }
            }
        });
        self.listeners.insert(number, Listener { door, identity, serving, closing, accepting });
        self.known_below = number + 1;
        for handed in std::mem::take(&mut self.early) {
            self.take(handed);
        }
    }

    /// Who has connected is still served, and so is a request that is here already; then idle connections
    /// end.
    async fn close(&mut self, number: usize) {
        let Some(mut listener) = self.listeners.remove(&number) else { return };
        listener.closing.notify_one();
        listener.serving.drain();
        let _ = (&mut listener.accepting).await;
        self.roster.close_idle(Some(number));
        self.admin_roster.close_idle(Some(number));
        self.closed.insert(number, listener.serving);
    }

    fn change(&mut self, built: Built) {
        // What closes with this change comes behind it.
        self.closed.clear();
        AccessLog::attach(built.log.clone());
        self.built = built;
        for listener in self.listeners.values() {
            listener.serving.change(self.current(listener.door, &listener.identity));
        }
    }

    fn current(&self, door: Door, identity: &Identity) -> Rc<Current> {
        let proxy = match door {
            Door::Public => &self.built.public,
            Door::Admin => &self.built.admin,
            Door::Operator => &self.built.operator,
        };
        let entrance = self.built.entrances.get(identity).cloned().unwrap_or_default();
        let proxy = entrance.redirect.as_ref().unwrap_or(proxy).clone();
        Rc::new(Current { proxy, limits: self.built.limits.clone(), entrance })
    }

    /// A connection from another worker.
    fn take(&mut self, handed: Handed) {
        if handed.listener >= self.known_below {
            return self.early.push(handed);
        }
        let open = self.listeners.get(&handed.listener).map(|listener| &listener.serving);
        let Some(serving) = open.or(self.closed.get(&handed.listener)) else { return };
        if let Ok(arrival) = handed.arrive() {
            let (roster, limits) = (&self.roster, &self.shared.connections);
            serve_connection(arrival, serving, roster, limits, &self.neighbours);
            self.neighbours.note(self.roster.open());
        }
    }

    async fn drain(mut self, patience: Duration, mut handed: UnboundedReceiver<Handed>) {
        let public: Vec<usize> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.door == Door::Public)
            .map(|(number, _)| *number)
            .collect();
        for number in public {
            self.close(number).await;
        }
        let waiting = async {
            loop {
                let serves = self.roster.open() > 0;
                // Readiness is told for as long as any worker has a request in flight.
                let tells = !self.listeners.is_empty() && self.shared.connections.open() > 0;
                if !serves && !tells {
                    // From here on others keep what they wanted to give away.
                    handed.close();
                    if handed.is_empty() {
                        break;
                    }
                }
                tokio::select! {
                    // Another worker that still accepts may have one to give away.
                    Some(handed) = handed.recv() => self.take(handed),
                    () = self.roster.emptied(), if serves => {}
                    () = tokio::time::sleep(TICK), if tells && !serves => {}
                    else => {}
                }
            }
        };
        if tokio::time::timeout(patience, waiting).await.is_err() {
            notice(&format!("{} connections did not finish in time and are cut", self.roster.open()));
            self.roster.close_all();
        }
        for listener in self.listeners.values() {
            listener.serving.drain();
        }
        self.admin_roster.close_idle(None);
        // An answer to the operator goes out; one who is slow does not hold the end up.
        let _ = tokio::time::timeout(LAST_ANSWERS, self.admin_roster.emptied()).await;
        pool::leave();
        crate::observe::flush_worker();
    }
}
