//! What a worker found lately, so that a file that is asked for often is neither looked for nor opened each time.
//! It is believed for a second; files, folders and the root itself may be changed and swapped at any time.
//!
//! Bounded in entries, open files and memory. What was not asked for in a while is let go, lest a file that was
//! deleted keep its place on the disk.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::found::{Form, Found};
use super::open::Root;

/// So long what was found counts without another look.
const BELIEVED: Duration = Duration::from_secs(1);
/// So long it is kept without being asked for.
const KEPT: Duration = Duration::from_secs(10);
/// Limits of one worker: open files (each entry counts as one at least), and bytes of small ones.
pub const MOST_OPEN: usize = 512;
const MOST_BYTES: usize = 8 << 20;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

#[derive(Default)]
struct Cache {
    /// By the number of the target.
    roots: HashMap<u64, (Arc<Root>, Instant)>,
    places: HashMap<Box<[u8]>, usize>,
    slots: Vec<Slot>,
    /// Next slot that is looked at when there is too much.
    hand: usize,
    weight: Weight,
    is_swept: bool,
}

struct Slot {
    key: Box<[u8]>,
    found: Rc<Found>,
    /// Below which it was found.
    root: Arc<Root>,
    checked: Instant,
    asked: Instant,
    /// Since the hand came by.
    used: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weight {
    files: usize,
    bytes: usize,
}

/// The root of a target, when it was looked at lately.
pub fn root(target: u64, now: Instant) -> Option<Arc<Root>> {
    CACHE.with_borrow(|cache| {
        let (root, checked) = cache.roots.get(&target)?;
        is_believed(*checked, now).then(|| root.clone())
    })
}

/// Keeps a root that was opened now; the one from before when it is the same.
pub fn keep_root(target: u64, root: Root, now: Instant) -> Arc<Root> {
    CACHE.with_borrow_mut(|cache| {
        let root = match cache.roots.get(&target) {
            Some((before, _)) if before.is_same(&root) => before.clone(),
            _ => Arc::new(root),
        };
        cache.roots.insert(target, (root.clone(), now));
        cache.sweep_later();
        root
    })
}

/// What was found under `key` below `root` lately.
pub fn found(key: &[u8], root: &Arc<Root>, now: Instant) -> Option<Rc<Found>> {
    CACHE.with_borrow_mut(|cache| {
        let place = *cache.places.get(key)?;
        let slot = cache.slots.get_mut(place)?;
        slot.used = true;
        slot.asked = now;
        (is_believed(slot.checked, now) && Arc::ptr_eq(&slot.root, root)).then(|| slot.found.clone())
    })
}

/// Keeps what was found now; what was kept before, when it is the same.
pub fn keep(key: &[u8], root: &Arc<Root>, found: Found, now: Instant) -> Rc<Found> {
    CACHE.with_borrow_mut(|cache| cache.keep(key, root, found, now))
}

/// It has turned out to be wrong.
pub fn forget(key: &[u8]) {
    CACHE.with_borrow_mut(|cache| {
        if let Some(place) = cache.places.get(key) {
            cache.remove(*place);
        }
    });
}

fn is_believed(checked: Instant, now: Instant) -> bool {
    now.saturating_duration_since(checked) < BELIEVED
}

impl Cache {
    fn keep(&mut self, key: &[u8], root: &Arc<Root>, found: Found, now: Instant) -> Rc<Found> {
        if let Some(slot) = self.places.get(key).and_then(|place| self.slots.get_mut(*place))
            && *slot.found == found
        {
            forms(&slot.found).for_each(|form| form.file.forget_warmth());
            slot.checked = now;
            slot.root = root.clone();
            return slot.found.clone();
        }
        if let Some(place) = self.places.get(key) {
            self.remove(*place);
        }
        let found = Rc::new(found);
        let weight = Weight::of(&found);
        if weight.files > MOST_OPEN || weight.bytes > MOST_BYTES {
            return found;
        }
        self.weight.files += weight.files;
        self.weight.bytes += weight.bytes;
        while self.weight.files > MOST_OPEN || self.weight.bytes > MOST_BYTES {
            self.remove_one();
        }
        self.places.insert(key.into(), self.slots.len());
        let (found_too, root) = (found.clone(), root.clone());
        self.slots.push(Slot { key: key.into(), found, root, checked: now, asked: now, used: false });
        self.sweep_later();
        found_too
    }

