//! Ordinary HTTP/1 on the real binary: what must simply work, told by a client that sends raw bytes, by an
//! origin that records them, and by curl.

mod bodies;
mod connections;
mod curl;
mod early;
mod pages;
mod stage;
mod upgrades;
