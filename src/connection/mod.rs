//! Bytes become `Request`, `Response` becomes bytes: one serve loop per protocol.

mod answer;
mod http1;
mod interim_writer;
mod options;
mod pace;
mod request_body;

pub use http1::{Connection, Current, Serving, Waiting};
pub use options::ClientLimits;
