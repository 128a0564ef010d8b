//! The open connections of one worker: how many, and which of them are idle and may be closed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::connection::Connection;

/// A fraction of any sensible time-out.
const SWEEP: Duration = Duration::from_millis(200);

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
    connection: Rc<Connection>,
    /// Number of the listener that it came in by.
    listener: usize,
}

impl Roster {
    /// Notes a connection and the task that serves it.
    pub fn enter(&self, task: AbortHandle, connection: Rc<Connection>, listener: usize) {
        let mut entries = self.entries.borrow_mut();
        self.open.set(self.open.get() + 1);
        let place = self.free.borrow_mut().pop().unwrap_or(entries.len());
        connection.place.set(u32::try_from(place).unwrap_or(u32::MAX));
        let entry = Some(Entry { task, connection, listener });
        match entries.get_mut(place) {
            Some(free) => *free = entry,
            None => entries.push(entry),
        }
    }

    /// The connection ended.
    pub fn leave(&self, connection: &Connection) {
        let place = connection.place.get() as usize;
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
    pub fn close_one_idle(&self) -> bool {
        let entries = self.entries.borrow();
        loop {
            let waiting = entries.iter().flatten().filter(|entry| !entry.task.is_finished());
            let oldest = waiting
                .filter_map(|entry| Some((entry.connection.waiting()?.since, entry)))
                .min_by_key(|(since, _)| *since);
            let Some((_, entry)) = oldest else { return false };
            let idle = entry.connection.is_idle();
            entry.connection.leave_waiting();
            if idle {
                entry.task.abort();
                return true;
            }
        }
    }

    /// Closes connections that wait for a request for too long; runs for ever. It looks at all of them now
    /// and then, which costs less than a timer for each.
    pub async fn keep_closing_expired(self: Rc<Self>) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            sweep.tick().await;
            self.close_expired(Instant::now());
        }
    }

    fn close_expired(&self, now: Instant) {
        for entry in self.entries.borrow().iter().flatten() {
            let expired = entry.connection.waiting().is_some_and(|waiting| waiting.until <= now);
            if expired && entry.connection.is_idle() {
                entry.task.abort();
            }
        }
    }

    /// Closes the idle connections of one listener, or of all, but those that do so by themselves.
    pub fn close_idle(&self, listener: Option<usize>) {
        for entry in self.entries.borrow().iter().flatten() {
            let meant = listener.is_none_or(|listener| listener == entry.listener);
            if meant && entry.connection.is_idle() && !entry.connection.ends_itself() {
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
