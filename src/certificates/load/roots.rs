//! Authorities that are believed: those of a file, or those of the system.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::files::{Culprit, Flaw, Pem};
use crate::certificates::digest::{Digest, digest};

/// Loaded, and at least one.
#[derive(Debug, Clone)]
pub struct Roots {
    pub store: Arc<RootCertStore>,
    /// Other authorities have another one.
    pub content: Digest,
}

impl Roots {
    /// Those of a file that servers are verified by.
    pub fn load(path: &Path) -> Result<Roots, Flaw> {
        let (store, certificates) = authorities(Culprit::Ca, path)?;
        Ok(Roots::of(store, &certificates))
    }

    /// Those of the system: of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or from where systems keep them. The error
    /// says why there are none.
    pub fn of_system() -> Result<Roots, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let certificates = found.certs;
        // Some systems have a few that nobody can read any more.
        let (usable, _) = store.add_parsable_certificates(certificates.iter().cloned());
        if usable == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!("this system has no authorities of its own{why}"));
        }
        Ok(Roots::of(store, &certificates))
    }

    fn of(store: RootCertStore, certificates: &[CertificateDer<'_>]) -> Roots {
        let content = digest("roots", certificates.iter().map(CertificateDer::as_ref));
        Roots { store: Arc::new(store), content }
    }
}

/// The certificates of a file, each of which must be one of an authority.
pub(super) fn authorities(
    culprit: Culprit,
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), Flaw> {
    let certificates: Vec<CertificateDer<'static>> = Pem::read(culprit, path)?.all("certificate")?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|_| {
            let message = format!("certificate {} in `{}` cannot be used", index + 1, path.display());
            Flaw::new(culprit, message).hint("it must be an X.509 certificate of an authority")
        })?;
    }
    Ok((store, certificates))
}
