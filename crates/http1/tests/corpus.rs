//! Every message of the corpus is read as its case says.

mod shared;

use http1::Method;
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
