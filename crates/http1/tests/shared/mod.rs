//! Shared by the tests and by the fuzz targets, which take this file in by its path.
#![allow(dead_code, reason = "each user takes what it needs")]

pub mod checks;
pub mod corpus;

use std::path::PathBuf;

/// The cases of one kind: `request`, `response` or `chunked`.
pub fn cases(kind: &str) -> Vec<corpus::Case> {
    let cases = corpus::read_folder(&corpus_folder().join(kind));
    assert!(!cases.is_empty(), "the corpus has no {kind}");
    cases
}

pub fn corpus_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// An input of a fuzz target: one byte with the number of cuts, two bytes for each cut, then the message.
/// `None` when it is too short for its cuts.
pub fn split_cuts(data: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (count, rest) = data.split_first()?;
    let (cuts, message) = rest.split_at_checked(2 * usize::from(count % 8))?;
    let mut cuts: Vec<usize> =
        cuts.chunks_exact(2).map(|cut| usize::from(u16::from_le_bytes([cut[0], cut[1]]))).collect();
    for cut in &mut cuts {
        *cut %= message.len() + 1;
    }
    cuts.sort_unstable();
    Some((cuts, message))
}
