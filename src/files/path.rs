//! From the path of a request to the name of a file below the root. The path is canonical when it comes here; what
//! is checked again is what a file's safety hangs on.

use crate::message::Failure;
use crate::message::path::hex_value;

/// The name of a file below the root: segments with `/` between them, none of which is empty, `.` or `..`, or holds
/// a slash or NUL. Empty is the root itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Below(Vec<u8>);

impl Below {
    /// Decodes the escapes of a canonical path, once.
    pub fn decode(path: &[u8]) -> Result<Below, Failure> {
        let mut decoded = Vec::with_capacity(path.len());
        let mut rest = path.strip_prefix(b"/").ok_or(Failure::NoFile)?;
        while let Some(at) = memchr::memchr(b'%', rest) {
            decoded.extend_from_slice(&rest[..at]);
            let &[_, high, low, ref tail @ ..] = &rest[at..] else { return Err(Failure::NoFile) };
            let byte = escaped(high, low).ok_or(Failure::NoFile)?;
            if byte == b'/' {
                return Err(Failure::NoFile);
            }
            decoded.push(byte);
            rest = tail;
        }
        decoded.extend_from_slice(rest);
        Below::new(decoded)
    }

    /// From bytes that mean themselves. A slash at the end is left out.
    pub fn new(mut name: Vec<u8>) -> Result<Below, Failure> {
        if name.len() > 1 && name.last() == Some(&b'/') {
            name.pop();
        }
        let below = Below(name);
        let sound = |segment: &[u8]| {
            !matches!(segment, b"" | b"." | b"..") && segment.len() <= LONGEST_NAME && !segment.contains(&0)
        };
        if below.0.len() <= LONGEST_PATH && below.segments().all(sound) {
            Ok(below)
        } else {
            Err(Failure::NoFile)
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// None of the root.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let all = (!self.0.is_empty()).then_some(&self.0[..]);
        all.into_iter().flat_map(|all| all.split(|byte| *byte == b'/'))
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// A file in this folder.
    pub fn join(&self, name: &[u8]) -> Below {
        let slash: &[u8] = if self.0.is_empty() { b"" } else { b"/" };
        Below([&self.0, slash, name].concat())
    }

    /// The file beside this one with so much more in its name.
    pub fn with_extension(&self, extension: &[u8]) -> Below {
        Below([&self.0, extension].concat())
    }
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    Some(hex_value(high)? << 4 | hex_value(low)?)
}

/// As a segment of a reference: everything but unreserved characters is escaped, so that it stands for itself in
/// HTML as well.
pub fn push_segment(name: &[u8], out: &mut String) {
    for &byte in name {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
/// NAME_MAX and PATH_MAX of Linux: nothing has a longer one.
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 4095;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        for (path, name) in [
            ("/", Some("")),
            ("/a", Some("a")),
            ("/a/b.txt", Some("a/b.txt")),
            ("/a/", Some("a")),
            ("/a%20b", Some("a b")),
            ("/%2561", Some("%61")),
            ("/%252e%252e/x", Some("%2e%2e/x")),
            ("/caf%C3%A9", Some("café")),
            ("/a;v=1", Some("a;v=1")),
            ("/...", Some("...")),
            // None of these comes out of the canonical form.
            ("a", None),
            ("", None),
            ("*", None),
            ("//", None),
            ("//a", None),
            ("/a//b", None),
            ("/.", None),
            ("/..", None),
            ("/a/../b", None),
            ("/%2e%2e/a", None),
            ("/%2e", None),
            ("/a%2fb", None),
            ("/a%2Fb", None),
            ("/..%2fa", None),
            ("/a%00", None),
            ("/a\0", None),
            ("/a%", None),
            ("/a%4", None),
            ("/a%zz", None),
        ] {
            let decoded = Below::decode(path.as_bytes()).ok();
            assert_eq!(decoded.as_ref().map(Below::as_bytes), name.map(str::as_bytes), "{path}");
        }
        assert!(Below::decode(format!("/{}", "a".repeat(255)).as_bytes()).is_ok());
        assert!(Below::decode(format!("/{}", "a".repeat(256)).as_bytes()).is_err());
        assert!(Below::decode("/a".repeat(2048).as_bytes()).is_ok());
        assert!(Below::decode("/a".repeat(2049).as_bytes()).is_err());
    }

    #[test]
    fn names_are_put_together() {
        let (root, folder) = (Below::default(), Below::decode(b"/a/b/").unwrap());
        assert_eq!((root.name(), folder.name()), (&b""[..], &b"b"[..]));
        assert_eq!(root.join(b"x").as_bytes(), b"x");
        assert_eq!(folder.join(b"x").as_bytes(), b"a/b/x");
        assert_eq!(folder.with_extension(b".gz").as_bytes(), b"a/b.gz");
        assert_eq!((root.segments().count(), folder.segments().count()), (0, 2));
    }

    #[test]
    fn a_segment_stands_for_itself_everywhere() {
        let mut out = String::new();
        push_segment(b"a b<\"'&>\xff?#%:.~", &mut out);
        assert_eq!(out, "a%20b%3C%22%27%26%3E%FF%3F%23%25%3A.~");
    }
}
