//! `[listeners.NAME]`.

use super::address;
use super::diagnostic::{Diagnostic, Place};
use super::fields::Fields;
use crate::listen::{ListenAddress, ListenerOptions};

pub const DEFAULT_BACKLOG: u32 = 4096;

/// A listener, and where its address is, for the comparison with the others.
pub struct Listener<'a> {
    pub options: ListenerOptions,
    pub place: &'a Place,
}

pub fn lower<'a>(name: &str, fields: &Fields<'a>) -> Option<Listener<'a>> {
    let backlog = fields.integer("backlog").unwrap_or(DEFAULT_BACKLOG);
    if fields.key("address").is_none() {
        fields.missing("address", "add `address = \":80\"`");
        return None;
    }
    let text = fields.text("address")?;
    let address = fields.parsed(text, address::listen)?;
    Some(Listener {
        options: ListenerOptions { name: name.to_string(), address, backlog },
        place: text.place,
    })
}

/// Two listeners cannot have one address.
pub fn conflicts(listeners: &[Listener<'_>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, second) in listeners.iter().enumerate() {
        for first in &listeners[..index] {
            if let Some(why) = conflict(&first.options.address, &second.options.address) {
                let (one, two) = (&first.options.name, &second.options.name);
                let message = format!("the listeners `{one}` and `{two}` have the same address");
                found.push(
                    Diagnostic::error(second.place, message)
                        .also(first.place, "the other one")
                        .maybe_hint(why),
                );
            }
        }
    }
    found
}

/// `Some(hint)` when both cannot be bound.
fn conflict(first: &ListenAddress, second: &ListenAddress) -> Option<Option<String>> {
    if let (ListenAddress::Tcp(a), ListenAddress::Tcp(b)) = (first, second) {
        if a.port() != b.port() || a.port() == 0 {
            return None;
        }
        let dual = |x: &std::net::SocketAddr, y: &std::net::SocketAddr| {
            x.is_ipv6() && x.ip().is_unspecified() && y.is_ipv4() && y.ip().is_unspecified()
        };
        if dual(a, b) || dual(b, a) {
            return Some(Some(format!("\"[::]:{}\" also takes IPv4", a.port())));
        }
    }
    (first == second).then_some(None)
}
