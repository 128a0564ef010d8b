//! A blocking client of TLS, the same for all proxies, that makes every one of them do the same work.
//!
//! One key exchange (X25519), one cipher (AES-128-GCM) and one signature for each kind of key: what a proxy would
//! rather choose makes no difference. It verifies nothing, since its own time only slows the load; curl has
//! verified the same certificates before.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};

use crate::bench::load::{get, loopback, read_answer};

/// Connects to one proxy, as often as it is told.
pub struct Client {
    config: Arc<ClientConfig>,
    port: u16,
    expected: HandshakeKind,
}

/// What each handshake must be; another is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Full,
    /// With a ticket of the connection before.
    Resumed,
}

impl Client {
    /// A client of `port` on 127.0.0.1. One that resumes makes its first, full handshake here.
    pub fn new(port: u16, version: &'static SupportedProtocolVersion, kind: Kind) -> Result<Client> {
        let mut provider = default_provider();
        // P-256 only as the curve of a certificate, which TLS 1.2 wants to see in the same list (RFC 8422 section 5.1).
        provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1];
        provider.cipher_suites = vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ];
        let config = ClientConfig::builder_with_provider(Arc::new(provider));
        let mut config = config
            .with_protocol_versions(&[version])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(VerifiesNothing))
            .with_no_client_auth();
        config.resumption = match kind {
            Kind::Full => Resumption::disabled(),
            Kind::Resumed => Resumption::in_memory_sessions(1),
        };
        let mut client = Client { config: Arc::new(config), port, expected: HandshakeKind::Full };
        if kind == Kind::Resumed {
            client.exchange().context("the handshake that brings the first ticket")?;
            client.expected = HandshakeKind::Resumed;
        }
        Ok(client)
    }

    /// A handshake and one small request. Gives the connection, which is still open.
    pub fn open(&self) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let socket = TcpStream::connect(loopback(self.port)).context("connect to the proxy")?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::IpAddress(loopback(self.port).ip().into());
        let connection = ClientConnection::new(self.config.clone(), name)?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(&get(self.port, "/128")).context("shake hands")?;
        read_answer(&mut stream)?;
        let kind = stream.conn.handshake_kind();
        ensure!(kind == Some(self.expected), "a handshake was {kind:?}, not {:?}", self.expected);
        let group = stream.conn.negotiated_key_exchange_group().map(|group| group.name());
        ensure!(group == Some(NamedGroup::X25519), "keys were exchanged by {group:?}");
        Ok(stream)
    }

    /// The same, and takes leave.
    pub fn exchange(&self) -> Result<()> {
        let mut stream = self.open()?;
        stream.conn.send_close_notify();
        stream.flush().context("close")
    }
}

#[derive(Debug)]
struct VerifiesNothing;

impl ServerCertVerifier for VerifiesNothing {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
