//! What the proxy shows to clients to prove who it is, and what it asks of them: certificates chosen by
//! name, authorities for client certificates, keys of session tickets. Files are watched, and what is in
//! them is used from the next handshake on.
//!
//! The way: `config` loads every file once ([`Material`]), [`Store`] keeps the loaded and watches it,
//! [`Handshakes`] has what one listener needs of it. No sockets here: who speaks TLS asks
//! [`Handshakes::choose`] and the rest is rustls.

mod choice;
mod digest;
mod handshakes;
mod load;
mod names;
mod options;
mod policies;
mod resolver;
mod store;
mod tickets;

#[cfg(test)]
mod tests;

pub use handshakes::{Handshakes, Policy, UnknownName};
pub use load::{Authority, Culprit, Flaw, Pair, Roots};
pub use options::{
    CertificateOptions, ClientAuthOptions, ClientDemand, HostTlsOptions, TlsOptions, TlsVersion, UnknownSni,
};
pub use policies::{HostPolicies, HostRule, Mark};
pub use store::{CertificateStanding, Material, Store};
pub use tickets::TicketKeys;

use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// Seconds since 1970, as certificates tell time.
type Seconds = i64;

/// The cryptography of the process. Key exchanges in our order: the hybrid one first, as what is recorded
/// today may be decrypted when there are quantum computers.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    Arc::new(CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    })
});

/// The one provider of the process; for the side towards upstreams as well.
pub fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

fn now() -> Seconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Seconds::try_from(since.as_secs()).unwrap_or(Seconds::MAX)
}
