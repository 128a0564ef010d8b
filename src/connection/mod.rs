//! Bytes become `Request`, `Response` becomes bytes: one serve loop per protocol.

mod answer;
mod http1;
mod interim_writer;
mod options;
mod pace;
mod request_body;
mod serving;
mod waiting;

pub use http1::Connection;
pub use options::{ClientLimits, HalfClose};
pub use serving::{Current, Serving};
pub use waiting::Waiting;
