//! One worker's end of a group: what it picks from, and where the balance is. Belongs to the worker alone,
//! so that choosing an endpoint waits for nobody.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::balance::{Balancer, Candidate, View};
use super::budget::RetryBudget;
use super::endpoint::Endpoint;
use super::generator::Generator;
use super::group::{Group, Published};
use super::latencies::Latencies;
use super::pin::Tie;
use super::pool::{self, Connection};
use crate::message::{EndpointName, Failure};
use crate::observe::Record;
use crate::wire::{clock, worker};

thread_local! {
    /// By slot of the group.
    static DESKS: RefCell<Vec<Option<Desk>>> = const { RefCell::new(Vec::new()) };
}

struct Desk {
    group: Weak<Group>,
    published: Arc<Published>,
    seats: Vec<Seat>,
    /// Take only requests of clients that stick to them.
    draining: Vec<Seat>,
    balance: Balancer,
    budget: RetryBudget,
    retry_percent: u32,
    /// Of hedged requests.
    latencies: Latencies,
    random: Generator,
}

struct Seat {
    endpoint: Arc<Endpoint>,
    name: Rc<EndpointName>,
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
pub fn choose(
    group: &Arc<Group>,
    tried: &[usize],
    tie: &Tie<'_>,
    record: &mut Record,
) -> Result<Choice, Failure> {
    at(group, |desk| {
        if tried.is_empty() {
            desk.budget.earn(desk.retry_percent);
        }
        desk.choose(tried, tie, record)
    })
}

/// What so many percent of this worker's answers stayed below; `None` while there were too few.
pub fn quantile(group: &Arc<Group>, percent: u8) -> Option<Duration> {
    at(group, |desk| desk.latencies.quantile(percent).map(Duration::from_micros))
}

pub fn note_latency(group: &Arc<Group>, took: Duration) {
    at(group, |desk| desk.latencies.note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
}

/// True when an endpoint whose slot is not in `tried` takes requests.
pub fn has_other(group: &Arc<Group>, tried: &[usize]) -> bool {
    at(group, |desk| desk.seats.iter().any(|seat| !seat.is_in(tried)))
}

/// For a repetition, when every endpoint was tried.
pub fn choose_again(group: &Arc<Group>, tie: &Tie<'_>, record: &mut Record) -> Result<Choice, Failure> {
    at(group, |desk| desk.choose(&[], tie, record))
}

/// Takes one repetition out of this worker's budget; `None` when there is none left. Gives a random share,
/// 0 to 1, of the wait before it.
pub fn spend_retry(group: &Arc<Group>, now: Instant) -> Option<f32> {
    at(group, |desk| desk.budget.spend(now).then(|| desk.random.share()))
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

/// The seat that a client sticks to, when it is still there.
fn pinned<'s>(seats: &'s [Seat], draining: &'s [Seat], identity: u64, tried: &[usize]) -> Option<&'s Seat> {
    seats.iter().chain(draining).find(|seat| seat.endpoint.identity == identity && !seat.is_in(tried))
}

fn balanced<'s>(
    balance: &mut Balancer,
    seats: &'s [Seat],
    tried: &[usize],
    key: u64,
    now: Instant,
) -> Option<&'s Seat> {
    let endpoint = |index: usize| seats.get(index).map(|seat| &*seat.endpoint);
    let view = View {
        load: &|index| endpoint(index).map_or(0, Endpoint::load),
        latency: &|index| endpoint(index).map_or(0, |own| own.observed.latency.value(clock::millis(now))),
        usable: &|index| seats.get(index).is_some_and(|seat| !seat.is_in(tried)),
    };
    balance.pick(&view, key).and_then(|index| seats.get(index))
}

/// For a repetition: the one with the fewest requests under way, of equals the first from `start` on.
fn least_busy<'s>(seats: &'s [Seat], tried: &[usize], start: usize) -> Option<&'s Seat> {
    let (before, after) = seats.split_at_checked(start)?;
    after.iter().chain(before).filter(|seat| !seat.is_in(tried)).min_by_key(|seat| seat.endpoint.load())
}

impl Seat {
    fn new(group: &Group, endpoint: &Arc<Endpoint>) -> Seat {
        let name = EndpointName {
            upstream: group.name.clone(),
            label: endpoint.label.clone(),
            log_member: endpoint.log_member.clone(),
        };
        Seat { endpoint: endpoint.clone(), name: Rc::new(name) }
    }

    fn is_in(&self, tried: &[usize]) -> bool {
        tried.contains(&self.endpoint.slot.index)
    }
}

impl Desk {
    /// What lasts longer than a plan is taken from the desk `before`.
    fn new(group: &Arc<Group>, before: Option<Desk>) -> Desk {
        let published = group.published();
        let candidates: Vec<Candidate> = published
            .seats
            .iter()
            .map(|(endpoint, weight)| Candidate { identity: endpoint.identity, weight: *weight })
            .collect();
        let kind = published.options.balance.kind();
        let (budget, latencies) = match before {
            Some(desk) => (desk.budget, desk.latencies),
            None => (RetryBudget::new(Instant::now()), Latencies::default()),
        };
        Desk {
            group: Arc::downgrade(group),
            seats: published.seats.iter().map(|(endpoint, _)| Seat::new(group, endpoint)).collect(),
            draining: published.draining.iter().map(|endpoint| Seat::new(group, endpoint)).collect(),
            // Workers begin one behind the other, and elsewhere after each change.
            balance: Balancer::new(kind, &candidates, published.version + worker::index() as u64),
            budget,
            latencies,
            retry_percent: u32::from(published.options.retry_budget),
            random: Generator::new(RandomState::new().hash_one(group.slot.index)),
            published,
        }
    }

    #[inline]
    fn choose(&mut self, tried: &[usize], tie: &Tie<'_>, record: &mut Record) -> Result<Choice, Failure> {
        let Some(seat) = self.pick(tried, tie, record.asked) else { return Err(self.nobody()) };
        record.attempts = record.attempts.saturating_add(1);
        record.endpoint = Some(seat.name.clone());
        Ok(match pool::take_idle(&seat.endpoint) {
            Some(connection) => Choice::Idle(connection),
            None => Choice::Endpoint(seat.endpoint.clone()),
        })
    }

    #[inline]
    fn pick(&mut self, tried: &[usize], tie: &Tie<'_>, now: Instant) -> Option<&Seat> {
        if let Some(pin) = tie.stick.as_ref().and_then(|stick| stick.pin)
            && let Some(seat) = pinned(&self.seats, &self.draining, pin.identity, tried)
        {
            return Some(seat);
        }
        // The turns of the first tries go on as if nothing had happened: who failed is not the next one again.
        if !tried.is_empty() && !matches!(self.balance, Balancer::Hash(_)) {
            let start = (self.random.share() * self.seats.len() as f32) as usize;
            return least_busy(&self.seats, tried, start);
        }
        match self.seats.as_slice() {
            [only] => Some(only).filter(|seat| !seat.is_in(tried)),
            seats => balanced(&mut self.balance, seats, tried, tie.key, now),
        }
    }

    fn nobody(&self) -> Failure {
        if self.published.unresolved { Failure::NotResolved } else { Failure::NoEndpoint }
    }
}
