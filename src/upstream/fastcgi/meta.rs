//! What the server is told of a request: the meta-variables of RFC 3875 section 4.1, those that PHP and its users
//! are used to from other servers, and the fields of the request.
//!
//! The fields come from the one place that decides which an origin gets (`forward`). Names are folded here: `-` becomes
//! `_`, and PHP makes `_` of more than that. So a field whose name has anything but letters, digits and `-` is left
//! out; else a client could say what only the proxy may.

use ::fastcgi::{Params, TooLong};
use http1::name::same_name;
use http1::{BodyLength, RequestHead, Version};

use super::script::{Application, Script};
use crate::message::{Exchange, Protocol, Request, Values};
use crate::upstream::forward::{self, Facts};
use crate::wire::Scratch;

/// Writes the params of a request into `out`; `length` is that of its body, `route` the name of its route.
pub fn write(
    out: &mut Vec<u8>,
    application: &Application,
    script: &Script,
    request: &Request<'_>,
    facts: &Facts<'_>,
    route: &str,
) -> Result<(), TooLong> {
    let head = &*request.head;
    let mut lines = Scratch::take();
    forward::write_fields(&mut lines, head, facts);
    let fields = Received::read(&lines);
    let mut meta = Meta { params: Params::begin(out), own: &application.params };

    meta.add("REQUEST_METHOD", head.method_name());
    let query = head.query();
    meta.add("QUERY_STRING", query.unwrap_or_default());
    meta.add("REQUEST_URI", &target(head.path(), query));
    meta.add_script(application, script);
    // Behind all filters, which may have changed it; and once, whatever the client sent.
    if let Some(content_type) = fields.joined(b"content-type") {
        meta.add("CONTENT_TYPE", &content_type);
    }
    if let BodyLength::Exact(length) = facts.length
        && forward::tells_length(head, facts)
    {
        meta.add("CONTENT_LENGTH", length.to_string().as_bytes());
    }

    // The scheme that the server is told of elsewhere too.
    let own_scheme: &[u8] = if facts.secure { b"https" } else { b"http" };
    let told = fields.joined(b"x-forwarded-proto");
    let scheme = told.as_deref().filter(|told| matches!(*told, b"http" | b"https")).unwrap_or(own_scheme);
    let is_https = scheme == b"https";
    meta.add("REQUEST_SCHEME", scheme);
    if is_https {
        meta.add("HTTPS", b"on");
    }
    meta.add("SERVER_NAME", if head.host().is_empty() { b"localhost" } else { head.host() });
    let port = head.port().unwrap_or(if is_https { 443 } else { 80 });
    meta.add("SERVER_PORT", port.to_string().as_bytes());
    meta.add("SERVER_PROTOCOL", version(facts.protocol, head));
    let mut address = Vec::new();
    facts.client.write_address(&mut address);
    meta.add("REMOTE_ADDR", &address);
    meta.add_constants();

    let exchange = Exchange { client: facts.client, protocol: facts.protocol, route, endpoint: None };
    let values = Values::of_request(exchange, request);
    let mut value = Vec::new();
    for (name, template) in &application.params {
        value.clear();
        template.write(&values, &mut value);
        meta.params.add(name.as_bytes(), &value);
    }
    let host = facts.host.map_or(head.authority(), str::as_bytes);
    if !host.is_empty() {
        meta.params.add(b"HTTP_HOST", host);
    }
    fields.write(&mut meta.params);
    meta.params.end()
}

/// A check that asks for a path.
pub struct Check<'c> {
    /// With its query.
    pub path: &'c str,
    pub host: &'c str,
    pub headers: &'c [(String, String)],
}

/// The same for a check. A path that leads to no script is one itself: the operator says so, and php-fpm has such ones
/// of its own (`ping.path`).
pub fn write_check(out: &mut Vec<u8>, application: &Application, check: &Check<'_>) -> Result<(), TooLong> {
    let (path, query) = match check.path.split_once('?') {
        Some((path, query)) => (path, query),
        None => (check.path, ""),
    };
    let itself = || Script { name: path.as_bytes().to_vec(), info: Vec::new() };
    let script = application.script(path.as_bytes()).unwrap_or_else(itself);
    let mut meta = Meta { params: Params::begin(out), own: &application.params };
    meta.add("REQUEST_METHOD", b"GET");
    meta.add("QUERY_STRING", query.as_bytes());
    meta.add("REQUEST_URI", check.path.as_bytes());
    meta.add_script(application, &script);
    meta.add("REQUEST_SCHEME", b"http");
    meta.add("SERVER_NAME", check.host.as_bytes());
    meta.add("SERVER_PORT", b"80");
    meta.add("SERVER_PROTOCOL", b"HTTP/1.1");
    meta.add("REMOTE_ADDR", b"127.0.0.1");
    meta.add_constants();
    for (name, template) in &application.params {
        // Without a request there is nothing to fill variables in with.
        meta.params.add(name.as_bytes(), template.as_text().unwrap_or_default().as_bytes());
    }
    meta.params.add(b"HTTP_HOST", check.host.as_bytes());
    if !check.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
        meta.params.add(b"HTTP_USER_AGENT", b"palisade-health");
    }
    for (name, value) in check.headers {
        meta.params.add(&folded(name.as_bytes()), value.as_bytes());
    }
    meta.params.end()
}

