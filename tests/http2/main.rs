//! HTTP/2 from outside: hostile clients, and who else is served meanwhile.

mod attacks;
mod honest;
