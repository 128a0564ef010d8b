//! How an origin speaks TLS: what it shows, whom it lets in, and what it saw of each handshake.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};

use super::{Pieces, TlsFacts, TlsStream, TlsVersion, provider};
use crate::certificates::{Authority, Certificate};
use crate::stream::Stream;

/// What an origin does with a connection before it reads a request.
#[derive(Clone, Debug)]
pub struct TlsServer {
    start: Start,
}

/// What an origin saw of one handshake.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The connection, counted from 0 in order of acceptance.
    pub connection: usize,
    /// Or why there was no session.
    pub outcome: Result<TlsFacts, String>,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    Required,
    /// A client without one is let in; a wrong one is not.
    Asked,
}

#[derive(Clone, Debug)]
enum Start {
    Handshake(Arc<ServerConfig>),
    /// Sends this instead of its part of the handshake.
    Plaintext(Vec<u8>),
}

impl TlsServer {
    /// Shows `certificate` to everybody, and offers no protocol by ALPN. It does not resume sessions.
    pub fn new(certificate: &Certificate) -> TlsServer {
        TlsServer::versions(certificate, &[&version::TLS13, &version::TLS12], None)
    }

    /// The same, with one version.
    pub fn only(certificate: &Certificate, version: TlsVersion) -> TlsServer {
        let version = match version {
            TlsVersion::V12 => &version::TLS12,
            TlsVersion::V13 => &version::TLS13,
        };
        TlsServer::versions(certificate, &[version], None)
    }

    /// The same, asking clients for certificates that `authority` signed.
    pub fn knowing_clients(
        certificate: &Certificate,
        authority: &Authority,
        must: ClientCertificates,
    ) -> TlsServer {
        TlsServer::versions(certificate, &[&version::TLS13, &version::TLS12], Some((authority, must)))
    }

    /// Sends `bytes` as soon as somebody has connected, without TLS.
    pub fn plaintext_instead(bytes: impl Into<Vec<u8>>) -> TlsServer {
        TlsServer { start: Start::Plaintext(bytes.into()) }
    }

    /// Speaks these protocols (ALPN), the best first; a client that offers none of them is refused.
    pub fn alpn(mut self, protocols: &[&str]) -> TlsServer {
        if let Start::Handshake(config) = &mut self.start {
            let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
            Arc::make_mut(config).alpn_protocols = protocols.collect();
        }
        self
    }

    /// Lets clients resume sessions, all by the same store.
    pub fn resuming(mut self) -> TlsServer {
        if let Start::Handshake(config) = &mut self.start {
            Arc::make_mut(config).session_storage = rustls::server::ServerSessionMemoryCache::new(256);
        }
        self
    }

    fn versions(
        certificate: &Certificate,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<(&Authority, ClientCertificates)>,
    ) -> TlsServer {
        let config = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
        let config = config.expect("versions that the provider has");
        let config = match clients {
            None => config.with_no_client_auth(),
            Some((authority, must)) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).expect("a certificate of an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                let verifier = match must {
                    ClientCertificates::Required => verifier,
                    ClientCertificates::Asked => verifier.allow_unauthenticated(),
                };
                config.with_client_cert_verifier(verifier.build().expect("a root"))
            }
        };
        let key = CertifiedKey::from_der(certificate.chain.clone(), certificate.key(), &provider());
        let key = SingleCertAndKey::from(key.expect("a certificate with its key"));
        let mut config = config.with_cert_resolver(Arc::new(key));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        TlsServer { start: Start::Handshake(Arc::new(config)) }
    }

    /// Its part of the handshake. An error is what is kept as the outcome.
    pub(crate) fn accept(&self, mut stream: Stream) -> io::Result<TlsStream> {
        match &self.start {
            Start::Handshake(config) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                let stream = TlsStream::handshake(connection.into(), stream, Pieces::default())?;
                stream.beneath().set_read_timeout(None)?;
                Ok(stream)
            }
            Start::Plaintext(bytes) => {
                stream.write_all(bytes)?;
                // What the client sends is read, so that the close is no reset which overtakes the bytes.
                stream.set_read_timeout(Some(PATIENCE))?;
                io::copy(&mut stream, &mut io::sink())?;
                Err(io::Error::other("sent plain text instead of a handshake"))
            }
        }
    }
}

/// For a whole handshake.
const PATIENCE: Duration = Duration::from_secs(10);
