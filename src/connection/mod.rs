//! Bytes become `Request`, `Response` becomes bytes: one serve loop per protocol.

mod answer;
mod http1;
mod interim_writer;
mod pace;
mod request_body;

pub use http1::{Current, Serving, serve};
