//! Everything that was loaded, kept over reloads and watched: certificates, authorities, keys of tickets.
//! What changes behind a path is used without a reload; what breaks there changes nothing.

mod expiry;
mod kept;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::expiry::Stage;
use self::kept::{Kept, Look, News, Stamps};
use crate::certificates::choice::Shelf;
use crate::certificates::load::Flaw;
use crate::certificates::resolver::Current;
use crate::certificates::tickets::Ring;
use crate::certificates::{Authority, CertificateOptions, ClientAuthOptions, Pair, Seconds, TicketKeys};
use crate::observe::notice;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// All files of a configuration, loaded and sound.
#[derive(Debug, Clone, Default)]
pub struct Material {
    pub certificates: Vec<(CertificateOptions, Arc<Pair>)>,
    pub authorities: Vec<(ClientAuthOptions, Arc<Authority>)>,
    pub ticket_keys: Vec<(PathBuf, TicketKeys)>,
}

/// One for the process.
#[derive(Debug, Default)]
pub struct Store {
    current: Current,
    /// The keys of listeners without a file.
    ring: Arc<Ring>,
    inner: Mutex<Inner>,
    policies_changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Changes with the configuration: a look that began under another one is of no use.
    generation: u64,
    pairs: Vec<KeptPair>,
    authorities: Vec<(ClientAuthOptions, Kept<Authority>)>,
    rings: Vec<(PathBuf, Arc<Ring>, Kept<TicketKeys>)>,
}

#[derive(Debug)]
struct KeptPair {
    options: CertificateOptions,
    kept: Kept<Pair>,
    /// Until which stage an operator was told of the certificate in use.
    told: Option<Stage>,
}

/// What there is to tell of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateStanding {
    pub name: String,
    pub names: Vec<String>,
    pub issuer: String,
    /// Until it ends; negative since it has.
    pub seconds_left: i64,
    /// What is wrong with its files; what was loaded before is used.
    pub trouble: Option<String>,
}

impl Store {
    /// Takes over what a new configuration was checked with.
    pub fn adopt(&self, material: &Material) {
        let mut inner = self.lock();
        inner.generation += 1;
        // Of certificates that stay an operator need not hear again.
        let told: BTreeMap<_, _> = inner.pairs.iter().map(|pair| (pair.kept.value.leaf, pair.told)).collect();
        let pairs = material.certificates.iter().map(|(options, pair)| KeptPair {
            options: options.clone(),
            kept: Kept::new(pair.clone()),
            told: told.get(&pair.leaf).copied().flatten(),
        });
        inner.pairs = pairs.collect();
        let authorities = material.authorities.iter();
        inner.authorities =
            authorities.map(|(options, kept)| (options.clone(), Kept::new(kept.clone()))).collect();
        let old = std::mem::take(&mut inner.rings);
        let rings = material.ticket_keys.iter().map(|(path, keys)| {
            let known = old.iter().find(|(known, ..)| known == path).map(|(_, ring, _)| ring.clone());
            let ring = known.unwrap_or_else(|| Arc::new(Ring::from_file(keys)));
            ring.replace(keys);
            (path.clone(), ring, Kept::new(Arc::new(keys.clone())))
        });
        inner.rings = rings.collect();
        self.fill_shelf(&inner);
        let news = inner.expiries(crate::certificates::now());
        drop(inner);
        news.iter().for_each(|news| notice(news));
    }

    /// Looks at all files every second, and uses what is in them. Never ends.
    pub async fn keep_current(self: Arc<Self>) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let store = self.clone();
            let looked =
                tokio::task::spawn_blocking(move || store.look(Instant::now(), crate::certificates::now()))
                    .await;
            if let Err(error) = looked
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Waits until authorities or their lists were replaced: what was built of them is to be built anew.
    pub async fn policies_changed(&self) {
        self.policies_changed.notified().await;
    }

