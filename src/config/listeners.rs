//! `[listeners.NAME]`.

use std::net::SocketAddr;

use super::address;
use super::diagnostic::{Diagnostic, Place};
use super::fields::{Fields, Text};
use super::tls;
use crate::certificates::Material;
use crate::listen::{ListenAddress, ListenerOptions};
use crate::message::ProxyProtocol;

pub const DEFAULT_BACKLOG: u32 = 4096;

/// A listener, and where its address is, for the comparison with the others.
pub struct Listener<'a> {
    pub options: ListenerOptions,
    pub place: &'a Place,
    /// Of its `proxy_protocol`, where it wants to hear that.
    pub proxies: Option<&'a Place>,
}

pub fn lower<'a>(name: &str, fields: &Fields<'a>, material: &mut Material) -> Option<Listener<'a>> {
    let (tls, http2, redirect_to_https) = tls::lower_listener(fields, material);
    let proxy_protocol = match (fields.boolean("proxy_protocol"), fields.text("proxy_protocol")) {
        (Some(true), _) => Some(ProxyProtocol::Either),
        (_, Some(Text { value: "v1", .. })) => Some(ProxyProtocol::V1),
        (_, Some(Text { value: "v2", .. })) => Some(ProxyProtocol::V2),
        _ => None,
    };
    let backlog = fields.integer("backlog").unwrap_or(DEFAULT_BACKLOG);
    if fields.key("address").is_none() {
        fields.missing(&["address"], "`address`", "add `address = \":80\"`");
        return None;
    }
    let text = fields.text("address")?;
    let address = fields.parsed(text, address::listen)?;
    Some(Listener {
        options: ListenerOptions {
            name: name.to_string(),
            address,
            backlog,
            proxy_protocol,
            tls,
            http2,
            redirect_to_https,
        },
        place: text.place,
        proxies: fields.key("proxy_protocol").filter(|_| proxy_protocol.is_some()),
    })
}

/// Two listeners cannot have one address.
pub fn conflicts(listeners: &[Listener<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, second) in listeners.iter().enumerate() {
        let mut earlier = listeners[..index].iter();
        let conflict = earlier
            .find_map(|first| Some((first, conflict(&first.options.address, &second.options.address)?)));
        if let Some((first, Conflict { hint })) = conflict {
            let (one, two) = (&first.options.name, &second.options.name);
            let message = format!("the listeners `{one}` and `{two}` have the same address");
            found.push(
                Diagnostic::error(second.place, message).also(first.place, "the other one").maybe_hint(hint),
            );
        }
    }
    found
}

struct Conflict {
    hint: Option<String>,
}

fn conflict(first: &ListenAddress, second: &ListenAddress) -> Option<Conflict> {
    if let (ListenAddress::Tcp(a), ListenAddress::Tcp(b)) = (first, second) {
        if a.port() != b.port() || a.port() == 0 {
            return None;
        }
        if takes_also(a, b) || takes_also(b, a) {
            return Some(Conflict { hint: Some(format!("\"[::]:{}\" also takes IPv4", a.port())) });
        }
    }
    (first == second).then_some(Conflict { hint: None })
}

/// `[::]` is dual stack.
fn takes_also(dual: &SocketAddr, other: &SocketAddr) -> bool {
    dual.is_ipv6() && dual.ip().is_unspecified() && other.is_ipv4() && other.ip().is_unspecified()
}
