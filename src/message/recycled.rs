//! Heads that a worker uses again: a request costs no allocation for them.
//!
//! This file has `unsafe`: a box that may be taken out once, at the end, costs a check at each use otherwise,
//! and a head is used many times.

#![expect(clippy::vec_box, reason = "a head is lent out as a box, and comes back as one")]

use std::cell::RefCell;
use std::mem::ManuallyDrop;
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
pub struct Recycled<T: Recycle>(ManuallyDrop<Box<T>>);

impl<T: Recycle> Recycled<T> {
    pub fn take() -> Recycled<T> {
        Recycled(ManuallyDrop::new(T::free().with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl<T: Recycle> Deref for Recycled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Recycle> DerefMut for Recycled<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Recycle> Drop for Recycled<T> {
    fn drop(&mut self) {
        // SAFETY: nobody can use the value after its drop, and this is the one place that takes it.
        let mut value = unsafe { ManuallyDrop::take(&mut self.0) };
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
