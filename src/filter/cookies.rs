//! Cookies on their way to the client (RFC 6265 section 4.1): for another domain or path than the origin knows of,
//! and with the flags that they should have. A cookie whose name promises something to browsers keeps what that needs.

use std::fmt;

use http1::{Fields, Name};

use crate::message::{Client, Request, Response, push_checked};

/// `cookies = { domain = { "app.internal" = "shop.example.com" }, secure = true, same_site = "lax" }`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    /// From and to; an empty `to` takes the attribute off. Domains in lower case, without a dot in front.
    pub domain: Vec<(String, String)>,
    /// Whole segments from and to.
    pub path: Vec<(String, String)>,
    pub secure: Option<Secure>,
    pub http_only: Option<bool>,
    pub same_site: Option<SameSite>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    Always,
    Never,
    /// As the client's connection is.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    Lax,
    None,
}

impl SameSite {
    fn as_str(self) -> &'static str {
        match self {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        }
    }
}

impl fmt::Display for SameSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Cookies {
    pub fn on_response(&self, client: &Client, request: &Request<'_>, response: &mut Response<'_>) {
        let fields = &mut response.head.fields;
        if !fields.contains(Name::SetCookie) {
            return;
        }
        let secure = self.secure.map(|secure| match secure {
            Secure::Always => true,
            Secure::Never => false,
            Secure::Auto => request.is_secure(client),
        });
        self.rewrite(fields, secure);
    }

    fn rewrite(&self, fields: &mut Fields, secure: Option<bool>) {
        let changed: Vec<Vec<u8>> =
            fields.all(Name::SetCookie).map(|cookie| self.changed(cookie, secure)).collect();
        fields.remove(Name::SetCookie);
        for cookie in changed {
            push_checked(fields, Name::SetCookie, b"Set-Cookie", &cookie);
        }
    }

    /// One cookie as it should be.
    fn changed(&self, cookie: &[u8], secure: Option<bool>) -> Vec<u8> {
        let mut parts = cookie.split(|byte| *byte == b';');
        let mut out = parts.next().unwrap_or_default().trim_ascii().to_vec();
        let promise = Promise::of(&out);
        let secure = secure.filter(|secure| *secure || promise == Promise::Nothing);
        let mut push = |name: &[u8], value: Option<&[u8]>| {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(name);
            if let Some(value) = value {
                out.push(b'=');
                out.extend_from_slice(value);
            }
        };
        for part in parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()) {
            let equals = memchr::memchr(b'=', part);
            let name = &part[..equals.unwrap_or(part.len())];
            let value = equals.map(|at| &part[at + 1..]);
            let is = |lower: &[u8]| name.trim_ascii().eq_ignore_ascii_case(lower);
            let replaced = (is(b"secure") && secure.is_some())
                || (is(b"httponly") && self.http_only.is_some())
                || (is(b"samesite") && self.same_site.is_some());
            if replaced {
                continue;
            }
            if is(b"domain")
                && let Some(to) = value.and_then(|value| changed_domain(&self.domain, value.trim_ascii()))
                && (promise != Promise::Host || to.is_empty())
            {
                if !to.is_empty() {
                    push(name, Some(to));
                }
            } else if is(b"path")
                && let Some(to) = value.and_then(|value| changed_path(&self.path, value.trim_ascii()))
                && (promise != Promise::Host || to == b"/")
            {
                push(name, Some(&to));
            } else {
                push(name, value);
            }
        }
        if secure == Some(true) {
            push(b"Secure", None);
        }
        if self.http_only == Some(true) {
            push(b"HttpOnly", None);
        }
        if let Some(same_site) = self.same_site {
            push(b"SameSite", Some(same_site.as_str().as_bytes()));
        }
        out
    }
}

/// What the name of a cookie promises: browsers refuse one that does not keep it (RFC 6265bis section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    Nothing,
    /// `__Secure-`: it is `Secure`.
    Secure,
    /// `__Host-`: that, its path is `/`, and it has no domain.
    Host,
}

impl Promise {
    /// Browsers do not look at the case of the prefix.
    fn of(cookie: &[u8]) -> Promise {
        let begins = |prefix: &[u8]| {
            cookie.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if begins(b"__Host-") {
            Promise::Host
        } else if begins(b"__Secure-") {
            Promise::Secure
        } else {
            Promise::Nothing
        }
    }
}

/// A dot in front of a domain says nothing (RFC 6265 section 5.2.3).
fn changed_domain<'c>(changes: &'c [(String, String)], domain: &[u8]) -> Option<&'c [u8]> {
    let domain = domain.strip_prefix(b".").unwrap_or(domain);
    let change = changes.iter().find(|(from, _)| domain.eq_ignore_ascii_case(from.as_bytes()));
    change.map(|(_, to)| to.as_bytes())
}

