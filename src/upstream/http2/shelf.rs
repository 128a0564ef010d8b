//! The connections of one worker that requests share, and how a request gets a place on one: on the one with the
//! fewest streams; else it waits for one that is being opened, or opens one, or queues like any other.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::session::{Greeted, MOST_STREAMS, Place, Session};
use crate::message::{Failure, Request};
use crate::upstream::Timeouts;
use crate::upstream::approach::Offer;
use crate::upstream::attempt::{Lane, Missed, Obtained, open, open_for};
use crate::upstream::endpoint::Endpoint;
use crate::upstream::permit::{Permit, may_spare};
use crate::upstream::pool::{self, Acquired};

thread_local! {
    /// By slot of the endpoint.
    static SHELVES: RefCell<Vec<Shelf>> = const { RefCell::new(Vec::new()) };
}

/// Of one endpoint.
#[derive(Default)]
struct Shelf {
    sessions: Vec<Rc<Session>>,
    /// Connections that are being opened.
    opening: usize,
    /// Requests that wait for them.
    expecting: usize,
    /// Attempts to open one that failed, and why the last one did.
    failures: u64,
    failure: Option<Failure>,
    news: Rc<Notify>,
}

/// Works on the shelf of this endpoint. Nothing that is dropped in `work` may come back here.
fn at<T>(endpoint: &Endpoint, work: impl FnOnce(&mut Shelf) -> T) -> T {
    let slot = endpoint.slot.index;
    SHELVES.with_borrow_mut(|shelves| {
        if shelves.len() <= slot {
            shelves.resize_with(slot + 1, Shelf::default);
        }
        work(&mut shelves[slot])
    })
}

/// A place on a connection, or a connection of its own where the origin wants none to be shared, or where the
/// request wants what only HTTP/1.1 can do there.
pub async fn obtain<'c>(
    endpoint: &Arc<Endpoint>,
    request: &Request<'_>,
    timeouts: Timeouts,
) -> Result<Obtained, Missed<'c>> {
    let obtained = share(endpoint, request, timeouts).await?;
    match &obtained.lane {
        Lane::Shared(place)
            if request.upgrade.is_some()
                && endpoint.approach.may_offer_http1()
                && !place.session().takes_extended_connect() =>
        {
            drop(obtained);
            Box::pin(obtain_whole(endpoint, request, timeouts)).await
        }
        _ => Ok(obtained),
    }
}

/// A connection of HTTP/1.1, for a request that wants to change the protocol.
async fn obtain_whole<'c>(
    endpoint: &Arc<Endpoint>,
    request: &Request<'_>,
    timeouts: Timeouts,
) -> Result<Obtained, Missed<'c>> {
    let deadline = Instant::now() + endpoint.queue_timeout();
    loop {
        match pool::acquire_for(true, endpoint, request.watchdog, deadline).await {
            Ok(Acquired::Reused(connection)) => {
                return Ok(Obtained { lane: Lane::Whole(connection), reused: true, now: Instant::now() });
            }
            Ok(Acquired::Open(permit)) => return open_for(Offer::Http1, permit, request, timeouts).await,
            Ok(Acquired::Look) => {}
            Err(failure) => return Err(Missed::Connection(failure, endpoint.slot.index)),
        }
    }
}

async fn share<'c>(
    endpoint: &Arc<Endpoint>,
    request: &Request<'_>,
    timeouts: Timeouts,
) -> Result<Obtained, Missed<'c>> {
    let missed = |failure| Missed::Connection(failure, endpoint.slot.index);
    let deadline = Instant::now() + endpoint.queue_timeout();
    loop {
        if let Some(place) = take(endpoint) {
            let reused = place.session().has_served();
            return Ok(Obtained { lane: Lane::Shared(place), reused, now: Instant::now() });
        }
        if let Some(expecting) = Expecting::join(endpoint) {
            expecting.wait(request, timeouts).await.map_err(missed)?;
            continue;
        }
        match pool::acquire(endpoint, request.watchdog, deadline).await.map_err(missed)? {
            Acquired::Reused(connection) => {
                return Ok(Obtained { lane: Lane::Whole(connection), reused: true, now: Instant::now() });
            }
            Acquired::Look => {}
            Acquired::Open(permit) => {
                let mut opening = Opening::begin(endpoint);
                let opened = open(permit, request, timeouts).await;
                opening.outcome = Some(match &opened {
                    Err(Missed::Connection(failure, _)) => Some(*failure),
                    _ => None,
                });
                return opened;
            }
        }
    }
}

/// Puts a new connection on the shelf, with a place on it taken.
pub fn start(greeted: Greeted, permit: Permit) -> Place {
    let session = Session::start(greeted, permit);
    session.endpoint.lobby.own_shared(|line| line.idle.fetch_add(1, Relaxed));
    let place = Place::take(&session);
    at(&session.endpoint, |shelf| shelf.sessions.push(session.clone()));
    tell(&session);
    place
}

