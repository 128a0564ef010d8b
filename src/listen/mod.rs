//! Sockets in: where clients connect, and how many may.

mod options;

pub use options::{ClientLimits, ListenAddress, ListenerOptions};
