//! The `Connection` field (RFC 9110 section 7.6.1): what it asks for and which fields it nominates.

use crate::error::HeadError;
use crate::fields::{Fields, is_token};
use crate::framing::BodyLength;
use crate::head::{RequestHead, Version};
use crate::name::{Name, same_name};

/// More nominations than this are an attack, not a need.
const MAX_NOMINATIONS: u8 = 10;

/// Bytes of all `Connection` values. They are gone through for each field that is passed on, so what is
/// long there - empty elements and spaces count as no nomination - is paid for up to a hundred times.
const MAX_LEN: usize = 1024;

/// What the `Connection` fields of a message say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// How many other fields are nominated.
    pub nominations: u8,
}

impl ConnectionOptions {
    #[inline]
    pub fn parse(fields: &Fields) -> Result<ConnectionOptions, HeadError> {
        if fields.contains(Name::Connection) { Self::parse_tokens(fields) } else { Ok(Self::default()) }
    }

    fn parse_tokens(fields: &Fields) -> Result<ConnectionOptions, HeadError> {
        let mut options = ConnectionOptions::default();
        let len: usize = fields.all(Name::Connection).map(<[u8]>::len).sum();
        if len > MAX_LEN {
            return Err(HeadError::BadConnection);
        }
        for token in tokens(fields) {
            if !is_token(token) {
                return Err(HeadError::BadConnection);
            }
            if same_name(token, b"close") {
                options.close = true;
            } else if same_name(token, b"keep-alive") {
                options.keep_alive = true;
            } else if same_name(token, b"upgrade") {
                options.upgrade = true;
            } else {
                options.nominations += 1;
                if options.nominations > MAX_NOMINATIONS {
                    return Err(HeadError::BadConnection);
                }
            }
        }
        Ok(options)
    }
}

/// The protocol that a request asks to change to, `name` or `name/version`; `None` when it asks for none
/// that may be granted: a server may always answer in HTTP (RFC 9110 section 7.8).
///
/// `h2c` is never granted, as the upgrade is deprecated (RFC 9113 section 3.1) and hides requests from the
/// proxy; nor is one of several protocols, as then it would be open which.
pub fn requested_upgrade(
    head: &RequestHead,
    options: ConnectionOptions,
    length: BodyLength,
) -> Result<Option<&[u8]>, HeadError> {
    if !options.upgrade {
        return Ok(None);
    }
    let mut values = head.fields.all(Name::Upgrade);
    let protocol = match (values.next(), values.next()) {
        (Some(value), None) if head.version == Version::Http11 => value,
        _ => return Ok(None),
    };
    let mut parts = protocol.splitn(2, |byte| *byte == b'/');
    if !parts.all(is_token) || same_name(protocol, b"h2c") {
        return Ok(None);
    }
    // The body's bytes would be the first bytes of the new protocol to some, and a body to others.
    if length != BodyLength::NONE {
        return Err(HeadError::UpgradeWithBody);
    }
    Ok(Some(protocol))
}

/// True when the sender nominated this field to be dropped, and it is one that a nomination may drop:
/// identity, routing and caching fields stay, whoever asks (RFC 9110 section 7.6.1 names `Cache-Control`).
pub fn is_nominated(fields: &Fields, known: Name, name: &[u8]) -> bool {
    let protected = known.is_forbidden_in_trailers() && !known.is_hop_by_hop();
    !protected && tokens(fields).any(|token| token.eq_ignore_ascii_case(name))
}

/// The sender said `TE: trailers`: it will look at trailer fields (RFC 9110 section 10.1.4).
#[inline] // The look whether there is a `TE` at all, that is.
pub fn accepts_trailers(head: &RequestHead) -> bool {
    head.fields.contains(Name::Te) && names_trailers(&head.fields)
}

fn names_trailers(fields: &Fields) -> bool {
    fields
        .all(Name::Te)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Empty list elements are skipped, as RFC 9110 section 5.6.1.2 asks of a recipient.
fn tokens(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    fields
        .all(Name::Connection)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}
