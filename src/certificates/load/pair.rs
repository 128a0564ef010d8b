//! A certificate and its key, loaded and found to belong together.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::files::{Culprit, Flaw, Pem, read};
use crate::certificates::digest::{Digest, digest};
use crate::certificates::{CertificateOptions, Seconds, names, provider};
use crate::message::client_certificate::{address, distinguished};

/// Ready to be shown.
pub struct Pair {
    pub name: String,
    pub default: bool,
    /// Lower case, without trailing dot; wildcards with their `*.`.
    pub names: Vec<String>,
    /// Distinguished name of the authority.
    pub issuer: String,
    pub not_before: Seconds,
    pub not_after: Seconds,
    pub(in crate::certificates) certified: Arc<CertifiedKey>,
    /// Of the certificate alone: by it an operator was warned.
    pub(in crate::certificates) leaf: Digest,
    /// Of all that is shown.
    pub(in crate::certificates) content: Digest,
}

/// Without the key.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("name", &self.name).field("names", &self.names).finish_non_exhaustive()
    }
}

impl Pair {
    /// Reads and checks all files.
    pub fn load(options: &CertificateOptions) -> Result<Pair, Flaw> {
        let chain_file = Pem::read(Culprit::Certificate, &options.certificate)?;
        let chain: Vec<CertificateDer<'static>> = chain_file.all("certificate")?;
        let key_file = Pem::read(Culprit::Key, &options.key)?;
        if key_file.is_encrypted() {
            return Err(key_file.encrypted());
        }
        let key: PrivateKeyDer<'static> = key_file.first("private key")?;
        let key = provider().key_provider.load_private_key(key).map_err(|_| {
            let message = format!("the key in `{}` cannot be used", options.key.display());
            Flaw::new(Culprit::Key, message)
                .hint("supported are RSA with 2048 to 8192 bits, ECDSA (P-256, P-384, P-521) and Ed25519")
        })?;
        let ocsp = options.ocsp.as_deref().map(ocsp).transpose()?;
        let facts = Facts::of(&chain, options)?;
        let parts = chain.iter().map(CertificateDer::as_ref).chain(ocsp.as_deref());
        let content = digest("pair", parts);
        let certified = CertifiedKey { cert: chain, key, ocsp };
        check_match(&certified, options)?;
        Ok(Pair {
            name: options.name.clone(),
            default: options.default,
            names: facts.names,
            issuer: facts.issuer,
            not_before: facts.not_before,
            not_after: facts.not_after,
            leaf: digest("leaf", certified.cert.first().map(CertificateDer::as_ref)),
            content,
            certified: Arc::new(certified),
        })
    }

    /// As a TLS session shows it.
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// Other certificates, or another chain, have another one.
    pub fn content(&self) -> &Digest {
        &self.content
    }

    pub fn is_valid_at(&self, now: Seconds) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    pub(in crate::certificates) fn is_rsa(&self) -> bool {
        self.certified.key.algorithm() == SignatureAlgorithm::RSA
    }
}

struct Facts {
    names: Vec<String>,
    issuer: String,
    not_before: Seconds,
    not_after: Seconds,
}

impl Facts {
    fn of(chain: &[CertificateDer<'_>], options: &CertificateOptions) -> Result<Facts, Flaw> {
        let unreadable = || {
            let path = options.certificate.display();
            Flaw::new(Culprit::Certificate, format!("the first certificate in `{path}` cannot be read"))
        };
        let leaf = chain.first().ok_or_else(unreadable)?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| unreadable())?;
        Ok(Facts {
            names: names_of(&leaf),
            issuer: distinguished(leaf.issuer()),
            not_before: leaf.validity().not_before.timestamp(),
            not_after: leaf.validity().not_after.timestamp(),
        })
    }
}

/// The alternative names; the common name counts only where there are none (RFC 6125 section 6.4.4).
fn names_of(leaf: &X509Certificate<'_>) -> Vec<String> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = match &alternative {
        Some(extension) => extension.value.general_names.iter().filter_map(dns_or_ip).collect(),
        None => leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(text).collect(),
    };
    names.sort_unstable();
    names.dedup();
    names
}

fn dns_or_ip(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(text(name)),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    }
}

fn text(name: &str) -> String {
    String::from_utf8_lossy(&names::normalise(name.as_bytes())).into_owned()
}

fn ocsp(path: &Path) -> Result<Vec<u8>, Flaw> {
    let bytes = read(Culprit::Ocsp, path)?;
    // An OCSPResponse is a SEQUENCE that begins with an ENUMERATED (RFC 6960 section 4.2.1).
    let body = bytes.get(1).map(|length| if *length < 0x80 { 2 } else { 2 + usize::from(length & 0x7f) });
    let begins = body.and_then(|at| bytes.get(at..at + 3));
    match begins {
        Some([0x0a, 1, 0]) if bytes.first() == Some(&0x30) => Ok(bytes),
        Some([0x0a, 1, _]) if bytes.first() == Some(&0x30) => {
            let message = format!("`{}` is an OCSP answer that says that there was an error", path.display());
            Err(Flaw::new(Culprit::Ocsp, message).hint("fetch it again"))
        }
        _ => Err(Flaw::new(Culprit::Ocsp, format!("`{}` is not an OCSP answer in DER", path.display()))
            .hint("it is the file that `openssl ocsp -respout` writes")),
    }
}

fn check_match(certified: &CertifiedKey, options: &CertificateOptions) -> Result<(), Flaw> {
    let (certificate, key) = (options.certificate.display(), options.key.display());
    match certified.keys_match() {
        // Every key of our provider can tell its public half.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(Error::InconsistentKeys(_)) => {
            let flaw =
                Flaw::new(Culprit::Key, format!("the key in `{key}` does not belong to the certificate"));
            Err(match owner(certified) {
                Some(place) => flaw.hint(format!(
                    "it belongs to certificate {place} in `{certificate}`: the server's own must come first"
                )),
                None => flaw.hint(format!("compare `openssl x509 -pubkey -noout -in {certificate}` and `openssl pkey -pubout -in {key}`")),
            })
        }
        Err(_) => Err(Flaw::new(
            Culprit::Certificate,
            format!("the first certificate in `{certificate}` cannot be used"),
        )
        .hint("it must be an X.509 certificate of version 3")),
    }
}

/// Which certificate of the chain the key belongs to, counted from 1.
fn owner(certified: &CertifiedKey) -> Option<usize> {
    let belongs = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(&certified.key) as Arc<dyn SigningKey>)
            .keys_match()
            .is_ok()
    };
    certified.cert.iter().position(belongs).map(|index| index + 1)
}
