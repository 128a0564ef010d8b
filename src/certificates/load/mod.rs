//! From files to what can be used: read, parsed, and found to be sound.

mod authority;
mod files;
mod pair;
mod roots;

pub use authority::Authority;
pub(in crate::certificates) use files::read;
pub use files::{Culprit, Flaw};
pub use pair::Pair;
pub use roots::Roots;
