//! Buffers from a per-worker pool: taken when bytes are expected, given back while a connection is idle,
//! so that idle connections cost none.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Holds a usual head with its body; the size of a read.
const SMALL: usize = 16 << 10;
/// Holds the largest head that is allowed (64 KiB) and the first bytes after it; also the size in which
/// long bodies are relayed: fewer, larger reads and writes cost less per byte.
const LARGE: usize = 128 << 10;
/// Free buffers that a worker keeps of each size, 2 MiB each.
const KEPT: [usize; 2] = [128, 16];
/// Free scratch strings that a worker keeps, and how large they may be.
const KEPT_SCRATCH: usize = 512;
const MAX_SCRATCH: usize = 8 << 10;
/// Holds a usual head.
const USUAL_SCRATCH: usize = 1 << 10;

thread_local! {
    static FREE: RefCell<[Vec<Box<[u8]>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
    static FREE_SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes received and not yet used, and room for more.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// It was enlarged, and takes as much again after it gave its memory back.
    large: bool,
}

impl Buffer {
    /// A buffer without memory; it takes 16 KiB from the pool when room is asked for.
    pub fn new() -> Buffer {
        Buffer::default()
    }

    fn of_size(size: usize) -> Buffer {
        Buffer { bytes: memory(size), start: 0, end: 0, large: size == LARGE }
    }

    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// No byte more fits in. A buffer without memory is not full: it takes some when asked for room.
    pub fn is_full(&self) -> bool {
        self.len() == self.bytes.len() && !self.bytes.is_empty()
    }

    /// Forgets the first `count` bytes; more than there are is all of them.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Forgets everything behind the first `count` bytes.
    pub fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    /// Room for the next read: behind the data, after moving that to the front when no room is left.
    /// Empty when the buffer is full.
    pub fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            // Nothing is in the buffer: to put a whole new one in its place, and to drop the old one, cost 33
            // instructions more, twice a request.
            self.bytes = memory(if self.large { LARGE } else { SMALL });
        }
        if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes were written into [`Buffer::room`].
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Moves to a buffer of 128 KiB; false when this is one already.
    pub fn enlarge(&mut self) -> bool {
        if self.bytes.len() == LARGE {
            return false;
        }
        let mut larger = Buffer::of_size(LARGE);
        larger.bytes[..self.len()].copy_from_slice(self.data());
        larger.end = self.len();
        *self = larger;
        true
    }

    /// Gives the memory back while nothing is in it; it takes as much again when room is asked for.
    pub fn release_when_empty(&mut self) {
        if self.is_empty() && !self.bytes.is_empty() {
            (self.start, self.end) = (0, 0);
            give_back(std::mem::take(&mut self.bytes));
        }
    }

    /// Appends as much of `bytes` as fits into the room; returns how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.filled(count);
        count
    }
}

/// From the pool, or new.
fn memory(size: usize) -> Box<[u8]> {
    FREE.with_borrow_mut(|free| free[usize::from(size == LARGE)].pop())
        .unwrap_or_else(|| vec![0; size].into_boxed_slice())
}

fn give_back(bytes: Box<[u8]>) {
    // On a thread that is ending the pool may be gone; then the memory just goes too.
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        let size = usize::from(bytes.len() == LARGE);
        if free[size].len() < KEPT[size] {
            free[size].push(bytes);
        }
    });
}

impl Drop for Buffer {
    #[inline] // The look whether there is memory, that is.
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// A growing byte string for what is written, used again by the worker.
#[derive(Debug, Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    pub fn take() -> Scratch {
        Scratch(FREE_SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(USUAL_SCRATCH)))
    }
}

impl Deref for Scratch {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if bytes.capacity() == 0 || bytes.capacity() > MAX_SCRATCH {
            return;
        }
        bytes.clear();
        let _ = FREE_SCRATCH.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT_SCRATCH {
                free.push(bytes);
            }
        });
    }
}
