//! Everything about a request but host and path: method, header fields, query, client address.

use std::net::IpAddr;

use http1::RequestHead;

use super::options::RouteMatch;
use crate::message::ClientCertificate;

/// What is known of who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The address that is believed.
    pub address: IpAddr,
    /// What was shown on the connection; verified.
    pub certificate: Option<&'a ClientCertificate>,
}

/// The first thing that does not fit; borrows the names from the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch<'r> {
    Path,
    Method,
    Header(&'r str),
    Query(&'r str),
    Client,
    NoClientCertificate,
    /// This key of the condition does not hold.
    ClientCertificate(&'static str),
}

/// True when the route asks for nothing but host and path.
pub(super) fn is_empty(matches: &RouteMatch) -> bool {
    matches.methods.is_empty() && count(matches) == 0
}

/// Conditions that count for specificity. The client addresses are alternatives: one condition.
pub(super) fn count(matches: &RouteMatch) -> usize {
    matches.headers.len()
        + matches.query.len()
        + usize::from(!matches.clients.is_empty())
        + usize::from(matches.client_certificate.is_some())
}

/// The first condition that does not hold; `None` when all hold.
pub(super) fn first_mismatch<'r>(
    matches: &'r RouteMatch,
    head: &RequestHead,
    asker: Asker<'_>,
) -> Option<Mismatch<'r>> {
    let methods = &matches.methods;
    if !methods.is_empty() && !methods.iter().any(|method| method.as_bytes() == head.method_name()) {
        return Some(Mismatch::Method);
    }
    if let Some(failed) = matches.headers.iter().find(|condition| !condition.holds(&head.fields)) {
        return Some(Mismatch::Header(&failed.name));
    }
    let query = head.query().unwrap_or_default();
    if let Some(failed) = matches.query.iter().find(|condition| !condition.holds(query)) {
        return Some(Mismatch::Query(&failed.name));
    }
    // A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d.
    let client = asker.address.to_canonical();
    if !matches.clients.is_empty() && !matches.clients.iter().any(|net| net.contains(&client)) {
        return Some(Mismatch::Client);
    }
    let wanted = matches.client_certificate.as_ref()?;
    match asker.certificate {
        Some(certificate) => wanted.first_mismatch(certificate).map(Mismatch::ClientCertificate),
        None => Some(Mismatch::NoClientCertificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{ClientCertificateMatch, Glob};

    fn head(text: &str) -> RequestHead {
        let mut head = RequestHead::default();
        head.parse(text.as_bytes()).unwrap();
        head
    }

    fn asker(address: &str) -> Asker<'static> {
        Asker { address: address.parse().unwrap(), certificate: None }
    }

    #[test]
    fn an_ipv4_client_on_a_dual_stack_socket_is_an_ipv4_client() {
        let matches = RouteMatch { clients: vec!["10.0.0.0/8".parse().unwrap()], ..RouteMatch::default() };
        let request = head("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mismatch = |client: &str| first_mismatch(&matches, &request, asker(client));
        assert_eq!(mismatch("10.1.1.1"), None);
        assert_eq!(mismatch("::ffff:10.1.1.1"), None);
        assert_eq!(mismatch("::ffff:11.1.1.1"), Some(Mismatch::Client));
    }

    #[test]
    fn a_certificate_that_is_asked_for_must_be_there_and_fit() {
        let wanted = ClientCertificateMatch { subject: vec![Glob::new("CN=a")], ..Default::default() };
        let matches = RouteMatch { client_certificate: Some(wanted), ..RouteMatch::default() };
        let request = head("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let named =
            |subject: &str| ClientCertificate { subject: subject.to_owned(), ..ClientCertificate::default() };
        let mismatch = |certificate: Option<&ClientCertificate>| {
            first_mismatch(&matches, &request, Asker { certificate, ..asker("127.0.0.1") })
        };
        assert_eq!(mismatch(Some(&named("CN=a"))), None);
        assert_eq!(mismatch(Some(&named("CN=b"))), Some(Mismatch::ClientCertificate("subject")));
        assert_eq!(mismatch(None), Some(Mismatch::NoClientCertificate));
    }
}
