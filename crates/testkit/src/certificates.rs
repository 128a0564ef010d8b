//! Throw-away certificates, made when a test runs: authorities, what they issue, and what they revoke.
//!
//! ```
//! use testkit::{Authority, Leaf, temp_dir};
//!
//! let authority = Authority::new("Test CA");
//! let certificate = authority.issue(Leaf::server(&["a.test", "127.0.0.1"]));
//! let files = certificate.write_to(&temp_dir(), "a");
//! assert!(files.certificate.ends_with("a.pem"));
//! ```

mod files;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use files::write_example_files;

/// Who signs certificates. Two of them with the same name are strangers: each has a key of its own.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// What stands between a leaf and the root, the nearest first; empty for a root.
    intermediates: Vec<(String, CertificateDer<'static>)>,
}

/// What a certificate shall say. Valid from an hour ago for thirty days, with an ECDSA P-256 key, unless told
/// otherwise.
#[derive(Clone, Debug)]
pub struct Leaf {
    common_name: String,
    names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
    rsa: bool,
    valid: (SystemTime, SystemTime),
}

/// A certificate with its chain (itself first, the root left out) and its private key.
#[derive(Debug)]
pub struct Certificate {
    pub chain_pem: String,
    pub key_pem: String,
    pub chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// `None` of one that another tool made.
    serial: Option<SerialNumber>,
}

/// Where a certificate and its key were written.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Leaf {
    /// For a server with these names; what parses as an IP address becomes one. The first is the common name.
    pub fn server(names: &[&str]) -> Leaf {
        let common_name = names.first().copied().unwrap_or("no name");
        let leaf = Leaf::named(common_name, ExtendedKeyUsagePurpose::ServerAuth);
        names.iter().fold(leaf, |leaf, name| leaf.name(name))
    }

    /// For a client with this common name and no other name.
    pub fn client(common_name: &str) -> Leaf {
        Leaf::named(common_name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A further name: an IP address or a DNS name.
    pub fn name(self, name: &str) -> Leaf {
        self.alternative(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.try_into().expect("a name in ASCII")),
        })
    }

    /// A further name that is a URI, for example `spiffe://test/app`.
    pub fn uri(self, uri: &str) -> Leaf {
        self.alternative(SanType::URI(uri.try_into().expect("a URI in ASCII")))
    }

    /// A further name that is an address of electronic mail.
    pub fn email(self, address: &str) -> Leaf {
        self.alternative(SanType::Rfc822Name(address.try_into().expect("an address in ASCII")))
    }

    /// With an RSA key of 2048 bits. Making one takes a noticeable moment.
    pub fn rsa(mut self) -> Leaf {
        self.rsa = true;
        self
    }

    /// Valid from `begin` to `end`.
    pub fn valid(mut self, begin: SystemTime, end: SystemTime) -> Leaf {
        self.valid = (begin, end);
        self
    }

    /// Was valid until an hour ago.
    pub fn expired(self) -> Leaf {
        let now = SystemTime::now();
        self.valid(now - 30 * DAY, now - HOUR)
    }

    /// Will be valid from tomorrow on.
    pub fn not_yet_valid(self) -> Leaf {
        let now = SystemTime::now();
        self.valid(now + DAY, now + 30 * DAY)
    }

    fn named(common_name: &str, usage: ExtendedKeyUsagePurpose) -> Leaf {
        let now = SystemTime::now();
        Leaf {
            common_name: common_name.to_string(),
            names: Vec::new(),
            usage,
            rsa: false,
            valid: (now - HOUR, now + 30 * DAY),
        }
    }

    fn alternative(mut self, name: SanType) -> Leaf {
        self.names.push(name);
        self
    }
}

impl Authority {
    /// A root that nobody knows yet.
    pub fn new(name: &str) -> Authority {
        let (params, key) = authority_params(name);
        let certificate = params.self_signed(&key).expect("sign the root");
        Authority {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            intermediates: Vec::new(),
        }
    }

