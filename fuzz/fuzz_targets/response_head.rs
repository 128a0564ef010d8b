//! Answers to requests: see `checks` for what must hold. The first bytes of the input say where it is cut.
//!
//! ```text
//! cargo test -p http1 --test seeds -- --ignored          writes seeds from the corpus
//! RUSTC_BOOTSTRAP=1 cargo fuzz run response_head -- -max_len=4096 -max_total_time=600
//! ```
#![no_main]

#[path = "../../crates/http1/tests/shared/mod.rs"]
mod shared;

use libfuzzer_sys::fuzz_target;
use shared::checks;

fuzz_target!(|data: &[u8]| {
    if let Some((cuts, input)) = shared::split_cuts(data) {
        checks::every_response(input, &cuts);
    }
});
