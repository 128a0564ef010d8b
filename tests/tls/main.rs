//! TLS towards clients: what they are shown, what is asked of them, and what becomes of those who speak otherwise.

mod close;
mod facts;
mod handshakes;
mod https;
mod matrix;
mod oddities;
mod revocation;
mod rotation;
mod sessions;
mod site;
mod tools;

use site::{Site, ask, ask_of};
