//! What is spoken with origins beside plain HTTP/1: TLS and HTTP/2, on the real binary.

mod certificates;
mod checks;
mod handshakes;
mod http2;
mod http2_ends;
mod sessions;
mod stage;
