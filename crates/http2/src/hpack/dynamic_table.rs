//! The dynamic table (RFC 7541 2.3.2, 4): the newest entries that fit, both sides' the same.

use super::OVERHEAD;

/// Entries in the order of their age. Their bytes are one behind the other in one buffer: new ones are appended,
/// and what is left is moved to the front when more than half of the buffer belongs to entries that are gone.
#[derive(Debug)]
pub struct DynamicTable {
    text: Vec<u8>,
    /// A ring: entry `number` is at the place that its last bits say. Its length is a power of two, or 0.
    ring: Vec<Entry>,
    count: u32,
    /// Position of the first byte of `text`, counted as if nothing had ever been moved; may wrap.
    base: u32,
    size: usize,
    max_size: usize,
    inserted: u32,
}

#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    /// Position of the name, counted like `base`.
    start: u32,
    name: u32,
    length: u32,
}

/// No table is larger than this many bytes, whatever was asked for: positions have 32 bits.
const MAX_SIZE: usize = 1 << 30;

impl DynamicTable {
    /// A table of at most `max_size` bytes; memory is taken as it fills.
    pub fn new(max_size: usize) -> DynamicTable {
        let max_size = max_size.min(MAX_SIZE);
        DynamicTable { text: Vec::new(), ring: Vec::new(), count: 0, base: 0, size: 0, max_size, inserted: 0 }
    }

    pub fn max_size(&self) -> usize {
        self.max_size
    }

