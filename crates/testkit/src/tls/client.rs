//! How a client speaks TLS: whom it believes, what it asks for, what it shows.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
    WebPkiServerVerifier,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme,
    SupportedProtocolVersion, version,
};

use super::{Pieces, TlsStream, provider};
use crate::certificates::{Authority, Certificate};
use crate::stream::Stream;

/// What a client says in its handshakes. Copies share the sessions that they may resume.
#[derive(Clone, Debug)]
pub struct TlsClient {
    name: String,
    sni: bool,
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    verifier: Arc<dyn ServerCertVerifier>,
    resolver: Arc<dyn ResolvesClientCert>,
    sessions: Option<Arc<Sessions>>,
    record_size: Option<usize>,
    pieces: Pieces,
}

/// A version of TLS that the kit and the proxy speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

impl TlsClient {
    /// Believes certificates for `name` that `authority` signed.
    pub fn trusting(authority: &Authority, name: &str) -> TlsClient {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a certificate of an authority");
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        TlsClient::with_verifier(verifier.expect("a root"), name)
    }

    /// Believes everybody, and asks for `name`.
    pub fn unverified(name: &str) -> TlsClient {
        TlsClient::with_verifier(Arc::new(Everybody), name)
    }

    /// Asks for another name, with the same sessions to resume.
    pub fn name(mut self, name: &str) -> TlsClient {
        self.name = name.to_string();
        self
    }

    /// Keeps the name to itself (no SNI), and checks it nevertheless.
    pub fn without_sni(mut self) -> TlsClient {
        self.sni = false;
        self
    }

    /// Offers these protocols (ALPN), the best first.
    pub fn alpn(mut self, protocols: &[&str]) -> TlsClient {
        self.alpn = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    pub fn only(mut self, version: TlsVersion) -> TlsClient {
        self.versions = match version {
            TlsVersion::V12 => vec![&version::TLS12],
            TlsVersion::V13 => vec![&version::TLS13],
        };
        self
    }

    /// Shows `certificate` to servers that ask for one, whatever authorities they name.
    pub fn certificate(mut self, certificate: &Certificate) -> TlsClient {
        let key = CertifiedKey::from_der(certificate.chain.clone(), certificate.key(), &provider());
        self.resolver = Arc::new(SingleCertAndKey::from(key.expect("a certificate with its key")));
        self
    }

    /// Remembers sessions and offers the newest one for resumption, also to a server of another name: a client
    /// that behaves would not do that.
    pub fn resuming(mut self) -> TlsClient {
        self.sessions = Some(Arc::default());
        self
    }

    /// Cuts its messages, the first one too, into records of `size` bytes (32 to 16389, headers included).
    pub fn records_of(mut self, size: usize) -> TlsClient {
        self.record_size = Some(size);
        self
    }

    /// Hands each byte to the kernel on its own.
    pub fn byte_by_byte(mut self) -> TlsClient {
        self.pieces = Pieces::Single;
        self
    }

    /// Makes the handshake over `stream`, before its read time-out strikes.
    pub fn handshake(&self, stream: Stream) -> io::Result<TlsStream> {
        let name = ServerName::try_from(self.name.clone()).expect("a DNS name or an IP address");
        let connection = ClientConnection::new(Arc::new(self.config()), name).map_err(io::Error::other)?;
        TlsStream::handshake(connection.into(), stream, self.pieces)
    }

    fn with_verifier(verifier: Arc<dyn ServerCertVerifier>, name: &str) -> TlsClient {
        TlsClient {
            name: name.to_string(),
            sni: true,
            alpn: Vec::new(),
            versions: vec![&version::TLS13, &version::TLS12],
            verifier,
            resolver: Arc::new(NoCertificate),
            sessions: None,
            record_size: None,
            pieces: Pieces::default(),
        }
    }

    fn config(&self) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&self.versions);
        let config = config.expect("versions that the provider has").dangerous();
        let config = config.with_custom_certificate_verifier(self.verifier.clone());
        let mut config = config.with_client_cert_resolver(self.resolver.clone());
        config.alpn_protocols = self.alpn.clone();
        config.enable_sni = self.sni;
        config.max_fragment_size = self.record_size;
        // Tests want to see what the server chose, also when it is not what was offered.
        config.check_selected_alpn = false;
        config.resumption = match &self.sessions {
            Some(sessions) => Resumption::store(sessions.clone()),
            None => Resumption::disabled(),
        };
        config
    }
}

/// Sessions of whatever server.
#[derive(Debug, Default)]
struct Sessions(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    tickets: VecDeque<Tls13ClientSessionValue>,
    session: Option<Tls12ClientSessionValue>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.lock().session = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().session.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.lock().session = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.lock().tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock().tickets.pop_back()
    }
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Takes any certificate; that the server has its key is checked nevertheless.
#[derive(Debug)]
struct Everybody;

impl ServerCertVerifier for Everybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
