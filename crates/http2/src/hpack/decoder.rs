//! Reads blocks of fields.

use super::dynamic_table::DynamicTable;
use super::{Broken, FieldBlock, HUFFMAN, INDEXED, TABLE_SIZE, WITH_INDEXING, WITHOUT_INDEXING};
use super::{huffman, integer, static_table};

/// A block begins with at most so many changes of the table's size: the smallest in between, and the last.
const MAX_SIZE_UPDATES: usize = 2;

/// The reading side of a connection: what its earlier blocks said counts for the later ones.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// Bytes the peer may let the table grow to.
    announced: usize,
}

impl Decoder {
    /// For a peer that was told this SETTINGS_HEADER_TABLE_SIZE, in bytes, at most 1 GiB.
    pub fn new(max_table_size: usize) -> Decoder {
        Decoder { table: DynamicTable::new(max_table_size), announced: max_table_size }
    }

    /// Reads one whole block, its fragments joined, into `into`, whose earlier fields are forgotten.
    ///
    /// A list that weighs more than `limit` bytes ([`FieldBlock::size`]) is read to its end nevertheless, as the
    /// table needs it, but kept only up to the limit.
    pub fn decode(&mut self, block: &[u8], limit: usize, into: &mut FieldBlock) -> Result<(), Broken> {
        into.start(limit);
        let mut rest = self.size_updates(block)?;
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            if first & INDEXED.0 != 0 {
                let (text, name) = self.entry(integer::decode(first, INDEXED.1, &mut rest)?)?;
                into.push(text, name);
            } else {
                rest = self.literal(first, rest, into)?;
            }
        }
        Ok(())
    }

    /// Updates of the table's size may only be here, in front of the fields.
    #[inline]
    fn size_updates<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], Broken> {
        let mut rest = block;
        for _ in 0..MAX_SIZE_UPDATES {
            match rest.split_first() {
                Some((&first, mut behind)) if is_size_update(first) => {
                    let size = integer::decode(first, TABLE_SIZE.1, &mut behind)?;
                    if size > self.announced {
                        return Err(Broken);
                    }
                    self.table.set_max_size(size);
                    rest = behind;
                }
                _ => break,
            }
        }
        Ok(rest)
    }

    /// Entry `index` of both tables: name and value one behind the other, and the length of the name.
    #[inline]
    fn entry(&self, index: usize) -> Result<(&[u8], usize), Broken> {
        match index.checked_sub(static_table::LEN + 1) {
            Some(index) => self.table.get(index),
            None => static_table::get(index),
        }
        .ok_or(Broken)
    }

    /// A field of which at least the value is written out. `first` is its first byte, and what is behind the field
    /// comes back.
    fn literal<'a>(&mut self, first: u8, block: &'a [u8], into: &mut FieldBlock) -> Result<&'a [u8], Broken> {
        let mut rest = block;
        let with_indexing = first & WITH_INDEXING.0 != 0;
        if !with_indexing && is_size_update(first) {
            return Err(Broken);
        }
        // The other two kinds differ only for who writes the field again by the same compression.
        let bits = if with_indexing { WITH_INDEXING.1 } else { WITHOUT_INDEXING.1 };
        let index = integer::decode(first, bits, &mut rest)?;
        let start = into.text().len();
        if index == 0 {
            string(&mut rest, into.text())?;
        } else {
            let (text, name) = self.entry(index)?;
            into.text().extend_from_slice(text.get(..name).ok_or(Broken)?);
        }
        let name = into.text().len() - start;
        string(&mut rest, into.text())?;
        if with_indexing {
            let field = into.text().get(start..).unwrap_or_default();
            let (name, value) = field.split_at_checked(name).ok_or(Broken)?;
            self.table.insert(name, value);
        }
        into.end_literal(start, name);
        Ok(rest)
    }
}

fn is_size_update(first: u8) -> bool {
    first >> TABLE_SIZE.1 == TABLE_SIZE.0 >> TABLE_SIZE.1
}

/// Moves the string that `rest` begins with to the end of `text`.
fn string(rest: &mut &[u8], text: &mut Vec<u8>) -> Result<(), Broken> {
    let (&first, behind) = rest.split_first().ok_or(Broken)?;
    *rest = behind;
    let length = integer::decode(first, HUFFMAN.1, rest)?;
    let (bytes, behind) = rest.split_at_checked(length).ok_or(Broken)?;
    *rest = behind;
    if first & HUFFMAN.0 != 0 {
        return huffman::decode(bytes, text);
    }
    text.extend_from_slice(bytes);
    Ok(())
}
