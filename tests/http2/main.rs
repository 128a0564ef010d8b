//! HTTP/2 towards clients, with the real binary.

mod answers;
mod attacks;
mod ends;
mod honest;
mod others;
mod together;
