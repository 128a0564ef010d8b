//! What TLS says about a client.

use std::rc::Rc;

use super::ClientCertificate;

/// The TLS side of a client's connection.
#[derive(Debug)]
pub struct Secured {
    /// The certificate that the client has shown; verified.
    pub certificate: Option<Rc<ClientCertificate>>,
    /// `TLSv1.3`
    pub version: &'static str,
    /// Name of the cipher suite, as RFC 8446 and its forerunners write it.
    pub cipher: &'static str,
    /// The policy of the host that the handshake was made for; `None` for the listener's own.
    pub policy: Option<PolicyMark>,
    /// All that was asked for in the handshake.
    pub effective: PolicyMark,
}

/// Tells one TLS policy of a host from another, and from what it was before a reload: made of its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyMark(pub [u8; 32]);
