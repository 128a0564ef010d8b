//! Request targets (RFC 9112 section 3.2).

use crate::error::HeadError;
use crate::method::Method;

/// The four forms of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, for CONNECT
    Authority,
    /// `*`, for OPTIONS
    Asterisk,
}

/// What an absolute target names before its `://`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The port that is meant where none is named (RFC 9110 section 4.2).
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Byte ranges of a target's parts, relative to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetParts {
    pub form: TargetForm,
    /// Start and end of the authority; empty when there is none.
    pub authority: (usize, usize),
    pub path: (usize, usize),
    /// Without the question mark; `None` when there is none.
    pub query: Option<(usize, usize)>,
}

pub(crate) fn parse(method: Method, target: &[u8]) -> Result<TargetParts, HeadError> {
    if method == Method::Connect {
        // Only the form is checked here: whoever serves CONNECT checks the authority.
        let valid = crate::authority::parse(target).is_some_and(|authority| authority.port.is_some());
        let parts = TargetParts {
            form: TargetForm::Authority,
            authority: (0, target.len()),
            path: (0, 0),
            query: None,
        };
        return if valid { Ok(parts) } else { Err(HeadError::BadTarget) };
    }
    if target.first() == Some(&b'/') {
        return origin(target, TargetForm::Origin, (0, 0), 0);
    }
    if target == b"*" && method == Method::Options {
        return Ok(TargetParts { form: TargetForm::Asterisk, authority: (0, 0), path: (0, 1), query: None });
    }
    absolute(target)
}

fn absolute(target: &[u8]) -> Result<TargetParts, HeadError> {
    let scheme_len = [&b"http://"[..], b"https://"]
        .iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
        .map(|scheme| scheme.len())
        .ok_or(HeadError::BadTarget)?;
    let rest = &target[scheme_len..];
    let len = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    if len == 0 {
        // An empty host is not to be taken for `Host` (RFC 9110 section 4.2.1).
        return Err(HeadError::BadTarget);
    }
    let end = scheme_len + len;
    origin(target, TargetForm::Absolute, (scheme_len, end), end)
}

/// Path and query from `start` on. An absolute target may have no path: the caller reads that as `/`.
fn origin(
    target: &[u8],
    form: TargetForm,
    authority: (usize, usize),
    start: usize,
) -> Result<TargetParts, HeadError> {
    let mut question = None;
    let mut index = start;
    while let Some(plain) = target[index..].iter().position(|byte| CLASS[*byte as usize] != Class::Plain) {
        index += plain;
        match CLASS[target[index] as usize] {
            Class::Question => question = question.or(Some(index)),
            Class::Backslash if question.is_some() => {}
            Class::Percent => match target.get(index + 1..index + 3) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => index += 2,
                _ => return Err(HeadError::BadTarget),
            },
            Class::Plain | Class::Backslash | Class::Bad => return Err(HeadError::BadTarget),
        }
        index += 1;
    }
    let path_end = question.unwrap_or(target.len());
    let query = question.map(|question| (question + 1, target.len()));
    Ok(TargetParts { form, authority, path: (start, path_end), query })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Percent,
    Question,
    /// A separator to some origins; never in a path.
    Backslash,
    Bad,
}

/// RFC 3986 `pchar` and `/`, plus the marks that browsers leave bare: `" < > [ ] ^ { | }` and the
/// backtick. Controls, space, `#` and everything above 0x7e are bad.
static CLASS: [Class; 256] = {
    let mut table = [Class::Bad; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = Class::Plain;
        byte += 1;
    }
    table[b'#' as usize] = Class::Bad;
    table[b'%' as usize] = Class::Percent;
    table[b'?' as usize] = Class::Question;
    table[b'\\' as usize] = Class::Backslash;
    table
};
