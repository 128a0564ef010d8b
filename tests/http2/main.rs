//! HTTP/2 towards clients, with the real binary.

mod attacks;
mod honest;
