//! Shared by the tests and by the fuzz targets, which take this file in by its path.
#![allow(dead_code, reason = "each user takes what it needs")]

pub mod checks;
pub mod corpus;

/// The cases of one kind: `request`, `response` or `chunked`.
pub fn cases(kind: &str) -> Vec<corpus::Case> {
    let cases =
        corpus::read_folder(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(kind));
    assert!(!cases.is_empty(), "the corpus has no {kind}");
    cases
}
