//! Interim answers (1xx, RFC 9110 section 15.2) on their way from the upstream to the client while the
//! final answer is still to come.

use std::cell::RefCell;

use http1::ResponseHead;

use super::Recycled;

/// Written by whoever reads the origin, emptied by the connection each time it polled the former.
#[derive(Debug, Default)]
pub struct Interim {
    waiting: RefCell<Vec<Recycled<ResponseHead>>>,
}

impl Interim {
    pub fn push(&self, head: Recycled<ResponseHead>) {
        self.waiting.borrow_mut().push(head);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    pub fn drain(&self) -> Vec<Recycled<ResponseHead>> {
        std::mem::take(&mut self.waiting.borrow_mut())
    }
}
