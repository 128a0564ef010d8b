//! From text to tree, by the grammar of RFC 8259 and nothing beside it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{DEEPEST, Json, Member};

/// Why a text is no JSON that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    NotUtf8,
    Syntax,
    TooDeep,
    /// Two members of one object have the same name.
    NamedTwice,
}

impl JsonError {
    /// For the log.
    pub fn reason(self) -> &'static str {
        match self {
            JsonError::NotUtf8 => "json_not_utf8",
            JsonError::Syntax => "json_syntax",
            JsonError::TooDeep => "json_too_deep",
            JsonError::NamedTwice => "json_named_twice",
        }
    }
}

/// Reads one value, with white space around it.
pub fn parse(text: &[u8]) -> Result<Json<'_>, JsonError> {
    let text = std::str::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(JsonError::Syntax) }
}

/// Objects with more members look a name up in a set.
const FEW: usize = 8;

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips space and then this byte; false when there is another.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.takes(byte) { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// `depth` is the number of arrays and objects around it.
    fn value(&mut self, depth: usize) -> Result<Json<'t>, JsonError> {
        self.skip_space();
        match self.peek().ok_or(JsonError::Syntax)? {
            b'{' | b'[' if depth == DEEPEST => Err(JsonError::TooDeep),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(Json::Scalar),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err(JsonError::Syntax),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'t>, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if !self.takes(b',') {
                self.expect(b']')?;
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'t>, JsonError> {
        self.at += 1;
        let mut members: Vec<Member<'t>> = Vec::new();
        let mut names = HashSet::new();
        if self.takes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(JsonError::Syntax);
            }
            let name = unescaped(self.string()?)?;
            if members.len() == FEW {
                names.extend(members.iter().map(|member| member.name.clone()));
            }
            let is_new = if members.len() < FEW {
                members.iter().all(|member| member.name != name)
            } else {
                names.insert(name.clone())
            };
            if !is_new {
                return Err(JsonError::NamedTwice);
            }
            self.expect(b':')?;
            let value = self.value(depth)?;
            members.push(Member { name, value });
            if !self.takes(b',') {
                self.expect(b'}')?;
                return Ok(Json::Object(members));
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<Json<'t>, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest.get(..word.len()).filter(|found| *found == word).ok_or(JsonError::Syntax)?;
        self.at += word.len();
        Ok(Json::Scalar(Cow::Borrowed(found)))
    }

    fn number(&mut self) -> Result<Json<'t>, JsonError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Json::Scalar(Cow::Borrowed(self.text.get(start..self.at).unwrap_or_default())))
    }

    /// One at least.
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// With its quotes and escapes.
    fn string(&mut self) -> Result<Cow<'t, str>, JsonError> {
        let start = self.at;
        self.at += 1;
        loop {
            let byte = self.peek().ok_or(JsonError::Syntax)?;
            self.at += 1;
            match byte {
                b'"' => {
                    return Ok(Cow::Borrowed(self.text.get(start..self.at).unwrap_or_default()));
                }
                b'\\' => {
                    let escape = self.peek().ok_or(JsonError::Syntax)?;
                    self.at += 1;
                    match escape {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at..self.at + 4);
                            if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                                return Err(JsonError::Syntax);
                            }
                            self.at += 4;
                        }
                        _ => return Err(JsonError::Syntax),
                    }
                }
                0..b' ' => return Err(JsonError::Syntax),
                _ => {}
            }
        }
    }
}

/// A string without quotes and escapes. Half of a surrogate pair is no character, and so no name.
fn unescaped(written: Cow<'_, str>) -> Result<Cow<'_, str>, JsonError> {
    let Cow::Borrowed(written) = written else { return Err(JsonError::Syntax) };
    let inside = written.get(1..written.len() - 1).unwrap_or_default();
    if !inside.contains('\\') {
        return Ok(Cow::Borrowed(inside));
    }
    let mut units: Vec<u16> = Vec::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '\\' => match characters.next().ok_or(JsonError::Syntax)? {
                'u' => {
                    let rest = characters.as_str();
                    let unit = rest.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
                    units.push(unit.ok_or(JsonError::Syntax)?);
                    characters = rest.get(4..).unwrap_or_default().chars();
                    continue;
                }
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map(Cow::Owned).map_err(|_| JsonError::Syntax)
}
