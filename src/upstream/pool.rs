//! Connections to endpoints, used again and again.
//!
//! Idle connections belong to the worker that used them last, so taking one and giving it back touches
//! nothing shared but two counters that are read. A worker that has none takes one over from another worker, or
//! opens one while it gets a [`Permit`], or queues. The queue is fair:
//! whoever frees a connection hands it to the request that waits longest, on whichever worker.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::http2;
use super::permit::{Permit, next_permitted};
use crate::message::Failure;
use crate::wire::{Portable, Socket, Watchdog, worker};

/// How often a worker closes what was idle for too long.
const SWEEP: Duration = Duration::from_secs(1);

thread_local! {
    /// Idle connections of this worker by endpoint slot; the last one used is at the end.
    static IDLE: RefCell<Vec<Vec<Connection>>> = const { RefCell::new(Vec::new()) };
    /// Seconds of this worker's life, as counted by its sweeps: precise enough for idle times.
    static SECONDS: Cell<u32> = const { Cell::new(0) };
}

/// One open connection to an endpoint. In a box, since it changes hands eight times a request.
#[derive(Debug)]
pub struct Connection(Box<Inside>);

#[derive(Debug)]
pub struct Inside {
    pub socket: Socket,
    permit: Permit,
    generation: u32,
    idle_since: u32,
}

/// A request in the queue of an endpoint.
#[derive(Debug)]
pub(super) struct Waiter {
    pub worker: usize,
    /// A place on a shared connection is of no use to it.
    whole: bool,
    grant: oneshot::Sender<Grant>,
}

/// What a waiting request gets.
#[derive(Debug)]
enum Grant {
    Idle(Connection),
    /// A connection that came from another worker's runtime.
    FromAfar(Portable, Permit, u32),
    Permit(Permit),
    /// There may be room on a shared connection of its worker.
    Look,
}

/// What a request got.
#[derive(Debug)]
pub enum Acquired {
    /// A connection that has served requests before.
    Reused(Connection),
    /// The right to open one, see [`Connection::new`].
    Open(Permit),
    /// The advice to look at the shared connections again.
    Look,
}

impl Connection {
    /// A connection that was just opened under `permit`.
    pub fn new(socket: Socket, permit: Permit) -> Connection {
        let generation = permit.endpoint.generation.load(Relaxed);
        Connection::of(socket, permit, generation)
    }

    fn of(socket: Socket, permit: Permit, generation: u32) -> Connection {
        Connection(Box::new(Inside { socket, permit, generation, idle_since: 0 }))
    }

    /// One that serves a single request: the next ones go another way.
    pub fn for_one(socket: Socket, permit: Permit) -> Connection {
        // Of another generation than those that are used again.
        let generation = permit.endpoint.generation.load(Relaxed).wrapping_sub(1);
        Connection::of(socket, permit, generation)
    }

    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.permit.endpoint
    }

    /// The exchange is over and left the connection clean: the next request may have it.
    pub fn release(mut self) {
        let endpoint = &self.0.permit.endpoint;
        if self.generation != endpoint.generation.load(Relaxed) || endpoint.is_retired() {
            return;
        }
        // Also for one that is offered to a waiting request: it comes back when that is gone.
        self.0.idle_since = SECONDS.get();
        if endpoint.lobby.waiting.load(Acquire) > 0 {
            // As when an idle one is taken: what was closed or spoken on unasked is given to nobody.
            if !self.socket.is_quiet() {
                return;
            }
            let endpoint = endpoint.clone();
            if let Some(connection) = hand_over(&endpoint, self) {
                connection.keep();
            }
            return;
        }
        self.keep();
    }

    fn keep(self) {
        let slot = self.permit.endpoint.slot.index;
        IDLE.with_borrow_mut(|idle| {
            if idle.len() <= slot {
                idle.resize_with(slot + 1, Vec::new);
            }
            let own = &mut idle[slot];
            note_idle(&self.permit.endpoint, own.len() + 1);
            own.push(self);
        });
    }

    /// The socket for good, with the permit that must live as long as it.
    pub fn into_parts(self) -> (Socket, Permit) {
        let Inside { socket, permit, .. } = *self.0;
        (socket, permit)
    }

    /// Closes the connection and keeps the right to open another in its place.
    pub fn into_permit(self) -> Permit {
        self.into_parts().1
    }
}

