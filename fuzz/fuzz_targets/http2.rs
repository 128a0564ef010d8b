//! What a client sends over HTTP/2: see `laws` for what must hold. The first byte of the input says where it is cut.
//!
//! ```text
//! cargo test -p http2 --test conversations -- --ignored      writes seeds from the conversations
//! RUSTC_BOOTSTRAP=1 cargo fuzz run http2 -- -max_len=4096 -max_total_time=600
//! ```
#![no_main]

#[path = "../../crates/http2/tests/conversations/frames.rs"]
#[allow(dead_code, reason = "only those of the server are read")]
mod frames;
#[path = "../../crates/http2/tests/conversations/laws.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| laws::any_bytes(data));
