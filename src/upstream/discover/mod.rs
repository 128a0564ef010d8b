//! Endpoints that are found while the proxy runs: by the addresses of names, by SRV records, and
//! in files. The last good answer is kept when a look-up fails or a file is broken; a name that never
//! resolved has no endpoints, and the proxy serves on.
//!
//! `resolver` and `file` ask, `answer` says what may be believed, `kept` and `knowledge` what is known and
//! when to ask again, `plan` makes endpoints of it. Only what stands here knows tasks and the clock.

mod answer;
mod file;
mod kept;
mod knowledge;
mod options;
mod plan;
mod resolver;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::wire::Stamp;
use answer::Reply;
use file::Look;
pub use file::ReadFile;
use knowledge::{Knowledge, Outcome, Question, Standing};
pub use options::{DnsOptions, Families};
use resolver::Resolver;

use super::EndpointOptions;
use super::group::{Found, Group};
use crate::observe::metrics::SourceFacts;
use crate::observe::notice;

/// Look-ups of names at the same time.
const MAX_LOOKUPS: usize = 16;
/// The files of the system are looked at this often.
const LOOK_AT_SYSTEM: Duration = Duration::from_secs(5);

/// Finds endpoints and hands them over; one for the process, it survives a reload.
pub struct Discovery {
    state: Mutex<State>,
    /// What is asked for has changed.
    changed: Notify,
    /// An answer came.
    answered: Notify,
    read: ReadFile,
}

struct State {
    options: DnsOptions,
    knowledge: Knowledge,
    watched: Vec<Watched>,
    resolver: Option<Arc<Resolver>>,
    /// When to see again whether the files of the system are still those that it was made of.
    look_at_system: Instant,
}

/// A group with sources among its entries.
struct Watched {
    group: Arc<Group>,
    sources: Vec<EndpointOptions>,
    /// Endpoints over all sources.
    most: usize,
    /// The last ones of each source.
    delivered: Vec<Vec<Found>>,
    too_many: bool,
}

impl Discovery {
    /// It does nothing until it is told what to watch, and until it runs.
    pub fn new(read: ReadFile) -> Discovery {
        let state = State {
            options: DnsOptions::default(),
            knowledge: Knowledge::default(),
            watched: Vec::new(),
            resolver: None,
            look_at_system: Instant::now(),
        };
        Discovery { state: Mutex::new(state), changed: Notify::new(), answered: Notify::new(), read }
    }

