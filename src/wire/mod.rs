//! What moves: sockets, buffers, deadlines. Nothing here knows HTTP semantics.

mod buffer;
pub mod calendar;
pub mod clock;
mod duplex;
pub mod file;
mod incoming;
mod socket;
mod stamp;
pub mod stream;
pub mod tls;
mod watchdog;
pub mod worker;

pub use buffer::{Buffer, Scratch};
pub use duplex::Duplex;
pub use incoming::{Incoming, IncomingError};
pub use socket::{Departure, Peer, Portable, Socket};
pub use stamp::Stamp;
pub use watchdog::Watchdog;
