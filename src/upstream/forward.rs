//! The head of a request as the origin gets it: our start line and framing, the client's end-to-end
//! fields, and what the proxy vouches for.

use http1::connection::{accepts_trailers, is_nominated};
use http1::fields::Field;
use http1::{BodyLength, ConnectionOptions, Method, Name, RequestHead, encode};

use super::pin::Tie;
use super::{client_certificate, loop_guard};
use crate::message::{Client, ClientCertificate, Protocol, RequestId, Upgrade, websocket};

/// What is known about a request besides its head.
pub struct Facts<'r> {
    pub client: &'r Client,
    /// What the client speaks.
    pub protocol: Protocol,
    pub id: &'r RequestId,
    pub upgrade: Option<Upgrade>,
    /// `Host` for the origin when the route sets one.
    pub host: Option<&'r str>,
    /// The route wants the `Forwarded` field too.
    pub forwarded: bool,
    pub length: BodyLength,
    /// The client came through TLS.
    pub secure: bool,
    /// What the origin shall know of.
    pub certificate: Option<&'r ClientCertificate>,
    pub tie: Tie<'r>,
}

impl Facts<'_> {
    /// The scheme that the client used.
    fn scheme(&self) -> &'static [u8] {
        if self.secure { b"https" } else { b"http" }
    }
}

