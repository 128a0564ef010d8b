//! The PROXY protocol: a proxy before this one says, ahead of all else on a connection, for whom it speaks. Written after
//! the text of HAProxy's authors, versions 1 and 2.
//!
//! Only peers in `trusted_proxies` may say so, and on a listener that wants to hear it nobody is served without: an
//! address that a client could choose would be worth nothing. What is not exactly a header closes the connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;

use super::limits::{ConnectionLimits, Ticket};
use crate::connection::{Connection, complain_of};
use crate::message::{Client, ProxyProtocol};
use crate::observe::metrics::PROCESS;
use crate::wire::Peer;

/// Longest header of version 1, its end of line included.
const MAX_TEXT: usize = 107;
/// Longest header of version 2. It can say that it has 64 KiB; those that are written have some hundred bytes.
const MAX_BINARY: usize = 4 << 10;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2: the signature, version and command, family, and the length of the rest.
const FIXED: usize = 16;

/// Whom a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Client(SocketAddr),
    /// The proxy speaks for itself, or for whom it cannot name.
    Peer,
}

/// What a connection waits for before it is served, and has as long as it lives.
#[derive(Debug)]
pub struct Introduction {
    peer: Peer,
    expected: ProxyProtocol,
    limits: Arc<ConnectionLimits>,
    /// Of the client that was named.
    place: Option<Ticket>,
}

impl Introduction {
    pub fn expected(peer: Peer, expected: ProxyProtocol, limits: Arc<ConnectionLimits>) -> Introduction {
        Introduction { peer, expected, limits, place: None }
    }

    /// Hears for whom the peer speaks, and takes the place of that client; false when the connection is to be closed.
    pub async fn made(&mut self, connection: &Connection) -> bool {
        let proxy = Client::new(self.peer);
        let source = match hear(connection, &proxy, self.expected).await {
            Ok(source) => source,
            Err(why) => {
                PROCESS.proxies_refused.fetch_add(1, Relaxed);
                complain_of(&proxy, why);
                return false;
            }
        };
        let client = match source {
            Source::Client(address) => Client::new(Peer::Tcp(address)),
            Source::Peer => proxy,
        };
        let max = connection.limits().max_connections_per_client;
        self.place = self.limits.enter_client(client.peer, max);
        if self.place.is_none() {
            super::accept::refuse_client(connection);
            return false;
        }
        connection.introduce(client);
        true
    }
}

async fn hear(
    connection: &Connection,
    proxy: &Client,
    expected: ProxyProtocol,
) -> Result<Source, &'static str> {
    if !connection.trusts(proxy) {
        return Err("it is no trusted proxy");
    }
    let deadline = Instant::now() + connection.limits().head_timeout;
    let mut heard = vec![0; MAX_TEXT];
    let mut known = 0;
    loop {
        let count =
            connection.peek(deadline, &mut heard, known).await.ok_or("its PROXY header did not come")?;
        match read(heard.get(..count).unwrap_or_default(), expected)? {
            Step::Done(len, source) => {
                return connection.skip(len).then_some(source).ok_or("its PROXY header did not come");
            }
            Step::Needs(len) if heard.len() < len => heard.resize(len, 0),
            // All the room is filled, and it is no header yet.
            Step::Needs(_) if count == heard.len() => return Err(MALFORMED),
            Step::Needs(_) => {}
        }
        known = count;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// So many bytes are a header.
    Done(usize, Source),
    /// They may become one, of so many bytes at most.
    Needs(usize),
}

const MALFORMED: &str = "its PROXY header is malformed";

/// Reads what has come so far.
fn read(bytes: &[u8], expected: ProxyProtocol) -> Result<Step, &'static str> {
    const WRONG_VERSION: &str = "its PROXY header has another version, or there is none";
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes[..common] == with[..common]
    };
    if begins(b"PROXY ") && expected != ProxyProtocol::V2 {
        return read_text(bytes);
    }
    if begins(SIGNATURE) && expected != ProxyProtocol::V1 {
        return read_binary(bytes);
    }
    Err(WRONG_VERSION)
}

