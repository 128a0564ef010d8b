//! FastCGI (Specification 1.0), the role of a responder, from the side of the web server. Pure: bytes in, messages
//! out; no sockets, no clock, no `unsafe`.
//!
//! A request is written by [`record::begin_request`], [`Params`] and [`record::stdin`]; an answer is read by
//! [`AnswerReader`], and the head that its output begins with by [`HeadReader`]. One request at a time is on a
//! connection, always with the same id: whatever names another one is refused, and so is what nobody asked for.

mod answer;
mod head;
mod params;
pub mod record;

pub use answer::{AnswerError, AnswerReader, Decoded, End, Verdict};
pub use head::HeadReader;
pub use params::{Params, TooLong};
