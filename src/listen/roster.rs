//! The open connections of one worker: how many, and which of them are idle and may be closed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Since when a connection waits for a request; `None` while it has one.
pub type IdleSince = Cell<Option<Instant>>;

/// Keeps a handle of each connection's task.
#[derive(Debug, Default)]
pub struct Roster {
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
    open: Cell<usize>,
    emptied: Notify,
}

#[derive(Debug)]
struct Entry {
    task: AbortHandle,
    idle: Rc<IdleSince>,
    /// Number of the listener that it came in by.
    listener: usize,
}

impl Roster {
    /// Notes a connection; the number is for [`Roster::leave`].
    pub fn enter(&self, task: AbortHandle, idle: Rc<IdleSince>, listener: usize) -> usize {
        let entry = Some(Entry { task, idle, listener });
        let mut entries = self.entries.borrow_mut();
        self.open.set(self.open.get() + 1);
        match self.free.borrow_mut().pop() {
            Some(place) => {
                entries[place] = entry;
                place
            }
            None => {
                entries.push(entry);
                entries.len() - 1
            }
        }
    }

    /// The connection ended.
    pub fn leave(&self, place: usize) {
        let left = self.entries.borrow_mut().get_mut(place).and_then(Option::take);
        if left.is_some() {
            self.free.borrow_mut().push(place);
            self.open.set(self.open.get() - 1);
            if self.open.get() == 0 {
                self.emptied.notify_waiters();
            }
        }
    }

    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Closes the connection that is idle for the longest time, to make room; false when none is idle.
    /// One that became idle just now may have a request on its way.
    pub fn close_one_idle(&self) -> bool {
        let entries = self.entries.borrow();
        let idle = entries.iter().flatten().filter(|entry| !entry.task.is_finished());
        let oldest =
            idle.filter_map(|entry| Some((entry.idle.get()?, entry))).min_by_key(|(since, _)| *since);
        if let Some((_, entry)) = oldest {
            entry.idle.set(None);
            entry.task.abort();
        }
        oldest.is_some()
    }

    /// Closes the idle connections of one listener, or of all.
    pub fn close_idle(&self, listener: Option<usize>) {
        for entry in self.entries.borrow().iter().flatten() {
            if entry.idle.get().is_some() && listener.is_none_or(|listener| listener == entry.listener) {
                entry.task.abort();
            }
        }
    }

    /// Cuts every connection.
    pub fn close_all(&self) {
        for entry in self.entries.borrow().iter().flatten() {
            entry.task.abort();
        }
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        while self.open.get() > 0 {
            self.emptied.notified().await;
        }
    }
}
