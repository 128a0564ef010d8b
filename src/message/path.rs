//! One spelling for every path. [`canonicalise`] runs before any decision, and the upstream gets what it
//! gives: rules and origin cannot see different paths. What no single reading is safe for (`%2f`, `\`,
//! `..;`, control bytes) is refused.
//!
//! Case is kept: `/ADMIN` is another path than `/admin`. An origin that folds case needs a rule for each
//! spelling, or a regex with `(?i)`.

use std::fmt;

/// What [`canonicalise`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canonical {
    /// The path is canonical as it is; nothing was written.
    Same,
    /// The canonical path was written to `out`.
    Changed,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    NotAbsolute,
    BadByte,
    BadEscape,
    ControlByte,
    EncodedSlash,
    Backslash,
    OverlongEscape,
    AboveRoot,
    DotParameter,
    /// The result of a rewrite is not canonical.
    RewrittenPath,
    /// Only for patterns: parameters take no part in the choice of a route.
    PatternParameter,
}

impl PathError {
    /// The code that the access log shows.
    pub fn code(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "path_not_absolute",
            PathError::BadByte => "path_bad_byte",
            PathError::BadEscape => "path_bad_escape",
            PathError::ControlByte => "path_control_byte",
            PathError::EncodedSlash => "path_encoded_slash",
            PathError::Backslash => "path_backslash",
            PathError::OverlongEscape => "path_overlong_escape",
            PathError::AboveRoot => "path_above_root",
            PathError::DotParameter => "path_dot_parameter",
            PathError::RewrittenPath => "path_rewritten",
            PathError::PatternParameter => "path_pattern_parameter",
        }
    }

    /// One line for an error message.
    pub fn reason(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "the path does not begin with a slash",
            PathError::BadByte => "the path holds a byte that must be percent-encoded",
            PathError::BadEscape => "the path holds a percent sign without two hex digits",
            PathError::ControlByte => "the path holds a control byte",
            PathError::EncodedSlash => "the path holds an encoded slash",
            PathError::Backslash => "the path holds a backslash",
            PathError::OverlongEscape => "the path holds an overlong UTF-8 sequence",
            PathError::AboveRoot => "the path goes above the root",
            PathError::DotParameter => "the path holds a dot segment with a parameter",
            PathError::RewrittenPath => "the rewritten path is not canonical",
            PathError::PatternParameter => "a path pattern cannot hold `;`: parameters are not matched",
        }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for PathError {}

/// Gives the canonical form of a request's path (RFC 3986 section 6.2.2): escapes of unreserved characters
/// decoded, once; other escapes in upper case; dot segments resolved.
///
/// Empty segments are merged, before dot segments are resolved, as most servers do: `/a//../b` is `/b`.
/// That is safe because the merged path is the one that is forwarded; an origin that tells `/a//b` from
/// `/a/b` cannot be told so. `*` (of `OPTIONS *`) stays.
///
/// `Changed` replaces what `out` held; after `Same` or an error there is nothing to read in it.
pub fn canonicalise(path: &[u8], out: &mut Vec<u8>) -> Result<Canonical, PathError> {
    if is_plain(path) || path == b"*" {
        return Ok(Canonical::Same);
    }
    let Some((b'/', segments)) = path.split_first() else {
        return Err(PathError::NotAbsolute);
    };
    out.clear();
    out.reserve(path.len());
    resolve(segments, out)?;
    if out == path { Ok(Canonical::Same) } else { Ok(Canonical::Changed) }
}

/// The cheap answer for nearly every request: no escape, no empty segment, none that begins with a dot.
fn is_plain(path: &[u8]) -> bool {
    let odd =
        path.windows(2).fold(0, |odd, pair| odd | (ODD_BYTES[pair[1] as usize] & WATCHED[pair[0] as usize]));
    odd == 0 && path.first() == Some(&b'/')
}

fn resolve(segments: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut ends_in_slash = true;
    for segment in segments.split(|byte| *byte == b'/') {
        let start = out.len();
        out.push(b'/');
        decode(segment, out)?;
        ends_in_slash = true;
        match &out[start + 1..] {
            b"" | b"." => out.truncate(start),
            b".." => {
                let parent = memchr::memrchr(b'/', &out[..start]).ok_or(PathError::AboveRoot)?;
                out.truncate(parent);
            }
            decoded if matches!(name_of(decoded), b"." | b"..") => return Err(PathError::DotParameter),
            _ => ends_in_slash = false,
        }
    }
    if ends_in_slash {
        out.push(b'/');
    }
    Ok(())
}

fn decode(segment: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut rest = segment;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match *byte {
            b'%' => {
                let [high, low, tail @ ..] = tail else {
                    return Err(PathError::BadEscape);
                };
                let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low)) else {
                    return Err(PathError::BadEscape);
                };
                push_escaped(high << 4 | low, out)?;
                rest = tail;
            }
            b'\\' => return Err(PathError::Backslash),
            0..=0x1f | 0x7f => return Err(PathError::ControlByte),
            b' ' | b'?' | b'#' | 0x80.. => return Err(PathError::BadByte),
            plain => out.push(plain),
        }
    }
    Ok(())
}

