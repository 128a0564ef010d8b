//! What ties requests to endpoints: a key out of the request for the hash balances, and a cookie for sticky
//! sessions.

use std::net::IpAddr;

use http1::{Name, RequestHead};

use super::balance::{address_key, hash_key};
use super::sticky::{Pin, Sticky};
use crate::message::Response;

/// Where the key of a hash balance comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    ClientIp,
    Path,
    /// Name in lower case.
    Header(String),
    Cookie(String),
    Query(String),
}

impl HashOn {
    /// The key of a request. One without the header, cookie or parameter goes by its client's address: an
    /// empty key would send all of these to one endpoint.
    pub fn key(&self, head: &RequestHead, client: IpAddr) -> u64 {
        self.value(head).map_or_else(|| address_key(client), hash_key)
    }

    /// What of the request itself it is about; `None` also for the client's address.
    pub fn value<'h>(&self, head: &'h RequestHead) -> Option<&'h [u8]> {
        match self {
            HashOn::ClientIp => None,
            HashOn::Path => Some(head.path()),
            HashOn::Header(name) => field(head, name.as_bytes()),
            HashOn::Cookie(name) => cookie(head, name.as_bytes()),
            HashOn::Query(name) => parameter(head, name.as_bytes()),
        }
    }
}

/// The value of the first field with this name, in lower case.
fn field<'h>(head: &'h RequestHead, lower: &[u8]) -> Option<&'h [u8]> {
    head.fields.iter().find(|field| field.name.eq_ignore_ascii_case(lower)).map(|field| field.value)
}

/// The value of the first cookie with this name.
fn cookie<'h>(head: &'h RequestHead, name: &[u8]) -> Option<&'h [u8]> {
    head.fields
        .all(Name::Cookie)
        .flat_map(|field| field.split(|byte| *byte == b';'))
        .find_map(|pair| pair.trim_ascii().strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")))
}

/// The value of the first parameter with this name, as it was sent.
fn parameter<'h>(head: &'h RequestHead, name: &[u8]) -> Option<&'h [u8]> {
    head.query()?
        .split(|byte| *byte == b'&')
        .find_map(|pair| pair.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")))
}

/// What a request is tied to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tie<'u> {
    /// For the hash balances.
    pub key: u64,
    pub stick: Option<Stick<'u>>,
}

/// Sticky sessions, as they concern one request.
#[derive(Debug, Clone, Copy)]
pub struct Stick<'u> {
    sticky: &'u Sticky,
    /// What the client's cookie says.
    pub pin: Option<Pin>,
    /// Seconds since 1970.
    now: u64,
}

impl<'u> Stick<'u> {
    pub fn new(sticky: &'u Sticky, head: &RequestHead, now: u64) -> Stick<'u> {
        Stick { sticky, pin: sticky.pinned(head.fields.all(Name::Cookie), now), now }
    }

    /// Gives the client of an answer a cookie for the endpoint that answered, when it has none for it yet.
    pub fn mark(&self, response: &mut Response<'_>, identity: u64) {
        if self.pin.is_some_and(|pin| pin.identity == identity && !pin.renew) {
            return;
        }
        response.head.fields.push_with(Name::SetCookie, b"Set-Cookie", |out| {
            self.sticky.set_cookie(identity, self.now, out);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &str) -> RequestHead {
        let mut head = RequestHead::default();
        head.parse(bytes.as_bytes()).expect("a good head");
        head
    }

    #[test]
    fn keys_come_from_where_they_shall() {
        let request = head(
            "GET /a/b?user=7&x=1&user=8 HTTP/1.1\r\nHost: h\r\nX-User: mia\r\nCookie: a=1; sid=abc\r\n\
             Cookie: sid=later\r\n\r\n",
        );
        let client: IpAddr = "10.0.0.1".parse().expect("an address");
        let key = |on: HashOn| on.key(&request, client);
        assert_eq!(key(HashOn::Path), hash_key(b"/a/b"));
        assert_eq!(key(HashOn::Header("x-user".into())), hash_key(b"mia"));
        assert_eq!(key(HashOn::Cookie("sid".into())), hash_key(b"abc"));
        assert_eq!(key(HashOn::Query("user".into())), hash_key(b"7"));
        assert_eq!(key(HashOn::ClientIp), address_key(client));
        for absent in [HashOn::Cookie("si".into()), HashOn::Query("use".into()), HashOn::Header("no".into())]
        {
            assert_eq!(key(absent), address_key(client));
        }
    }
}
