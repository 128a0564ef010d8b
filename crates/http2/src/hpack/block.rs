//! The fields of one block, in memory that is used again for the next one.

use super::OVERHEAD;

/// Decoded fields of one block, in order.
#[derive(Debug, Default, Clone)]
pub struct FieldBlock {
    /// Name and value of each field, one behind the other with nothing between.
    text: Vec<u8>,
    spans: Vec<Span>,
    size: usize,
    limit: usize,
}

/// The 32 bits suffice: no limit is taken to be above them.
#[derive(Debug, Clone, Copy)]
struct Span {
    name: u32,
    value: u32,
}

impl FieldBlock {
    pub fn new() -> FieldBlock {
        FieldBlock::default()
    }

    /// Names and values in the order of the block, as far as they were kept.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let mut rest = self.text.as_slice();
        self.spans.iter().map_while(move |span| {
            let (name, behind) = rest.split_at_checked(span.name as usize)?;
            let (value, behind) = behind.split_at_checked(span.value as usize)?;
            rest = behind;
            Some((name, value))
        })
    }

    /// Number of the fields that were kept.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What the whole list weighs, in bytes (RFC 9113 6.5.2): 32 and name and value of each field, also of those
    /// that were not kept.
    pub fn size(&self) -> usize {
        self.size
    }

    /// True when the list weighs more than was allowed: the field that passed the limit and all behind it are
    /// missing. The table of the connection is right all the same, and the next block can be read.
    pub fn is_too_large(&self) -> bool {
        self.size > self.limit
    }

    /// Bytes of memory that are held.
    pub fn capacity(&self) -> usize {
        self.text.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Forgets the fields and keeps the memory.
    pub(super) fn start(&mut self, limit: usize) {
        self.text.clear();
        self.spans.clear();
        self.size = 0;
        self.limit = limit.min(u32::MAX as usize);
    }

    /// A field from a table: `text` is its name, of `name` bytes, and its value.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8], name: usize) {
        if self.admits(text.len()) {
            self.text.extend_from_slice(text);
            self.spans.push(Span { name: name as u32, value: (text.len() - name) as u32 });
        }
    }

    /// Where a field is written that is not from a table; [`FieldBlock::end_literal`] takes it or throws it away.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// What was appended to the text since it had `start` bytes is a field, with a name of `name` bytes.
    pub(super) fn end_literal(&mut self, start: usize, name: usize) {
        let length = self.text.len() - start;
        if self.admits(length) {
            self.spans.push(Span { name: name as u32, value: (length - name) as u32 });
        } else {
            self.text.truncate(start);
        }
    }

    /// Counts a field. Never true again once it was false: the size only grows.
    fn admits(&mut self, length: usize) -> bool {
        self.size = self.size.saturating_add(length + OVERHEAD);
        self.size <= self.limit
    }
}
