//! The 61 entries that everybody has (RFC 7541 appendix A), and an index of their names.

use super::hash::hash;
use super::lower::{Name, SEED};

#[rustfmt::skip]
const FIELDS: [(&str, &str); LEN] = [
    (":authority", ""),
    (":method", "GET"), (":method", "POST"),
    (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"),
    (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"),
    ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
    ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
    ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""),
    ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
    ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
    ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""),
    ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""),
    ("retry-after", ""), ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""),
    ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

/// Entries; the dynamic table's indexes begin behind them.
pub const LEN: usize = 61;

/// What the encoder has to know.
pub const STATUS: usize = 8;
pub const AUTHORIZATION: usize = 23;
pub const PROXY_AUTHORIZATION: usize = 49;
pub const SET_COOKIE: usize = 55;
const _: () = assert!(is_equal(FIELDS[STATUS - 1].0, ":status"));
const _: () = assert!(is_equal(FIELDS[AUTHORIZATION - 1].0, "authorization"));
const _: () = assert!(is_equal(FIELDS[PROXY_AUTHORIZATION - 1].0, "proxy-authorization"));
const _: () = assert!(is_equal(FIELDS[SET_COOKIE - 1].0, "set-cookie"));

/// Entry `index`, from 1 on: name and value one behind the other, and the length of the name.
#[inline]
pub fn get(index: usize) -> Option<(&'static [u8], usize)> {
    let entry = ENTRIES.get(index.wrapping_sub(1))?;
    Some((entry.text, entry.name))
}

/// The index of the entry with this name and this value, or else of the first with this name.
#[inline]
pub fn find(name: &Name, value: &[u8]) -> Option<Found> {
    let first = usize::from(PLACES[place(name.hash())]);
    let mut index = first;
    let (mut text, length) = get(index)?;
    if text.get(..length) != Some(name.bytes()) {
        return None;
    }
    // Entries of one name are neighbours.
    loop {
        if text.get(length..) == Some(value) {
            return Some(Found::Field(index));
        }
        if !SAME_AS_NEXT[index] {
            return Some(Found::Name(first));
        }
        index += 1;
        text = get(index)?.0;
    }
}

/// The index of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Field(usize),
    Name(usize),
}

struct Entry {
    text: &'static [u8],
    name: usize,
}

static ENTRIES: [Entry; LEN] = {
    let mut entries = [const { Entry { text: &[], name: 0 } }; LEN];
    let mut rest: &'static [u8] = &TEXT;
    let mut index = 0;
    while index < LEN {
        let (name, value) = FIELDS[index];
        let (text, behind) = rest.split_at(name.len() + value.len());
        entries[index] = Entry { text, name: name.len() };
        rest = behind;
        index += 1;
    }
    entries
};

static TEXT: [u8; TEXT_LEN] = {
    let mut text = [0; TEXT_LEN];
    let (mut end, mut index) = (0, 0);
    while index < LEN {
        let (name, value) = (FIELDS[index].0.as_bytes(), FIELDS[index].1.as_bytes());
        text.split_at_mut(end).1.split_at_mut(name.len()).0.copy_from_slice(name);
        end += name.len();
        text.split_at_mut(end).1.split_at_mut(value.len()).0.copy_from_slice(value);
        end += value.len();
        index += 1;
    }
    text
};

const TEXT_LEN: usize = {
    let (mut sum, mut index) = (0, 0);
    while index < LEN {
        sum += FIELDS[index].0.len() + FIELDS[index].1.len();
        index += 1;
    }
    sum
};

/// By index: the entry behind this one has the same name.
static SAME_AS_NEXT: [bool; LEN + 1] = {
    let mut same = [false; LEN + 1];
    let mut index = 1;
    while index < LEN {
        same[index] = is_equal(FIELDS[index - 1].0, FIELDS[index].0);
        index += 1;
    }
    same
};

const PLACE_BITS: u32 = 8;

/// By hash: the first index with that name; no two names share a place.
static PLACES: [u8; 1 << PLACE_BITS] = {
    let mut places = [0; 1 << PLACE_BITS];
    let mut index = LEN;
    while index > 0 {
        let place = place(hash(SEED, FIELDS[index - 1].0.as_bytes()));
        assert!(places[place] == 0 || SAME_AS_NEXT[index], "another seed is needed");
        places[place] = index as u8;
        index -= 1;
    }
    places
};

const fn place(hash: u64) -> usize {
    (hash >> (64 - PLACE_BITS)) as usize
}

const fn is_equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(name: &str, value: &str) -> Option<Found> {
        find(&Name::new(name.as_bytes()).expect("short"), value.as_bytes())
    }

    #[test]
    fn every_entry_is_found_by_what_it_is() {
        for (index, (name, value)) in (1..).zip(FIELDS) {
            let (text, length) = get(index).expect("an entry");
            assert_eq!(text.split_at(length), (name.as_bytes(), value.as_bytes()));
            assert_eq!(search(name, value), Some(Found::Field(index)));
            assert_eq!(search(&name.to_uppercase(), value), Some(Found::Field(index)));
            let first = FIELDS.iter().position(|field| field.0 == name).expect("itself") + 1;
            assert_eq!(search(name, "unknown"), Some(Found::Name(first)));
            assert_eq!(search(&format!("{name}x"), value), None);
        }
        assert!(get(0).is_none() && get(LEN + 1).is_none() && get(usize::MAX).is_none());
        assert_eq!(search("", ""), None);
        assert_eq!(search("x-request-id", ""), None);
    }
}
