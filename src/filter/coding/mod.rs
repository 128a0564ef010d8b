//! What compressing and decompressing have in common.

pub mod memory;
pub mod representation;
pub mod whole;

pub use crate::message::accept_encoding::{Accepted, Coding};
