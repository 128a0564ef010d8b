//! What routes change in requests and answers, seen from both sides of the real binary.

mod addresses;
mod browsers;
mod explain;
mod fixed;
mod headers;
mod json;
mod merge;
mod pages;
mod replace;
mod stage;
