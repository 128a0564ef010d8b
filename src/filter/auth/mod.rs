//! Who may go on: what is asked before a request is let at the rest of its filters and at its target.

mod forward;
mod identity;
mod question;
mod verdict;

pub use forward::{ForwardAuth, ForwardAuthOptions, put};
pub use identity::{Identity, is_alike};
pub use question::{Ask, STATED, is_withheld};