    /// An authority below this one; what it issues carries its certificate in the chain.
    pub fn intermediate(&self, name: &str) -> Authority {
        let (params, key) = authority_params(name);
        let certificate = params.signed_by(&key, &self.issuer).expect("sign the intermediate");
        let itself = (certificate.pem(), certificate.der().clone());
        let mut intermediates = vec![itself];
        intermediates.extend(self.intermediates.iter().cloned());
        Authority {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            intermediates,
        }
    }

    /// A certificate with what `leaf` asks for, signed by this authority.
    pub fn issue(&self, leaf: Leaf) -> Certificate {
        let algorithm = if leaf.rsa { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
        let key = KeyPair::generate_for(algorithm).expect("make a key");
        let serial = serial_number();
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(&leaf.common_name);
        params.subject_alt_names = leaf.names;
        params.not_before = leaf.valid.0.into();
        params.not_after = leaf.valid.1.into();
        params.serial_number = Some(serial.clone());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![leaf.usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).expect("sign a certificate");

        let mut chain_pem = certificate.pem();
        let mut chain = vec![certificate.der().clone()];
        for (pem, der) in &self.intermediates {
            chain_pem.push_str(pem);
            chain.push(der.clone());
        }
        let key_pem = key.serialize_pem();
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).expect("a key that was just made");
        Certificate { chain_pem, key_pem, chain, key, serial: Some(serial) }
    }

    /// A list of revocation (CRL) that names `revoked`, in PEM; valid for thirty days.
    pub fn revocations(&self, revoked: &[&Certificate]) -> String {
        let now = SystemTime::now();
        self.revocations_until(revoked, now + 30 * DAY)
    }

    /// The same with the moment at which the list is out of date.
    pub fn revocations_until(&self, revoked: &[&Certificate], next_update: SystemTime) -> String {
        let issued = SystemTime::now() - 30 * DAY;
        let revoked_certs = revoked.iter().map(|certificate| RevokedCertParams {
            serial_number: certificate.serial.clone().expect("a certificate of testkit"),
            revocation_time: issued.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: issued.into(),
            next_update: next_update.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("sign a list").pem().expect("a list as text")
    }

    /// The certificate of the authority, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Writes the certificate of the authority to `NAME.pem` in `dir`.
    #[track_caller]
    pub fn write_to(&self, dir: &Path, name: &str) -> PathBuf {
        write(dir, &format!("{name}.pem"), &self.pem)
    }
}

impl Certificate {
    /// One that another tool made.
    #[track_caller]
    pub fn read_from(files: &CertificateFiles) -> Certificate {
        let read = |path: &Path| {
            fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
        };
        let (chain_pem, key_pem) = (read(&files.certificate), read(&files.key));
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("certificates in PEM");
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).expect("a key in PEM");
        Certificate { chain_pem, key_pem, chain, key, serial: None }
    }

    /// Writes the chain to `NAME.pem` and the key to `NAME.key` in `dir`, over what is there.
    #[track_caller]
    pub fn write_to(&self, dir: &Path, name: &str) -> CertificateFiles {
        CertificateFiles {
            certificate: write(dir, &format!("{name}.pem"), &self.chain_pem),
            key: write(dir, &format!("{name}.key"), &self.key_pem),
        }
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

fn authority_params(name: &str) -> (CertificateParams, KeyPair) {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished(name);
    params.not_before = (now - 60 * DAY).into();
    params.not_after = (now + 300 * DAY).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    (params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("make a key"))
}

fn distinguished(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// As long as those of real authorities, and by chance: positive, without a zero in front.
fn serial_number() -> SerialNumber {
    use std::hash::{BuildHasher, RandomState};
    let half = || RandomState::new().hash_one(0).to_be_bytes();
    let mut bytes = [half(), half()].concat();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from(bytes)
}

#[track_caller]
fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    path
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests;
