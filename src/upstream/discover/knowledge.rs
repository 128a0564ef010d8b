//! All that has been found out, by question: what is known, when it is asked for again, and what of it is
//! news. Plain functions of answers and the time.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::DnsOptions;
use super::answer::{Reply, Service, both, single};
use super::file::Look;
use super::kept::{self, Answer, Kept, News};
use crate::upstream::EndpointOptions;
use crate::wire::Stamp;

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    Host(String),
    Srv(String),
    File(PathBuf),
}

/// What came back.
#[derive(Debug)]
pub enum Outcome {
    Host(Option<Reply<IpAddr>>, Option<Reply<IpAddr>>),
    Srv(Reply<Service>),
    File(Look),
}

#[derive(Debug, Default)]
pub struct Knowledge {
    hosts: BTreeMap<String, Topic<Kept<IpAddr>>>,
    services: BTreeMap<String, Topic<Kept<Service>>>,
    files: BTreeMap<PathBuf, Topic<Listing>>,
}

#[derive(Debug)]
struct Topic<K> {
    known: K,
    turn: Turn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Never asked.
    First,
    /// To be asked again then.
    At(Instant),
    /// Asked for the first time, and no answer yet.
    AskedFirst,
    Asked,
}

/// The endpoints of a file as they were when it was last in order.
#[derive(Debug, Default)]
struct Listing {
    listed: Vec<EndpointOptions>,
    stamp: Option<Stamp>,
    trouble: Option<String>,
    failures: u64,
}

/// How things stand with one question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Why it was not answered, the last time.
    pub trouble: Option<String>,
    /// Times that it was not answered.
    pub failures: u64,
}

/// What came of taking an outcome in.
#[derive(Debug, Default)]
pub struct Noted {
    /// Something else is known than before.
    pub changed: bool,
    /// What to tell the operator.
    pub news: Option<String>,
}

/// A file is looked at this often.
const LOOK: Duration = Duration::from_secs(1);

impl<K: Default> Default for Topic<K> {
    fn default() -> Self {
        Topic { known: K::default(), turn: Turn::First }
    }
}

impl Turn {
    fn take(&mut self, now: Instant) -> bool {
        let (due, asked) = match *self {
            Turn::First => (true, Turn::AskedFirst),
            Turn::At(then) => (then <= now, Turn::Asked),
            asked => (false, asked),
        };
        if due {
            *self = asked;
        }
        due
    }

    fn is_answered(self) -> bool {
        matches!(self, Turn::At(_) | Turn::Asked)
    }
}

impl Knowledge {
    pub fn addresses(&self, host: &str) -> &[IpAddr] {
        self.hosts.get(host).map_or(&[], |topic| topic.known.records())
    }

    pub fn services(&self, name: &str) -> &[Service] {
        self.services.get(name).map_or(&[], |topic| topic.known.records())
    }

    pub fn listed(&self, path: &Path) -> &[EndpointOptions] {
        self.files.get(path).map_or(&[], |topic| &topic.known.listed)
    }

