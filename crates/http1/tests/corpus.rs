//! Every message of the corpus is read as its case says.

mod shared;

use std::collections::BTreeSet;

use http1::{Method, RequestHead, ResponseHead};
use shared::checks::{self, Outcome};
use shared::corpus::{Accept, Case, Expect, escape};

#[test]
fn requests_are_read_as_expected() {
    check(&shared::cases("request"), |case| checks::request(&case.input, &[]));
}

#[test]
fn responses_are_read_as_expected() {
    check(&shared::cases("response"), |case| {
        checks::response(&case.input, Method::classify(case.method.as_bytes()), &[])
    });
}

#[test]
fn chunked_bodies_are_read_as_expected() {
    check(&shared::cases("chunked"), |case| checks::chunked(&case.input, &[]));
}

/// The scanner is the first to see a head, but not the only one to know these rules.
#[test]
fn line_ends_are_checked_without_the_scanner_too() {
    let is_about_line_ends = |case: &&Case| match &case.expect {
        Expect::Reject(reason) => reason == "bare_lf" || reason == "leading_empty_line",
        _ => false,
    };
    let requests = shared::cases("request");
    let responses = shared::cases("response");
    assert!(requests.iter().any(|case| is_about_line_ends(&case)));
    for case in requests.iter().filter(is_about_line_ends) {
        assert!(RequestHead::default().parse(&case.input).is_err(), "{}", case.name);
    }
    for case in responses.iter().filter(is_about_line_ends) {
        assert!(ResponseHead::default().parse(&case.input).is_err(), "{}", case.name);
    }
}

/// One head serves a whole connection: nothing of a message, whole or refused, shows in the next.
#[test]
fn a_head_used_again_forgets_what_was_before() {
    let (mut request, mut response) = (RequestHead::default(), ResponseHead::default());
    for case in shared::cases("request") {
        let mut fresh = RequestHead::default();
        assert_eq!(request.parse(&case.input), fresh.parse(&case.input), "{}", case.name);
        let parts = |head: &RequestHead| {
            let path = (head.path().to_vec(), head.query().map(<[u8]>::to_vec), head.form);
            (head.method_name().to_vec(), path, head.host().to_vec(), head.port(), head.dropped_fields)
        };
        assert_eq!(parts(&request), parts(&fresh), "{}", case.name);
        assert!(request.fields.iter().eq(fresh.fields.iter()), "{}", case.name);
    }
    for case in shared::cases("response") {
        let mut fresh = ResponseHead::default();
        assert_eq!(response.parse(&case.input), fresh.parse(&case.input), "{}", case.name);
        assert_eq!(response.reason(), fresh.reason(), "{}", case.name);
        assert!(response.fields.iter().eq(fresh.fields.iter()), "{}", case.name);
    }
}

#[test]
fn the_corpus_is_large_and_covers_the_security_table() {
    let cases = [shared::cases("request"), shared::cases("response"), shared::cases("chunked")].concat();
    assert!(cases.len() >= 250, "only {} cases", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let rows: BTreeSet<u32> = cases.iter().flat_map(|case| case.rows.iter().copied()).collect();
    let wanted = (1..=24).chain([26, 28, 42]).chain(89..=93);
    let missing: Vec<u32> = wanted.filter(|row| !rows.contains(row)).collect();
    assert_eq!(missing, [0; 0], "rows without a case");
}

/// Reports all cases that differ, not only the first.
fn check(cases: &[Case], read: impl Fn(&Case) -> Outcome) {
    let mut differing = 0;
    for case in cases {
        let found = as_expectation(read(case), case);
        if found != case.expect {
            differing += 1;
            eprintln!(
                "{}\n  input    {}\n  expected {:?}\n  found    {found:?}\n",
                case.name,
                escape(&case.input[..case.input.len().min(300)]),
                case.expect
            );
        }
    }
    assert_eq!(differing, 0, "of {} cases", cases.len());
}

fn as_expectation(outcome: Outcome, case: &Case) -> Expect {
    match outcome {
        Outcome::Rejected(reason) => Expect::Reject(reason.to_owned()),
        Outcome::Incomplete => Expect::Incomplete,
        Outcome::Accepted(found) => {
            let compares_fields = matches!(&case.expect, Expect::Accept(Accept { fields: Some(_), .. }));
            Expect::Accept(Accept {
                summary: found.summary,
                fields: compares_fields.then_some(found.fields),
                body: found.body,
                trailers: found.trailers,
                rest: case.input[found.consumed..].to_vec(),
            })
        }
    }
}
