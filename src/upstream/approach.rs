//! How an endpoint is spoken to beyond its address: which versions of HTTP or FastCGI, and TLS or not. Endpoints that
//! are approached in different ways are different ones, and share no connection.

use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::endpoint::Address;
use super::fastcgi::Application;
use super::tls::Tls;
use crate::message::Failure;
use crate::wire::tls::Session;

/// `protocol` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    #[default]
    Http1,
    /// Without TLS by prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// HTTP/2 where a server agrees to it in the handshake; HTTP/1 without TLS.
    Auto,
    FastCgi,
}

impl Protocol {
    /// What is offered in the handshake (RFC 7301).
    pub(super) fn alpn(self) -> Vec<Vec<u8>> {
        let offered: &[&[u8]] = match self {
            Protocol::Http1 => &[b"http/1.1"],
            Protocol::Http2 => &[H2],
            Protocol::Auto => &[H2, b"http/1.1"],
            // It has no TLS.
            Protocol::FastCgi => &[],
        };
        offered.iter().map(|name| name.to_vec()).collect()
    }
}

pub(super) const H2: &[u8] = b"h2";

/// What a new connection is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Any version that the upstream may speak.
    All,
    /// One request that the server takes over HTTP/1.1 only.
    Http1,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approach {
    pub protocol: Protocol,
    tls: Option<(Arc<Tls>, ServerName<'static>)>,
    /// Set when it is FastCGI.
    application: Option<Arc<Application>>,
}

impl Approach {
    /// Of an endpoint that was found by the name `host`, if by one.
    pub(super) fn new(
        protocol: Protocol,
        tls: Option<&Arc<Tls>>,
        host: Option<&str>,
        address: &Address,
    ) -> Approach {
        let tls = tls.map(|tls| (tls.clone(), tls.name_for(host, address)));
        Approach { protocol, tls, application: None }
    }

    /// Of an endpoint that speaks FastCGI.
    pub(super) fn fastcgi(application: &Arc<Application>) -> Approach {
        Approach { protocol: Protocol::FastCgi, tls: None, application: Some(application.clone()) }
    }

    /// What FastCGI servers are told; `None` for those that speak HTTP.
    #[inline]
    pub fn application(&self) -> Option<&Application> {
        self.application.as_deref()
    }

    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Requests may share a connection.
    pub fn may_share(&self) -> bool {
        match self.protocol {
            Protocol::Http1 | Protocol::FastCgi => false,
            Protocol::Http2 => true,
            // Without a handshake nothing agrees on it.
            Protocol::Auto => self.is_secure(),
        }
    }

    /// Whether they do on a connection that agreed on this protocol; an error when they must and cannot.
    pub(super) fn shares(&self, agreed: Option<&[u8]>) -> Result<bool, Failure> {
        match (self.protocol, self.tls.is_some()) {
            (Protocol::Http1 | Protocol::FastCgi, _) | (Protocol::Auto, false) => Ok(false),
            (Protocol::Http2, false) => Ok(true),
            (_, true) if agreed == Some(H2) => Ok(true),
            (Protocol::Http2, true) => Err(Failure::NoHttp2),
            (Protocol::Auto, true) => Ok(false),
        }
    }

    /// The TLS session of a new connection.
    pub(super) fn session(&self, offer: Offer) -> Option<Result<Session, rustls::Error>> {
        self.tls.as_ref().map(|(tls, name)| tls.session(name, offer))
    }

    /// The handshake may also be made for HTTP/1.1 alone.
    pub(super) fn may_offer_http1(&self) -> bool {
        self.protocol == Protocol::Auto && self.is_secure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::provider;
    use crate::upstream::tls::{TlsParts, Trust};

    fn tls(name: Option<&str>, only_1_3: bool, protocol: Protocol) -> Arc<Tls> {
        let name = name.map(|name| ServerName::try_from(name.to_owned()).unwrap());
        let (provider, trust) = (provider(), Trust::Anybody);
        let parts = TlsParts { provider, trust, certificate: None, name, only_1_3, protocol };
        Arc::new(Tls::new(parts).unwrap())
    }

    fn approach(protocol: Protocol, tls: Option<&Arc<Tls>>, host: Option<&str>) -> Approach {
        Approach::new(protocol, tls, host, &Address::Tcp("10.0.0.1:443".parse().unwrap()))
    }

    #[test]
    fn the_protocol_and_the_handshake_say_whether_connections_are_shared() {
        use Protocol::{Auto, FastCgi, Http1, Http2};
        for (protocol, secure, agreed, expected) in [
            (Http1, false, None, Ok(false)),
            (Http1, true, Some("http/1.1"), Ok(false)),
            (Http2, false, None, Ok(true)),
            (Http2, true, Some("h2"), Ok(true)),
            (Http2, true, Some("http/1.1"), Err(Failure::NoHttp2)),
            (Http2, true, None, Err(Failure::NoHttp2)),
            (Auto, false, None, Ok(false)),
            (Auto, true, Some("h2"), Ok(true)),
            (Auto, true, Some("http/1.1"), Ok(false)),
            (Auto, true, None, Ok(false)),
            (FastCgi, false, None, Ok(false)),
        ] {
            let own = secure.then(|| tls(None, false, protocol));
            let shares = approach(protocol, own.as_ref(), None).shares(agreed.map(str::as_bytes));
            assert_eq!(shares, expected, "{protocol:?} {secure} {agreed:?}");
        }
    }

    #[test]
    fn whatever_differs_makes_another_approach() {
        let plain = tls(None, false, Protocol::Http1);
        let first = approach(Protocol::Http1, Some(&plain), Some("a.test"));
        let again = tls(None, false, Protocol::Http1);
        assert_eq!(first, approach(Protocol::Http1, Some(&again), Some("a.test")));
        let named = tls(Some("a.test"), false, Protocol::Http1);
        let strict = tls(None, true, Protocol::Http1);
        let other = tls(None, false, Protocol::Auto);
        for different in [
            approach(Protocol::Http1, None, Some("a.test")),
            approach(Protocol::Http1, Some(&plain), Some("b.test")),
            approach(Protocol::Http1, Some(&plain), None),
            approach(Protocol::Http1, Some(&named), Some("a.test")),
            approach(Protocol::Http1, Some(&strict), Some("a.test")),
            approach(Protocol::Auto, Some(&other), Some("a.test")),
        ] {
            assert_ne!(first, different);
        }
    }

    #[test]
    fn a_name_is_the_one_that_is_set_or_the_host_or_the_address() {
        let address = Address::Tcp("[fd00::1]:443".parse().unwrap());
        let name = |tls: &Tls, host: Option<&str>| tls.name_for(host, &address).to_str().into_owned();
        let set = tls(Some("set.test"), false, Protocol::Http1);
        let open = tls(None, false, Protocol::Http1);
        assert_eq!(name(&set, Some("a.test")), "set.test");
        assert_eq!(name(&open, Some("my_app.test")), "my_app.test");
        assert_eq!(name(&open, Some("-no-name-")), "fd00::1");
        assert_eq!(name(&open, None), "fd00::1");
        assert_eq!(open.name_for(None, &Address::Unix("/a".into())).to_str(), "localhost");
    }
}