/// Version 1: one line.
fn read_text(bytes: &[u8]) -> Result<Step, &'static str> {
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return if bytes.len() == MAX_TEXT { Err(MALFORMED) } else { Ok(Step::Needs(MAX_TEXT)) };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(MALFORMED)?;
    let line = std::str::from_utf8(line).map_err(|_| MALFORMED)?;
    let source = source_of_line(line).ok_or(MALFORMED)?;
    Ok(Step::Done(end + 1, source))
}

fn source_of_line(line: &str) -> Option<Source> {
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return None;
    }
    let family = words.next()?;
    if family == "UNKNOWN" {
        // What follows says nothing.
        return Some(Source::Peer);
    }
    let [from, to, from_port, to_port] = [words.next()?, words.next()?, words.next()?, words.next()?];
    if words.next().is_some() {
        return None;
    }
    let (from, _) = match family {
        "TCP4" => (IpAddr::V4(address(from)?), IpAddr::V4(address(to)?)),
        "TCP6" => (IpAddr::V6(address(from)?), IpAddr::V6(address(to)?)),
        _ => return None,
    };
    port(to_port)?;
    Some(Source::Client(SocketAddr::new(from, port(from_port)?)))
}

fn address<A: FromStr>(word: &str) -> Option<A> {
    word.parse().ok()
}

/// Digits without needless zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    plain.then(|| word.parse().ok())?
}

/// Version 2: a fixed part, the addresses of its family, and fields of type, length and value.
fn read_binary(bytes: &[u8]) -> Result<Step, &'static str> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(Step::Needs(FIXED));
    };
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_BINARY {
        return Err("its PROXY header is too long");
    }
    // Both halves count: version 2, and what it is for.
    let is_for_itself = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(MALFORMED),
    };
    let Some(rest) = bytes.get(FIXED..len) else { return Ok(Step::Needs(len)) };
    if is_for_itself {
        return Ok(Step::Done(len, Source::Peer));
    }
    let (source, fields) = source_of_family(family, rest).ok_or(MALFORMED)?;
    if !are_fields(fields) {
        return Err(MALFORMED);
    }
    Ok(Step::Done(len, source))
}

/// The source, and what comes behind the addresses.
fn source_of_family(family: u8, rest: &[u8]) -> Option<(Source, &[u8])> {
    match family {
        // Of no family that has an address.
        0x00 => Some((Source::Peer, &[])),
        0x11 => {
            let (addresses, fields) = rest.split_first_chunk::<12>()?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let from = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
            Some((Source::Client(SocketAddr::new(from, u16::from_be_bytes([high, low]))), fields))
        }
        0x21 => {
            let (from, rest) = rest.split_first_chunk::<16>()?;
            let (_to, rest) = rest.split_first_chunk::<16>()?;
            let ([high, low, _, _], fields) = rest.split_first_chunk::<4>()?;
            let from = IpAddr::V6(Ipv6Addr::from(*from));
            Some((Source::Client(SocketAddr::new(from, u16::from_be_bytes([*high, *low]))), fields))
        }
        // Two paths of unix sockets.
        0x31 => Some((Source::Peer, rest.get(216..)?)),
        _ => None,
    }
}

