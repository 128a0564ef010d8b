//! Writes fields of which at least the value is written out.

use super::lower::{self, Name};
use super::{HUFFMAN, PLAIN, WITHOUT_INDEXING, huffman, integer};

/// From here on the length of a string does not fit into its first byte.
const LONG_STRING: usize = 127;

/// Writes a field with the name of entry `index`, or else, for 0, with its name.
pub fn field(kind: (u8, u32), index: usize, name: &Name, value: &[u8], out: &mut Vec<u8>) {
    integer::encode(index, kind, out);
    if index == 0 {
        string(name.bytes(), out);
    }
    string(value, out);
}

/// Writes a field with a name of more than [`lower::MAX`] bytes.
#[cold]
pub fn long_name(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    debug_assert!(name.len() > lower::MAX);
    integer::encode(0, WITHOUT_INDEXING, out);
    integer::encode(name.len(), PLAIN, out);
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    string(value, out);
}

/// Writes a string the shorter way.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    if text.len() >= LONG_STRING {
        return long_string(text, out);
    }
    // Written in Huffman code before it is known whether that is shorter, which it nearly always is.
    let start = out.len();
    out.push(0);
    huffman::encode(text, out);
    let length = out.len() - start - 1;
    if length < text.len() {
        if let Some(first) = out.get_mut(start) {
            *first = HUFFMAN.0 | length as u8;
        }
    } else {
        out.truncate(start);
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
}

fn long_string(text: &[u8], out: &mut Vec<u8>) {
    let length = huffman::encoded_len(text);
    if length < text.len() {
        integer::encode(length, HUFFMAN, out);
        huffman::encode(text, out);
    } else {
        integer::encode(text.len(), PLAIN, out);
        out.extend_from_slice(text);
    }
}