/// Writes the head as HTTP/1 has it.
pub fn write_head(out: &mut Vec<u8>, head: &RequestHead, facts: &Facts<'_>) {
    encode::request_line(out, head);
    out.extend_from_slice(b"Host: ");
    out.extend_from_slice(facts.host.map_or(head.authority(), str::as_bytes));
    out.extend_from_slice(b"\r\n");
    write_fields(out, head, facts);
    write_framing(out, head, facts);
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields that the origin gets in every version.
#[inline]
pub fn write_fields(out: &mut Vec<u8>, head: &RequestHead, facts: &Facts<'_>) {
    let nominations = ConnectionOptions::parse(&head.fields).is_ok_and(|options| options.nominations > 0);
    let trusted = facts.client.trusted;
    head.fields.write_lines(out, |field| {
        passes(field, trusted, facts.secure)
            && !(nominations
                && field.known != Name::Own
                && is_nominated(&head.fields, field.known, field.name))
    });
    write_forwarded(out, head, facts);
    if let Some(certificate) = facts.certificate {
        client_certificate::write_fields(out, certificate);
    }
    loop_guard::write_field(out, &head.fields);
}

/// Fields of the client that go on as they are. Not: fields of one connection (RFC 9110 section 7.6.1),
/// framing, `Host` and `Expect`, which are written anew or answered here, and everything that the proxy
/// itself vouches for.
fn passes(field: Field<'_>, trusted: bool, secure: bool) -> bool {
    match field.known {
        // With TLS in front the certificate is known here, and nobody else is asked.
        Name::Other if client_certificate::is_claimed_by(field.name) => trusted && !secure,
        Name::Other => trusted || !claims_identity(field.name),
        // Set to nothing: the origin shall not have it.
        Name::Own => !field.value.is_empty(),
        Name::Host
        | Name::ContentLength
        | Name::Expect
        | Name::XForwardedFor
        | Name::XForwardedHost
        | Name::XForwardedProto
        | Name::XRealIp
        | Name::XRequestId
        | Name::CdnLoop => false,
        Name::Forwarded | Name::XForwardedPort => trusted,
        known => !known.is_hop_by_hop(),
    }
}

/// Names that tell an origin who a client is, in fields that only a proxy may write.
fn claims_identity(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-forwarded-";
    match name.len() {
        10 => name.eq_ignore_ascii_case(b"early-data"),
        len if len > PREFIX.len() => name[..PREFIX.len()].eq_ignore_ascii_case(PREFIX),
        _ => false,
    }
}

fn write_forwarded(out: &mut Vec<u8>, head: &RequestHead, facts: &Facts<'_>) {
    let client = facts.client;
    let told = |name| head.fields.get(name).filter(|value| !value.is_empty());
    let believed = |name| if client.trusted { told(name) } else { None };
    let any_own = head.fields.contains(Name::Own);
    let is_own = |name| any_own && has_own(head, name);
    if !client.trusted && !any_own && !facts.forwarded {
        return write_usual(out, head, facts);
    }
    if !is_own(Name::XForwardedFor) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        if client.trusted {
            for earlier in head.fields.all(Name::XForwardedFor).filter(|value| !value.is_empty()) {
                out.extend_from_slice(earlier);
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(client.peer_text());
        out.extend_from_slice(b"\r\n");
    }
    if !is_own(Name::XRealIp) {
        out.extend_from_slice(b"X-Real-IP: ");
        client.write_address(out);
        out.extend_from_slice(b"\r\n");
    }
    if !is_own(Name::XForwardedProto) {
        out.extend_from_slice(b"X-Forwarded-Proto: ");
        out.extend_from_slice(believed(Name::XForwardedProto).unwrap_or(facts.scheme()));
        out.extend_from_slice(b"\r\n");
    }
    if !is_own(Name::XForwardedHost) {
        out.extend_from_slice(b"X-Forwarded-Host: ");
        out.extend_from_slice(believed(Name::XForwardedHost).unwrap_or(head.authority()));
        out.extend_from_slice(b"\r\n");
    }
    if !is_own(Name::XRequestId) {
        out.extend_from_slice(b"X-Request-ID: ");
        out.extend_from_slice(facts.id.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if facts.forwarded && !is_own(Name::Forwarded) {
        write_rfc7239(out, head, facts);
    }
}

/// The same where nobody is believed and the route has its say on nothing: in fewer pieces, as each costs a look
/// whether there is room, which took 100 instructions.
#[inline]
fn write_usual(out: &mut Vec<u8>, head: &RequestHead, facts: &Facts<'_>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    out.extend_from_slice(facts.client.peer_text());
    out.extend_from_slice(b"\r\nX-Real-IP: ");
    facts.client.write_address(out);
    let between: &[u8] = match facts.secure {
        true => b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: ",
        false => b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ",
    };
    out.extend_from_slice(between);
    out.extend_from_slice(head.authority());
    out.extend_from_slice(b"\r\nX-Request-ID: ");
    out.extend_from_slice(facts.id.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The route has set this one, or taken it off.
#[cold]
fn has_own(head: &RequestHead, name: Name) -> bool {
    head.fields.iter().any(|field| field.known == Name::Own && Name::classify(field.name) == name)
}

/// `Forwarded` (RFC 7239); an address with colons is quoted and bracketed.
fn write_rfc7239(out: &mut Vec<u8>, head: &RequestHead, facts: &Facts<'_>) {
    let peer = facts.client.peer_text();
    let (before, after): (&[u8], &[u8]) = if peer.contains(&b':') { (b"\"[", b"]\"") } else { (b"", b"") };
    out.extend_from_slice(b"Forwarded: for=");
    let parts = [before, peer, after, b";host=\"", head.authority(), b"\";proto=", facts.scheme(), b"\r\n"];
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Whether the length of the body stands in the head; of none it does where an origin may expect one.
#[inline]
pub fn tells_length(head: &RequestHead, facts: &Facts<'_>) -> bool {
    facts.length != BodyLength::NONE
        || matches!(head.method, Method::Post | Method::Put | Method::Patch)
        || head.fields.contains(Name::ContentLength)
}

fn write_framing(out: &mut Vec<u8>, head: &RequestHead, facts: &Facts<'_>) {
    if tells_length(head, facts) {
        encode::framing(out, facts.length);
    }
    let trailers = accepts_trailers(head);
    match (facts.upgrade, trailers) {
        (Some(upgrade), _) => {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
            if upgrade == Upgrade::BareWebSocket {
                out.extend_from_slice(b"Sec-WebSocket-Key: ");
                out.extend_from_slice(websocket::key_for(facts.id).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        (None, true) => out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n"),
        (None, false) => {}
    }
}
