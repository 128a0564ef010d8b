//! What the encoder knows of the past: which pairs and names came lately, and where they are in the table.

/// Both take the upper half of a hash, which has the better bits.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

const SETS: usize = 32;
const WAYS: usize = 4;

const SEEN_SETS: usize = 16;

/// Remembers what came lately, so that only what comes again gets an entry: a value that is never repeated must not
/// push out those that are.
#[derive(Debug)]
pub struct Seen {
    /// By the last bits of the tag, those that were there, the latest first. A wrong answer costs an entry, nothing
    /// else.
    sets: [[u32; WAYS]; SEEN_SETS],
}

impl Seen {
    pub fn new() -> Seen {
        Seen { sets: [[0; WAYS]; SEEN_SETS] }
    }

    /// Whether this one was here lately.
    pub fn contains(&self, hash: u64) -> bool {
        let tag = tag(hash);
        self.sets[tag as usize % SEEN_SETS].contains(&tag)
    }

    /// Whether this one was here lately; from now on it was.
    pub fn again(&mut self, hash: u64) -> bool {
        let tag = tag(hash);
        let set = &mut self.sets[tag as usize % SEEN_SETS];
        let known = set.contains(&tag);
        if !known {
            set.rotate_right(1);
            set[0] = tag;
        }
        known
    }
}

/// From a hash to the number of an entry in the dynamic table. Only a hint: who looks compares the entry, which may
/// also be gone by now; and one that is crowded out is written and learned again.
#[derive(Debug)]
pub struct Index {
    sets: [[Slot; WAYS]; SETS],
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    number: u32,
}

impl Index {
    pub fn new() -> Index {
        // Older than the very first entry, which is number 0.
        Index { sets: [[Slot { tag: 0, number: u32::MAX }; WAYS]; SETS] }
    }

    #[inline]
    pub fn get(&self, hash: u64) -> Option<u32> {
        let tag = tag(hash);
        let set = &self.sets[tag as usize % SETS];
        set.iter().find(|slot| slot.tag == tag).map(|slot| slot.number)
    }

    /// Takes the place of the same hash, or else that of the oldest; `number` is that of the newest entry.
    pub fn insert(&mut self, hash: u64, number: u32) {
        let tag = tag(hash);
        let set = &mut self.sets[tag as usize % SETS];
        let age = |slot: &Slot| if slot.tag == tag { u32::MAX } else { number.wrapping_sub(slot.number) };
        if let Some(slot) = set.iter_mut().max_by_key(|slot| age(slot)) {
            *slot = Slot { tag, number };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(tag: u32) -> u64 {
        u64::from(tag) << 32
    }

    #[test]
    fn the_second_time_is_known() {
        let mut seen = Seen::new();
        assert!(!seen.contains(hash(7)));
        assert!(!seen.again(hash(7)));
        assert!(seen.contains(hash(7)));
        assert!(seen.again(hash(7)));
        let others = (1..=WAYS).map(|n| hash(7 + (n * SEEN_SETS) as u32));
        for other in others.clone().take(WAYS - 1) {
            assert!(!seen.again(other));
            assert!(seen.again(hash(7)), "there is room for both");
        }
        assert!(!seen.again(hash(8)), "elsewhere");
        for other in others {
            seen.again(other);
        }
        assert!(!seen.again(hash(7)), "it was crowded out");
    }

    #[test]
    fn the_oldest_of_a_set_makes_room_and_nothing_is_there_twice() {
        let mut index = Index::new();
        let member = |n: usize| hash((5 + n * SETS) as u32);
        for number in 0..WAYS {
            index.insert(member(number), number as u32);
        }
        assert!((0..WAYS).all(|n| index.get(member(n)) == Some(n as u32)));
        index.insert(member(0), 10);
        assert_eq!(index.get(member(0)), Some(10));
        index.insert(member(WAYS), 11);
        let found: Vec<_> = (0..=WAYS).map(|n| index.get(member(n))).collect();
        assert_eq!(found, [Some(10), None, Some(2), Some(3), Some(11)]);
        assert_eq!(index.get(hash(6)), None);
    }
}
