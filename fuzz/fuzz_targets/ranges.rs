//! Ranges of files: see `laws` for what must hold. The first two bytes are the size.
//!
//! ```text
//! cargo test --test fuzzed -- --ignored                  writes seeds
//! RUSTC_BOOTSTRAP=1 cargo fuzz run ranges -- -max_len=1024 -max_total_time=600
//! ```
#![no_main]

#[path = "../../tests/fuzzed/laws.rs"]
#[allow(dead_code, reason = "one of them is used")]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| laws::ranges(data));
