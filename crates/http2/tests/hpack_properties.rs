//! Whatever is written is read again, and whatever is read is what the RFC says, byte for byte.

mod shared;

use http2::hpack::{Broken, Decoder, Encoder, FieldBlock};
use proptest::collection::vec;
use proptest::prelude::*;
use shared::fields;
use shared::naive::{Field, Kind, Naive};

const LIMIT: usize = 1 << 20;

fn name() -> impl Strategy<Value = Vec<u8>> {
    #[rustfmt::skip]
    let known = [
        "Content-Type", "content-type", "content-length", "DATE", "server", "x-request-id", "X-Request-Id", "etag",
        "Set-Cookie", "authorization", "cache-control", "accept-encoding", ":status", ":path", "x", "", "vary",
    ];
    prop_oneof![
        8 => proptest::sample::select(known.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        2 => "[a-zA-Z-]{1,40}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..100),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[ab]{0,2}".prop_map(String::into_bytes),
        1 => Just(b"gzip, deflate".to_vec()),
        3 => "[0-9a-f]{32}".prop_map(String::into_bytes),
        2 => "[ -~]{0,300}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..700),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Sizes(Vec<u32>),
    Block(Vec<Field>),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(0), 30..200_u32, 200..5000_u32, any::<u32>()];
    prop_oneof![
        1 => vec(size, 1..4).prop_map(Step::Sizes),
        8 => vec((name(), value()), 0..12).prop_map(Step::Block),
    ]
}

/// Blocks that some encoder could have written, and their smaller and larger disfigurements.
fn raw_block() -> impl Strategy<Value = Vec<u8>> {
    let string = |huffman: bool, bytes: Vec<u8>| {
        let mut out = vec![u8::from(huffman) << 7 | bytes.len() as u8];
        out.extend(bytes);
        out
    };
    let string =
        (prop::bool::weighted(0.2), vec(any::<u8>(), 0..20)).prop_map(move |(h, bytes)| string(h, bytes));
    let string = prop_oneof![
        4 => string,
        2 => Just(vec![0x83, 0x9b, 0xd9, 0xab]),
        2 => Just(vec![0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
    ];
    let piece = prop_oneof![
        6 => (1..75_u8).prop_map(|index| vec![0x80 | index]),
        4 => (1..66_u8, string.clone()).prop_map(|(index, value)| [vec![0x40 | index.min(0x3e)], value].concat()),
        3 => (string.clone(), string.clone()).prop_map(|(name, value)| [vec![0x40], name, value].concat()),
        2 => (0..31_u8, string).prop_map(|(first, value)| {
            let kind = first & 0x10 | first.min(0x0e) & 0x0f;
            if kind & 0x0f == 0 { [vec![kind, 1, b'n'], value].concat() } else { [vec![kind], value].concat() }
        }),
        1 => (0..31_u8).prop_map(|size| vec![0x20 | size]),
        1 => vec(any::<u8>(), 1..6),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Both decoders say the same of each block, up to the first one that is broken.
fn compare(table: usize, blocks: &[Vec<u8>]) -> Result<usize, TestCaseError> {
    let (mut decoder, mut naive, mut into) = (Decoder::new(table), Naive::new(table), FieldBlock::new());
    for (number, block) in blocks.iter().enumerate() {
        let expected = naive.decode(block);
        let result = decoder.decode(block, LIMIT, &mut into);
        let Some(expected) = expected else {
            prop_assert_eq!(result, Err(Broken));
            return Ok(number);
        };
        prop_assert_eq!(result, Ok(()));
        let expected: Vec<Field> = expected.into_iter().map(|(_, field)| field).collect();
        prop_assert_eq!(fields(&into), expected);
    }
    Ok(blocks.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read(steps in vec(step(), 1..40)) {
        let mut encoder = Encoder::new();
        let (mut decoder, mut naive, mut into) = (Decoder::new(4096), Naive::new(4096), FieldBlock::new());
        let mut size = 4096;
        for step in steps {
            let mut out = Vec::new();
            let written = match step {
                Step::Sizes(sizes) => {
                    sizes.iter().for_each(|&size| encoder.set_max_table_size(size));
                    size = sizes.last().map_or(size, |&size| size.min(4096) as usize);
                    continue;
                }
                Step::Block(fields) => fields,
            };
            encoder.begin(&mut out);
            for (name, value) in &written {
                encoder.field(name, value, &mut out);
            }
            prop_assert_eq!(decoder.decode(&out, LIMIT, &mut into), Ok(()));
            let expected: Vec<Field> =
                written.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
            prop_assert_eq!(fields(&into), expected.clone());
            prop_assert_eq!(into.size(), shared::weight(&expected));
            let read = naive.decode(&out).expect("what the other one could read");
            prop_assert_eq!(naive.size, size, "the peer knows the size of the table");
            for (kind, (name, value)) in &read {
                let is_key = ["set-cookie", "authorization"].iter().any(|key| key.as_bytes() == name);
                prop_assert!(!is_key || value.is_empty() || *kind == Kind::NeverIndexed);
            }
            prop_assert!(read.into_iter().map(|(_, field)| field).eq(expected));
        }
    }

    #[test]
    fn what_is_read_is_what_the_rfc_says(
        table in prop_oneof![Just(0), Just(64), Just(256), Just(4096)],
        blocks in vec(raw_block(), 1..6),
    ) {
        compare(table, &blocks)?;
    }

    #[test]
    fn random_bytes_too(blocks in vec(vec(any::<u8>(), 0..60), 1..4)) {
        compare(4096, &blocks)?;
    }

    #[test]
    fn and_written_blocks_with_an_error(
        lists in vec(vec((name(), value()), 1..8), 1..6),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let (mut encoder, mut blocks) = (Encoder::new(), Vec::new());
        for list in &lists {
            let mut out = Vec::new();
            encoder.begin(&mut out);
            list.iter().for_each(|(name, value)| encoder.field(name, value, &mut out));
            blocks.push(out);
        }
        prop_assert_eq!(compare(4096, &blocks)?, blocks.len());
        let block = at.get_mut(&mut blocks);
        let byte = at.get_mut(block);
        *byte ^= flip;
        compare(4096, &blocks)?;
    }

    #[test]
    fn a_block_that_was_cut_is_broken_or_says_less(list in vec((name(), value()), 1..8)) {
        let mut block = Vec::new();
        let mut encoder = Encoder::new();
        list.iter().for_each(|(name, value)| encoder.field(name, value, &mut block));
        let mut whole = FieldBlock::new();
        prop_assert_eq!(Decoder::new(4096).decode(&block, LIMIT, &mut whole), Ok(()));
        let whole = fields(&whole);
        for end in 0..block.len() {
            let mut into = FieldBlock::new();
            if Decoder::new(4096).decode(&block[..end], LIMIT, &mut into).is_ok() {
                prop_assert!(into.len() < whole.len() && whole.starts_with(&fields(&into)));
            }
        }
    }

    /// With a limit the fields up to it are the same, and the table is the same for the next block.
    #[test]
    fn a_limit_takes_fields_away_and_nothing_else(blocks in vec(raw_block(), 1..6), limit in 0..600_usize) {
        let (mut free, mut limited) = (Decoder::new(4096), Decoder::new(4096));
        let (mut all, mut some) = (FieldBlock::new(), FieldBlock::new());
        for block in &blocks {
            let result = free.decode(block, LIMIT, &mut all);
            prop_assert_eq!(limited.decode(block, limit, &mut some), result);
            if result.is_err() {
                return Ok(());
            }
            let expected = fields(&all);
            let mut size = 0;
            let fitting = expected.iter().take_while(|(name, value)| {
                size += name.len() + value.len() + 32;
                size <= limit
            });
            prop_assert_eq!(fields(&some), fitting.cloned().collect::<Vec<_>>());
            prop_assert_eq!(some.size(), all.size());
            prop_assert_eq!(some.is_too_large(), all.size() > limit);
            prop_assert!(!all.is_too_large());
        }
    }
}
