//! The endpoints of one upstream, as all workers share them: who is in it, who of them takes requests. It
//! survives a reload. What changes rarely is behind a lock here; workers see only what is published, and a
//! number that says whether that is still the latest.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use super::approach::Approach;
use super::breaker::Breaker;
use super::endpoint::{Address, Endpoint, Mailboxes};
use super::health::{self, Fitness, PlanRules};
use super::mirror::MirrorCounters;
use super::slots::{Slot, Slots};
use super::{EndpointAddress, EndpointOptions, UpstreamOptions};

/// The groups of the running configuration, by name.
#[derive(Debug)]
pub struct Groups {
    by_name: Mutex<HashMap<String, Arc<Group>>>,
    slots: Arc<Slots>,
    endpoint_slots: Arc<Slots>,
    mailboxes: Mailboxes,
}

impl Groups {
    /// For so many workers; the receivers are theirs, in order.
    pub fn new(workers: usize) -> (Groups, Vec<UnboundedReceiver<Arc<Endpoint>>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| unbounded_channel()).unzip();
        let groups = Groups {
            by_name: Mutex::default(),
            slots: Arc::default(),
            endpoint_slots: Arc::default(),
            mailboxes: senders.into(),
        };
        (groups, receivers)
    }

    /// The group of an upstream; a known one takes over the new options and keeps the endpoints that stay.
    pub fn adopt(&self, options: &Arc<UpstreamOptions>) -> Arc<Group> {
        let mut known = self.by_name.lock().expect("no panic while held");
        let group = known.entry(options.name.clone()).or_insert_with(|| {
            Arc::new(Group {
                name: options.name.clone(),
                slot: Slots::take(&self.slots),
                endpoint_slots: self.endpoint_slots.clone(),
                mailboxes: self.mailboxes.clone(),
                state: Mutex::new(State::new(options.clone())),
                published: RwLock::new(Arc::new(Published::empty(options.clone()))),
                version: AtomicU64::new(0),
                breaker: Breaker::default(),
                counters: GroupCounters::default(),
            })
        });
        group.adopt(options.clone());
        group.clone()
    }

    /// After a reload: groups that are in no configuration any more close their idle connections.
    pub fn keep_only(&self, used: &[Arc<Group>]) {
        let mut known = self.by_name.lock().expect("no panic while held");
        known.retain(|_, group| {
            let stays = used.iter().any(|used| Arc::ptr_eq(used, group));
            if !stays {
                group.retire();
            }
            stays
        });
    }

    /// In the order of their names.
    pub fn all(&self) -> Vec<Arc<Group>> {
        let mut all: Vec<_> = self.by_name.lock().expect("no panic while held").values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.all().iter().flat_map(|group| group.endpoints()).collect()
    }
}

/// One group.
#[derive(Debug)]
pub struct Group {
    pub name: String,
    /// Index into each worker's table of desks.
    pub slot: Slot,
    endpoint_slots: Arc<Slots>,
    mailboxes: Mailboxes,
    state: Mutex<State>,
    published: RwLock<Arc<Published>>,
    /// Of what is published.
    version: AtomicU64,
    pub breaker: Breaker,
    pub counters: GroupCounters,
}

/// Events of a whole group, off the path of a plain request.
#[derive(Debug, Default)]
pub struct GroupCounters {
    /// Repetitions that were due and not within the budget.
    pub budget_exhausted: AtomicU64,
    /// Copies of requests that came here.
    pub mirror: MirrorCounters,
    /// Requests that another upstream got, or a fixed page answered, since nobody was left here.
    pub fallbacks: AtomicU64,
}

#[derive(Debug)]
struct State {
    options: Arc<UpstreamOptions>,
    /// One per entry of `endpoints`, in its order.
    sources: Vec<Source>,
    members: Vec<Member>,
    /// Members that no source has any more stay until the new sources have been asked.
    keeps_former: bool,
}

/// An entry of `endpoints`, and the endpoints that it stands for right now.
#[derive(Debug, Clone)]
struct Source {
    options: EndpointOptions,
    found: Vec<Found>,
    /// Why it gave nothing lately.
    trouble: Option<String>,
}

/// An endpoint as its source gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub address: Address,
    /// The name whose address it is.
    pub host: Option<String>,
    pub weight: u16,
    /// See [`health::Candidate`].
    pub tier: u16,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub endpoint: Arc<Endpoint>,
    pub weight: u16,
    pub tier: u16,
}

/// What workers pick from.
#[derive(Debug)]
pub struct Published {
    /// Different for every one that ever was, of whichever group.
    pub version: u64,
    pub options: Arc<UpstreamOptions>,
    /// Endpoints that take requests, with weights of which only the relation means something.
    pub seats: Vec<(Arc<Endpoint>, u32)>,
    /// Endpoints that take only requests of clients that stick to them.
    pub draining: Vec<Arc<Endpoint>>,
    /// It has no endpoint at all since no name of it resolves.
    pub unresolved: bool,
    /// Suspects are among the seats, since too few others are left.
    pub panic: bool,
}

