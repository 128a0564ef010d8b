//! Laws that hold for made-up records and params: what was written is read again, by a decoder that shares nothing
//! with the writer.

mod shared;

use fastcgi::record::{self, MAX_CONTENT};
use fastcgi::{Params, TooLong};
use proptest::prelude::*;
use shared::{checks, corpus};

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 0..max).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// Names and values of a stream of params (section 3.4), the plain way.
fn pairs(mut content: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    fn length(content: &mut &[u8]) -> usize {
        let first = content[0];
        let size = if first < 128 { 1 } else { 4 };
        let length = content[..size].iter().fold(0usize, |sum, byte| sum * 256 + usize::from(*byte));
        *content = &content[size..];
        if size == 4 { length - (1 << 31) } else { length }
    }
    let mut found = Vec::new();
    while !content.is_empty() {
        let (name, value) = (length(&mut content), length(&mut content));
        found.push((content[..name].to_vec(), content[name..name + value].to_vec()));
        content = &content[name + value..];
    }
    found
}

/// The contents of all records, of which each must be of this kind; the last one is empty and nothing follows.
fn contents(kind: u8, mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let length = usize::from(bytes[4]) * 256 + usize::from(bytes[5]);
        assert_eq!((bytes[0], bytes[1], &bytes[2..4], bytes[6]), (1, kind, &[0, 1][..], 0));
        all.extend_from_slice(&bytes[8..8 + length]);
        bytes = &bytes[8 + length..];
        if length == 0 {
            assert!(bytes.is_empty(), "bytes behind the end of the stream");
            return all;
        }
    }
}

/// One change of an answer.
#[derive(Debug, Clone)]
enum Change {
    Replace(u8),
    Insert(u8),
    Remove,
    Splice(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
    let change = prop_oneof![
        any::<u8>().prop_map(Change::Replace),
        (0u8..8).prop_map(Change::Replace),
        any::<u8>().prop_map(Change::Insert),
        Just(Change::Remove),
        (any::<usize>(), 1usize..40).prop_map(|(from, len)| Change::Splice(from, len)),
    ];
    proptest::collection::vec((any::<usize>(), change), 0..4)
}

fn changed(mut answer: Vec<u8>, changes: &[(usize, Change)]) -> Vec<u8> {
    for (place, change) in changes {
        let at = place % (answer.len() + 1);
        match *change {
            Change::Insert(byte) => answer.insert(at, byte),
            Change::Splice(from, len) => {
                let from = from % (answer.len() + 1);
                let piece = answer[from..(from + len).min(answer.len())].to_vec();
                answer.splice(at..at, piece);
            }
            Change::Replace(byte) if at < answer.len() => answer[at] = byte,
            Change::Remove if at < answer.len() => drop(answer.remove(at)),
            Change::Replace(_) | Change::Remove => {}
        }
    }
    answer
}

proptest! {
    #[test]
    fn params_are_read_as_they_were_written(
        wanted in proptest::collection::vec((bytes(300), bytes(70_000)), 0..8)
    ) {
        let mut out = Vec::new();
        let mut params = Params::begin(&mut out);
        for (name, value) in &wanted {
            params.add(name, value);
        }
        let size = |len: usize| if len < 128 { 1 + len } else { 4 + len };
        let total: usize = wanted.iter().map(|(name, value)| size(name.len()) + size(value.len())).sum();
        match params.end() {
            Ok(()) => {
                prop_assert!(total <= MAX_CONTENT);
                prop_assert_eq!(pairs(&contents(4, &out)), wanted);
            }
            Err(TooLong) => prop_assert!(total > MAX_CONTENT),
        }
    }

    #[test]
    fn bodies_are_read_as_they_were_written(pieces in proptest::collection::vec(bytes(200_000), 0..5)) {
        let mut out = Vec::new();
        for piece in &pieces {
            let mut rest = piece.as_slice();
            while !rest.is_empty() {
                let (header, count) = record::stdin(rest.len());
                out.extend_from_slice(&header);
                out.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
            }
        }
        out.extend_from_slice(&record::stdin(0).0);
        prop_assert_eq!(contents(5, &out), pieces.concat());
    }

    #[test]
    fn no_cut_and_no_fault_makes_two_readings(
        which in any::<usize>(),
        changes in changes(),
        mut cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let cases: Vec<_> = corpus::cases().into_iter().filter(|case| case.input.len() < 3000).collect();
        let answer = changed(cases[which % cases.len()].input.clone(), &changes);
        for cut in &mut cuts {
            *cut %= answer.len() + 1;
        }
        cuts.sort_unstable();
        checks::every_answer(&answer, &cuts);
    }
}
