//! Sticky sessions: a signed cookie that says which endpoint a client had. The cookie is not taken out of what
//! the origin gets: the text of a field goes on as it came, and there is nothing in it that an origin may not see.

mod options;

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use options::{Mistake, SameSite, Secret, StickyOptions};

/// The sticky sessions of one upstream.
#[derive(Debug)]
pub struct Sticky {
    name: Vec<u8>,
    keys: Vec<Key>,
    /// Seconds.
    ttl: Option<u64>,
    /// What stands behind the value in `Set-Cookie`.
    attributes: Vec<u8>,
}

/// What a good cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Of the endpoint: what was given to [`Sticky::set_cookie`].
    pub identity: u64,
    /// The client should get a new cookie for the same endpoint: more than half of the ttl is over, or the
    /// secret is not the first one any more.
    pub renew: bool,
}

impl Sticky {
    /// For options without mistakes. Cookies of an upstream with another name are not good here, even where
    /// the secret is the same.
    pub fn new(options: &StickyOptions, upstream: &str) -> Sticky {
        let mut attributes = format!("; Path={}", options.path);
        if let Some(ttl) = options.ttl {
            attributes += &format!("; Max-Age={}", ttl.as_secs());
        }
        attributes += "; HttpOnly";
        attributes += match options.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        if options.secure {
            attributes += "; Secure";
        }
        Sticky {
            name: options.name.clone().into(),
            keys: options.secrets.iter().map(|secret| Key::new(secret, upstream)).collect(),
            ttl: options.ttl.map(|ttl| ttl.as_secs()),
            attributes: attributes.into(),
        }
    }

    /// What the first good cookie among the values of the `Cookie` fields says. `now` is in seconds since 1970.
    /// Only [`MAX_COOKIES`] of our name are verified and [`MAX_LENGTH`] bytes looked at.
    pub fn pinned<'c>(&self, fields: impl IntoIterator<Item = &'c [u8]>, now: u64) -> Option<Pin> {
        let mut left = MAX_LENGTH;
        let in_reach = fields.into_iter().map_while(|field| {
            left = left.checked_sub(field.len())?;
            Some(field)
        });
        in_reach
            .flat_map(|field| field.split(|byte| *byte == b';'))
            .filter_map(|pair| self.value_of(pair))
            .take(MAX_COOKIES)
            .find_map(|value| self.verify(value, now))
    }

    /// The value in `name=value`, without quotes, if the name is ours.
    fn value_of<'c>(&self, pair: &'c [u8]) -> Option<&'c [u8]> {
        let value = pair.trim_ascii().strip_prefix(self.name.as_slice())?.strip_prefix(b"=")?;
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        Some(unquoted.unwrap_or(value))
    }

    /// What a value of the cookie says; `None` when it is not one of ours, of another upstream, or too old.
    pub fn verify(&self, value: &[u8], now: u64) -> Option<Pin> {
        let mut bytes = [0; SIZE];
        if value.len() != LENGTH || BASE64URL_NOPAD.decode_mut(value, &mut bytes).is_err() {
            return None;
        }
        let sealed = Sealed::read(&bytes);
        let same_id = |(_, key): &(usize, &Key)| key.id == sealed.head.key_id;
        let mut opened = self.keys.iter().enumerate().filter(same_id);
        let (place, identity) = opened.find_map(|(place, key)| Some((place, key.open(&sealed)?)))?;
        let issued = u64::from(sealed.head.issued);
        let age = now.saturating_sub(issued);
        let too_old = self.ttl.is_some_and(|ttl| age > ttl.saturating_add(SKEW));
        if too_old || issued > now.saturating_add(SKEW) {
            return None;
        }
        Some(Pin { identity, renew: place > 0 || self.ttl.is_some_and(|ttl| age > ttl / 2) })
    }

    /// Appends the value of a `Set-Cookie` field that pins a client to an endpoint, from `now` on, in seconds
    /// since 1970.
    pub fn set_cookie(&self, identity: u64, now: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.name);
        out.push(b'=');
        out.extend_from_slice(&self.value(identity, now));
        out.extend_from_slice(&self.attributes);
    }

    /// The value of the cookie.
    pub fn value(&self, identity: u64, now: u64) -> [u8; LENGTH] {
        let key = self.keys.first().expect("options without a secret are refused");
        let issued = u32::try_from(now).unwrap_or(u32::MAX);
        let sealed = key.seal(Head { format: FORMAT, key_id: key.id, issued }, identity);
        let mut value = [0; LENGTH];
        BASE64URL_NOPAD.encode_mut(&sealed.bytes(), &mut value);
        value
    }
}

