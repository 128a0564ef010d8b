//! Sockets in: where clients connect, and how many may.

mod accept;
mod bind;
mod limits;
mod options;
mod proxy_protocol;
mod roster;

pub use accept::{Arrival, Handed, Loads, Neighbours, accept_from, serve_connection};
pub use bind::{BoundListener, Listening, bind};
pub use limits::{ConnectionLimits, Ticket};
pub use options::{ListenAddress, ListenerOptions};
pub use roster::Roster;