fn target(path: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    match query {
        Some(query) => [path, b"?", query].concat(),
        None => path.to_vec(),
    }
}

fn version(protocol: Protocol, head: &RequestHead) -> &'static [u8] {
    match (protocol, head.version) {
        (Protocol::Http2, _) => b"HTTP/2.0",
        (Protocol::Http1, Version::Http10) => b"HTTP/1.0",
        (Protocol::Http1, Version::Http11) => b"HTTP/1.1",
    }
}

/// Variables, each of them once: one that the operator sets stands in place of ours.
struct Meta<'m> {
    params: Params<'m>,
    own: &'m [(String, crate::message::Template)],
}

impl Meta<'_> {
    fn add(&mut self, name: &str, value: &[u8]) {
        if !self.own.iter().any(|(own, _)| own == name) {
            self.params.add(name.as_bytes(), value);
        }
    }

    fn add_script(&mut self, application: &Application, script: &Script) {
        let root = &application.root;
        self.add("DOCUMENT_ROOT", if root.is_empty() { b"/" } else { root.as_bytes() });
        self.add("SCRIPT_FILENAME", &script.file(root));
        self.add("SCRIPT_NAME", &script.name);
        self.add("DOCUMENT_URI", &[&*script.name, &*script.info].concat());
        // No PATH_TRANSLATED: PHP with `cgi.fix_pathinfo = 0` would run what that names in place of the script.
        if !script.info.is_empty() {
            self.add("PATH_INFO", &script.info);
        }
    }

    fn add_constants(&mut self) {
        self.add("GATEWAY_INTERFACE", b"CGI/1.1");
        self.add("SERVER_SOFTWARE", b"palisade");
        // PHP, where it was told to (`cgi.force_redirect`), serves nobody who does not say it.
        self.add("REDIRECT_STATUS", b"200");
    }
}

/// The fields that an origin gets, as lines that `forward` has written.
struct Received<'l>(Vec<(&'l [u8], &'l [u8])>);

impl<'l> Received<'l> {
    fn read(lines: &'l [u8]) -> Received<'l> {
        let lines = lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        });
        Received(lines.collect())
    }

    /// The values of one field as one (RFC 3875 section 4.1.18); the name in lower case.
    fn joined(&self, lower: &[u8]) -> Option<Vec<u8>> {
        let between: &[u8] = if lower == b"cookie" { b"; " } else { b", " };
        let mut values = self.0.iter().filter(|(name, _)| same_name(name, lower)).map(|(_, value)| *value);
        let mut all = values.next()?.to_vec();
        for value in values {
            all.extend_from_slice(between);
            all.extend_from_slice(value);
        }
        Some(all)
    }

    /// Each field once.
    fn write(&self, params: &mut Params<'_>) {
        for (index, (name, _)) in self.0.iter().enumerate() {
            let lower = name.to_ascii_lowercase();
            let is_first = !self.0.iter().take(index).any(|(before, _)| same_name(before, &lower));
            if is_first
                && passes(&lower)
                && let Some(value) = self.joined(&lower)
            {
                params.add(&folded(name), &value);
            }
        }
    }
}

/// Not: names that would be another's once they are folded; the two that have variables of their own; and the one
/// that programs take for the proxy that they should use themselves (CVE-2016-5385).
fn passes(lower: &[u8]) -> bool {
    let is_plain = lower.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_plain && !matches!(lower, b"proxy" | b"content-type" | b"content-length" | b"host")
}

/// `HTTP_ACCEPT_LANGUAGE`
fn folded(name: &[u8]) -> Vec<u8> {
    let fold = |byte: &u8| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() };
    b"HTTP_".iter().copied().chain(name.iter().map(fold)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &str) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let mut params = Params::begin(&mut out);
        Received::read(lines.as_bytes()).write(&mut params);
        params.end().unwrap();
        // Behind the header, and before the record that ends the stream.
        let mut rest = out.get(8..out.len() - 8).unwrap_or_default();
        let mut found = Vec::new();
        while let [name, value, behind @ ..] = rest {
            let (name, value) = (usize::from(*name), usize::from(*value));
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(&behind[..name]), text(&behind[name..name + value])));
            rest = &behind[name + value..];
        }
        found
    }

    #[test]
    fn fields_become_variables_once_each() {
        for (lines, expected) in [
            ("Accept-Language: de\r\n", &[("HTTP_ACCEPT_LANGUAGE", "de")][..]),
            ("A: 1\r\nB: 2\r\na: 3\r\n", &[("HTTP_A", "1, 3"), ("HTTP_B", "2")]),
            ("Cookie: a=1\r\ncookie: b=2\r\n", &[("HTTP_COOKIE", "a=1; b=2")]),
            ("X-Empty:\r\n", &[("HTTP_X_EMPTY", "")]),
            ("X: a:b\r\n", &[("HTTP_X", "a:b")]),
            ("Proxy: http://evil\r\nPROXY: x\r\n", &[]),
            ("Content-Type: a/b\r\nContent-Length: 5\r\nHost: a\r\n", &[]),
            ("X_Real_IP: 1\r\nX.Real.IP: 2\r\nX[Real-IP: 3\r\nX-Real-IP: 4\r\n", &[("HTTP_X_REAL_IP", "4")]),
            ("X+Y: 1\r\nX~Y: 1\r\nX'Y: 1\r\nX!: 1\r\n", &[]),
        ] {
            let found = fields(lines);
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }
}
