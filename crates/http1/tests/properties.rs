//! Laws that hold for made-up messages: reading what was written, and corpus messages with faults put in.

mod shared;

use std::sync::LazyLock;

use http1::encode;
use proptest::prelude::*;
use shared::checks::{self, Outcome};

static CORPUS: LazyLock<[Vec<Vec<u8>>; 3]> = LazyLock::new(|| {
    ["request", "response", "chunked"].map(|kind| {
        shared::cases(kind).into_iter().map(|case| case.input).filter(|input| input.len() < 3000).collect()
    })
});

/// One change of a message.
#[derive(Debug, Clone)]
enum Change {
    Replace(u8),
    Insert(u8),
    Remove,
    /// Repeats up to so many bytes.
    Repeat(usize),
    /// Puts a piece of another message in.
    Splice(usize, usize),
}

/// Bytes that mean something to a reader, more often than others.
fn byte() -> impl Strategy<Value = u8> {
    let meaningful =
        proptest::sample::select(&b"\r\n\0 \t:;,=\"\\/?#%@[]_-+0123456789abcdefx\x0b\x0c\x7f\x80\xff"[..]);
    prop_oneof![3 => meaningful, 1 => any::<u8>()]
}

fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
    let change = prop_oneof![
        byte().prop_map(Change::Replace),
        byte().prop_map(Change::Insert),
        Just(Change::Remove),
        (1usize..40).prop_map(Change::Repeat),
        (any::<usize>(), 1usize..40).prop_map(|(from, len)| Change::Splice(from, len)),
    ];
    proptest::collection::vec((any::<usize>(), change), 1..4)
}

fn mutate(messages: &[Vec<u8>], which: usize, changes: Vec<(usize, Change)>) -> Vec<u8> {
    let mut message = messages[which % messages.len()].clone();
    for (place, change) in changes {
        let at = place % (message.len() + 1);
        let end = |len: usize, total: usize| (at + len).min(total);
        match change {
            Change::Insert(byte) => message.insert(at, byte),
            Change::Repeat(len) => {
                let piece = message[at..end(len, message.len())].to_vec();
                message.splice(at..at, piece);
            }
            Change::Splice(from, len) => {
                let other = &messages[from % messages.len()];
                let start = place % (other.len() + 1);
                let piece = other[start..(start + len).min(other.len())].to_vec();
                message.splice(at..at, piece);
            }
            Change::Replace(byte) if at < message.len() => message[at] = byte,
            Change::Remove if at < message.len() => drop(message.remove(at)),
            Change::Replace(_) | Change::Remove => {}
        }
    }
    message
}

fn cuts(message: &[u8], raw: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = raw.iter().map(|cut| cut % (message.len() + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_requests_break_no_law(
        which in any::<usize>(), changes in changes(), raw in proptest::collection::vec(any::<usize>(), 0..4)
    ) {
        let message = mutate(&CORPUS[0], which, changes);
        checks::every_request(&message, &cuts(&message, &raw));
    }

    #[test]
    fn mutated_responses_break_no_law(
        which in any::<usize>(), changes in changes(), raw in proptest::collection::vec(any::<usize>(), 0..4)
    ) {
        let message = mutate(&CORPUS[1], which, changes);
        checks::every_response(&message, &cuts(&message, &raw));
    }

    #[test]
    fn mutated_chunked_bodies_break_no_law(
        which in any::<usize>(), changes in changes(), raw in proptest::collection::vec(any::<usize>(), 0..4)
    ) {
        let message = mutate(&CORPUS[2], which, changes);
        checks::every_chunked(&message, &cuts(&message, &raw));
    }

    #[test]
    fn a_body_chunked_in_any_way_is_read_back(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20),
        raw in proptest::collection::vec(any::<usize>(), 0..8),
        rest in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut written = Vec::new();
        for piece in &pieces {
            let (line, len) = encode::chunk_line(piece.len());
            written.extend_from_slice(&line[..len]);
            written.extend_from_slice(piece);
            written.extend_from_slice(b"\r\n");
        }
        encode::last_chunk(&mut written, None);
        let end = written.len();
        written.extend_from_slice(&rest);
        let Outcome::Accepted(read) = checks::chunked(&written, &cuts(&written, &raw)) else {
            return Err(TestCaseError::fail("refused"));
        };
        prop_assert_eq!((read.body, read.consumed), (pieces.concat(), end));
    }

    #[test]
    fn any_well_formed_request_is_accepted_and_read_back(
        method in "[A-Z]{1,12}",
        path in "/[a-zA-Z0-9/._~!$&'()*+,;=:@-]{0,60}",
        query in proptest::option::of("[a-z0-9=&?/]{0,30}"),
        host in "[a-z0-9]([a-z0-9.]{0,10}[a-z0-9])?",
        fields in proptest::collection::vec(("X-[A-Za-z0-9-]{1,20}", "[!-~]([ -~]{0,40}[!-~])?"), 0..20),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assume!(!host.contains(".."));
        // CONNECT has another form of target.
        prop_assume!(method != "CONNECT");
        let target = path.clone() + &query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let mut message = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
        for (name, value) in &fields {
            message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        message.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        let head = message.clone();
        message.extend_from_slice(&body);

        let found = checks::request_head(&head).expect("well-formed");
        prop_assert_eq!(found.head.method_name(), method.as_bytes());
        prop_assert_eq!(found.head.path(), path.as_bytes());
        prop_assert_eq!(found.head.query(), query.as_ref().map(String::as_bytes));
        prop_assert_eq!(found.head.host(), host.as_bytes());
        for ((name, value), field) in fields.iter().zip(found.head.fields.iter().skip(1)) {
            prop_assert_eq!((field.name, field.value), (name.as_bytes(), value.as_bytes()));
        }
        let Outcome::Accepted(read) = checks::request(&message, &[]) else {
            return Err(TestCaseError::fail("refused"));
        };
        prop_assert_eq!(read.body, body);
        checks::request_survives_encoding(&message);
    }
}
