//! Bytes become `Request`, `Response` becomes bytes: one serve loop per protocol.

mod answer;
mod entrance;
mod entry;
mod http1;
mod http2;
mod interim_writer;
mod options;
mod pace;
mod request_body;
mod serving;
mod waiting;

pub use entrance::{Entrance, Shaking, complain_of};
pub use entry::Connection;
pub use options::{ClientLimits, HalfClose};
pub use serving::{Current, Serving};
pub use waiting::Waiting;
