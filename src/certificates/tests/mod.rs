//! Handshakes in memory: what a client gets and what it is refused, over everything of this room.

mod authority;
mod handshake;
mod rotation;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// A folder of throw-away files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn authority(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a certificate is made of.
struct Wanted<'w> {
    names: &'w [&'w str],
    rsa: bool,
    /// Days from now.
    valid: (i64, i64),
    serial: u64,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Wanted { names: &["a.test"], rsa: false, valid: (-10, 80), serial: 7 }
    }
}

struct Issued {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

fn issue(issuer: &Issuer, wanted: &Wanted<'_>) -> Issued {
    let names: Vec<String> = wanted.names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let day = |days: i64| {
        let then = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + days * 86_400;
        rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(then as u64)
    };
    (params.not_before, params.not_after) = (day(wanted.valid.0), day(wanted.valid.1));
    params.serial_number = Some(SerialNumber::from(wanted.serial));
    let kind = if wanted.rsa { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Issued { der: certificate.der().clone(), pem: certificate.pem(), key }
}

impl Issued {
    fn write(&self, folder: &Folder, name: &str) -> CertificateOptions {
        CertificateOptions {
            name: name.to_owned(),
            certificate: folder.write(&format!("{name}.pem"), &self.pem),
            key: folder.write(&format!("{name}.key"), self.key.serialize_pem()),
            ocsp: None,
            default: false,
        }
    }
}

fn client_auth(ca: &Path) -> ClientAuthOptions {
    ClientAuthOptions {
        ca: ca.to_path_buf(),
        crl: None,
        allow_unknown_revocation: false,
        demand: ClientDemand::Required,
    }
}

/// A store with these certificates, and all that listener and hosts need.
fn store(certificates: &[CertificateOptions], tls: &TlsOptions, hosts: &[HostRule]) -> Arc<Store> {
    let store = Arc::new(Store::default());
    store.adopt(&material(certificates, tls, hosts));
    store
}

fn material(certificates: &[CertificateOptions], tls: &TlsOptions, hosts: &[HostRule]) -> Material {
    let mut material = Material::default();
    for options in certificates {
        material.add_certificate(options.clone()).unwrap();
    }
    let of_hosts = hosts.iter().filter_map(|rule| rule.tls.client_auth.as_ref());
    for options in tls.client_auth.iter().chain(of_hosts) {
        material.add_authority(options).unwrap();
    }
    if let Some(path) = &tls.ticket_keys {
        material.add_ticket_keys(path).unwrap();
    }
    material
}

fn handshakes(store: &Store, tls: &TlsOptions, hosts: &[HostRule]) -> Handshakes {
    Handshakes::build(tls, &Arc::new(HostPolicies::build(hosts, store)), store)
}

fn rule(name: &str, tls: HostTlsOptions) -> HostRule {
    let (wildcard, name) = match name.strip_prefix("*.") {
        Some(parent) => (true, parent),
        None => (false, name),
    };
    HostRule { name: name.to_owned(), wildcard, tls }
}

/// A client that trusts one authority.
struct Client {
    config: ClientConfig,
}

impl Client {
    fn new(trusted: &Issuer, versions: &[&'static rustls::SupportedProtocolVersion]) -> Client {
        Client::with(trusted, versions, None)
    }

    fn with_certificate(trusted: &Issuer, own: &Issued) -> Client {
        Client::with(trusted, rustls::ALL_VERSIONS, Some(own))
    }

    fn with(
        trusted: &Issuer,
        versions: &[&'static rustls::SupportedProtocolVersion],
        own: Option<&Issued>,
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            Some(own) => {
                let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![own.der.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        Client { config }
    }

    fn offering(mut self, protocols: &[&str]) -> Client {
        self.config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// A whole handshake under the policy that is chosen for the name; the error is of whoever ended it.
    fn shake(&self, handshakes: &Handshakes, name: &str) -> Result<Shaken, String> {
        let policy = handshakes.choose(Some(name)).map_err(|UnknownName| "unknown name".to_owned())?;
        self.shake_under(policy, name)
    }

    fn shake_under(&self, policy: &Policy, name: &str) -> Result<Shaken, String> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(self.config.clone()), name).unwrap();
        let mut server = ServerConnection::new(policy.config()).unwrap();
        join(&mut client, &mut server)?;
        Ok(Shaken {
            leaf: client.peer_certificates().and_then(|chain| chain.first().cloned()).unwrap(),
            shown: server.peer_certificates().is_some(),
            resumed: server.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            version: server.protocol_version().unwrap(),
            alpn: server.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            group: server.negotiated_key_exchange_group().map(|group| group.name()),
        })
    }
}

struct Shaken {
    leaf: CertificateDer<'static>,
    /// The client has shown a certificate.
    shown: bool,
    resumed: bool,
    version: rustls::ProtocolVersion,
    alpn: Option<String>,
    group: Option<rustls::NamedGroup>,
}

impl std::fmt::Debug for Shaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shaken(resumed: {})", self.resumed)
    }
}

/// Carries bytes both ways until nobody has any, so that tickets arrive too.
fn join(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), String> {
    loop {
        let to_server = carry(|wire| client.write_tls(wire));
        let to_client = carry(|wire| server.write_tls(wire));
        if to_server.is_empty() && to_client.is_empty() {
            break;
        }
        let mut left = to_server.as_slice();
        while !left.is_empty() {
            server.read_tls(&mut left).unwrap();
            server.process_new_packets().map_err(|error| format!("server: {error}"))?;
        }
        let mut left = to_client.as_slice();
        while !left.is_empty() {
            client.read_tls(&mut left).unwrap();
            client.process_new_packets().map_err(|error| format!("client: {error}"))?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

fn carry(mut write: impl FnMut(&mut Vec<u8>) -> io::Result<usize>) -> Vec<u8> {
    let mut wire = Vec::new();
    while write(&mut wire).unwrap() > 0 {}
    wire
}