/// Each has its type, two bytes of length, and so many bytes.
fn are_fields(mut bytes: &[u8]) -> bool {
    while let Some((&[_, high, low], rest)) = bytes.split_first_chunk::<3>() {
        let Some(rest) = rest.get(usize::from(u16::from_be_bytes([high, low]))..) else { return false };
        bytes = rest;
    }
    bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &len, rest].concat()
    }

    const TCP4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];

    /// However it is cut, a header is read the same, and nothing behind it belongs to it.
    #[track_caller]
    fn is_read(header: &[u8], source: Source) {
        for cut in 0..header.len() {
            let early = read(&header[..cut], ProxyProtocol::Either);
            assert!(matches!(early, Ok(Step::Needs(_))), "{} {early:?}", header[..cut].escape_ascii());
        }
        for behind in [&b""[..], b"GET / HTTP/1.1\r\n", b"PROXY UNKNOWN\r\n", &[22; 200]] {
            let all = [header, behind].concat();
            assert_eq!(read(&all, ProxyProtocol::Either), Ok(Step::Done(header.len(), source)));
        }
    }

    #[test]
    fn a_header_names_the_client_or_nobody() {
        is_read(b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n", client("192.0.2.7:12345"));
        is_read(b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n", client("255.255.255.255:65535"));
        is_read(b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", client("[2001:db8::7]:1"));
        is_read(b"PROXY UNKNOWN\r\n", Source::Peer);
        is_read(b"PROXY UNKNOWN ffff:f...f:ffff 1 2 3\r\n", Source::Peer);
        is_read(&binary(0x21, 0x11, TCP4), client("192.0.2.7:12345"));
        let six = [&Ipv6Addr::LOCALHOST.octets()[..], &[9; 16], &[0, 7, 0, 8]].concat();
        is_read(&binary(0x21, 0x21, &six), client("[::1]:7"));
        is_read(&binary(0x21, 0x31, &[b'/'; 216]), Source::Peer);
        is_read(&binary(0x21, 0x00, b"whatever it is"), Source::Peer);
        is_read(&binary(0x20, 0x11, TCP4), Source::Peer);
        is_read(&binary(0x20, 0x00, b""), Source::Peer);
        let fields = [TCP4, &[1, 0, 2, b'h', b'2', 4, 0, 0, 0xee, 1, 0][..], &[7; 256]].concat();
        is_read(&binary(0x21, 0x11, &fields), client("192.0.2.7:12345"));
    }

    #[test]
    fn what_is_not_exactly_a_header_is_none() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_TEXT - 15));
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_TEXT - 16));
        is_read(longest.as_bytes(), Source::Peer);
        let overflowing = |fields: &[u8]| binary(0x21, 0x11, &[TCP4, fields].concat());
        let cases: &[Vec<u8>] = &[
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00".to_vec(),
            b"PROXY\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80 \r\n".to_vec(),
            b"PROXY TCP4  192.0.2.7 10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.07 10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 012345 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            b"PROXY TCP6 [::1] ::1 1 2\r\n".to_vec(),
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            b"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(),
            b"PROXY UNKNOWN \xff\r\n".to_vec(),
            long.into_bytes(),
            vec![b'P'; MAX_TEXT],
            // Version, command, family.
            binary(0x11, 0x11, TCP4),
            binary(0x22, 0x11, TCP4),
            binary(0x21, 0x12, TCP4),
            binary(0x21, 0x41, TCP4),
            // Lengths.
            binary(0x21, 0x11, &TCP4[..11]),
            binary(0x21, 0x21, &[0; 35]),
            binary(0x21, 0x31, &[0; 215]),
            overflowing(&[1]),
            overflowing(&[1, 0]),
            overflowing(&[1, 0, 1]),
            overflowing(&[1, 0xff, 0xff, 0, 0]),
            overflowing(&[4, 0, 1, 0, 9]),
            binary(0x21, 0x00, &[0; MAX_BINARY]),
        ];
        for case in cases {
            assert!(read(case, ProxyProtocol::Either).is_err(), "{}", case.escape_ascii());
        }
    }

    #[test]
    fn only_the_version_that_is_expected_is_one() {
        let (text, binary) = (&b"PROXY UNKNOWN\r\n"[..], binary(0x20, 0, b""));
        for (expected, first, second) in [
            (ProxyProtocol::Either, true, true),
            (ProxyProtocol::V1, true, false),
            (ProxyProtocol::V2, false, true),
        ] {
            assert_eq!((read(text, expected).is_ok(), read(&binary, expected).is_ok()), (first, second));
        }
    }
}
