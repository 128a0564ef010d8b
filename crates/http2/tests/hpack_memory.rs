//! No block makes more of itself than its reader allows.

mod shared;

use http2::hpack::{Decoder, FieldBlock};
use shared::fields;

/// An entry of nearly the whole table, and then its index 30,000 times: 120 MB out of 34 kB.
#[test]
fn a_bomb_is_kept_up_to_the_limit() {
    let value = vec![b'v'; 4096 - 32 - 1];
    let mut block = vec![0x40, 1, b'n', 0x7f];
    let length = value.len() - 127;
    block.extend([length as u8 | 0x80, (length >> 7) as u8]);
    block.extend(&value);
    block.extend([0x80 | 62; 30_000]);
    let limit = 64 << 10;
    let (mut decoder, mut into) = (Decoder::new(4096), FieldBlock::new());
    assert_eq!(decoder.decode(&block, limit, &mut into), Ok(()));
    assert!(into.is_too_large());
    assert_eq!(into.size(), 30_001 * 4096);
    assert_eq!(into.len(), limit / 4096);
    assert!(into.capacity() <= 2 * limit, "{}", into.capacity());
    // The connection goes on.
    assert_eq!(decoder.decode(&[0x80 | 62], limit, &mut into), Ok(()));
    assert_eq!(fields(&into), [(b"n".to_vec(), value)]);
    assert!(!into.is_too_large());
}

/// Fields that weigh only what a field weighs.
#[test]
fn empty_fields_count() {
    let (mut decoder, mut into) = (Decoder::new(0), FieldBlock::new());
    let block = [0, 0, 0].repeat(10_000);
    assert_eq!(decoder.decode(&block, 3200, &mut into), Ok(()));
    assert_eq!((into.len(), into.size(), into.is_too_large()), (100, 320_000, true));
    assert!(into.capacity() <= 2 * 3200, "{}", into.capacity());
}

/// Fields that are in the block itself, and are read though they are not kept.
#[test]
fn literals_beyond_the_limit_leave_nothing() {
    let (mut decoder, mut into) = (Decoder::new(4096), FieldBlock::new());
    let field = [&[0x40, 1, b'n', 100][..], &[b'v'; 100]].concat();
    let block = field.repeat(1000);
    assert_eq!(decoder.decode(&block, 1000, &mut into), Ok(()));
    assert_eq!((into.len(), into.size()), (1000 / 133, 133_000));
    assert!(into.capacity() <= 2 * (1000 + 133), "{}", into.capacity());
}

#[test]
fn a_limit_is_reached_exactly() {
    let (mut decoder, mut into) = (Decoder::new(4096), FieldBlock::new());
    // ":method: GET" weighs 42.
    for (limit, kept) in [(0, 0), (41, 0), (42, 1), (83, 1), (84, 2)] {
        assert_eq!(decoder.decode(&[0x82, 0x82], limit, &mut into), Ok(()));
        assert_eq!((into.len(), into.is_too_large(), into.is_empty()), (kept, limit < 84, kept == 0));
        assert_eq!(into.size(), 84);
    }
}
