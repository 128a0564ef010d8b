//! The number of the worker that runs on this thread.

use std::cell::Cell;

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// Index of this thread's worker, from 0; 0 on a thread that is no worker.
pub fn index() -> usize {
    INDEX.get()
}

/// Called once by each worker when it starts.
pub fn set_index(index: usize) {
    INDEX.set(index);
}
