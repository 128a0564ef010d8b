//! TLS towards origins: what one upstream trusts and shows, made ready once; and what a handshake that fails
//! says about it. The session itself is in [`crate::wire::tls`].

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme, SupportedProtocolVersion, version,
};
use sha2::{Digest as _, Sha256};

use super::Protocol;
use super::approach::Offer;
use super::endpoint::Address;
use crate::message::Failure;
use crate::wire::tls::Session;

/// Sessions that an upstream remembers, so that the next handshake is a shorter one.
const SESSIONS: usize = 256;

/// What makes two settings the same, contents of files included.
pub type Fingerprint = [u8; 32];

/// `tls` of an upstream, checked, its files loaded.
pub struct TlsParts {
    pub provider: Arc<CryptoProvider>,
    pub trust: Trust,
    /// Shown to servers that ask for one (mTLS), and what is the same when it is.
    pub certificate: Option<(Arc<CertifiedKey>, Fingerprint)>,
    /// To verify and to ask for (SNI), in place of the endpoint's own.
    pub name: Option<ServerName<'static>>,
    /// Not TLS 1.2.
    pub only_1_3: bool,
    pub protocol: Protocol,
}

/// Whom to believe.
pub enum Trust {
    /// Whom these authorities vouch for.
    Roots(Arc<RootCertStore>, Fingerprint),
    /// Anybody: the connection is encrypted, and that is all.
    Anybody,
}

/// TLS as one upstream speaks it. Sessions are resumed within it, so never with other settings.
pub struct Tls {
    config: Arc<ClientConfig>,
    /// Offers HTTP/1.1 only, where `config` offers more.
    http1: Option<Arc<ClientConfig>>,
    name: Option<ServerName<'static>>,
    fingerprint: Fingerprint,
}

impl Tls {
    /// The error is one of the authorities.
    pub fn new(parts: TlsParts) -> Result<Tls, String> {
        let fingerprint = fingerprint(&parts);
        let TlsParts { provider, trust, certificate, name, only_1_3, protocol } = parts;
        let verifier: Arc<dyn ServerCertVerifier> = match trust {
            Trust::Roots(roots, _) => WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| error.to_string())?,
            Trust::Anybody => Arc::new(Unverified(provider.clone())),
        };
        let versions: &[&SupportedProtocolVersion] =
            if only_1_3 { &[&version::TLS13] } else { &[&version::TLS13, &version::TLS12] };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match certificate {
            None => config.with_no_client_auth(),
            Some((certified, _)) => {
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.alpn_protocols = protocol.alpn();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let http1 = (protocol == Protocol::Auto).then(|| {
            let mut config = config.clone();
            config.alpn_protocols = Protocol::Http1.alpn();
            Arc::new(config)
        });
        Ok(Tls { config: Arc::new(config), http1, name, fingerprint })
    }

    /// The name to verify and to ask for: the one that is set, or else the host by which the endpoint was
    /// found, or else its address. A process on this machine is `localhost`.
    pub(super) fn name_for(&self, host: Option<&str>, address: &Address) -> ServerName<'static> {
        if let Some(name) = &self.name {
            return name.clone();
        }
        // A host that can be no name in a certificate leaves the address, which then will not be in it either.
        if let Some(name) = host.and_then(|host| ServerName::try_from(host.to_owned()).ok()) {
            return name;
        }
        match address {
            Address::Tcp(address) => ServerName::IpAddress(address.ip().into()),
            Address::Unix(_) => ServerName::try_from("localhost").expect("it is a name"),
        }
    }

    pub(super) fn session(&self, name: &ServerName<'static>, offer: Offer) -> Result<Session, Error> {
        let config = match (offer, &self.http1) {
            (Offer::Http1, Some(http1)) => http1,
            _ => &self.config,
        };
        Session::client(config.clone(), name.clone())
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Tls) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Tls {}

/// Without keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn fingerprint(parts: &TlsParts) -> Fingerprint {
    let name = parts.name.as_ref().map(|name| name.to_str().into_owned());
    let trust: &[u8] = match &parts.trust {
        Trust::Roots(_, content) => content,
        Trust::Anybody => b"",
    };
    let certificate = parts.certificate.as_ref().map_or(&b""[..], |(_, content)| content);
    let flags = [u8::from(parts.only_1_3), parts.protocol as u8];
    let mut hash = Sha256::new();
    for part in [name.as_deref().unwrap_or_default().as_bytes(), trust, certificate, &flags] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Takes any certificate. That its owner is at the other end is still proven.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a handshake that came to nothing is a case of.
pub fn handshake_failure(error: &io::Error) -> Failure {
    Failure::UpstreamTls(session_error(error).map_or("closed", told))
}

/// The same for an exchange that broke off: servers that speak TLS 1.3 tell only then that they do not take our
/// certificate. `None` for anything else.
pub fn refusal(error: &io::Error) -> Option<Failure> {
    match session_error(error)? {
        Error::AlertReceived(alert) => {
            certificate_refused(*alert).then_some(Failure::UpstreamTls(CERTIFICATE_REFUSED))
        }
        _ => None,
    }
}

/// What a server says that ends a connection which was agreed on. `None` for anything but an alert.
pub fn alert(error: &io::Error) -> Option<Failure> {
    let error = session_error(error)?;
    matches!(error, Error::AlertReceived(_)).then(|| Failure::UpstreamTls(told(error)))
}

fn session_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The server shows what only an authority may be. A certificate that `openssl req -x509` made is such a one when
/// nothing else was said.
pub const CA_CERTIFICATE: &str = "ca_certificate";
/// webpki's name of it: rustls passes it on as it is.
const CA_AS_END_ENTITY: &str = "CaUsedAsEndEntity";
const CERTIFICATE_REFUSED: &str = "client_certificate_refused";

/// A word for the log.
fn told(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(flaw) => told_certificate(flaw),
        Error::AlertReceived(alert) if certificate_refused(*alert) => CERTIFICATE_REFUSED,
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            "no_common_protocol"
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => "name_refused",
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "no_common_version"
        }
        Error::AlertReceived(_) => "refused",
        Error::InvalidMessage(_) => "not_tls",
        _ => "bad_handshake",
    }
}

fn told_certificate(flaw: &CertificateError) -> &'static str {
    match flaw {
        // An authority of the same name, and with another key, is another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "unknown_ca",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "wrong_name",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not_valid_yet",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "wrong_purpose",
        CertificateError::Other(OtherError(cause)) if cause.to_string() == CA_AS_END_ENTITY => CA_CERTIFICATE,
        _ => "bad_certificate",
    }
}

fn certificate_refused(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}
