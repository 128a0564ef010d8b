//! How clients come in by one listener: what is agreed on before the first request.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::http1::{Name, RequestHead, Scheme};

use crate::certificates::{Handshakes, HostPolicies};
use crate::message::{Client, Failure, Http2, ProxyProtocol, Response, Secured};
use crate::observe::notice;
use crate::proxy::Proxy;

/// One listener's ways in.
#[derive(Debug, Clone, Default)]
pub struct Entrance {
    /// Set when it speaks TLS.
    pub handshakes: Option<Arc<Handshakes>>,
    /// From the first byte to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Handshakes of one client at the same time; 0 is no limit.
    pub max_handshakes_per_client: u32,
    pub shaking: Arc<Shaking>,
    /// Who connects is a proxy, and says first for whom it speaks.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Without TLS: HTTP/2 by prior knowledge.
    pub http2: Http2,
    /// Answers here instead of the proxy: sends everybody to `https`.
    pub redirect: Option<Arc<Proxy>>,
    /// The line of the field that has browsers come with TLS only (RFC 6797).
    pub hsts: Option<Arc<str>>,
    /// What hosts ask of a handshake beyond what the listener does.
    pub host_policies: Arc<HostPolicies>,
}

impl Entrance {
    /// Whether a request may be asked on a connection whose handshake was `secured`: the scheme it names must be
    /// that of the connection, and the host's TLS policy the one that the handshake was made under. Otherwise a
    /// client would come by the name of one host to what another protects.
    pub(super) fn admit(&self, head: &RequestHead, secured: Option<&Rc<Secured>>) -> Result<(), Failure> {
        let scheme = if secured.is_some() { Scheme::Https } else { Scheme::Http };
        if head.target_scheme().is_some_and(|named| named != scheme) {
            return Err(Failure::WrongScheme);
        }
        // A connection of before a reload may have been asked for less.
        if let (Some(secured), Some(handshakes)) = (secured, &self.handshakes)
            && secured.policy.is_none()
            && secured.effective != handshakes.own().effective
        {
            return Err(Failure::Misdirected);
        }
        // Who is only sent to where TLS is spoken comes to nothing that is protected.
        if self.host_policies.is_empty() || self.redirect.is_some() {
            return Ok(());
        }
        let under = secured.and_then(|secured| secured.policy);
        if self.host_policies.mark_of(head.host()) == under { Ok(()) } else { Err(Failure::Misdirected) }
    }
}

impl Entrance {
    /// Adds what the listener says with every answer; what the origin says of it counts more.
    #[inline]
    pub(super) fn add_fields(&self, response: &mut Response<'_>) {
        let Some(value) = &self.hsts else { return };
        let fields = &mut response.head.fields;
        if fields.all_named(b"strict-transport-security").next().is_none() {
            fields.push(Name::Other, b"Strict-Transport-Security", value.as_bytes());
        }
    }
}

/// Handshakes that are under way, by client.
#[derive(Debug, Default)]
pub struct Shaking(Mutex<HashMap<IpAddr, u32>>);

/// The place of one of them.
#[derive(Debug)]
pub(super) struct Place<'s> {
    shaking: &'s Shaking,
    client: IpAddr,
}

impl Shaking {
    /// `None` when the client has `max` handshakes under way; a `max` of 0 is none.
    pub(super) fn enter(shaking: &Shaking, client: IpAddr, max: u32) -> Option<Option<Place<'_>>> {
        if max == 0 {
            return Some(None);
        }
        let client = crate::message::network(client);
        let mut counts = shaking.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Some(Place { shaking, client }))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.shaking.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// Between two complaints of a worker, so that a flood of failures is none in the log.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);

/// Says why a handshake failed, once in a while.
pub(super) fn complain(client: &Client, why: &str) {
    once_in_a_while(|| format!("TLS handshake with {} failed: {why}", client.peer));
}

/// Says that a connection was closed for what it did.
pub fn complain_of(client: &Client, what: &str) {
    once_in_a_while(|| format!("connection of {} closed: {what}", client.peer));
}

fn once_in_a_while(text: impl FnOnce() -> String) {
    thread_local! {
        static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    if NEXT.get().is_none_or(|next| now >= next) {
        NEXT.set(Some(now + BETWEEN_COMPLAINTS));
        notice(&text());
    }
}
