//! gRPC and gRPC-Web through the real binary, in front of an origin that speaks HTTP/2.

mod calls;
mod ends;
mod failures;
mod stage;
mod web;
