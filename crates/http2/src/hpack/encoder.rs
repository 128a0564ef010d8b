//! Writes blocks of fields.

use super::dynamic_table::DynamicTable;
use super::hash::hash;
use super::learned::{Index, Seen};
use super::lower::{self, Name};
use super::static_table::{self, Found};
use super::{INDEXED, NEVER_INDEXED, OVERHEAD, TABLE_SIZE, WITH_INDEXING, WITHOUT_INDEXING};
use super::{integer, literal};

/// The table is never larger, in bytes, and is so large from the beginning (RFC 9113 6.5.2).
const MAX_TABLE: usize = 4096;

/// Longer values get no entry: they would push out many, and hardly repeat.
const MAX_LEARNED_VALUE: usize = 256;

/// Fields of a block of which it is remembered what they were.
const REMEMBERED: usize = 16;

/// The writing side of a connection: it knows what the peer's table has in it.
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    index: Index,
    seen: Seen,
    /// By their place in the block, what the fields of the last blocks were: the answers of one connection are
    /// like each other, and to compare is cheaper than to search.
    guesses: [Guess; REMEMBERED],
    place: usize,
    /// The smallest size the table had since the last block, when its size was changed.
    smallest: Option<usize>,
}

/// An entry of one of the tables; it may be gone by now.
#[derive(Debug, Clone, Copy)]
enum Entry {
    /// By index.
    Static(usize),
    /// By number.
    Dynamic(u32),
}

/// The entry that is a field, or has at least its name.
#[derive(Debug, Clone, Copy)]
struct Guess {
    entry: Entry,
    name_hash: u64,
}

