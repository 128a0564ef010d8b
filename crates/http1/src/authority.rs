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
    let (host, port) = if text.first() == Some(&b'[') {
        let close = memchr::memchr(b']', text)?;
        let (host, rest) = text.split_at(close + 1);
        std::str::from_utf8(&host[1..close]).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
        match rest {
            [] => (host, None),
            [b':', port @ ..] => (host, Some(port)),
            _ => return None,
        }
    } else {
        match text.iter().position(|byte| *byte == b':') {
            None => (text, None),
            Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        }
    };
    if host.first() != Some(&b'[') && !is_name(host) {
        return None;
    }
    let port = match port {
        None => None,
        Some(digits) => Some(parse_port(digits)?),
    };
    Some(Authority { host, port })
}

/// Labels of letters, digits, `-`, `_` and `~` with one dot between them, and maybe one behind the last.
fn is_name(host: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in host {
        if !LABEL[byte as usize] && (byte != b'.' || before == b'.') {
            return false;
        }
        before = byte;
    }
    !host.is_empty()
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
