//! Palisade: a reverse proxy. Rooms in the order in which a request meets them.
//!
//! The order below is the import rule: a room uses rooms below it and the nouns at the end; builders
//! may use everything; nobody uses a builder. `tests/architecture.rs` checks it.

// The blank lines keep the order from being sorted.

// Builders: they put the house together.
pub mod cli;

pub mod config;

pub mod control;

// Rooms: the way of a request.
pub mod listen;

pub mod connection;

pub mod proxy;

pub mod route;

pub mod admin;

pub mod files;

pub mod filter;

pub mod merge;

pub mod tunnel;

pub mod certificates;

pub mod upstream;

// Nouns: everybody's words.
pub mod message;

pub mod observe;

pub mod wire;
