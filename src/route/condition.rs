//! Everything about a request but host and path: method, header fields, query, client address.

use std::borrow::Cow;
use std::net::IpAddr;

use http1::RequestHead;

use super::options::{HeaderCondition, QueryCondition, RouteMatch, ValuePattern};
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
    if let Some(failed) = matches.headers.iter().find(|condition| !header_holds(condition, head)) {
        return Some(Mismatch::Header(&failed.name));
    }
    let query = head.query().unwrap_or_default();
    if let Some(failed) = matches.query.iter().find(|condition| !query_holds(condition, query)) {
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

/// Every field line, and every member of a comma-separated one (RFC 9110 section 5.3), is looked at on
/// its own; one that fits is enough. Joined values would hide `admin` in `user, admin`.
fn header_holds(condition: &HeaderCondition, head: &RequestHead) -> bool {
    holds(&condition.value, head.fields.all_named(condition.name.as_bytes()), |pattern, line| {
        value_fits(pattern, line)
            || line
                .split(|byte| *byte == b',')
                .any(|member| member.len() < line.len() && value_fits(pattern, member.trim_ascii()))
    })
}

/// One pass over the query, which the limit on heads bounds; a repeated name holds if one value fits.
fn query_holds(condition: &QueryCondition, query: &[u8]) -> bool {
    let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = memchr::memchr(b'=', pair);
        (&pair[..equals.unwrap_or(pair.len())], &pair[equals.map_or(pair.len(), |at| at + 1)..])
    });
    let values =
        pairs.filter(|(name, _)| form_decode(name) == condition.name.as_bytes()).map(|(_, value)| value);
    holds(&condition.value, values, |pattern, value| value_fits(pattern, &form_decode(value)))
}

fn holds<'v>(
    pattern: &ValuePattern,
    mut values: impl Iterator<Item = &'v [u8]>,
    fits: impl Fn(&ValuePattern, &[u8]) -> bool,
) -> bool {
    match pattern {
        ValuePattern::Present => values.next().is_some(),
        ValuePattern::Absent => values.next().is_none(),
        ValuePattern::Exact(_) | ValuePattern::Regex(_) => values.any(|value| fits(pattern, value)),
    }
}

fn value_fits(pattern: &ValuePattern, value: &[u8]) -> bool {
    match pattern {
        ValuePattern::Present => true,
        ValuePattern::Absent => false,
        ValuePattern::Exact(wanted) => value == wanted.as_bytes(),
        ValuePattern::Regex(regex) => regex.is_match(value),
    }
}

/// Percent escapes decoded, `+` is a space. What is no escape stays.
fn form_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                match (crate::message::path::hex_value(*high), crate::message::path::hex_value(*low)) {
                    (Some(high), Some(low)) => {
                        decoded.push(high << 4 | low);
                        rest = after;
                    }
                    _ => decoded.push(b'%'),
                }
            }
            _ => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use regex::bytes::Regex;

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

    fn header(value: ValuePattern) -> RouteMatch {
        let condition = HeaderCondition { name: "x-role".to_owned(), value };
        RouteMatch { headers: vec![condition], ..RouteMatch::default() }
    }

    fn query(name: &str, value: ValuePattern) -> RouteMatch {
        let condition = QueryCondition { name: name.to_owned(), value };
        RouteMatch { query: vec![condition], ..RouteMatch::default() }
    }

    fn takes(matches: &RouteMatch, head: &RequestHead) -> bool {
        first_mismatch(matches, head, asker("127.0.0.1")).is_none()
    }

    #[test]
    fn every_value_of_a_field_is_looked_at_on_its_own() {
        let exact = header(ValuePattern::Exact("admin".to_owned()));
        let regex = header(ValuePattern::Regex(Regex::new("^admin$").unwrap()));
        let whole = header(ValuePattern::Exact("user, admin".to_owned()));
        let twice = head("GET / HTTP/1.1\r\nHost: a\r\nX-Role: user\r\nX-ROLE: admin\r\n\r\n");
        let one_line = head("GET / HTTP/1.1\r\nHost: a\r\nX-Role: user, admin\r\n\r\n");
        let other = head("GET / HTTP/1.1\r\nHost: a\r\nX-Role: administrator\r\n\r\n");
        for (request, expected) in [(&twice, true), (&one_line, true), (&other, false)] {
            assert_eq!(takes(&exact, request), expected);
            assert_eq!(takes(&regex, request), expected);
        }
        assert!(takes(&whole, &one_line), "a value with commas can be named whole");
        assert!(!takes(&whole, &twice), "lines are not joined");
    }

    #[test]
    fn queries_are_compared_decoded() {
        let request = head("GET /?a+b=%31&flag&&x=1&x=2&odd=%25 HTTP/1.1\r\nHost: a\r\n\r\n");
        let exact =
            |name: &str, value: &str| takes(&query(name, ValuePattern::Exact(value.to_owned())), &request);
        assert!(exact("a b", "1"));
        assert!(exact("flag", ""));
        assert!(exact("x", "1") && exact("x", "2"));
        assert!(exact("odd", "%"));
        assert!(!exact("x", "12") && !exact("a+b", "1") && !exact("", ""));
        assert!(takes(&query("flag", ValuePattern::Present), &request));
        assert!(takes(&query("none", ValuePattern::Absent), &request));
        assert!(!takes(&query("flag", ValuePattern::Absent), &request));
        assert!(!takes(&query("q", ValuePattern::Present), &head("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(form_decode(b"%zz%4").as_ref(), b"%zz%4");
        assert_eq!(form_decode(b"%2541+").as_ref(), b"%41 ");
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
