//! HTTP/2 towards origins. A connection belongs to the worker that opened it, and many requests share it: `session`
//! is one connection, `shelf` those of a worker and how a request gets a place on one, `exchange` one request
//! and its answer, `head` what their heads look like, `error` what an end without one means.

mod body;
mod error;
mod exchange;
mod head;
mod session;
mod shelf;
mod upload;
mod wire;

pub use exchange::exchange;
pub use session::{Greeted, Place, greet, settings};
pub use shelf::{give_way, leave, obtain, start, sweep};