fn changed_path(changes: &[(String, String)], path: &[u8]) -> Option<Vec<u8>> {
    changes.iter().find_map(|(from, to)| {
        if path == from.as_bytes() {
            return Some(to.as_bytes().to_vec());
        }
        let rest = path.strip_prefix(from.trim_end_matches('/').as_bytes())?;
        if !rest.is_empty() && !rest.starts_with(b"/") {
            return None;
        }
        let joined = [to.trim_end_matches('/').as_bytes(), rest].concat();
        Some(if joined.is_empty() { b"/".to_vec() } else { joined })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(cookies: &Cookies, secure: Option<bool>, cookie: &str) -> String {
        String::from_utf8(cookies.changed(cookie.as_bytes(), secure)).unwrap()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn domain_and_path_are_changed_where_they_are_named() {
        let cookies = Cookies {
            domain: pairs(&[("app.internal", "shop.test"), ("drop.internal", "")]),
            path: pairs(&[("/app", "/"), ("/", "/shop")]),
            ..Cookies::default()
        };
        for (cookie, expected) in [
            ("a=b", "a=b"),
            ("a=b; Domain=app.internal", "a=b; Domain=shop.test"),
            ("a=b;domain=.APP.internal;Path=/app", "a=b; domain=shop.test; Path=/"),
            ("a=b; Domain=drop.internal; Path=/app/x", "a=b; Path=/x"),
            ("a=b; Domain=other.internal; Path=/apps", "a=b; Domain=other.internal; Path=/shop/apps"),
            ("a=b; Path=/", "a=b; Path=/shop"),
            ("a=b; Path", "a=b; Path"),
            ("a=\"x; y\"; Secure", "a=\"x; y\"; Secure"),
            ("", ""),
            (";;=", "; ="),
        ] {
            assert_eq!(changed(&cookies, None, cookie), expected, "{cookie}");
        }
    }

    #[test]
    fn a_cookie_keeps_what_its_name_promises() {
        let cookies = Cookies {
            domain: pairs(&[("app.internal", "shop.test"), ("drop.internal", "")]),
            path: pairs(&[("/app", "/"), ("/", "/shop")]),
            ..Cookies::default()
        };
        for (secure, cookie, expected) in [
            (Some(false), "__Host-a=b; Secure; Path=/", "__Host-a=b; Secure; Path=/"),
            (Some(true), "__Host-a=b; secure; Path=/", "__Host-a=b; Path=/; Secure"),
            (Some(true), "__Host-a=b; Path=/app", "__Host-a=b; Path=/; Secure"),
            (None, "__Host-a=b; Path=/app/x", "__Host-a=b; Path=/app/x"),
            (None, "__host-a=b; Path=/; Domain=app.internal", "__host-a=b; Path=/; Domain=app.internal"),
            (None, "__Host-a=b; Path=/; Domain=drop.internal", "__Host-a=b; Path=/"),
            (
                Some(false),
                " __SECURE-a=b; Secure; Path=/; Domain=app.internal",
                "__SECURE-a=b; Secure; Path=/shop; Domain=shop.test",
            ),
            (Some(false), "__Secure-a=b", "__Secure-a=b"),
            (Some(false), "__Secure=b; Secure", "__Secure=b"),
            (Some(false), "a__Host-=b; Secure; Path=/", "a__Host-=b; Path=/shop"),
        ] {
            assert_eq!(changed(&cookies, secure, cookie), expected, "{cookie}");
        }
    }

    #[test]
    fn flags_are_set_and_taken_off() {
        let cookies = Cookies { http_only: Some(true), same_site: Some(SameSite::Lax), ..Cookies::default() };
        let cookie = "a=b; secure; HTTPONLY; SameSite=None; Max-Age=5";
        assert_eq!(changed(&cookies, Some(true), cookie), "a=b; Max-Age=5; Secure; HttpOnly; SameSite=Lax");
        let cookies = Cookies { http_only: Some(false), ..Cookies::default() };
        assert_eq!(changed(&cookies, Some(false), cookie), "a=b; SameSite=None; Max-Age=5");
    }
}
