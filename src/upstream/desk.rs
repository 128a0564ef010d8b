//! One worker's end of a group: what it picks from, and where the balance is. Belongs to the worker alone,
//! so that choosing an endpoint waits for nobody.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::balance::RoundRobin;
use super::budget::RetryBudget;
use super::endpoint::Endpoint;
use super::group::{Group, Published};
use super::pool::{self, Connection};
use crate::message::Failure;
use crate::observe::Record;

thread_local! {
    /// By slot of the group.
    static DESKS: RefCell<Vec<Option<Desk>>> = const { RefCell::new(Vec::new()) };
}

struct Desk {
    group: Weak<Group>,
    published: Arc<Published>,
    seats: Vec<Seat>,
    weights: Vec<u32>,
    balance: RoundRobin,
    budget: RetryBudget,
    retry_percent: u32,
    /// State of a generator; never 0.
    random: u64,
}

struct Seat {
    endpoint: Arc<Endpoint>,
    /// The endpoint's member of a log line.
    log_member: Rc<[u8]>,
}

/// Where a request goes.
#[derive(Debug)]
pub enum Choice {
    /// To an endpoint over a connection that this worker has.
    Idle(Connection),
    /// To an endpoint to which this worker has no connection.
    Endpoint(Arc<Endpoint>),
}

/// The endpoint whose turn it is, but none whose slot is in `tried`.
pub fn choose(group: &Arc<Group>, tried: &[usize], record: &mut Record) -> Result<Choice, Failure> {
    at(group, |desk| {
        if tried.is_empty() {
            desk.budget.earn(desk.retry_percent);
        }
        desk.choose(tried, record)
    })
}

/// True when an endpoint whose slot is not in `tried` takes requests.
pub fn has_other(group: &Arc<Group>, tried: &[usize]) -> bool {
    at(group, |desk| desk.seats.iter().any(|seat| !tried.contains(&seat.endpoint.slot.index)))
}

/// For a repetition, when every endpoint was tried.
pub fn choose_again(group: &Arc<Group>, record: &mut Record) -> Result<Choice, Failure> {
    at(group, |desk| desk.choose(&[], record))
}
/// Takes one repetition out of this worker's budget; `None` when there is none left. Gives a random share,
/// 0 to 1, of the wait before it.
pub fn spend_retry(group: &Arc<Group>, now: Instant) -> Option<f32> {
    at(group, |desk| desk.budget.spend(now).then(|| desk.random_share()))
}

/// Desks of groups that are gone keep nothing alive.
pub fn sweep() {
    DESKS.with_borrow_mut(|desks| {
        for desk in desks.iter_mut() {
            if desk.as_ref().is_some_and(|desk| desk.group.strong_count() == 0) {
                *desk = None;
            }
        }
    });
}

fn at<T>(group: &Arc<Group>, work: impl FnOnce(&mut Desk) -> T) -> T {
    DESKS.with_borrow_mut(|desks| {
        let slot = group.slot.index;
        match desks.get_mut(slot) {
            Some(Some(desk)) if desk.published.version == group.version() => work(desk),
            _ => work(renew(desks, group)),
        }
    })
}

/// Something was published since this worker looked last.
#[cold]
fn renew<'d>(desks: &'d mut Vec<Option<Desk>>, group: &Arc<Group>) -> &'d mut Desk {
    let slot = group.slot.index;
    if desks.len() <= slot {
        desks.resize_with(slot + 1, || None);
    }
    let place = &mut desks[slot];
    let before = place.take().filter(|desk| std::ptr::eq(desk.group.as_ptr(), Arc::as_ptr(group)));
    place.insert(Desk::new(group, before))
}

fn random_seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0) | 1
}

impl Desk {
    /// What lasts longer than a plan is taken from the desk `before`.
    fn new(group: &Arc<Group>, before: Option<Desk>) -> Desk {
        let published = group.published();
        let seat = |endpoint: &Arc<Endpoint>| Seat {
            endpoint: endpoint.clone(),
            log_member: endpoint.log_member.as_slice().into(),
        };
        Desk {
            group: Arc::downgrade(group),
            seats: published.seats.iter().map(|(endpoint, _)| seat(endpoint)).collect(),
            weights: published.seats.iter().map(|(_, weight)| *weight).collect(),
            balance: RoundRobin::new(published.seats.len()),
            budget: before.map_or_else(|| RetryBudget::new(Instant::now()), |desk| desk.budget),
            retry_percent: u32::from(published.options.retry_budget),
            random: random_seed(),
            published,
        }
    }

    #[inline]
    fn choose(&mut self, tried: &[usize], record: &mut Record) -> Result<Choice, Failure> {
        let seat = self.pick(tried).and_then(|index| self.seats.get(index));
        let Some(seat) = seat else { return Err(self.nobody()) };
        record.attempts = record.attempts.saturating_add(1);
        record.endpoint = Some(seat.log_member.clone());
        Ok(match pool::take_idle(&seat.endpoint) {
            Some(connection) => Choice::Idle(connection),
            None => Choice::Endpoint(seat.endpoint.clone()),
        })
    }

    /// Index of a seat.
    fn pick(&mut self, tried: &[usize]) -> Option<usize> {
        let usable = |index: usize| !tried.contains(&self.seats[index].endpoint.slot.index);
        if self.seats.len() == 1 {
            return Some(0).filter(|index| usable(*index));
        }
        self.balance.pick(&self.weights, usable)
    }

    /// Random, from 0 to 1; good enough to keep repetitions from coming all at once.
    fn random_share(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 40) as f32 / (1u64 << 24) as f32
    }

    fn nobody(&self) -> Failure {
        if self.published.unresolved { Failure::NotResolved } else { Failure::NoEndpoint }
    }
}
