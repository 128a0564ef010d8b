//! `host[:port]` as it stands in `Host` and in absolute targets (RFC 9110 section 7.2), strictly: no
//! user part, no list, no empty port, no percent escapes.

/// Where the parts of an authority are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// As received; an IPv6 literal keeps its brackets.
    pub host: &'a [u8],
    pub port: Option<u16>,
}

/// Splits and checks an authority; `None` when it is none.
pub fn parse(text: &[u8]) -> Option<Authority<'_>> {
    let host_len = if text.first() == Some(&b'[') { ipv6_len(text)? } else { name_len(text) };
    let (host, rest) = text.split_at_checked(host_len)?;
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => Some(parse_port(digits)?),
        _ => return None,
    };
    (!host.is_empty()).then_some(Authority { host, port })
}

/// Length of `[...]` at the start.
fn ipv6_len(text: &[u8]) -> Option<usize> {
    let close = memchr::memchr(b']', text)?;
    std::str::from_utf8(&text[1..close]).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
    Some(close + 1)
}

/// How far labels of letters, digits, `-`, `_` and `~` go, with one dot between them, and maybe one behind
/// the last.
fn name_len(text: &[u8]) -> usize {
    let mut before = b'.';
    for (len, &byte) in text.iter().enumerate() {
        if !LABEL[byte as usize] && (byte != b'.' || before == b'.') {
            return len;
        }
        before = byte;
    }
    text.len()
}

static LABEL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 0x7f {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
        byte += 1;
    }
    table
};

fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
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
        for bad in [
            "", "a:", "a:0", "a:65536", "a:99999", "a/x@b", "a,b", "a b", "[::1", "[::1]x", "u@a", ":80",
            "a:8 0", "[g::]", ".", "..", "a..b", ".a", "a..",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