/// On the connection with the fewest streams.
fn take(endpoint: &Endpoint) -> Option<Place> {
    at(endpoint, |shelf| {
        let free = shelf.sessions.iter().filter(|session| session.has_room());
        free.min_by_key(|session| session.streams()).map(Place::take)
    })
}

/// A connection is over, or takes no more requests.
pub fn remove(session: &Session) {
    let removed = at(&session.endpoint, |shelf| {
        let index = shelf.sessions.iter().position(|known| std::ptr::eq(&**known, session))?;
        Some(shelf.sessions.swap_remove(index))
    });
    if removed.is_some() && session.streams() == 0 {
        session.endpoint.lobby.own_shared(|line| line.idle.fetch_sub(1, Relaxed));
    }
}

/// There may be room on a connection: requests of this worker that wait in the queue look again. When only
/// those of others wait, a connection that nobody uses gives way, if it is not the only one here.
pub fn tell(session: &Session) {
    let endpoint = &session.endpoint;
    if endpoint.lobby.waiting.load(Acquire) == 0 {
        return;
    }
    for _ in 0..session.room() {
        if !pool::wake_own(endpoint) {
            break;
        }
    }
    if session.streams() == 0 && may_spare(endpoint) && pool::only_others_wait(endpoint) {
        session.close();
    }
}

/// Another worker has requests that wait: a connection that nobody here uses makes room for one of theirs.
pub fn give_way(endpoint: &Endpoint) {
    if !may_spare(endpoint) {
        return;
    }
    let unused = at(endpoint, |shelf| shelf.sessions.iter().find(|session| session.streams() == 0).cloned());
    if let Some(session) = unused {
        session.close();
    }
}

/// Closes what nobody has used for too long, or may use any more.
pub fn sweep(now: u32) {
    let over: Vec<Rc<Session>> = SHELVES.with_borrow(|shelves| {
        let sessions = shelves.iter().flat_map(|shelf| &shelf.sessions);
        sessions.filter(|session| session.is_over(now, session.endpoint.idle_seconds())).cloned().collect()
    });
    for session in over {
        session.close();
    }
}

/// The worker ends.
pub fn leave() {
    let left: Vec<Rc<Session>> =
        SHELVES.with_borrow(|shelves| shelves.iter().flat_map(|shelf| shelf.sessions.clone()).collect());
    for session in left {
        session.close();
    }
}

/// A connection that is being opened; others wait for it.
struct Opening<'e> {
    endpoint: &'e Endpoint,
    /// `None` when its request went away meanwhile.
    outcome: Option<Option<Failure>>,
}

impl Opening<'_> {
    fn begin(endpoint: &Endpoint) -> Opening<'_> {
        at(endpoint, |shelf| shelf.opening += 1);
        Opening { endpoint, outcome: None }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        at(self.endpoint, |shelf| {
            shelf.opening -= 1;
            if let Some(Some(failure)) = self.outcome {
                shelf.failures += 1;
                shelf.failure = Some(failure);
            }
            shelf.news.notify_waiters();
        });
    }
}

/// A request that waits for a connection which another one opens.
struct Expecting<'e> {
    endpoint: &'e Endpoint,
    news: Rc<Notify>,
    failures: u64,
}

impl<'e> Expecting<'e> {
    /// `None` when too few are being opened.
    fn join(endpoint: &'e Endpoint) -> Option<Expecting<'e>> {
        if endpoint.agreed_http1.load(Relaxed) {
            return None;
        }
        at(endpoint, |shelf| {
            let room = shelf.opening * MOST_STREAMS > shelf.expecting;
            room.then(|| {
                shelf.expecting += 1;
                Expecting { endpoint, news: shelf.news.clone(), failures: shelf.failures }
            })
        })
    }

    /// Until there are news; an attempt that failed has failed for all who waited for it.
    async fn wait(self, request: &Request<'_>, timeouts: Timeouts) -> Result<(), Failure> {
        let mut news = pin!(self.news.notified());
        let deadline = Instant::now() + timeouts.connect;
        let came = request.watchdog.limit(deadline, |cx| news.as_mut().poll(cx)).await;
        came.map_err(|_| Failure::ConnectTimeout)?;
        match at(self.endpoint, |shelf| (shelf.failures, shelf.failure)) {
            (failures, Some(failure)) if failures > self.failures => Err(failure),
            _ => Ok(()),
        }
    }
}

impl Drop for Expecting<'_> {
    fn drop(&mut self) {
        at(self.endpoint, |shelf| shelf.expecting -= 1);
    }
}
