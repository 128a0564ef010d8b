//! The certificate for a handshake, as rustls asks for it.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::UnknownSni;
use super::choice::Shelf;

/// The shelf of now; the store puts another one in.
pub(super) type Current = Arc<RwLock<Arc<Shelf>>>;

pub(super) fn shelf(current: &Current) -> Arc<Shelf> {
    current.read().unwrap_or_else(PoisonError::into_inner).clone()
}

#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) current: Current,
    pub(super) unknown_sni: UnknownSni,
}

impl Resolver {
    /// Also for a name that is no name, of which rustls tells nothing.
    pub(super) fn rejects(&self, shelf: &Shelf, server_name: Option<&str>) -> bool {
        self.unknown_sni == UnknownSni::Reject && !server_name.is_some_and(|name| shelf.knows(name))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let (shelf, name) = (shelf(&self.current), hello.server_name());
        if self.rejects(&shelf, name) {
            return None;
        }
        shelf.choose(name, hello.signature_schemes(), super::now()).cloned()
    }
}
