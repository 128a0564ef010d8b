//! Who asks.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http1::{Fields, Name};
use ipnet::IpNet;

use crate::wire::Peer;

/// Longest address as text: eight groups of IPv6.
const MAX_TEXT: usize = 39;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    #[default]
    Http1,
    Http2,
}

/// Whether clients of a listener may speak HTTP/2: with TLS it is offered by ALPN, without it is what a client
/// begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http2 {
    #[default]
    Off,
    /// HTTP/1 or HTTP/2.
    Beside,
    /// Nothing else.
    Only,
}

/// Which headers of the PROXY protocol a listener takes: one of them it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    Either,
    V1,
    V2,
}

/// The client of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The other end of the socket, as an address: a unix socket counts as 127.0.0.1.
    pub peer: IpAddr,
    /// The address that decisions are made on: the peer's, or for one request what a trusted proxy said
    /// of its own client.
    pub address: IpAddr,
    /// The peer is in `trusted_proxies`: what it says of its client is believed.
    pub trusted: bool,
    /// The peer as text, made once per connection.
    text: [u8; MAX_TEXT],
    text_len: u8,
}

impl Client {
    /// A client as its connection shows it; nobody is trusted yet.
    pub fn new(peer: Peer) -> Client {
        let peer = match peer {
            Peer::Tcp(address) => canonical(address),
            Peer::Unix => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let mut text = [0; MAX_TEXT];
        let mut rest = &mut text[..];
        let _ = write!(rest, "{peer}");
        let text_len = (MAX_TEXT - rest.len()) as u8;
        Client { peer, address: peer, trusted: false, text, text_len }
    }

    /// Who was not introduced yet by the proxy that speaks for it; not an address that anybody has.
    pub fn unknown() -> Client {
        Client::new(Peer::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))
    }

    /// The client of one request, given who is trusted: the first address from the right in
    /// `X-Forwarded-For` that is no trusted proxy (RFC 7239 section 8.1 warns of anything else). A token
    /// that is no address ends the walk.
    pub fn behind(&self, trusted_proxies: &[IpNet], fields: &Fields) -> Client {
        let mut client = *self;
        let trusts = |address: IpAddr| trusted_proxies.iter().any(|net| net.contains(&address));
        client.trusted = trusts(self.peer);
        if !client.trusted {
            return client;
        }
        let tokens =
            fields.all(Name::XForwardedFor).rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        for token in tokens {
            let Some(address) = parse_address(token.trim_ascii()) else { break };
            client.address = address;
            if !trusts(address) {
                break;
            }
        }
        client
    }

    pub fn peer_text(&self) -> &[u8] {
        &self.text[..usize::from(self.text_len)]
    }

    /// Appends the address that decisions are made on.
    #[inline]
    pub fn write_address(&self, out: &mut Vec<u8>) {
        // Who is not trusted was not asked for another address: to compare the two cost 20 instructions.
        if !self.trusted || self.address == self.peer {
            out.extend_from_slice(self.peer_text());
        } else {
            let _ = write!(out, "{}", self.address);
        }
    }
}

/// A dual-stack socket shows IPv4 clients as `::ffff:a.b.c.d`; one client has one spelling here.
fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

/// What counts as one client: an IPv6 subscriber has a /64 at least.
pub fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

/// An address, with a port or without: `10.0.0.1`, `10.0.0.1:80`, `::1`, `[::1]`, `[::1]:80`.
fn parse_address(token: &[u8]) -> Option<IpAddr> {
    let token = std::str::from_utf8(token).ok()?;
    let bare = token.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(token);
    let address =
        bare.parse::<IpAddr>().or_else(|_| token.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address_of(peer: &str, forwarded: &[&str]) -> String {
        let mut fields = Fields::new();
        for value in forwarded {
            fields.push(Name::XForwardedFor, b"X-Forwarded-For", value.as_bytes());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let client = Client::new(Peer::Tcp(peer.parse().unwrap())).behind(&trusted, &fields);
        client.address.to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(address_of("192.0.2.1:5", &["1.2.3.4"]), "192.0.2.1");
        assert_eq!(address_of("[::ffff:192.0.2.1]:5", &[]), "192.0.2.1");
    }

    #[test]
    fn the_walk_goes_from_right_to_left_to_the_first_stranger() {
        assert_eq!(address_of("10.0.0.1:5", &["6.6.6.6, 1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(address_of("10.0.0.1:5", &["6.6.6.6", "1.2.3.4", "10.0.0.2"]), "1.2.3.4");
        assert_eq!(address_of("10.0.0.1:5", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(address_of("10.0.0.1:5", &["1.2.3.4, [2001:db8::1]:80"]), "2001:db8::1");
    }

    #[test]
    fn a_bad_token_ends_the_walk() {
        assert_eq!(address_of("10.0.0.1:5", &["1.2.3.4, unknown"]), "10.0.0.1");
        assert_eq!(address_of("10.0.0.1:5", &["1.2.3.4, unknown, 10.0.0.9"]), "10.0.0.9");
        assert_eq!(address_of("10.0.0.1:5", &[""]), "10.0.0.1");
    }
}