    /// What the file was like when it was last read.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        self.files.get(path).and_then(|topic| topic.known.stamp)
    }

    /// From now on these are asked for, and only these.
    pub fn want(&mut self, questions: &HashSet<Question>) {
        for question in questions {
            match question {
                Question::Host(host) => drop(self.hosts.entry(host.clone()).or_default()),
                Question::Srv(name) => drop(self.services.entry(name.clone()).or_default()),
                Question::File(path) => drop(self.files.entry(path.clone()).or_default()),
            }
        }
        self.hosts.retain(|host, _| questions.contains(&Question::Host(host.clone())));
        self.services.retain(|name, _| questions.contains(&Question::Srv(name.clone())));
        self.files.retain(|path, _| questions.contains(&Question::File(path.clone())));
    }

    /// Up to `most` names whose turn it is, and all such files; they count as asked from now on.
    pub fn take_due(&mut self, now: Instant, most: usize) -> Vec<Question> {
        let hosts =
            self.hosts.iter_mut().map(|(host, topic)| (Question::Host(host.clone()), &mut topic.turn));
        let services =
            self.services.iter_mut().map(|(name, topic)| (Question::Srv(name.clone()), &mut topic.turn));
        let mut due = Vec::new();
        for (question, turn) in services.chain(hosts) {
            if due.len() < most && turn.take(now) {
                due.push(question);
            }
        }
        for (path, topic) in &mut self.files {
            if topic.turn.take(now) {
                due.push(Question::File(path.clone()));
            }
        }
        due
    }

    /// When something is due next; what was asked does not count, nor do names while there is no `room` for
    /// another look-up.
    pub fn next_due(&self, room: bool) -> Option<Instant> {
        let names = room.then(|| self.names()).into_iter().flatten();
        names
            .chain(self.files())
            .filter_map(|turn| match turn {
                Turn::At(then) => Some(then),
                Turn::First | Turn::AskedFirst | Turn::Asked => None,
            })
            .min()
    }

    /// True when each question has been answered, well or badly.
    pub fn is_complete(&self) -> bool {
        self.names().chain(self.files()).all(Turn::is_answered)
    }

    fn names(&self) -> impl Iterator<Item = Turn> {
        let services = self.services.values().map(|topic| topic.turn);
        self.hosts.values().map(|topic| topic.turn).chain(services)
    }

    fn files(&self) -> impl Iterator<Item = Turn> {
        self.files.values().map(|topic| topic.turn)
    }

    /// Everything is asked for again at once: the name servers are other ones.
    pub fn ask_again(&mut self, now: Instant) {
        let hosts = self.hosts.values_mut().map(|topic| &mut topic.turn);
        for turn in hosts.chain(self.services.values_mut().map(|topic| &mut topic.turn)) {
            if let Turn::At(then) = turn {
                *then = now.min(*then);
            }
        }
    }

    /// Takes an outcome in; nothing comes of one that nobody wants any more. `random` is any number.
    pub fn note(
        &mut self,
        question: &Question,
        outcome: Outcome,
        now: Instant,
        options: &DnsOptions,
        random: u64,
    ) -> Noted {
        match (question, outcome) {
            (Question::Host(host), Outcome::Host(v4, v6)) => self.hosts.get_mut(host).map(|topic| {
                let answer = both(v4, v6, topic.known.records());
                topic.note(host, answer, now, options, random)
            }),
            (Question::Srv(name), Outcome::Srv(reply)) => self.services.get_mut(name).map(|topic| {
                let answer = single(reply, topic.known.records());
                topic.note(name, answer, now, options, random)
            }),
            (Question::File(path), Outcome::File(look)) => self.files.get_mut(path).map(|topic| {
                topic.turn = Turn::At(now + LOOK);
                topic.known.note(path, look)
            }),
            _ => None,
        }
        .unwrap_or_default()
    }

    pub fn standing(&self, question: &Question) -> Standing {
        match question {
            Question::Host(host) => self.hosts.get(host).map(|topic| topic.known.standing()),
            Question::Srv(name) => self.services.get(name).map(|topic| topic.known.standing()),
            Question::File(path) => self.files.get(path).map(|topic| topic.known.standing()),
        }
        .unwrap_or_default()
    }
}

impl<T: Clone + Ord> Topic<Kept<T>> {
    fn note(
        &mut self,
        name: &str,
        answer: Answer<T>,
        now: Instant,
        options: &DnsOptions,
        random: u64,
    ) -> Noted {
        let noted = self.known.note(answer, now, options);
        self.turn = Turn::At(now + kept::spread(noted.next, options.min_ttl, random));
        Noted { changed: noted.changed, news: noted.news.map(|news| tell(name, news, options)) }
    }
}

impl Listing {
    fn standing(&self) -> Standing {
        // The first line of a report says what is wrong.
        let trouble = self.trouble.as_ref().and_then(|report| report.lines().next()).map(str::to_owned);
        Standing { trouble, failures: self.failures }
    }

    /// A change is told, and a mistake once.
    fn note(&mut self, path: &Path, look: Look) -> Noted {
        let Look::Read { stamp, content } = look else { return Noted::default() };
        self.stamp = stamp;
        match content {
            Ok(listed) => {
                let recovered = self.trouble.take().is_some();
                let first = self.listed.is_empty();
                let changed = self.listed != listed;
                self.listed = listed;
                let told = recovered || (changed && !first);
                let news = told.then(|| format!("{} read: {} endpoints", path.display(), self.listed.len()));
                Noted { changed, news }
            }
            Err(why) => {
                self.failures += 1;
                let told = self.trouble.as_ref() != Some(&why);
                let text =
                    format!("{} is not used, its endpoints of before are kept:\n{why}", path.display());
                self.trouble = Some(why);
                Noted { changed: false, news: told.then_some(text) }
            }
        }
    }
}

