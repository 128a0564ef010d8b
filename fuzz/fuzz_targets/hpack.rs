//! Blocks of fields (HPACK): ours and a naive decoder say the same. The first two bytes of the input say how long the
//! first of its two blocks is.
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 cargo fuzz run hpack -- -max_len=2048 -max_total_time=600
//! ```
#![no_main]

#[path = "../../crates/http2/tests/shared/mod.rs"]
mod shared;

use http2::hpack::{Decoder, FieldBlock};
use libfuzzer_sys::fuzz_target;
use shared::naive::Naive;

fuzz_target!(|data: &[u8]| {
    let Some(([high, low], blocks)) = data.split_first_chunk() else { return };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(blocks.len());
    let (first, second) = blocks.split_at(length);
    let (mut decoder, mut naive, mut into) = (Decoder::new(4096), Naive::new(4096), FieldBlock::new());
    for block in [first, second] {
        let ours = decoder.decode(block, 1 << 20, &mut into).ok().map(|()| shared::fields(&into));
        let theirs = naive.decode(block).map(|fields| fields.into_iter().map(|(_, field)| field).collect());
        assert_eq!(ours, theirs);
        if ours.is_none() {
            return;
        }
    }
});
