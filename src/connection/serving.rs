//! What the connections of a listener serve by, and whether they are to end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{ClientLimits, Entrance};
use crate::message::Http2;
use crate::proxy::Proxy;

/// What the connections of one worker and one listener share.
#[derive(Debug)]
pub struct Serving {
    /// Counted per worker: a clone for each request touches no memory that workers share.
    current: RefCell<Rc<Current>>,
    /// Connections end after the request that they are at.
    draining: Cell<bool>,
    drained: Notify,
}

/// The configuration of now.
#[derive(Debug)]
pub struct Current {
    pub proxy: Arc<Proxy>,
    pub limits: Arc<ClientLimits>,
    pub entrance: Entrance,
}

impl Serving {
    pub fn new(current: Rc<Current>) -> Serving {
        Serving { current: RefCell::new(current), draining: Cell::new(false), drained: Notify::new() }
    }

    /// Each request asks anew.
    pub fn current(&self) -> Rc<Current> {
        self.current.borrow().clone()
    }

    /// Something comes before the first request, or may.
    pub(super) fn has_entrance(&self) -> bool {
        let current = self.current.borrow();
        current.entrance.handshakes.is_some() || current.entrance.http2 != Http2::Off
    }

    /// The first bytes of a connection may be HTTP/1.
    pub fn begins_with_http1(&self) -> bool {
        let current = self.current.borrow();
        current.entrance.handshakes.is_none() && current.entrance.http2 != Http2::Only
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.current.borrow().limits.idle_timeout
    }

    pub fn change(&self, current: Rc<Current>) {
        *self.current.borrow_mut() = current;
    }

    pub fn drain(&self) {
        self.draining.set(true);
        self.drained.notify_waiters();
    }

    /// Over when connections are to end.
    pub(super) async fn drained(&self) {
        if !self.draining.get() {
            self.drained.notified().await;
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }
}