    /// Every certificate, by name.
    pub fn standing(&self) -> Vec<CertificateStanding> {
        let now = crate::certificates::now();
        let standing = |KeptPair { kept, .. }: &KeptPair| CertificateStanding {
            name: kept.value.name.clone(),
            names: kept.value.names.clone(),
            issuer: kept.value.issuer.clone(),
            seconds_left: kept.value.not_after.saturating_sub(now),
            trouble: kept.trouble().map(str::to_owned),
        };
        let mut all: Vec<_> = self.lock().pairs.iter().map(standing).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// What is wrong with files of authorities and of ticket keys; what was loaded before is used.
    pub fn troubles(&self) -> Vec<String> {
        let inner = self.lock();
        let authorities = inner.authorities.iter().filter_map(|(_, kept)| kept.trouble());
        let rings = inner.rings.iter().filter_map(|(.., kept)| kept.trouble());
        authorities.chain(rings).map(str::to_owned).collect()
    }

    pub(in crate::certificates) fn current(&self) -> Current {
        self.current.clone()
    }

    /// As it is now.
    pub(in crate::certificates) fn authority(&self, options: &ClientAuthOptions) -> Arc<Authority> {
        let inner = self.lock();
        let found = inner.authorities.iter().find(|(known, _)| known == options);
        found.expect("the material of a configuration has all its authorities").1.value.clone()
    }

    pub(in crate::certificates) fn ring(&self, file: Option<&Path>) -> Arc<Ring> {
        let Some(file) = file else { return self.ring.clone() };
        let inner = self.lock();
        let found = inner.rings.iter().find(|(path, ..)| path == file);
        found.expect("the material of a configuration has all its ticket keys").1.clone()
    }

    /// One look at all files. Blocks while it reads; no lock is held meanwhile.
    pub(in crate::certificates) fn look(&self, now: Instant, clock: Seconds) {
        let watched = self.watched();
        let found = watched.look();
        self.note(&watched, found, now, clock);
    }

    pub(in crate::certificates) fn watched(&self) -> Watched {
        Watched::of(&self.lock())
    }

    /// Uses what was found, unless there is another configuration since.
    pub(in crate::certificates) fn note(
        &self,
        watched: &Watched,
        found: Found,
        now: Instant,
        clock: Seconds,
    ) {
        let (news, changed) = {
            let mut inner = self.lock();
            if inner.generation != watched.generation {
                return;
            }
            let mut news = Vec::new();
            if inner.note_pairs(found.pairs, now, &mut news) {
                self.fill_shelf(&inner);
            }
            let changed = inner.note_authorities(found.authorities, now, &mut news);
            inner.note_rings(found.rings, now, &mut news);
            news.extend(inner.expiries(clock));
            (news, changed)
        };
        if changed {
            self.policies_changed.notify_one();
        }
        news.iter().for_each(|news| notice(news));
    }

    #[cfg(test)]
    pub(in crate::certificates) fn expiries(&self, clock: Seconds) -> Vec<String> {
        self.lock().expiries(clock)
    }

    fn fill_shelf(&self, inner: &Inner) {
        let shelf = Shelf::new(inner.pairs.iter().map(|pair| pair.kept.value.clone()).collect());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
    }

    /// Whatever a panic left is whole: everything is replaced by assignment.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is looked at, apart from the lock.
pub(in crate::certificates) struct Watched {
    generation: u64,
    pairs: Vec<(CertificateOptions, Stamps)>,
    authorities: Vec<(ClientAuthOptions, Stamps)>,
    rings: Vec<(PathBuf, Stamps)>,
}

/// What was found, in the same order.
pub(in crate::certificates) struct Found {
    pairs: Vec<Option<Look<Pair>>>,
    authorities: Vec<Option<Look<Authority>>>,
    rings: Vec<Option<Look<TicketKeys>>>,
}

impl Watched {
    fn of(inner: &Inner) -> Watched {
        let pairs = inner.pairs.iter();
        let authorities = inner.authorities.iter();
        let rings = inner.rings.iter();
        Watched {
            generation: inner.generation,
            pairs: pairs.map(|pair| (pair.options.clone(), pair.kept.stamps.clone())).collect(),
            authorities: authorities.map(|(options, kept)| (options.clone(), kept.stamps.clone())).collect(),
            rings: rings.map(|(path, _, kept)| (path.clone(), kept.stamps.clone())).collect(),
        }
    }

    pub(in crate::certificates) fn look(&self) -> Found {
        let pair = |(options, last): &(CertificateOptions, Stamps)| {
            let files = [&options.certificate, &options.key].into_iter().chain(&options.ocsp);
            Look::at(files, last, || Pair::load(options))
        };
        let authority = |(options, last): &(ClientAuthOptions, Stamps)| {
            let files = std::iter::once(&options.ca).chain(&options.crl);
            Look::at(files, last, || Authority::load(options))
        };
        let ring = |(path, last): &(PathBuf, Stamps)| Look::at([path], last, || TicketKeys::load(path));
        Found {
            pairs: self.pairs.iter().map(pair).collect(),
            authorities: self.authorities.iter().map(authority).collect(),
            rings: self.rings.iter().map(ring).collect(),
        }
    }
}

impl Inner {
    /// True when one was renewed.
    fn note_pairs(&mut self, found: Vec<Option<Look<Pair>>>, now: Instant, news: &mut Vec<String>) -> bool {
        let mut renewed = false;
        for (pair, look) in self.pairs.iter_mut().zip(found) {
            let Some(look) = look else { continue };
            let leaf = pair.kept.value.leaf;
            let change = pair.kept.note(look, |pair| pair.content, now);
            renewed |= change == Some(News::Renewed);
            if pair.kept.value.leaf != leaf {
                pair.told = None;
            }
            news.extend(change.map(|change| told(&format!("certificate {}", pair.options.name), &change)));
        }
        renewed
    }

    /// True when one was replaced.
    fn note_authorities(
        &mut self,
        found: Vec<Option<Look<Authority>>>,
        now: Instant,
        news: &mut Vec<String>,
    ) -> bool {
        let mut changed = false;
        for ((options, kept), look) in self.authorities.iter_mut().zip(found) {
            let Some(change) = look.and_then(|look| kept.note(look, |kept| kept.content, now)) else {
                continue;
            };
            changed |= change == News::Renewed;
            news.push(told(&format!("client_ca {}", options.ca.display()), &change));
        }
        changed
    }

    fn note_rings(&mut self, found: Vec<Option<Look<TicketKeys>>>, now: Instant, news: &mut Vec<String>) {
        for ((path, ring, kept), look) in self.rings.iter_mut().zip(found) {
            let Some(change) = look.and_then(|look| kept.note(look, |kept| kept.content, now)) else {
                continue;
            };
            ring.replace(&kept.value);
            news.push(told(&format!("ticket_keys {}", path.display()), &change));
        }
    }

    /// What was not told yet of the ends of certificates.
    fn expiries(&mut self, clock: Seconds) -> Vec<String> {
        let mut news = Vec::new();
        for pair in &mut self.pairs {
            let value = &pair.kept.value;
            let stage = expiry::stage(value.not_before, value.not_after, clock);
            if stage <= pair.told {
                continue;
            }
            pair.told = stage;
            let left = expiry::left(value.not_after.saturating_sub(clock));
            news.push(match stage {
                Some(Stage::Over) => {
                    format!("certificate {}: it {left} and is used all the same", value.name)
                }
                _ => format!("certificate {}: it {left}", value.name),
            });
        }
        news
    }
}

fn told(what: &str, news: &News) -> String {
    match news {
        News::Renewed => format!("{what}: changed, used from now on"),
        News::Broken(why) => format!("{what}: {why}; the one before is used"),
        News::Mended => format!("{what}: well again"),
    }
}

/// What loads, for the check of a configuration: every file once, though several places name it.
impl Material {
    pub fn add_certificate(&mut self, options: CertificateOptions) -> Result<Arc<Pair>, Flaw> {
        let pair = Arc::new(Pair::load(&options)?);
        self.certificates.push((options, pair.clone()));
        Ok(pair)
    }

    pub fn add_authority(&mut self, options: &ClientAuthOptions) -> Result<(), Flaw> {
        if !self.authorities.iter().any(|(known, _)| known == options) {
            self.authorities.push((options.clone(), Arc::new(Authority::load(options)?)));
        }
        Ok(())
    }

    pub fn add_ticket_keys(&mut self, path: &Path) -> Result<(), Flaw> {
        if !self.ticket_keys.iter().any(|(known, _)| known == path) {
            self.ticket_keys.push((path.to_path_buf(), TicketKeys::load(path)?));
        }
        Ok(())
    }
}
