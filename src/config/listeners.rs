//! `[listeners.NAME]`.

use std::net::SocketAddr;

use super::address;
use super::diagnostic::{Diagnostic, Place};
use super::fields::Fields;
use super::tls;
use crate::certificates::Material;
use crate::listen::{ListenAddress, ListenerOptions};

pub const DEFAULT_BACKLOG: u32 = 4096;

/// A listener, and where its address is, for the comparison with the others.
pub struct Listener<'a> {
    pub options: ListenerOptions,
    pub place: &'a Place,
}

pub fn lower<'a>(name: &str, fields: &Fields<'a>, material: &mut Material) -> Option<Listener<'a>> {
    let (tls, http2, redirect_to_https) = tls::lower_listener(fields, material);
    let backlog = fields.integer("backlog").unwrap_or(DEFAULT_BACKLOG);
    if fields.key("address").is_none() {
        fields.missing(&["address"], "`address`", "add `address = \":80\"`");
        return None;
    }
    let text = fields.text("address")?;
    let address = fields.parsed(text, address::listen)?;
    Some(Listener {
        options: ListenerOptions { name: name.to_string(), address, backlog, tls, http2, redirect_to_https },
        place: text.place,
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
