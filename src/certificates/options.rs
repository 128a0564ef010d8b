//! What a user sets about TLS: certificates, and the policies of listeners and hosts.

use std::path::PathBuf;
use std::time::Duration;

use crate::message::Http2;

/// One `[certificates.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateOptions {
    pub name: String,
    /// PEM: the server's own certificate first, then those that lead to the authority.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// DER: the answer of the authority that is shown with the certificate.
    pub ocsp: Option<PathBuf>,
    /// Shown to clients that name no host, or one without a certificate.
    pub default: bool,
}

/// The TLS policy of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    pub min_version: TlsVersion,
    pub unknown_sni: UnknownSni,
    /// Keys of session tickets that several machines share.
    pub ticket_keys: Option<PathBuf>,
    pub client_auth: Option<ClientAuthOptions>,
    /// Offered to clients beside HTTP/1.1.
    pub http2: Http2,
    pub handshake_timeout: Duration,
    /// Handshakes under way at the same time from one address (one /64 for IPv6); 0 is no limit.
    pub max_handshakes_per_client: u32,
    /// Value of `Strict-Transport-Security` in every answer (RFC 6797).
    pub hsts: Option<String>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        TlsOptions {
            min_version: TlsVersion::V1_2,
            unknown_sni: UnknownSni::Default,
            ticket_keys: None,
            client_auth: None,
            http2: Http2::Beside,
            handshake_timeout: Duration::from_secs(10),
            max_handshakes_per_client: 100,
            hsts: None,
        }
    }
}

/// What a route asks for its hosts, beyond what the listener does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct HostTlsOptions {
    /// Instead of the listener's.
    pub client_auth: Option<ClientAuthOptions>,
    /// Where the listener allows older ones.
    pub min_version: Option<TlsVersion>,
}

impl HostTlsOptions {
    /// The route asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.client_auth.is_none() && self.min_version.is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// What a client gets that asks for a name without a certificate, or for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownSni {
    /// The default certificate.
    Default,
    /// No handshake.
    Reject,
}

/// Which client certificates are taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientAuthOptions {
    /// PEM: the authorities. There are no others, least of all the system's.
    pub ca: PathBuf,
    /// PEM or DER: what they have revoked.
    pub crl: Option<PathBuf>,
    /// With `crl`: take certificates of authorities whose list is not there or out of date.
    pub allow_unknown_revocation: bool,
    pub demand: ClientDemand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientDemand {
    /// No handshake without a certificate.
    Required,
    /// A client may have none; one that has must have a good one.
    Optional,
}
