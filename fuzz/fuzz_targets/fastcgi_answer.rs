//! Answers of FastCGI servers: see `checks` for what must hold. The first bytes of the input say where it is cut.
//!
//! ```text
//! cargo test -p fastcgi --test answers -- --ignored      writes seeds from the corpus
//! RUSTC_BOOTSTRAP=1 cargo fuzz run fastcgi_answer -- -max_len=4096 -max_total_time=600
//! ```
#![no_main]

#[path = "../../crates/fastcgi/tests/shared/mod.rs"]
mod shared;

use libfuzzer_sys::fuzz_target;
use shared::checks;

fuzz_target!(|data: &[u8]| {
    if let Some((cuts, answer)) = shared::split_cuts(data) {
        checks::every_answer(answer, &cuts);
    }
});