    /// From now on these groups get their endpoints, and no others. What is known of their names and files
    /// stays known and is delivered at once.
    pub fn watch(&self, options: &DnsOptions, groups: &[Arc<Group>]) {
        let mut state = self.state();
        state.options = options.clone();
        state.watched = groups.iter().map(Watched::of).collect();
        state.deliver();
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until each question has had its first answer, but not longer than a look-up may take. Then
    /// groups part with endpoints that only an earlier configuration had.
    pub async fn settle(&self) {
        self.wait_for_answers().await;
        for watched in &self.state().watched {
            watched.group.settled();
        }
    }

    async fn wait_for_answers(&self) {
        let deadline = Instant::now() + self.state().options.timeout;
        loop {
            let mut answered = std::pin::pin!(self.answered.notified());
            answered.as_mut().enable();
            if self.state().knowledge.is_complete() || timeout_at(deadline, answered).await.is_err() {
                return;
            }
        }
    }

    /// Runs for ever, on the runtime that is not a worker's.
    pub async fn run(&self) {
        let mut asked = JoinSet::new();
        let mut names = 0;
        loop {
            for (question, asking) in self.due(MAX_LOOKUPS - names) {
                names += usize::from(!matches!(question, Question::File(_)));
                asked.spawn(asking);
            }
            let next = self.state().next_due(Instant::now(), names < MAX_LOOKUPS);
            tokio::select! {
                Some(done) = asked.join_next() => {
                    let (question, outcome) = done.expect("a look-up is not cancelled, and tells its own panics");
                    names -= usize::from(!matches!(question, Question::File(_)));
                    self.note(&question, outcome);
                }
                () = sleep_until(next) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// For each source of all groups.
    pub fn facts(&self) -> Vec<SourceFacts> {
        let state = self.state();
        let mut facts = Vec::new();
        for watched in &state.watched {
            for (index, source) in watched.sources.iter().enumerate() {
                let standings = watched.standings(source, &state.knowledge);
                facts.push(SourceFacts {
                    upstream: watched.group.name.clone(),
                    source: source.address.to_string(),
                    endpoints: watched.delivered.get(index).map_or(0, Vec::len) as u64,
                    failing: standings.iter().any(|standing| standing.trouble.is_some()),
                    failures: standings.iter().map(|standing| standing.failures).sum(),
                });
            }
        }
        facts
    }

    /// What is to be asked now, ready to be awaited.
    fn due(&self, most: usize) -> Vec<(Question, impl Future<Output = (Question, Outcome)> + use<>)> {
        let mut state = self.state();
        let now = Instant::now();
        let resolver = state.resolver(now);
        let due = state.knowledge.take_due(now, most);
        let asking = |question: Question| {
            let stamp = match &question {
                Question::File(path) => state.knowledge.stamp(path),
                Question::Host(_) | Question::Srv(_) => None,
            };
            (question.clone(), ask(question, resolver.clone(), stamp, self.read))
        };
        due.into_iter().map(asking).collect()
    }

    fn note(&self, question: &Question, outcome: Outcome) {
        let mut state = self.state();
        let state = &mut *state;
        let random = RandomState::new().hash_one(question);
        let noted = state.knowledge.note(question, outcome, Instant::now(), &state.options, random);
        let told = noted.news.is_some();
        if let Some(news) = noted.news {
            notice(&news);
        }
        if noted.changed || told {
            state.deliver();
        }
        self.answered.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery").finish_non_exhaustive()
    }
}

impl State {
    /// Hands over what has changed. The names to ask for may be other ones now.
    fn deliver(&mut self) {
        let mut questions = HashSet::new();
        for watched in &mut self.watched {
            let sources = watched.sources.iter();
            questions
                .extend(sources.flat_map(|source| plan::questions(source, &self.knowledge, watched.most)));
            watched.deliver(&self.knowledge, self.options.addresses);
        }
        self.knowledge.want(&questions);
    }

    /// The one of now; made anew when the options or the files of the system have changed, and then every
    /// name is asked for again.
    fn resolver(&mut self, now: Instant) -> Result<Arc<Resolver>, String> {
        if let Some(resolver) = self.resolver.take() {
            let look = self.look_at_system <= now;
            if resolver.is_made_for(&self.options) && !(look && resolver.is_outdated()) {
                if look {
                    self.look_at_system = now + LOOK_AT_SYSTEM;
                }
                return Ok(self.resolver.insert(resolver).clone());
            }
            self.knowledge.ask_again(now);
        }
        Resolver::make(&self.options).map(|fresh| self.resolver.insert(Arc::new(fresh)).clone())
    }

    /// When to go on; `room` says whether another name may be asked for.
    fn next_due(&self, now: Instant, room: bool) -> Instant {
        let look = now + LOOK_AT_SYSTEM;
        self.knowledge.next_due(room).map_or(look, |due| due.min(look))
    }
}

impl Watched {
    fn of(group: &Arc<Group>) -> Watched {
        let options = group.options();
        let sources = options.endpoints.iter().filter(|entry| plan::is_source(entry)).cloned().collect();
        let (group, most) = (group.clone(), options.max_endpoints);
        Watched { group, sources, most, delivered: Vec::new(), too_many: false }
    }

    fn deliver(&mut self, known: &Knowledge, families: Families) {
        let (lists, too_many) = plan::endpoints(&self.sources, known, families, self.most);
        for (index, (source, list)) in self.sources.iter().zip(&lists).enumerate() {
            if self.delivered.get(index) != Some(list) {
                self.group.discovered(&source.address, Ok(list.clone()));
            }
            let trouble = self.standings(source, known).into_iter().find_map(|standing| standing.trouble);
            if let Some(trouble) = trouble {
                self.group.discovered(&source.address, Err(trouble));
            }
        }
        self.delivered = lists;
        if too_many > 0 && !self.too_many {
            notice(&format!(
                "upstream {}: {too_many} endpoints more than max_endpoints ({}) were found, they are not used",
                self.group.name, self.most
            ));
        }
        self.too_many = too_many > 0;
    }

    /// How things stand with all that a source goes by.
    fn standings(&self, source: &EndpointOptions, known: &Knowledge) -> Vec<Standing> {
        let questions = plan::questions(source, known, self.most);
        questions.iter().map(|question| known.standing(question)).collect()
    }
}

/// Asks one question; what goes wrong is the answer.
async fn ask(
    question: Question,
    resolver: Result<Arc<Resolver>, String>,
    stamp: Option<Stamp>,
    read: ReadFile,
) -> (Question, Outcome) {
    let outcome = match (&question, resolver) {
        (Question::File(path), _) => {
            let path = path.clone();
            let looking = spawn_blocking(move || file::look(&path, stamp, read));
            Outcome::File(looking.await.unwrap_or_else(|error| Look::failed(&error.to_string())))
        }
        (Question::Host(_), Err(why)) => Outcome::Host(Some(Reply::Failed(why)), None),
        (Question::Srv(_), Err(why)) => Outcome::Srv(Reply::Failed(why)),
        (Question::Host(host), Ok(resolver)) => {
            let host = host.clone();
            let looking = tokio::spawn(async move { resolver.addresses(&host).await });
            let (v4, v6) =
                looking.await.unwrap_or_else(|error| (Some(Reply::Failed(error.to_string())), None));
            Outcome::Host(v4, v6)
        }
        (Question::Srv(name), Ok(resolver)) => {
            let name = name.clone();
            let looking = tokio::spawn(async move { resolver.services(&name).await });
            Outcome::Srv(looking.await.unwrap_or_else(|error| Reply::Failed(error.to_string())))
        }
    };
    (question, outcome)
}
