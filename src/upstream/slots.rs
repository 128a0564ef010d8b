//! Small numbers for endpoints and groups: places in the tables that each worker has of them. A number is given
//! out again when its owner is gone, so the tables do not grow with what comes and goes.

use std::sync::{Arc, Mutex};

/// A number that nobody else has at the same time; free again when it is dropped.
#[derive(Debug)]
pub struct Slot {
    pub index: usize,
    from: Arc<Slots>,
}

#[derive(Debug, Default)]
pub struct Slots {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    returned: Vec<usize>,
    /// Numbers that were ever given out.
    made: usize,
}

impl Slots {
    pub fn take(from: &Arc<Slots>) -> Slot {
        let mut free = from.free.lock().expect("no panic while held");
        let index = free.returned.pop().unwrap_or_else(|| {
            free.made += 1;
            free.made - 1
        });
        Slot { index, from: from.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Ok(mut free) = self.from.free.lock() {
            free.returned.push(self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_small_and_come_back() {
        let slots = Arc::<Slots>::default();
        let take = || Slots::take(&slots);
        let (a, b, c) = (take(), take(), take());
        assert_eq!((a.index, b.index, c.index), (0, 1, 2));
        drop(b);
        assert_eq!(take().index, 1);
        let held: Vec<Slot> = (0..3).map(|_| take()).collect();
        let mut indices: Vec<usize> = held.iter().map(|slot| slot.index).collect();
        indices.sort_unstable();
        assert_eq!(indices, [1, 3, 4]);
    }
}