impl Deref for Connection {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

fn note_idle(endpoint: &Endpoint, count: usize) {
    if let Some(own) = endpoint.lobby.idle.get(worker::index()) {
        own.0.store(count as u32, Relaxed);
    }
}

/// A connection of this worker, when it has one that is still good.
pub fn take_idle(endpoint: &Endpoint) -> Option<Connection> {
    loop {
        let connection = IDLE.with_borrow_mut(|idle| {
            let own = idle.get_mut(endpoint.slot.index)?;
            let connection = own.pop()?;
            note_idle(endpoint, own.len());
            Some(connection)
        })?;
        // A connection that was closed, or on which something was said unasked, goes (dropped here,
        // outside of the table, since that may wake a waiting request).
        if connection.generation == endpoint.generation.load(Relaxed) && connection.socket.is_quiet() {
            return Some(connection);
        }
    }
}

/// A connection or the right to open one; waits in the queue until `deadline` when there is neither.
pub async fn acquire(
    endpoint: &Arc<Endpoint>,
    watchdog: &Watchdog,
    deadline: Instant,
) -> Result<Acquired, Failure> {
    acquire_for(false, endpoint, watchdog, deadline).await
}

/// The same; with `whole` shared connections are not looked at.
pub async fn acquire_for(
    whole: bool,
    endpoint: &Arc<Endpoint>,
    watchdog: &Watchdog,
    deadline: Instant,
) -> Result<Acquired, Failure> {
    if let Some(connection) = take_idle(endpoint) {
        return Ok(Acquired::Reused(connection));
    }
    let idle_elsewhere = endpoint.may_queue() && endpoint.idle_plain() > 0;
    if !idle_elsewhere && let Some(permit) = Permit::reserve(endpoint) {
        return Ok(Acquired::Open(permit));
    }
    match wait(whole, endpoint, watchdog, idle_elsewhere, deadline).await {
        // It was hoped for a connection of another worker; without one a new one may still be opened.
        Err(failure) if idle_elsewhere => Permit::reserve(endpoint).map(Acquired::Open).ok_or(failure),
        outcome => outcome,
    }
}

async fn wait(
    whole: bool,
    endpoint: &Arc<Endpoint>,
    watchdog: &Watchdog,
    idle_elsewhere: bool,
    deadline: Instant,
) -> Result<Acquired, Failure> {
    let waiting = Waiting::enter(endpoint)?;
    let (grant, mut granted) = oneshot::channel();
    {
        let mut queue = endpoint.lobby.queue.lock().expect("no panic while held");
        if queue.len() >= 2 * endpoint.max_queue() as usize {
            // Requests that gave up leave their places behind.
            queue.retain(|waiter| !waiter.grant.is_closed());
        }
        queue.push_back(Waiter { worker: worker::index(), whole, grant });
    }
    // Between the look before and the entry into the queue somebody may have freed a connection without
    // seeing us wait. A freed permit is seen here; a freed connection by its worker, which we ask.
    let asked = ask_other_workers(endpoint);
    if !idle_elsewhere || asked == 0 {
        grant_permits(endpoint);
    }
    if !idle_elsewhere {
        endpoint.counters.queued.fetch_add(1, Relaxed);
    }
    let granted = watchdog.limit(deadline, |cx| std::pin::Pin::new(&mut granted).poll(cx)).await;
    // Another worker's idle connection is no wait in the queue, unless it was none after all.
    if idle_elsewhere && !matches!(granted, Ok(Ok(Grant::FromAfar(..) | Grant::Permit(_)))) {
        endpoint.counters.queued.fetch_add(1, Relaxed);
    }
    drop(waiting);
    match granted {
        Ok(Ok(Grant::Idle(connection))) => Ok(Acquired::Reused(connection)),
        Ok(Ok(Grant::FromAfar(portable, mut permit, generation))) => {
            permit.take_over();
            endpoint.counters.taken_over.fetch_add(1, Relaxed);
            match Socket::from_portable(portable) {
                Ok(socket) => Ok(Acquired::Reused(Connection::of(socket, permit, generation))),
                Err(_) => Ok(Acquired::Open(permit)),
            }
        }
        Ok(Ok(Grant::Permit(permit))) => Ok(Acquired::Open(permit)),
        Ok(Ok(Grant::Look)) => Ok(Acquired::Look),
        Ok(Err(_)) => Err(Failure::NoEndpoint),
        Err(_) => {
            endpoint.counters.queue_timeouts.fetch_add(1, Relaxed);
            Err(Failure::QueueTimeout)
        }
    }
}

/// A place in the count of waiting requests; leaving it is dropping it, also when the client goes away.
struct Waiting<'e>(&'e Endpoint);

impl Waiting<'_> {
    fn enter(endpoint: &Endpoint) -> Result<Waiting<'_>, Failure> {
        let max = endpoint.max_queue();
        let entered =
            endpoint.lobby.waiting.fetch_update(AcqRel, Acquire, |count| (count < max).then_some(count + 1));
        match entered {
            Ok(_) => Ok(Waiting(endpoint)),
            Err(_) => {
                endpoint.counters.queue_refused.fetch_add(1, Relaxed);
                Err(Failure::QueueFull)
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lobby.waiting.fetch_sub(1, AcqRel);
    }
}

/// Says how many workers there are to answer.
fn ask_other_workers(endpoint: &Arc<Endpoint>) -> usize {
    let own = worker::index();
    let others = endpoint.lobby.mailboxes.iter().enumerate().filter(|(index, _)| *index != own);
    others.filter(|(_, mailbox)| mailbox.send(endpoint.clone()).is_ok()).count()
}