fn push_escaped(byte: u8, out: &mut Vec<u8>) -> Result<(), PathError> {
    match byte {
        b'/' => return Err(PathError::EncodedSlash),
        b'\\' => return Err(PathError::Backslash),
        0..=0x1f | 0x7f => return Err(PathError::ControlByte),
        b'-' | b'.' | b'_' | b'~' => out.push(byte),
        _ if byte.is_ascii_alphanumeric() => out.push(byte),
        _ if is_overlong(out, byte) => return Err(PathError::OverlongEscape),
        _ => push_escape(byte, out),
    }
    Ok(())
}

/// Writes `%XX`.
pub fn push_escape(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'%', HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
}

/// A character written in more UTF-8 bytes than it needs, `%C0%AF` for `/`: careless decoders take it for
/// the short one (RFC 3629 section 10).
fn is_overlong(before: &[u8], byte: u8) -> bool {
    match before.last_chunk::<3>() {
        Some(b"%C0" | b"%C1") => (0x80..0xc0).contains(&byte),
        Some(b"%E0") => (0x80..0xa0).contains(&byte),
        Some(b"%F0") => (0x80..0x90).contains(&byte),
        _ => false,
    }
}

/// The canonical path without the `;parameters` of its segments, when it has any. Routes are chosen by
/// this form: many origins ignore parameters, and a rule for `/admin` has to cover `/admin;x=1` and
/// `/;x/admin` too. `%3B` counts as `;`.
pub fn without_parameters(path: &[u8]) -> Option<Vec<u8>> {
    parameter(path)?;
    let mut bare = Vec::with_capacity(path.len());
    let mut ends_in_slash = false;
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/') {
        let name = name_of(segment);
        ends_in_slash = name.is_empty();
        if !name.is_empty() {
            bare.push(b'/');
            bare.extend_from_slice(name);
        }
    }
    if ends_in_slash {
        bare.push(b'/');
    }
    Some(bare)
}

/// The segment without its parameters.
pub fn name_of(segment: &[u8]) -> &[u8] {
    &segment[..parameter(segment).unwrap_or(segment.len())]
}

/// Where the first parameter begins.
fn parameter(path: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b';', b'%', path).find(|&at| path[at] == b';' || path[at..].starts_with(b"%3B"))
}

/// The canonical form of a pattern that a user wrote; characters that a request would have to escape
/// (`/café`, `/a b`) may stand as they are.
pub fn pattern(written: &str) -> Result<Vec<u8>, PathError> {
    let mut escaped = Vec::with_capacity(written.len());
    for byte in written.bytes() {
        match byte {
            b' ' | 0x80.. => push_escape(byte, &mut escaped),
            _ => escaped.push(byte),
        }
    }
    let mut canonical = Vec::new();
    let path = match canonicalise(&escaped, &mut canonical)? {
        Canonical::Same => escaped,
        Canonical::Changed => canonical,
    };
    if parameter(&path).is_some() { Err(PathError::PatternParameter) } else { Ok(path) }
}

/// The canonical form of a prefix pattern, without slash at its end: `/api/` is `/api`, `/` is empty.
pub fn prefix(written: &str) -> Result<Vec<u8>, PathError> {
    let mut prefix = pattern(written)?;
    if prefix.ends_with(b"/") {
        prefix.pop();
    }
    Ok(prefix)
}

/// True when the prefix covers the path by whole segments. The prefix has no slash at its end, so `/` is
/// given as the empty string.
pub fn covers(prefix: &[u8], path: &[u8]) -> bool {
    path.starts_with(prefix)
        && match path.get(prefix.len()) {
            Some(next) => *next == b'/',
            None => !prefix.is_empty(),
        }
}

/// How many bytes of the canonical path the prefix covers, parameters of the covered segments included:
/// `/api` covers six of `/api;v/x`. `None` when it does not cover the path.
pub fn covered_by(prefix: &[u8], path: &[u8]) -> Option<usize> {
    if covers(prefix, path) {
        return Some(prefix.len());
    }
    let mut wanted = prefix.split(|byte| *byte == b'/').skip(1).peekable();
    let mut covered = 0;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        let Some(next) = wanted.peek() else {
            break;
        };
        let name = name_of(segment);
        if name == *next {
            wanted.next();
        } else if !name.is_empty() {
            return None;
        }
        covered += 1 + segment.len();
    }
    wanted.peek().is_none().then_some(covered)
}

pub fn hex_value(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Never in a path that [`is_plain`].
const ODD: u8 = 1;
/// Odd only behind a slash.
const ODD_AFTER_SLASH: u8 = 2;

/// What is odd behind a byte.
static WATCHED: [u8; 256] = {
    let mut table = [ODD; 256];
    table[b'/' as usize] = ODD | ODD_AFTER_SLASH;
    table
};

static ODD_BYTES: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = 0;
        byte += 1;
    }
    table[b'%' as usize] = ODD;
    table[b'\\' as usize] = ODD;
    table[b'?' as usize] = ODD;
    table[b'#' as usize] = ODD;
    table[b'/' as usize] = ODD_AFTER_SLASH;
    table[b'.' as usize] = ODD_AFTER_SLASH;
    table
};

#[cfg(test)]
mod tests;
