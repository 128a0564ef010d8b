//! One block read or written often, to be counted by a profiler of instructions:
//! `valgrind --tool=callgrind target/release/examples/hpack_cost decode 1000`, and the same with 2000: the
//! difference is what a thousand blocks cost.

use std::hint::black_box;

use http2::hpack::{Decoder, Encoder, FieldBlock};

const REQUEST: [(&str, &str); 8] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "www.example.com"),
    (":path", "/static/app.js?v=31"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.5"),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    match what.as_str() {
        "decode" => decode(rounds, REQUEST.len()),
        "decode-first" => decode_first(rounds),
        "encode" => encode(rounds),
        _ => println!("usage: hpack_cost decode|decode-first|encode ROUNDS"),
    }
}

/// A request of which everything is in the tables.
fn decode(rounds: usize, fields: usize) {
    let (mut encoder, mut decoder, mut into) = (Encoder::new(), Decoder::new(4096), FieldBlock::new());
    let mut block = Vec::new();
    for _ in 0..3 {
        block.clear();
        write_request(&mut encoder, &mut block);
        decoder.decode(&block, 65536, &mut into).expect("a block");
    }
    assert_eq!((block.len(), into.len()), (fields, fields));
    for _ in 0..rounds {
        decoder.decode(black_box(&block), 65536, &mut into).expect("a block");
        black_box(&into);
    }
}

/// The first request of a connection: literals in Huffman code.
fn decode_first(rounds: usize) {
    let (mut block, mut into) = (Vec::new(), FieldBlock::new());
    write_request(&mut Encoder::new(), &mut block);
    let mut decoder = Decoder::new(4096);
    for _ in 0..rounds {
        decoder.decode(black_box(&block), 65536, &mut into).expect("a block");
        black_box(&into);
    }
}

fn write_request(encoder: &mut Encoder, block: &mut Vec<u8>) {
    encoder.begin(block);
    for (name, value) in REQUEST {
        encoder.field(name.as_bytes(), value.as_bytes(), block);
    }
}

/// An answer of which all but one field is in the tables.
fn encode(rounds: usize) {
    let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    let mut id = *b"0123456789abcdef0123456789abcdef";
    let mut state = 1_u64;
    for _ in 0..rounds {
        // A new one each time, for a few instructions.
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        id.rotate_left(1);
        id[(state >> 60) as usize] = b"0123456789abcdef"[(state >> 40) as usize & 15];
        id[16 + (state >> 56 & 15) as usize] = b"0123456789abcdef"[(state >> 36) as usize & 15];
        block.clear();
        encoder.begin(&mut block);
        encoder.status(black_box(200), &mut block);
        encoder.field(black_box(b"content-type"), black_box(b"text/html; charset=utf-8"), &mut block);
        encoder.field(black_box(b"content-length"), black_box(b"1024"), &mut block);
        encoder.field(black_box(b"date"), black_box(b"Tue, 01 Sep 2026 10:00:00 GMT"), &mut block);
        encoder.field(black_box(b"server"), black_box(b"palisade"), &mut block);
        encoder.field(black_box(b"x-request-id"), black_box(&id), &mut block);
        black_box(&block);
    }
}
