//! Reader of the corpus: raw messages as text, with what a strict reader makes of each.
//!
//! It stands alone, so that other tests can take it in by `#[path]`. The format, one keyword a line:
//!
//! ```text
//! # a comment
//! ## name of the case
//! row 1 24                  rows of the security table that it stands for (optional)
//! method HEAD               what a response answers (optional, GET otherwise)
//! in GET / HTTP/1.1\r\n     a piece of the input; pieces are joined as they are
//! accept GET / 1.1 ...      what was understood, or `reject reason`, or `incomplete`
//! field Host: a             every field in order; left out, fields are not compared
//! body hello                decoded, all of it; left out, it is empty
//! trailer X-Sum: 1          trailer fields that may be passed on
//! rest GET /next            what follows the message in the input
//! ```
//!
//! Escapes: `\r \n \t \0 \\`, `\s` for a space at the end of a line, `\xNN` for any byte, and `\{9:abc}` for
//! nine times `abc`, which may hold escapes other than this one.

use std::path::Path;

#[derive(Debug, Clone)]
pub struct Case {
    /// File and name, good for a failure message.
    pub name: String,
    pub rows: Vec<u32>,
    pub method: String,
    pub input: Vec<u8>,
    pub expect: Expect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    Accept(Accept),
    /// The reason code.
    Reject(String),
    /// More bytes are needed.
    Incomplete,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept {
    pub summary: String,
    /// `None` when the case does not say.
    pub fields: Option<Vec<Vec<u8>>>,
    pub body: Vec<u8>,
    pub trailers: Vec<Vec<u8>>,
    pub rest: Vec<u8>,
}

/// All cases of the `.txt` files in a folder, in the order of their names.
///
/// # Panics
/// When a file cannot be read or breaks the format: a corpus that is not read whole tests nothing.
pub fn read_folder(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        read_text(&file.file_stem().unwrap().to_string_lossy(), &text, &mut cases);
    }
    cases
}

fn read_text(file: &str, text: &str, cases: &mut Vec<Case>) {
    let mut draft: Option<Draft> = None;
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{file}.txt:{}", number + 1);
        if let Some(name) = line.strip_prefix("## ") {
            cases.extend(draft.replace(Draft::new(format!("{file}: {name}"))).map(Draft::finish));
        } else if !line.is_empty() && !line.starts_with('#') {
            let draft = draft.as_mut().unwrap_or_else(|| panic!("{}: no case begun", place()));
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            draft.read(keyword, value).unwrap_or_else(|problem| panic!("{}: {problem}", place()));
        }
    }
    cases.extend(draft.map(Draft::finish));
}

/// A case while its lines are read.
struct Draft {
    case: Case,
    accept: Accept,
    verdict: Option<Expect>,
}

impl Draft {
    fn new(name: String) -> Draft {
        let case = Case {
            name,
            rows: Vec::new(),
            method: "GET".to_owned(),
            input: Vec::new(),
            expect: Expect::Incomplete,
        };
        Draft { case, accept: Accept::default(), verdict: None }
    }

    fn read(&mut self, keyword: &str, value: &str) -> Result<(), String> {
        match keyword {
            "row" => {
                for row in value.split_whitespace() {
                    self.case.rows.push(row.parse().map_err(|_| format!("no row number: {row}"))?);
                }
            }
            "method" => self.case.method = value.to_owned(),
            "in" => self.case.input.extend(unescape(value)?),
            "accept" => {
                self.accept.summary = value.to_owned();
                self.verdict = Some(Expect::Accept(Accept::default()));
            }
            "reject" => self.verdict = Some(Expect::Reject(value.to_owned())),
            "incomplete" => self.verdict = Some(Expect::Incomplete),
            "field" => self.accept.fields.get_or_insert_default().push(unescape(value)?),
            "body" => self.accept.body.extend(unescape(value)?),
            "trailer" => self.accept.trailers.push(unescape(value)?),
            "rest" => self.accept.rest.extend(unescape(value)?),
            other => return Err(format!("unknown keyword {other:?}")),
        }
        Ok(())
    }

    fn finish(mut self) -> Case {
        self.case.expect = match self.verdict {
            Some(Expect::Accept(_)) => Expect::Accept(self.accept),
            Some(other) => {
                assert!(self.accept == Accept::default(), "{}: results of a rejected case", self.case.name);
                other
            }
            None => panic!("{}: says neither accept, reject nor incomplete", self.case.name),
        };
        self.case
    }
}

/// Bytes that a piece of corpus text stands for.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(&rest.as_bytes()[..at]);
        let escape = rest[at + 1..].chars().next().ok_or("a lone backslash at the end")?;
        rest = &rest[at + 1 + escape.len_utf8()..];
        match escape {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            's' => bytes.push(b' '),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let digits = rest.get(..2).ok_or("\\x wants two digits")?;
                bytes.push(u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?);
                rest = &rest[2..];
            }
            '{' => {
                let (inside, after) = rest.split_once('}').ok_or("\\{ without }")?;
                let (count, what) = inside.split_once(':').ok_or("\\{ wants count:text")?;
                let count: usize = count.parse().map_err(|_| format!("no count: {count}"))?;
                bytes.extend(unescape(what)?.repeat(count));
                rest = after;
            }
            other => return Err(format!("unknown escape \\{other}")),
        }
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

/// Text that stands for bytes: what [`unescape`] undoes.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' ' if index + 1 == bytes.len() => text.push_str("\\s"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}
