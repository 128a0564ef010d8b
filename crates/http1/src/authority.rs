//! `host[:port]` as it stands in `Host` and in absolute targets (RFC 9110 section 7.2), strictly: no
//! user part, no list, no empty port, no percent escapes.

/// Where the parts of an authority are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// As received; an IPv6 literal keeps its brackets.
    pub host: &'a [u8],
    pub port: Option<u16>,
    /// The host has letters in upper case.
    pub has_upper: bool,
}

/// Splits and checks an authority; `None` when it is none.
pub fn parse(text: &[u8]) -> Option<Authority<'_>> {
    let (host_len, has_upper) = if text.first() == Some(&b'[') { ipv6(text)? } else { name(text) };
    let (host, rest) = text.split_at_checked(host_len)?;
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => Some(parse_port(digits)?),
        _ => return None,
    };
    (!host.is_empty()).then_some(Authority { host, port, has_upper })
}

/// Length of `[...]` at the start, and whether letters in upper case are in it.
fn ipv6(text: &[u8]) -> Option<(usize, bool)> {
    let close = memchr::memchr(b']', text)?;
    let literal = &text[1..close];
    std::str::from_utf8(literal).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
    Some((close + 1, literal.iter().any(u8::is_ascii_uppercase)))
}

/// How far labels of letters, digits, `-`, `_` and `~` go, with one dot between them, and maybe one behind
/// the last; and whether letters in upper case are among them, for which a walk of its own cost 80 instructions.
fn name(text: &[u8]) -> (usize, bool) {
    let (mut label, mut has_upper) = (0, false);
    for (at, &byte) in text.iter().enumerate() {
        match CLASS[byte as usize] {
            Class::Plain => {}
            Class::Upper => has_upper = true,
            Class::Dot if at > label => label = at + 1,
            Class::Dot | Class::Other => return (at, has_upper),
        }
    }
    (text.len(), has_upper)
}

/// The bytes of a name.
#[derive(Clone, Copy)]
enum Class {
    Plain,
    Upper,
    Dot,
    Other,
}

static CLASS: [Class; 256] = {
    let mut table = [Class::Other; 256];
    let mut byte = 0u8;
    while byte < 0x7f {
        table[byte as usize] = match byte {
            b'.' => Class::Dot,
            b'A'..=b'Z' => Class::Upper,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
            _ => Class::Other,
        };
        byte += 1;
    }
    table
};

fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 {
        return None;
    }
    let mut number = 0u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(digit - b'0');
    }
    u16::try_from(number).ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_split() {
        let parts = |text: &'static str| parse(text.as_bytes()).map(|found| (found.host, found.port));
        assert_eq!(parts("a.test"), Some((&b"a.test"[..], None)));
        assert_eq!(parts("a.test:8080"), Some((&b"a.test"[..], Some(8080))));
        assert_eq!(parts("[::1]:80"), Some((&b"[::1]"[..], Some(80))));
        let has_upper = |text: &'static str| parse(text.as_bytes()).map(|found| found.has_upper);
        for (text, expected) in [("a.test", false), ("a.tesT:80", true), ("A", true), ("[a::1]", false)] {
            assert_eq!(has_upper(text), Some(expected), "{text}");
        }
        assert_eq!(has_upper("[A::1]:80"), Some(true));
        for bad in [
            "", "a:", "a:0", "a:65536", "a:99999", "a/x@b", "a,b", "a b", "[::1", "[::1]x", "u@a", ":80",
            "a:8 0", "[g::]", ".", "..", "a..b", ".a", "a..",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