    /// The next that was not used since the hand came by.
    fn remove_one(&mut self) {
        // After one round nothing counts as used.
        for _ in 0..=self.slots.len() {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            match self.slots.get_mut(self.hand) {
                None => {
                    self.weight = Weight::default();
                    return;
                }
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.hand += 1;
                }
                Some(_) => break,
            }
        }
        self.remove(self.hand);
    }

    fn remove(&mut self, place: usize) {
        if place >= self.slots.len() {
            return;
        }
        let slot = self.slots.swap_remove(place);
        self.places.remove(&slot.key);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.key.clone(), place);
        }
        let weight = Weight::of(&slot.found);
        self.weight.files -= weight.files;
        self.weight.bytes -= weight.bytes;
    }

    /// Lets go of what nobody asked for; false when nothing is left.
    fn sweep(&mut self, now: Instant) -> bool {
        let is_idle = |last: Instant| now.saturating_duration_since(last) >= KEPT;
        let mut place = 0;
        while let Some(slot) = self.slots.get(place) {
            if is_idle(slot.asked) { self.remove(place) } else { place += 1 }
        }
        self.roots.retain(|_, (_, checked)| !is_idle(*checked));
        self.is_swept = !self.slots.is_empty() || !self.roots.is_empty();
        self.is_swept
    }

    fn sweep_later(&mut self) {
        if std::mem::replace(&mut self.is_swept, true) {
            return;
        }
        tokio::task::spawn_local(async {
            loop {
                tokio::time::sleep(KEPT).await;
                if !CACHE.with_borrow_mut(|cache| cache.sweep(Instant::now())) {
                    return;
                }
            }
        });
    }
}

impl Weight {
    fn of(found: &Found) -> Weight {
        let mut weight = Weight::default();
        for form in forms(found) {
            weight.files += usize::from(form.file.descriptor().is_some());
            weight.bytes += form.file.memory();
        }
        weight.files = weight.files.max(1);
        weight
    }
}

fn forms(found: &Found) -> impl Iterator<Item = &Form> {
    let file = match found {
        Found::File(file) => Some(file),
        Found::Folder | Found::FolderWithoutSlash => None,
    };
    file.into_iter()
        .flat_map(|file| std::iter::once(&file.plain).chain(file.encoded.iter().map(|(_, form)| form)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::open::Patience;

    fn key(number: usize) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let root = Arc::new(Root::open(std::path::Path::new("/"), Patience::Any).unwrap());
        // Nobody sweeps here.
        let mut cache = Cache { is_swept: true, ..Cache::default() };
        let start = Instant::now();
        for number in 0..5000 {
            cache.keep(&key(number), &root, Found::Folder, start);
            if let Some(place) = cache.places.get(&key(7)[..]).copied() {
                cache.slots[place].used = true;
            }
            assert!(cache.weight.files <= MOST_OPEN && cache.weight.files == cache.slots.len());
            assert_eq!(cache.places.len(), cache.slots.len());
        }
        assert!(cache.places.contains_key(&key(7)[..]), "it was used all the time");
        assert!(cache.places.contains_key(&key(4999)[..]) && !cache.places.contains_key(&key(0)[..]));
        for (place, slot) in cache.slots.iter().enumerate() {
            assert_eq!(cache.places.get(&slot.key), Some(&place));
        }
        // What is found to be the same keeps its place, what is not takes it.
        let before = cache.keep(&key(7), &root, Found::Folder, start);
        assert!(Rc::ptr_eq(&before, &cache.keep(&key(7), &root, Found::Folder, start)));
        assert!(!Rc::ptr_eq(&before, &cache.keep(&key(7), &root, Found::FolderWithoutSlash, start)));
        // All of it goes when nobody asks.
        assert!(cache.sweep(start + KEPT / 2));
        cache.keep(&key(8), &root, Found::FolderWithoutSlash, start + KEPT / 2);
        assert!(cache.sweep(start + KEPT));
        assert_eq!((cache.slots.len(), cache.weight.files), (1, 1));
        assert!(!cache.sweep(start + 2 * KEPT));
        assert_eq!(cache.weight, Weight::default());
    }
}
