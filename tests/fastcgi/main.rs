//! FastCGI towards servers: what they are told, how their answers are read, and what an attacker gets out of either.
//! The last story has php-fpm for a judge.

mod answers;
mod attacks;
mod checks;
mod commands;
mod php;
mod requests;
mod retries;
mod stage;
