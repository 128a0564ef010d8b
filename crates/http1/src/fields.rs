//! A list of fields: the received bytes and an index over them. Order and spelling survive; well-known
//! names are found by one byte. A list is used again for the next message, so it allocates once.

use crate::name::{Name, same_name};

/// A range of the text that belongs to a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub fn end(self) -> u32 {
        self.start + self.len
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub name: Span,
    pub value: Span,
    pub known: Name,
    /// The text holds exactly `name: value CRLF`, so the line may be copied whole.
    pub plain: bool,
}

/// One field as it is iterated over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'f> {
    pub known: Name,
    /// As received or as given to [`Fields::push`].
    pub name: &'f [u8],
    /// Without the white space around it.
    pub value: &'f [u8],
}

/// Fields of one message, in order.
#[derive(Debug, Default, Clone)]
pub struct Fields {
    pub(crate) text: Vec<u8>,
    pub(crate) slots: Vec<Slot>,
    /// A bit for each name that is or was in the list: most questions are about fields that are not
    /// there, and are answered by it.
    present: u64,
}

impl Fields {
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Empties the list and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.slots.clear();
        self.present = 0;
    }

    /// Bytes of memory that the list holds on to.
    pub fn capacity(&self) -> usize {
        self.text.capacity() + self.slots.capacity() * size_of::<Slot>()
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.slots.iter().map(|slot| self.field(slot))
    }

    /// Value of the first field with this name.
    #[inline]
    pub fn get(&self, known: Name) -> Option<&[u8]> {
        if !self.may_have(known) {
            return None;
        }
        self.slots.iter().find(|slot| slot.known == known).map(|slot| self.at(slot.value))
    }

    /// Values of all fields with this name, in order.
    pub fn all(&self, known: Name) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.slots_of(known).iter().filter(move |slot| slot.known == known).map(|slot| self.at(slot.value))
    }

    #[inline]
    pub fn contains(&self, known: Name) -> bool {
        self.may_have(known) && self.slots.iter().any(|slot| slot.known == known)
    }

    /// False when there is no field with this name: one test, where a search of nothing still costs its set-up.
    #[inline]
    pub(crate) fn may_have(&self, known: Name) -> bool {
        self.present & bit(known) != 0
    }

    /// The slots to look for a name in: none when it cannot be there.
    pub(crate) fn slots_of(&self, known: Name) -> &[Slot] {
        if self.may_have(known) { &self.slots } else { &[] }
    }

    pub(crate) fn add(&mut self, slot: Slot) {
        self.present |= bit(slot.known);
        self.slots.push(slot);
    }

    /// Values of all fields with this name, given in lower case; works for any name.
    pub fn all_named<'f>(&'f self, lower: &'f [u8]) -> impl Iterator<Item = &'f [u8]> {
        self.iter().filter(move |field| same_name(field.name, lower)).map(|field| field.value)
    }

    /// Adds a field at the end. The caller vouches for both: the name is a token, the value has no CR,
    /// LF or NUL (see [`is_safe_value`]).
    pub fn push(&mut self, known: Name, name: &[u8], value: &[u8]) {
        self.push_with(known, name, |text| text.extend_from_slice(value));
    }

    /// Adds a field whose value `write` appends to the text it is given.
    pub fn push_with(&mut self, known: Name, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let name = self.append(name);
        self.text.extend_from_slice(b": ");
        let start = self.text.len();
        write(&mut self.text);
        debug_assert!(is_token(self.at(name)) && is_safe_value(&self.text[start..]));
        let value = Span { start: start as u32, len: (self.text.len() - start) as u32 };
        self.text.extend_from_slice(b"\r\n");
        self.add(Slot { name, value, known, plain: true });
    }

    /// Removes every field with this name; says whether there was one.
    pub fn remove(&mut self, known: Name) -> bool {
        if !self.may_have(known) {
            return false;
        }
        let before = self.slots.len();
        self.slots.retain(|slot| slot.known != known);
        self.slots.len() != before
    }

    /// Keeps the fields for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let text = &self.text;
        self.slots.retain(|slot| keep(field_in(text, slot)));
    }

    /// Writes the fields for which `keep` holds as lines, each `name: value CRLF`.
    pub fn write_lines(&self, out: &mut Vec<u8>, mut keep: impl FnMut(Field<'_>) -> bool) {
        // Neighbouring lines that need no change are copied as one run.
        let mut run = 0..0;
        for slot in &self.slots {
            let field = self.field(slot);
            if !keep(field) {
                continue;
            }
            let line = slot.name.start as usize..slot.value.end() as usize + 2;
            if slot.plain && line.start == run.end {
                run.end = line.end;
                continue;
            }
            out.extend_from_slice(&self.text[run]);
            run = if slot.plain { line } else { 0..0 };
            if !slot.plain {
                write_line(out, field.name, field.value);
            }
        }
        out.extend_from_slice(&self.text[run]);
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }

    /// Appends a copy of `span` in lower case.
    pub(crate) fn append_lower(&mut self, span: Span) -> Span {
        let start = self.text.len();
        self.text.extend_from_within(span.start as usize..span.end() as usize);
        self.text[start..].make_ascii_lowercase();
        Span { start: start as u32, len: span.len }
    }

    pub(crate) fn at(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..span.end() as usize]
    }

    fn field(&self, slot: &Slot) -> Field<'_> {
        field_in(&self.text, slot)
    }
}

/// There are fewer names than bits.
fn bit(known: Name) -> u64 {
    1 << (known as u32 % u64::BITS)
}

fn field_in<'f>(text: &'f [u8], slot: &Slot) -> Field<'f> {
    Field {
        known: slot.known,
        name: &text[slot.name.start as usize..slot.name.end() as usize],
        value: &text[slot.value.start as usize..slot.value.end() as usize],
    }
}

/// Writes one line, `name: value CRLF`.
pub fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// True when a value may stand in a field: no CR, LF, NUL or other control byte but TAB
/// (RFC 9110 section 5.5).
pub fn is_safe_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// True for a token (RFC 9110 section 5.6.2): at least one byte, all of them `tchar`.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    table
};
