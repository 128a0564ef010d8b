//! HTTP/2 towards clients, with the real binary.

mod answers;
mod attacks;
mod honest;
mod together;
