//! Answers that are compressed and decompressed on their way, by the real binary.

mod curl;
mod decompress;
mod fields;
mod limits;
mod live;
mod negotiation;
mod stage;