/// What is found of a field in the tables: an index.
enum Match {
    Field(usize),
    Name(usize),
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder {
            table: DynamicTable::new(MAX_TABLE),
            index: Index::new(),
            seen: Seen::new(),
            guesses: [Guess { entry: Entry::Static(0), name_hash: 0 }; REMEMBERED],
            place: 0,
            smallest: None,
        }
    }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE, in bytes, between two blocks. The next block tells the peer.
    pub fn set_max_table_size(&mut self, peer: u32) {
        let size = usize::try_from(peer).unwrap_or(MAX_TABLE).min(MAX_TABLE);
        if size != self.table.max_size() {
            self.smallest = Some(self.smallest.unwrap_or(MAX_TABLE).min(size));
            self.table.set_max_size(size);
        }
    }

    /// Has to be called in front of the fields of each block.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.place = 0;
        if let Some(smallest) = self.smallest.take() {
            let size = self.table.max_size();
            if smallest < size {
                integer::encode(smallest, TABLE_SIZE, out);
            }
            integer::encode(size, TABLE_SIZE, out);
        }
    }

    /// Writes `:status`.
    #[inline]
    pub fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => static_table::STATUS,
            204 => static_table::STATUS + 1,
            206 => static_table::STATUS + 2,
            304 => static_table::STATUS + 3,
            400 => static_table::STATUS + 4,
            404 => static_table::STATUS + 5,
            500 => static_table::STATUS + 6,
            _ => return self.other_status(status, out),
        };
        integer::encode(index, INDEXED, out);
    }

    #[cold]
    fn other_status(&mut self, status: u16, out: &mut Vec<u8>) {
        let mut digits = [0; 5];
        let (mut rest, mut start) = (status, digits.len());
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            start -= 1;
            if rest == 0 {
                break;
            }
        }
        self.field(b":status", digits.get(start..).unwrap_or_default(), out);
    }

    /// Writes a field; its name may have any case and is written in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let place = self.place;
        self.place += 1;
        match self.guess(place, name, value) {
            Some(Match::Field(index)) => integer::encode(index, INDEXED, out),
            Some(Match::Name(index)) => self.other_value(place, index, name, value, out),
            None => self.search(place, name, value, out),
        }
    }

    /// Looks whether the field is what was at its place the last time.
    #[inline(always)]
    fn guess(&self, place: usize, name: &[u8], value: &[u8]) -> Option<Match> {
        let (index, text, length) = self.entry(self.guesses.get(place)?.entry)?;
        let (its_name, its_value) = text.split_at_checked(length)?;
        if !lower::is_lower_of(its_name, name) {
            return None;
        }
        Some(if its_value == value { Match::Field(index) } else { Match::Name(index) })
    }

    /// Index, text and length of the name of an entry.
    #[inline(always)]
    fn entry(&self, entry: Entry) -> Option<(usize, &[u8], usize)> {
        let (index, (text, name)) = match entry {
            Entry::Static(index) => (index, static_table::get(index)?),
            Entry::Dynamic(number) => {
                let index = self.table.index_of(number);
                let found = self.table.get(index)?;
                (static_table::LEN + 1 + index, found)
            }
        };
        Some((index, text, name))
    }

    fn remember(&mut self, place: usize, entry: Entry, name_hash: u64) {
        if let Some(guess) = self.guesses.get_mut(place) {
            *guess = Guess { entry, name_hash };
        }
    }

    /// Writes a field with the name of entry `index`, which is that of the guess for this place. Mostly its values
    /// differ each time, and there is nothing to search.
    fn other_value(&mut self, place: usize, index: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let name_hash = self.guesses.get(place).map_or(0, |guess| guess.name_hash);
        if value.len() <= MAX_LEARNED_VALUE {
            let pair = hash(name_hash, value);
            if self.index.get(pair).is_some() || self.seen.contains(pair) {
                return self.search(place, name, value, out);
            }
            self.seen.again(pair);
        }
        integer::encode(index, WITHOUT_INDEXING, out);
        literal::string(value, out);
    }

    /// Writes a field wherever it is, or whether it is, in the tables.
    fn search(&mut self, place: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let Some(name) = Name::new(name) else { return literal::long_name(name, value, out) };
        let may_be_learned = value.len() <= MAX_LEARNED_VALUE;
        let pair = if may_be_learned { hash(name.hash(), value) } else { 0 };
        if may_be_learned && let Some((entry, index)) = self.find_dynamic(pair, &name, Some(value)) {
            self.remember(place, entry, name.hash());
            return integer::encode(index, INDEXED, out);
        }
        let (entry, index) = match static_table::find(&name, value) {
            Some(Found::Field(index)) => {
                // An empty value is no secret, but the one that comes after it may be.
                if !is_secret(index) {
                    self.remember(place, Entry::Static(index), name.hash());
                }
                return integer::encode(index, INDEXED, out);
            }
            Some(Found::Name(index)) if is_secret(index) => {
                return literal::field(NEVER_INDEXED, index, &name, value, out);
            }
            Some(Found::Name(index)) => (Some(Entry::Static(index)), index),
            None => self
                .find_dynamic(name.hash(), &name, None)
                .map_or((None, 0), |(entry, index)| (Some(entry), index)),
        };
        // A name that nobody has an entry for is worth one even if its values differ each time.
        let is_new_name = entry.is_none() && self.seen.again(name.hash());
        let is_again = may_be_learned && self.seen.again(pair);
        if may_be_learned && (is_again || is_new_name) && self.has_room(&name, value) {
            literal::field(WITH_INDEXING, index, &name, value, out);
            self.learn(place, pair, &name, value);
        } else {
            literal::field(WITHOUT_INDEXING, index, &name, value, out);
            if let Some(entry) = entry {
                self.remember(place, entry, name.hash());
            }
        }
    }

    /// Adds the entry that was just written.
    fn learn(&mut self, place: usize, pair: u64, name: &Name, value: &[u8]) {
        let number = self.table.inserted();
        if self.table.insert(name.bytes(), value) {
            self.index.insert(pair, number);
            self.index.insert(name.hash(), number);
            self.remember(place, Entry::Dynamic(number), name.hash());
        }
    }

    /// The dynamic entry with this name and, if one is given, this value, whose hash is `hash`; and its index.
    #[inline]
    fn find_dynamic(&self, hash: u64, name: &Name, value: Option<&[u8]>) -> Option<(Entry, usize)> {
        let entry = Entry::Dynamic(self.index.get(hash)?);
        let (index, text, length) = self.entry(entry)?;
        let (its_name, its_value) = text.split_at_checked(length)?;
        let is_it = its_name == name.bytes() && value.is_none_or(|value| value == its_value);
        is_it.then_some((entry, index))
    }

    /// Whether an entry leaves anything else in the table.
    fn has_room(&self, name: &Name, value: &[u8]) -> bool {
        name.bytes().len() + value.len() + OVERHEAD <= self.table.max_size() / 2
    }
}

/// Fields that are somebody's key: in a table they could be guessed from the length of what is written.
fn is_secret(index: usize) -> bool {
    matches!(
        index,
        static_table::AUTHORIZATION | static_table::PROXY_AUTHORIZATION | static_table::SET_COOKIE
    )
}
