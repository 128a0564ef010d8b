//! Shared by the tests and by the fuzz target, which takes this file in by its path.
#![allow(dead_code, reason = "each user takes what it needs")]

pub mod checks;
pub mod corpus;

/// An input of the fuzz target: one byte with the number of cuts, two bytes for each cut, then the answer. `None`
/// when it is too short for its cuts.
pub fn split_cuts(data: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (count, rest) = data.split_first()?;
    let (cuts, answer) = rest.split_at_checked(2 * usize::from(count % 8))?;
    let mut cuts: Vec<usize> =
        cuts.chunks_exact(2).map(|cut| usize::from(u16::from_le_bytes([cut[0], cut[1]]))).collect();
    for cut in &mut cuts {
        *cut %= answer.len() + 1;
    }
    cuts.sort_unstable();
    Some((cuts, answer))
}
