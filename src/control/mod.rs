//! The life of the process: start, reload, drain, stop.

mod build;
mod panics;
mod resources;
mod start;
mod workers;

pub use start::{Start, run};
