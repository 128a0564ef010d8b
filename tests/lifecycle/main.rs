//! The life of the process from outside: start, reload, drain, end, and its logs and metrics meanwhile.

mod drain;
mod log;
mod metrics;
mod reload;
mod stage;
mod start;
