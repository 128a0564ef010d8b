//! Sends the client elsewhere: the answer with a `Location`, and the rules by which requests get one.

use http1::Name;
use regex::bytes::Regex;

use super::Decision;
use crate::message::path::push_escape;
use crate::message::{Client, Exchange, Request, Response, Template, Values, Variable, pages};

/// Where to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A path that the regex matches is redirected.
#[derive(Debug, Clone)]
pub struct RedirectRule {
    pub regex: Regex,
    pub redirect: Redirect,
}

/// What is asked of the spelling of an address; whoever asks by another one is redirected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spelling {
    pub slash: Option<TrailingSlash>,
    pub www: Option<Www>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailingSlash {
    /// But not behind what looks like a file.
    Add,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Www {
    Add,
    Remove,
}

/// Whatever the method, the client repeats it there; browsers keep it in mind.
const SPELLING_STATUS: u16 = 308;

impl Redirect {
    pub fn answer(&self, values: &Values<'_, '_>) -> Response<'static> {
        let request = values.request;
        // A request of HTTP/1.0 may name no host.
        if self.needs_host() && request.head.host().is_empty() {
            return pages::page(400, &request.head, &request.id);
        }
        let mut location = Vec::new();
        self.write_location(values, &mut location);
        answer(self.status, &location, request)
    }

    /// Appends the location. Bytes that cannot stand in one are percent-encoded, wherever they come from: no CR,
    /// LF or NUL gets into the field. No value makes another host of the one that the template names.
    pub fn write_location(&self, values: &Values<'_, '_>, out: &mut Vec<u8>) {
        let start = out.len();
        self.to.write_escaped(values, out, |_, value, out| {
            if is_in_authority(out.get(start..).unwrap_or_default()) {
                push_in_authority(value, out);
            } else {
                push_safe(value, out);
            }
        });
        // `/$1` with a `/evil.test` caught would be another host (RFC 3986 section 4.2), and so would a target that
        // begins with two slashes.
        if !self.to.to_string().starts_with("//") {
            let slashes = out[start..].iter().take_while(|byte| **byte == b'/').count();
            out.drain(start..start + slashes.saturating_sub(1));
        }
    }

    fn needs_host(&self) -> bool {
        self.to.variables().any(|variable| matches!(variable, Variable::Host | Variable::Authority))
    }
}

fn answer(status: u16, location: &[u8], request: &Request<'_>) -> Response<'static> {
    let mut response = pages::page(status, &request.head, &request.id);
    response.head.fields.push(Name::Location, b"Location", location);
    response
}

/// Whether what comes behind this text would still name the host.
fn is_in_authority(text: &[u8]) -> bool {
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let scheme = text.iter().take_while(|byte| is_of_scheme(byte)).count();
    let rest = text.get(scheme..).unwrap_or_default();
    // With a scheme, or with that of the request.
    let behind = rest.strip_prefix(if scheme > 0 { &b"://"[..] } else { &b"//"[..] });
    behind.is_some_and(|behind| !behind.iter().any(|byte| matches!(byte, b'/' | b'?' | b'#')))
}

/// `https://docs.example.com$1` means a path: with `.evil.test` or `@evil.test` caught it would be another host. A
/// value may be a label (`https://$1.example.com`), but go on with one only by letters, digits and hyphens.
fn push_in_authority(value: &[u8], out: &mut Vec<u8>) {
    let is_of_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let begins_path = matches!(value.first(), Some(b'/' | b'?' | b'#'));
    if !begins_path && out.last().is_some_and(is_of_label) && !value.iter().all(is_of_label) {
        out.push(b'/');
        return push_safe(value, out);
    }
    // What stands before an `@` is no host (RFC 3986 section 3.2.1).
    let end = value.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(value.len());
    let (host, rest) = value.split_at(end);
    for &byte in host {
        if byte == b'@' { push_escape(byte, out) } else { push_safe(&[byte], out) }
    }
    push_safe(rest, out);
}

fn push_safe(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_graphic() && byte != b'\\' { out.push(byte) } else { push_escape(byte, out) }
    }
}

/// By the first rule that matches.
pub fn by_rules(rules: &[RedirectRule], exchange: Exchange<'_>, request: &Request<'_>) -> Decision<'static> {
    for rule in rules {
        if let Some(groups) = rule.regex.captures(request.head.path()) {
            let values = Values { groups: Some(&groups), ..Values::of_request(exchange, request) };
            return Decision::Answer(rule.redirect.answer(&values));
        }
    }
    Decision::Pass
}

/// To the one spelling of the address, unless it is that already.
pub fn to_spelling(spelling: Spelling, client: &Client, request: &Request<'_>) -> Decision<'static> {
    let head = &request.head;
    let authority = spelling.www.and_then(|www| www.change(head.host(), head.authority()));
    let path = spelling.slash.and_then(|slash| slash.change(head.path()));
    if authority.is_none() && path.is_none() {
        return Decision::Pass;
    }
    let mut location = Vec::new();
    if let Some(authority) = authority {
        location.extend_from_slice(if request.is_secure(client) { b"https://" } else { b"http://" });
        push_safe(&authority, &mut location);
    }
    push_safe(path.as_deref().unwrap_or(head.path()), &mut location);
    if let Some(query) = head.query() {
        location.push(b'?');
        push_safe(query, &mut location);
    }
    Decision::Answer(answer(SPELLING_STATUS, &location, request))
}

impl TrailingSlash {
    /// The path as it should be; `None` when it is.
    fn change(self, path: &[u8]) -> Option<Vec<u8>> {
        let ends = path.ends_with(b"/");
        match self {
            TrailingSlash::Add if !ends && path.starts_with(b"/") && !looks_like_file(path) => {
                Some([path, b"/"].concat())
            }
            TrailingSlash::Remove if ends && path.len() > 1 => path.strip_suffix(b"/").map(<[u8]>::to_vec),
            _ => None,
        }
    }
}

fn looks_like_file(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.contains(&b'.'))
}

impl Www {
    /// The authority as it should be; `None` when it is. Addresses and names of one label have no `www`.
    fn change(self, host: &[u8], authority: &[u8]) -> Option<Vec<u8>> {
        let bare = host.strip_prefix(b"www.");
        match self {
            Www::Add if bare.is_none() && is_domain(host) => Some([b"www.", authority].concat()),
            Www::Remove if bare.is_some_and(is_domain) => authority.get(b"www.".len()..).map(<[u8]>::to_vec),
            _ => None,
        }
    }
}

fn is_domain(host: &[u8]) -> bool {
    let last = host.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    host.contains(&b'.') && last.iter().any(u8::is_ascii_alphabetic) && !host.contains(&b':')
}

#[cfg(test)]
mod tests;
