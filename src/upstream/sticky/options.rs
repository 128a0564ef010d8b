//! What a user sets about sticky sessions, and what can be wrong with it.

use std::fmt;
use std::time::Duration;

/// What a user sets about sticky sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyOptions {
    /// Name of the cookie; upstreams behind one host need names of their own, or they overwrite each other's.
    pub name: String,
    /// The first one signs, all of them verify: a new one goes in front, the old one away after the ttl.
    pub secrets: Vec<Secret>,
    /// For how long a client keeps its endpoint; without it until the browser is closed.
    pub ttl: Option<Duration>,
    pub secure: bool,
    pub same_site: SameSite,
    pub path: String,
}

/// At least [`Secret::LEAST`] bytes that nobody else knows. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The attribute of the cookie (draft-ietf-httpbis-rfc6265bis).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    Strict,
    #[default]
    Lax,
    None,
}

/// A rule that the options break. Browsers drop cookies that break theirs without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A name is a token (RFC 6265 section 4.1.1).
    Name,
    /// A path begins with a slash and has neither control bytes nor semicolons.
    Path,
    NoSecret,
    ShortSecret,
    /// Less than a second.
    Ttl,
    /// `SameSite=None`, or a name that begins with `__Secure-` or `__Host-`, without `Secure`.
    NeedsSecure,
    /// A name that begins with `__Host-` with another path than `/`.
    NeedsRootPath,
}

impl StickyOptions {
    /// All that is wrong; nothing may be before [`Sticky::new`](super::Sticky::new).
    pub fn mistakes(&self) -> Vec<Mistake> {
        let begins = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let host_prefix = begins("__Host-");
        let secure_needed = host_prefix || begins("__Secure-") || self.same_site == SameSite::None;
        let path = self.path.as_bytes();
        let rules = [
            (Mistake::Name, !self.name.is_empty() && self.name.bytes().all(is_token)),
            (Mistake::Path, path.first() == Some(&b'/') && path.iter().all(|byte| is_path(*byte))),
            (Mistake::NoSecret, !self.secrets.is_empty()),
            (Mistake::ShortSecret, self.secrets.iter().all(|secret| secret.0.len() >= Secret::LEAST)),
            (Mistake::Ttl, self.ttl.is_none_or(|ttl| ttl.as_secs() > 0)),
            (Mistake::NeedsSecure, self.secure || !secure_needed),
            (Mistake::NeedsRootPath, !host_prefix || self.path == "/"),
        ];
        rules.into_iter().filter(|(_, kept)| !kept).map(|(mistake, _)| mistake).collect()
    }
}

impl Secret {
    pub const LEAST: usize = 16;

    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_path(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b';'
}
