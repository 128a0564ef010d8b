//! FastCGI towards servers such as php-fpm: one request at a time over a whole connection of the pool, which is kept.
//! The codec is the crate `fastcgi`; here is which script a path leads to, what the server is told of a request, and
//! the exchange.

mod answer;
mod complaints;
mod exchange;
mod meta;
mod output;
mod script;
mod upload;

pub use exchange::exchange;
pub use meta::{Check, write_check};
pub use script::{Application, Script};
