//! Who asks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::wire::Peer;

/// The client of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The other end of the socket.
    pub peer: Peer,
    /// The address that decisions are made on. It is the peer's, or for one request what a trusted proxy
    /// said of its own client.
    pub address: IpAddr,
    /// The peer is in `trusted_proxies`: what it says of its client is believed.
    pub trusted: bool,
}

impl Client {
    /// A client as its connection shows it; nobody is trusted yet. A client on a unix socket counts as
    /// 127.0.0.1.
    pub fn new(peer: Peer) -> Client {
        let address = match peer {
            Peer::Tcp(address) => canonical(address),
            Peer::Unix => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Client { peer, address, trusted: false }
    }
}

/// A dual-stack socket shows IPv4 clients as `::ffff:a.b.c.d`; one client has one spelling here.
fn canonical(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}
