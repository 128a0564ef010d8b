//! What a user sets about listening.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::certificates::TlsOptions;
use crate::message::{Http2, ProxyProtocol};

/// One `[listeners.NAME]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerOptions {
    pub name: String,
    pub address: ListenAddress,
    /// Pending connections the kernel holds for us (`listen(2)` backlog).
    pub backlog: u32,
    /// Who connects is a proxy that says for whom it speaks.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Clients speak TLS.
    pub tls: Option<TlsOptions>,
    /// With TLS by ALPN, without by prior knowledge.
    pub http2: Http2,
    /// Every request is answered with the same address in `https`.
    pub redirect_to_https: bool,
}

/// Where a listener or an endpoint lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// `[::]:80` is dual stack: it also takes IPv4.
    Tcp(SocketAddr),
    /// Written `unix:/run/palisade.sock`.
    Unix(PathBuf),
}