impl State {
    fn new(options: Arc<UpstreamOptions>) -> State {
        State { options, sources: Vec::new(), members: Vec::new(), keeps_former: false }
    }
}

impl Published {
    fn empty(options: Arc<UpstreamOptions>) -> Published {
        Published {
            version: 0,
            options,
            seats: Vec::new(),
            draining: Vec::new(),
            unresolved: false,
            panic: false,
        }
    }
}

impl Source {
    fn new(options: EndpointOptions) -> Source {
        let address = match &options.address {
            EndpointAddress::Socket(address) => Some(Address::Tcp(*address)),
            EndpointAddress::Unix(path) => Some(Address::Unix(path.clone())),
            EndpointAddress::Name { .. } | EndpointAddress::Srv(_) | EndpointAddress::File(_) => None,
        };
        let (weight, tier) = (options.weight, options.tier);
        let found = address.map(|address| Found { address, host: None, weight, tier }).into_iter().collect();
        Source { options, found, trouble: None }
    }

    /// The same entry with other options: what was found for it stays.
    fn with(mut self, options: EndpointOptions) -> Source {
        // Records and files have weights of their own.
        if !matches!(options.address, EndpointAddress::Srv(_) | EndpointAddress::File(_)) {
            for found in &mut self.found {
                (found.weight, found.tier) = (options.weight, options.tier);
            }
        }
        Source { options, ..self }
    }
}

impl Group {
    fn adopt(self: &Arc<Group>, options: Arc<UpstreamOptions>) {
        let mut state = self.lock();
        let known = std::mem::take(&mut state.sources);
        let source = |new: &EndpointOptions| {
            let known = known.iter().find(|known| known.options.address == new.address);
            known.map_or_else(|| Source::new(new.clone()), |known| known.clone().with(new.clone()))
        };
        let sources: Vec<Source> = options.endpoints.iter().map(source).collect();
        let is_new = |own: &Source| !known.iter().any(|known| known.options.address == own.options.address);
        state.keeps_former = sources.iter().any(|source| source.found.is_empty() && is_new(source));
        state.sources = sources;
        if options.breaker.as_ref().is_none_or(|breaker| breaker.error_rate == 0) {
            self.breaker.reset();
        }
        state.options = options;
        self.gather(&mut state);
        // The configuration has the last word again.
        for member in &state.members {
            let mut standing = member.endpoint.standing.lock().expect("no panic while held");
            (standing.operator, standing.weight) = Default::default();
        }
        self.publish(&state, Instant::now());
    }

    /// What the source with this address has now. An error keeps what it had before.
    pub fn discovered(self: &Arc<Group>, address: &EndpointAddress, outcome: Result<Vec<Found>, String>) {
        let mut state = self.lock();
        let Some(source) = state.sources.iter_mut().find(|source| source.options.address == *address) else {
            return;
        };
        match outcome {
            Ok(found) => {
                source.trouble = None;
                if source.found == found {
                    return;
                }
                source.found = found;
            }
            Err(trouble) => {
                source.trouble = Some(trouble);
                return;
            }
        }
        self.gather(&mut state);
        self.publish(&state, Instant::now());
    }

    /// The sources have been asked, well or badly: members that none of them has end now.
    pub fn settled(self: &Arc<Group>) {
        let mut state = self.lock();
        if std::mem::take(&mut state.keeps_former) {
            self.gather(&mut state);
            self.publish(&state, Instant::now());
        }
    }

    /// Members from what the sources found; who is in it already and is approached as before stays the same,
    /// who is not any more ends, though not while new sources are yet to be asked: nobody might be left
    /// meanwhile.
    fn gather(self: &Arc<Group>, state: &mut State) {
        let former = std::mem::take(&mut state.members);
        let mut known: HashMap<Address, Arc<Endpoint>> =
            former.iter().map(|member| (member.endpoint.address.clone(), member.endpoint.clone())).collect();
        let mut members: Vec<Member> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let breaker = state.options.breaker.as_ref();
        let max_connections = breaker.and_then(|breaker| breaker.max_connections).unwrap_or(u32::MAX);
        for found in state.sources.iter().flat_map(|source| &source.found) {
            if !seen.insert(&found.address) {
                continue;
            }
            let options = &state.options;
            let approach = match &options.application {
                Some(application) => Approach::fastcgi(application),
                None => {
                    let host = found.host.as_deref();
                    Approach::new(options.protocol, options.tls.as_ref(), host, &found.address)
                }
            };
            let endpoint = match known.remove(&found.address) {
                Some(same) if same.approach == approach => same,
                other => {
                    if let Some(other) = other {
                        other.retired.store(true, Relaxed);
                    }
                    let slot = Slots::take(&self.endpoint_slots);
                    let (group, mailboxes) = (Arc::downgrade(self), self.mailboxes.clone());
                    Arc::new(Endpoint::new(slot, found.address.clone(), approach, group, mailboxes))
                }
            };
            endpoint.adopt(&state.options.pool, max_connections);
            endpoint.observed.watch(state.options.watch());
            members.push(Member { endpoint, weight: found.weight, tier: found.tier });
        }
        if state.keeps_former {
            let kept = former.into_iter().filter(|member| known.contains_key(&member.endpoint.address));
            members.extend(kept);
        } else {
            for gone in known.values() {
                gone.retired.store(true, Relaxed);
            }
        }
        state.members = members;
    }

