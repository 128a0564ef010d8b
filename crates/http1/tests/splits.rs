//! How the bytes of a message are cut on their way changes nothing of what is understood.

mod shared;

use http1::Method;
use shared::checks::{self, Outcome};
use shared::corpus::Case;

#[test]
fn requests_cut_anywhere_read_the_same() {
    cut_everywhere("request", |case, cuts| checks::request(&case.input, cuts));
}

#[test]
fn responses_cut_anywhere_read_the_same() {
    cut_everywhere("response", |case, cuts| {
        checks::response(&case.input, Method::classify(case.method.as_bytes()), cuts)
    });
}

#[test]
fn chunked_bodies_cut_anywhere_read_the_same() {
    cut_everywhere("chunked", |case, cuts| checks::chunked(&case.input, cuts));
}

/// Once in two at every offset, once byte by byte.
fn cut_everywhere(kind: &str, read: impl Fn(&Case, &[usize]) -> Outcome) {
    for case in shared::cases(kind) {
        let whole = read(&case, &[]);
        for cut in offsets(case.input.len()) {
            assert_eq!(read(&case, &[cut]), whole, "{}, cut at {cut}", case.name);
        }
        let every: Vec<usize> = (0..case.input.len().min(100_000)).collect();
        assert_eq!(read(&case, &every), whole, "{}, byte by byte", case.name);
    }
}

/// Every offset of a short message; of a long one both ends, the places around the limits, and a sample.
fn offsets(len: usize) -> impl Iterator<Item = usize> {
    let step = (len / 500).max(1);
    let limits = [8 << 10, 16 << 10, 64 << 10];
    (0..len).filter(move |offset| {
        offset % step == 0
            || *offset < 100
            || *offset + 100 > len
            || limits.iter().any(|limit| offset.abs_diff(*limit) < 40)
    })
}