/// Gives a connection to the request that waits longest; gives it back when nobody waits.
fn hand_over(endpoint: &Endpoint, connection: Connection) -> Option<Connection> {
    let mut connection = connection;
    loop {
        let Some(waiter) = next_waiter(endpoint) else { return Some(connection) };
        if waiter.worker == worker::index() {
            match waiter.grant.send(Grant::Idle(connection)) {
                Ok(()) => return None,
                Err(Grant::Idle(back)) => connection = back,
                Err(_) => return None,
            }
        } else {
            if waiter.grant.is_closed() {
                continue;
            }
            let Inside { socket, permit, generation, .. } = *connection.0;
            let grant = Grant::FromAfar(socket.into_portable(), permit, generation);
            // When the waiter is gone after all, the drop of the grant frees the permit for the next.
            let _ = waiter.grant.send(grant);
            return None;
        }
    }
}

/// Gives permits to requests that wait, while there are both.
pub(super) fn grant_permits(endpoint: &Arc<Endpoint>) {
    while endpoint.lobby.waiting.load(Acquire) > 0 {
        let permitted = {
            let mut queue = endpoint.lobby.queue.lock().expect("no panic while held");
            next_permitted(endpoint, &mut queue)
        };
        let Some((waiter, permit)) = permitted else { return };
        // A waiter that gave up returns the permit, which must not come back here from its drop.
        if let Err(Grant::Permit(mut permit)) = waiter.grant.send(Grant::Permit(permit)) {
            permit.quiet = true;
        }
    }
}

fn next_waiter(endpoint: &Endpoint) -> Option<Waiter> {
    endpoint.lobby.queue.lock().expect("no panic while held").pop_front()
}

/// A request of this worker that waits is to look at the shared connections again; false when there is none.
pub fn wake_own(endpoint: &Endpoint) -> bool {
    loop {
        let waiter = {
            let mut queue = endpoint.lobby.queue.lock().expect("no panic while held");
            let own = queue.iter().position(|waiter| waiter.worker == worker::index() && !waiter.whole);
            own.and_then(|index| queue.remove(index))
        };
        let Some(waiter) = waiter else { return false };
        if waiter.grant.send(Grant::Look).is_ok() {
            return true;
        }
    }
}

/// Requests wait, and all of them on other workers.
pub fn only_others_wait(endpoint: &Endpoint) -> bool {
    let queue = endpoint.lobby.queue.lock().expect("no panic while held");
    let mut waiting = queue.iter().filter(|waiter| !waiter.grant.is_closed()).peekable();
    waiting.peek().is_some() && waiting.all(|waiter| waiter.worker != worker::index())
}

/// Seconds of this worker's life.
pub fn seconds() -> u32 {
    SECONDS.get()
}

/// The pool's own task on each worker: answers other workers' requests and closes what idles too long.
pub async fn attend(mut mailbox: UnboundedReceiver<Arc<Endpoint>>) {
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            asked = mailbox.recv() => match asked {
                Some(endpoint) => serve_waiting(&endpoint),
                None => return,
            },
            _ = sweep.tick() => {
                SECONDS.set(SECONDS.get().wrapping_add(1));
                close_idle();
                http2::sweep(SECONDS.get());
                super::desk::sweep();
            }
        }
    }
}

fn serve_waiting(endpoint: &Arc<Endpoint>) {
    while endpoint.lobby.waiting.load(Acquire) > 0 {
        let Some(connection) = take_idle(endpoint) else { break };
        if let Some(connection) = hand_over(endpoint, connection) {
            connection.keep();
            return;
        }
    }
    if endpoint.lobby.waiting.load(Acquire) > 0 && endpoint.approach.may_share() {
        http2::give_way(endpoint);
    }
    grant_permits(endpoint);
}

/// The worker ends: its idle connections do, and nobody shall hope for them.
pub fn leave() {
    let left = IDLE.take();
    for own in left.iter().filter(|own| !own.is_empty()) {
        note_idle(own[0].endpoint(), 0);
    }
    http2::leave();
}

fn close_idle() {
    let now = SECONDS.get();
    let closed: Vec<Connection> = IDLE.with_borrow_mut(|idle| {
        let mut closed = Vec::new();
        for own in idle.iter_mut().filter(|own| !own.is_empty()) {
            let endpoint = own[0].permit.endpoint.clone();
            let (generation, max) = (endpoint.generation.load(Relaxed), endpoint.idle_seconds());
            closed.extend(own.extract_if(.., |connection| {
                connection.generation != generation
                    || endpoint.is_retired()
                    || now.wrapping_sub(connection.idle_since) > max
                    || !connection.socket.is_quiet()
            }));
            note_idle(&endpoint, own.len());
        }
        closed
    });
    drop(closed);
}
