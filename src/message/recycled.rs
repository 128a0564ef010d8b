//! Heads that a worker uses again: a request costs no allocation for them.

#![expect(clippy::vec_box, reason = "a head is lent out as a box, and comes back as one")]

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

use http1::{RequestHead, ResponseHead};

/// Free values that a worker keeps of each kind.
const KEPT: usize = 512;
/// A head that grew beyond this gives its memory back.
const MAX_KEPT_BYTES: usize = 8 << 10;

/// What can be emptied and used again.
pub trait Recycle: Default + 'static {
    /// The worker's free values.
    fn free() -> &'static LocalKey<RefCell<Vec<Box<Self>>>>;
    /// Empties it; false when it is too large to keep.
    fn reset(&mut self) -> bool;
}

/// A value from the worker's free list, which it returns to when dropped.
#[derive(Debug)]
pub struct Recycled<T: Recycle>(Option<Box<T>>);

impl<T: Recycle> Recycled<T> {
    pub fn take() -> Recycled<T> {
        Recycled(Some(T::free().with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl<T: Recycle> Deref for Recycled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().expect("only drop takes the value")
    }
}

impl<T: Recycle> DerefMut for Recycled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_deref_mut().expect("only drop takes the value")
    }
}

impl<T: Recycle> Drop for Recycled<T> {
    fn drop(&mut self) {
        let Some(mut value) = self.0.take() else { return };
        if !value.reset() {
            return;
        }
        let _ = T::free().try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(value);
            }
        });
    }
}

thread_local! {
    static REQUESTS: RefCell<Vec<Box<RequestHead>>> = const { RefCell::new(Vec::new()) };
    static RESPONSES: RefCell<Vec<Box<ResponseHead>>> = const { RefCell::new(Vec::new()) };
}

impl Recycle for RequestHead {
    fn free() -> &'static LocalKey<RefCell<Vec<Box<RequestHead>>>> {
        &REQUESTS
    }

    fn reset(&mut self) -> bool {
        self.fields.capacity() <= MAX_KEPT_BYTES
    }
}

impl Recycle for ResponseHead {
    fn free() -> &'static LocalKey<RefCell<Vec<Box<ResponseHead>>>> {
        &RESPONSES
    }

    fn reset(&mut self) -> bool {
        self.fields.capacity() <= MAX_KEPT_BYTES
    }
}