    /// Forgets what has no more room.
    pub fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size.min(MAX_SIZE);
        self.evict_to(self.max_size);
    }

    /// Entry `index`, 0 is the newest: name and value one behind the other, and the length of the name.
    #[inline]
    pub fn get(&self, index: usize) -> Option<(&[u8], usize)> {
        if index >= self.count as usize {
            return None;
        }
        let entry = self.entry(self.inserted.wrapping_sub(1).wrapping_sub(index as u32))?;
        let start = entry.start.wrapping_sub(self.base) as usize;
        let text = self.text.get(start..start + entry.length as usize)?;
        Some((text, entry.name as usize))
    }

    /// Insertions so far; may wrap. The newest entry is number `inserted() - 1`.
    pub fn inserted(&self) -> u32 {
        self.inserted
    }

    /// The index that the entry with that number has now; [`DynamicTable::get`] knows whether it is gone.
    #[inline]
    pub fn index_of(&self, number: u32) -> usize {
        self.inserted.wrapping_sub(1).wrapping_sub(number) as usize
    }

    #[inline]
    fn entry(&self, number: u32) -> Option<&Entry> {
        self.ring.get(number as usize & self.ring.len().wrapping_sub(1))
    }

    /// Adds the newest entry, and forgets old ones for it. One that is larger than the whole table empties it and
    /// is not added (RFC 7541 4.4): false.
    pub fn insert(&mut self, name: &[u8], value: &[u8]) -> bool {
        let length = name.len() + value.len();
        let Some(room) = self.max_size.checked_sub(length + OVERHEAD) else {
            self.evict_to(0);
            return false;
        };
        self.evict_to(room);
        self.make_room(length);
        let start = self.base.wrapping_add(self.text.len() as u32);
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.push(Entry { start, name: name.len() as u32, length: length as u32 });
        self.size += length + OVERHEAD;
        true
    }

    fn push(&mut self, entry: Entry) {
        if self.count as usize == self.ring.len() {
            self.grow_ring();
        }
        let place = self.inserted as usize & self.ring.len().wrapping_sub(1);
        if let Some(free) = self.ring.get_mut(place) {
            *free = entry;
        }
        self.inserted = self.inserted.wrapping_add(1);
        self.count += 1;
    }

    /// Twice as many places, where the entries have other ones.
    fn grow_ring(&mut self) {
        let mut larger = vec![Entry::default(); (2 * self.ring.len()).max(8)];
        for age in 1..=self.count {
            let number = self.inserted.wrapping_sub(age);
            let place = number as usize & (larger.len() - 1);
            if let (Some(to), Some(entry)) = (larger.get_mut(place), self.entry(number)) {
                *to = *entry;
            }
        }
        self.ring = larger;
    }

    fn oldest(&self) -> Option<&Entry> {
        if self.count == 0 { None } else { self.entry(self.inserted.wrapping_sub(self.count)) }
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.oldest() else { break };
            self.size -= oldest.length as usize + OVERHEAD;
            self.count -= 1;
        }
    }

    /// So that `length` bytes can be appended. The buffer never grows past twice the size of the table.
    fn make_room(&mut self, length: usize) {
        if self.text.capacity() - self.text.len() >= length {
            return;
        }
        let oldest = self.oldest().map(|entry| entry.start.wrapping_sub(self.base) as usize);
        let gone = oldest.unwrap_or(self.text.len());
        if gone >= self.text.len() - gone {
            self.text.drain(..gone);
            self.base = self.base.wrapping_add(gone as u32);
        }
        let needed = self.text.len() + length;
        if needed > self.text.capacity() {
            let target = (2 * needed).min(2 * self.max_size).max(needed);
            self.text.reserve_exact(target - self.text.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(table: &DynamicTable) -> Vec<(String, usize)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (0..).map_while(|index| table.get(index)).map(|(bytes, name)| (text(bytes), name)).collect()
    }

    #[test]
    fn the_oldest_go_first_and_only_as_many_as_must() {
        let mut table = DynamicTable::new(3 * 34);
        for name in [b"a", b"b", b"c"] {
            assert!(table.insert(name, b"1"));
        }
        let entry = |text: &str, name| (text.to_owned(), name);
        assert_eq!(contents(&table), [entry("c1", 1), entry("b1", 1), entry("a1", 1)]);
        assert!(table.insert(b"dd", b"1"));
        assert_eq!(contents(&table), [entry("dd1", 2), entry("c1", 1)]);
        table.set_max_size(35);
        assert_eq!(contents(&table), [entry("dd1", 2)]);
        table.set_max_size(34);
        assert_eq!(contents(&table), []);
        assert!(table.insert(b"e", b""));
        assert!(!table.insert(b"larger", b"than the table"));
        assert_eq!(contents(&table), []);
    }

    #[test]
    fn numbers_are_found_until_their_entry_is_gone() {
        let mut table = DynamicTable::new(2 * 33);
        table.inserted = u32::MAX - 1;
        let numbers: Vec<u32> = (0..4)
            .map(|_| {
                let number = table.inserted();
                assert_eq!(table.get(table.index_of(number)), None);
                table.insert(b"n", b"");
                number
            })
            .collect();
        assert_eq!(numbers, [u32::MAX - 1, u32::MAX, 0, 1]);
        let found: Vec<_> = numbers
            .iter()
            .map(|&number| table.index_of(number))
            .filter(|&index| table.get(index).is_some())
            .collect();
        assert_eq!(found, [1, 0]);
    }

    #[test]
    fn memory_and_entries_hold_for_any_number_of_insertions() {
        let mut table = DynamicTable::new(4096);
        table.base = u32::MAX - 10_000;
        let mut newest: Vec<Vec<u8>> = Vec::new();
        for round in 0..5_000_usize {
            let value = vec![round as u8; round * 37 % 900];
            assert!(table.insert(b"name", &value));
            newest.insert(0, [b"name", &value[..]].concat());
            newest.truncate(128);
            assert!(table.text.capacity() <= 2 * 4096);
            let held = table.count as usize;
            assert!(table.ring.len() <= 128);
            assert!((0..held).all(|index| table.get(index).is_some_and(|(text, _)| text == newest[index])));
            let size = |entries: &[Vec<u8>]| entries.iter().map(|text| text.len() + 32).sum::<usize>();
            assert_eq!(table.size, size(&newest[..held]));
            assert!(held == newest.len() || size(&newest[..held + 1]) > 4096, "evicted without need");
        }
    }
}