fn tell(name: &str, news: News, options: &DnsOptions) -> String {
    match news {
        News::Failing { why, kept: true } => {
            format!("name {name} not resolved ({why}): what was found before is kept")
        }
        News::Failing { why, kept: false } => format!("name {name} not resolved ({why})"),
        News::GivenUp => format!(
            "name {name} not resolved for {} s (keep_stale): what was found before is given up",
            options.keep_stale.as_secs()
        ),
        News::Recovered => format!("name {name} resolved again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Question {
        Question::Host(name.to_string())
    }

    fn file() -> Question {
        Question::File("list".into())
    }

    fn wanting(questions: &[Question]) -> Knowledge {
        let mut knowledge = Knowledge::default();
        knowledge.want(&questions.iter().cloned().collect());
        knowledge
    }

    fn good() -> Outcome {
        let address = "10.0.0.1".parse().unwrap();
        Outcome::Host(Some(Reply::Records(vec![address], Duration::from_secs(30))), None)
    }

    #[test]
    fn only_so_many_names_are_asked_at_once_and_files_beside_them() {
        let now = Instant::now();
        let mut knowledge = wanting(&[host("a"), host("b"), host("c"), file()]);
        assert_eq!(knowledge.take_due(now, 2), [host("a"), host("b"), file()]);
        assert_eq!(knowledge.take_due(now, 0), []);
        assert_eq!(knowledge.take_due(now, 2), [host("c")]);
        assert_eq!(knowledge.take_due(now, 2), []);
        assert_eq!(knowledge.next_due(true), None);
    }

    #[test]
    fn a_question_comes_up_again_when_its_answer_is_over() {
        let (now, options) = (Instant::now(), DnsOptions::default());
        let mut knowledge = wanting(&[host("a")]);
        assert!(!knowledge.is_complete());
        knowledge.take_due(now, 9);
        assert!(!knowledge.is_complete());
        assert!(knowledge.note(&host("a"), good(), now, &options, 0).changed);
        assert!(knowledge.is_complete());
        let over = now + Duration::from_secs(30);
        assert_eq!(knowledge.next_due(true), Some(over));
        assert_eq!(knowledge.take_due(over - Duration::from_millis(1), 9), []);
        assert_eq!(knowledge.take_due(over, 9), [host("a")]);
        assert!(knowledge.is_complete(), "it was answered once");
        assert!(!knowledge.note(&host("a"), good(), over, &options, 0).changed);
        knowledge.ask_again(over);
        assert_eq!(knowledge.take_due(over, 9), [host("a")]);
    }

    /// Who waits for a time that is past does not wait at all.
    #[test]
    fn a_name_that_waits_for_room_is_not_due() {
        let (now, options) = (Instant::now(), DnsOptions::default());
        let mut knowledge = wanting(&[host("a"), host("b"), file()]);
        for question in knowledge.take_due(now, 9) {
            let outcome = if question == file() { Outcome::File(Look::Unchanged) } else { good() };
            knowledge.note(&question, outcome, now, &options, 0);
        }
        let over = now + Duration::from_secs(30);
        assert_eq!(knowledge.take_due(over, 1), [host("a"), file()]);
        assert_eq!(knowledge.next_due(true), Some(over));
        assert_eq!(knowledge.next_due(false), None);
        knowledge.note(&file(), Outcome::File(Look::Unchanged), over, &options, 0);
        assert_eq!(knowledge.next_due(false), Some(over + LOOK));
    }

    #[test]
    fn an_answer_that_comes_too_late_is_nothing() {
        let (now, options) = (Instant::now(), DnsOptions::default());
        let mut knowledge = wanting(&[host("a")]);
        knowledge.take_due(now, 9);
        knowledge.want(&HashSet::new());
        assert!(!knowledge.note(&host("a"), good(), now, &options, 0).changed);
        assert_eq!(knowledge.addresses("a"), [] as [IpAddr; 0]);
    }

    #[test]
    fn a_broken_file_keeps_its_endpoints_and_is_told_once() {
        let (now, options) = (Instant::now(), DnsOptions::default());
        let mut knowledge = wanting(&[file()]);
        let entry = |weight| EndpointOptions {
            address: crate::upstream::EndpointAddress::Unix("/a".into()),
            weight,
            tier: 0,
        };
        let mut news = |content: Result<Vec<EndpointOptions>, &str>| {
            let content = content.map_err(str::to_string);
            let noted =
                knowledge.note(&file(), Outcome::File(Look::Read { stamp: None, content }), now, &options, 0);
            (noted.changed, noted.news.is_some(), knowledge.listed(Path::new("list")).to_vec())
        };
        assert_eq!(news(Ok(vec![entry(1)])), (true, false, vec![entry(1)]));
        assert_eq!(news(Err("line 1")), (false, true, vec![entry(1)]));
        assert_eq!(news(Err("line 1")), (false, false, vec![entry(1)]));
        assert_eq!(news(Err("line 2")), (false, true, vec![entry(1)]));
        assert_eq!(news(Ok(vec![entry(1)])), (false, true, vec![entry(1)]));
        assert_eq!(news(Ok(vec![entry(2)])), (true, true, vec![entry(2)]));
        assert_eq!(knowledge.standing(&file()), Standing { trouble: None, failures: 3 });
    }
}