    fn retire(&self) {
        for member in std::mem::take(&mut self.lock().members) {
            member.endpoint.retired.store(true, Relaxed);
        }
    }

    /// Makes a new plan of how members stand at `now`, and shows it to the workers when it differs.
    fn publish(&self, state: &State, now: Instant) {
        let options = &state.options;
        let candidates: Vec<health::Candidate> = state
            .members
            .iter()
            .map(|member| {
                let standing = member.endpoint.standing.lock().expect("no panic while held");
                let fitness = standing.fitness(now, options.health.as_ref(), options.slow_start);
                health::Candidate {
                    weight: standing.weight.unwrap_or(member.weight),
                    tier: member.tier,
                    fitness,
                }
            })
            .collect();
        let plan = health::plan(&candidates, options.plan_rules());
        let endpoint = |index: usize| state.members[index].endpoint.clone();
        let draining = candidates.iter().enumerate().filter(|(_, own)| own.fitness == Fitness::Draining);
        let fresh = Published {
            version: NEXT_VERSION.fetch_add(1, Relaxed),
            options: options.clone(),
            seats: plan.seats.iter().map(|(index, weight)| (endpoint(*index), *weight)).collect(),
            draining: draining.map(|(index, _)| endpoint(index)).collect(),
            unresolved: state.members.is_empty(),
            panic: plan.panic,
        };
        let mut published = self.published.write().expect("no panic while held");
        if published.version != 0 && published.is_same(&fresh) {
            return;
        }
        let version = fresh.version;
        let before = std::mem::replace(&mut *published, Arc::new(fresh));
        self.version.store(version, Release);
        // Who waits for one that takes no requests any more goes elsewhere.
        let seats = &published.seats;
        for (endpoint, _) in &before.seats {
            if !seats.iter().any(|(seated, _)| Arc::ptr_eq(seated, endpoint)) {
                endpoint.send_waiting_away();
            }
        }
    }

    /// How members stand has changed.
    pub fn replan(&self, now: Instant) {
        self.publish(&self.lock(), now);
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    pub fn published(&self) -> Arc<Published> {
        self.published.read().expect("no panic while held").clone()
    }

    pub fn options(&self) -> Arc<UpstreamOptions> {
        self.lock().options.clone()
    }

    pub fn members(&self) -> Vec<Member> {
        self.lock().members.clone()
    }

    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.lock().members.iter().map(|member| member.endpoint.clone()).collect()
    }

    /// The sum of something over all members.
    pub(super) fn sum(&self, of: impl Fn(&Endpoint) -> u32) -> u32 {
        let state = self.lock();
        state.members.iter().fold(0, |sum, member| sum.saturating_add(of(&member.endpoint)))
    }

    /// A word for how an endpoint stands, and why when it is not "up".
    pub fn told(&self, endpoint: &Endpoint, now: Instant) -> (&'static str, String) {
        let options = self.options();
        let standing = endpoint.standing.lock().expect("no panic while held");
        standing.told(now, options.health.as_ref(), options.slow_start)
    }

    /// The operator's, or else the configured one.
    pub fn weight(&self, member: &Member) -> u16 {
        member.endpoint.standing.lock().expect("no panic while held").weight.unwrap_or(member.weight)
    }

    /// True for an endpoint that is among those that workers pick from.
    pub fn takes_requests(&self, endpoint: &Endpoint) -> bool {
        self.published().seats.iter().any(|(seated, _)| std::ptr::eq(&**seated, endpoint))
    }

    /// Entries that stand for no endpoint right now, and why.
    pub fn unresolved(&self) -> Vec<(String, Option<String>)> {
        let state = self.lock();
        let empty = state.sources.iter().filter(|source| source.found.is_empty());
        empty.map(|source| (source.options.address.to_string(), source.trouble.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

/// Never 0, which stands for "nothing yet".
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

impl Published {
    fn is_same(&self, other: &Published) -> bool {
        let same = |a: &Arc<Endpoint>, b: &Arc<Endpoint>| Arc::ptr_eq(a, b);
        Arc::ptr_eq(&self.options, &other.options)
            && self.unresolved == other.unresolved
            && self.panic == other.panic
            && self.seats.len() == other.seats.len()
            && self.draining.len() == other.draining.len()
            && self.seats.iter().zip(&other.seats).all(|(a, b)| same(&a.0, &b.0) && a.1 == b.1)
            && self.draining.iter().zip(&other.draining).all(|(a, b)| same(a, b))
    }
}

impl super::UpstreamOptions {
    fn plan_rules(&self) -> PlanRules {
        PlanRules { min_healthy: self.min_healthy, panic_below: self.panic_below }
    }
}
