//! What more than one test needs.
#![allow(dead_code)] // Not every test needs all of it.

pub mod naive;

use http2::hpack::FieldBlock;
use naive::Field;

pub fn fields(block: &FieldBlock) -> Vec<Field> {
    block.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What RFC 9113 6.5.2 says that a list weighs.
pub fn weight(fields: &[Field]) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
}
