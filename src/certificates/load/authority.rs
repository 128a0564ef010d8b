//! Whose client certificates are taken: authorities, and what they have revoked.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::SectionKind;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::files::{Culprit, Flaw, Pem};
use super::roots::authorities;
use crate::certificates::digest::{Digest, digest};
use crate::certificates::{ClientAuthOptions, ClientDemand, provider};

/// Loaded and found to be usable.
pub struct Authority {
    pub(in crate::certificates) verifier: Arc<dyn ClientCertVerifier>,
    /// Of the authorities, the lists and the demand: another policy is another digest.
    pub(in crate::certificates) content: Digest,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Reads and checks both files.
    pub fn load(options: &ClientAuthOptions) -> Result<Authority, Flaw> {
        let (roots, certificates) = authorities(Culprit::ClientCa, &options.ca)?;
        let lists = match &options.crl {
            Some(path) => Pem::read(Culprit::ClientCrl, path)?
                .sections_or_der(SectionKind::Crl, "list of revoked certificates")?,
            None => Vec::new(),
        };
        let flags = [
            u8::from(options.demand == ClientDemand::Optional),
            u8::from(options.allow_unknown_revocation),
            u8::from(options.crl.is_some()),
        ];
        let parts = certificates.iter().map(CertificateDer::as_ref).chain(lists.iter().map(Vec::as_slice));
        let content = digest("authority", std::iter::once(flags.as_slice()).chain(parts));
        Ok(Authority { verifier: verifier(options, roots, lists)?, content })
    }
}

fn verifier(
    options: &ClientAuthOptions,
    roots: RootCertStore,
    lists: Vec<Vec<u8>>,
) -> Result<Arc<dyn ClientCertVerifier>, Flaw> {
    let has_lists = !lists.is_empty();
    let lists = lists.into_iter().map(CertificateRevocationListDer::from);
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).with_crls(lists);
    if options.demand == ClientDemand::Optional {
        builder = builder.allow_unauthenticated();
    }
    if has_lists && options.allow_unknown_revocation {
        builder = builder.allow_unknown_revocation_status();
    } else if has_lists {
        // A list that is out of date says nothing of today.
        builder = builder.enforce_revocation_expiration();
    }
    builder.build().map_err(|error| match &options.crl {
        Some(path) => {
            Flaw::new(Culprit::ClientCrl, format!("the list in `{}` cannot be used: {error}", path.display()))
                .hint("it must be a complete list in version 2, as `openssl ca -gencrl` makes it")
        }
        None => Flaw::new(Culprit::ClientCa, format!("`{}` cannot be used: {error}", options.ca.display())),
    })
}
