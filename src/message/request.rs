//! What is asked.

use std::cell::Cell;
use std::rc::Rc;

use http1::{Name, RequestHead};

use super::{Body, Client, Interim, Recycled, RequestId, Secured};
use crate::wire::Watchdog;

/// One request; `'c` is the connection it came on.
#[derive(Debug)]
pub struct Request<'c> {
    pub head: Recycled<RequestHead>,
    pub body: Body<'c>,
    pub id: RequestId,
    /// The protocol that the client wants to switch to, when it is one we pass on.
    pub upgrade: Option<Upgrade>,
    /// Where interim answers go.
    pub interim: &'c Interim,
    /// The timer of the task that serves this request.
    pub watchdog: &'c Watchdog,
    /// It is a call of gRPC, whose silence is nobody's fault: set once that is found, and then no time-out for
    /// pieces of a body holds, on either side.
    pub is_call: &'c Cell<bool>,
    /// Set when it came through TLS.
    pub secured: Option<&'c Rc<Secured>>,
}

impl Request<'_> {
    /// The client itself speaks TLS: to here, or to a proxy of ours before us that is believed.
    pub fn is_secure(&self, client: &Client) -> bool {
        let told = if client.trusted { self.head.fields.get(Name::XForwardedProto) } else { None };
        let first = told.and_then(|told| told.split(|byte| *byte == b',').next());
        match first.map(|scheme| scheme.trim_ascii().to_ascii_lowercase()).as_deref() {
            Some(b"https" | b"wss") => true,
            Some(b"http" | b"ws") => false,
            _ => self.secured.is_some(),
        }
    }

    /// What the log still needs once the request is answered; the rest of the body is let go.
    pub fn into_answered(self) -> (Recycled<RequestHead>, RequestId) {
        (self.head, self.id)
    }
}

/// Protocols that a connection may switch to through the proxy. A closed list: an unknown protocol
/// behind a 101 would be a hole that no rule looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    WebSocket,
    /// The same from a version that has no handshake for it (RFC 8441): the key is made here.
    BareWebSocket,
}

/// Requests for tests of what has no connection.
#[cfg(test)]
pub mod staged {
    use super::*;

    /// What `act` makes of a request with this head and without a body.
    pub fn request<T>(head: &str, act: impl FnOnce(&mut Request<'_>) -> T) -> T {
        let (interim, watchdog, is_call) = (Interim::default(), Watchdog::new(), Cell::new(false));
        let mut parsed = Recycled::<RequestHead>::take();
        parsed.parse(head.as_bytes()).expect("a head that can be parsed");
        act(&mut Request {
            head: parsed,
            body: Body::Empty,
            id: RequestId::received(b"the-id").expect("an id"),
            upgrade: None,
            interim: &interim,
            watchdog: &watchdog,
            is_call: &is_call,
            secured: None,
        })
    }
}