/// What a value carries: 6 bytes of head, 8 of the hidden identity, 16 of the code.
struct Sealed {
    head: Head,
    hidden: u64,
    code: [u8; 16],
}

#[derive(Clone, Copy)]
struct Head {
    format: u8,
    /// Says which secret to try; two may share it.
    key_id: u8,
    /// Seconds since 1970.
    issued: u32,
}

impl Sealed {
    fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let parts = self.head.bytes().into_iter().chain(self.hidden.to_be_bytes()).chain(self.code);
        for (place, byte) in bytes.iter_mut().zip(parts) {
            *place = byte;
        }
        bytes
    }

    fn read(bytes: &[u8; SIZE]) -> Sealed {
        let [format, key_id, i0, i1, i2, i3, h0, h1, h2, h3, h4, h5, h6, h7, code @ ..] = *bytes;
        let issued = u32::from_be_bytes([i0, i1, i2, i3]);
        let hidden = u64::from_be_bytes([h0, h1, h2, h3, h4, h5, h6, h7]);
        Sealed { head: Head { format, key_id, issued }, hidden, code }
    }
}

impl Head {
    fn bytes(self) -> [u8; 6] {
        let [i0, i1, i2, i3] = self.issued.to_be_bytes();
        [self.format, self.key_id, i0, i1, i2, i3]
    }
}

/// A secret, made one upstream's own.
struct Key {
    id: u8,
    keyed: Hmac<Sha256>,
}

impl Key {
    fn new(secret: &Secret, upstream: &str) -> Key {
        let secret = keyed(secret.bytes());
        let derive = |purpose: &[u8], name: &str| {
            secret.clone().chain_update(purpose).chain_update(name).finalize().into_bytes()
        };
        let [id, ..] = derive(b"palisade sticky key id\0", "").0;
        Key { id, keyed: keyed(&derive(b"palisade sticky upstream\0", upstream)) }
    }

    /// The identity is hidden, since it may be the hash of an address, and there are so few addresses that all
    /// can be tried. The code is made of what is hidden, and hides it: as in RFC 5297, but with HMAC for both.
    fn seal(&self, head: Head, identity: u64) -> Sealed {
        let whole = self.code(head, identity).finalize().into_bytes();
        let mut code = [0; 16];
        for (place, byte) in code.iter_mut().zip(whole) {
            *place = byte;
        }
        Sealed { head, hidden: identity ^ self.mask(&code), code }
    }

    /// The identity, if the code is right. Compares in constant time.
    fn open(&self, sealed: &Sealed) -> Option<u64> {
        let identity = sealed.hidden ^ self.mask(&sealed.code);
        let right = self.code(sealed.head, identity).verify_truncated_left(&sealed.code).is_ok();
        (right && sealed.head.format == FORMAT).then_some(identity)
    }

    fn code(&self, head: Head, identity: u64) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(b"c").chain_update(head.bytes()).chain_update(identity.to_be_bytes())
    }

    fn mask(&self, code: &[u8; 16]) -> u64 {
        let pad = self.keyed.clone().chain_update(b"m").chain_update(code).finalize().into_bytes();
        let [m0, m1, m2, m3, m4, m5, m6, m7, ..] = pad.0;
        u64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes secrets of any length")
}

/// Bytes of a sealed value, and characters of it in base64.
const SIZE: usize = 30;
pub const LENGTH: usize = 40;

const FORMAT: u8 = 1;

/// Seconds by which the clocks of machines that share a secret may differ.
const SKEW: u64 = 60;

/// A browser sends one cookie of a name for each path that it was set for.
pub const MAX_COOKIES: usize = 4;

/// Bytes of the `Cookie` fields of one request.
pub const MAX_LENGTH: usize = 16 * 1024;

#[cfg(test)]
mod tests;
