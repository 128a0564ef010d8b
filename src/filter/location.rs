//! A redirect of the origin names the origin as it knows itself; a client knows it by another name
//! (RFC 9110 section 10.2.2).

use http1::Name;

use crate::message::{Client, EndpointName, Request, Response, path, push_checked};

/// What is done to a `Location`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocationRewrite {
    /// The `Host` that the origin gets, when that is not the client's.
    pub upstream_host: Option<String>,
    /// What is taken off the paths of requests, and so is put before those of redirects.
    pub prefix: Option<String>,
    /// Also of redirects that name no host.
    pub relative: bool,
}

impl LocationRewrite {
    /// Where the origin sends the client to its own address, that becomes the one the client asked at.
    #[cold]
    pub fn on_response(
        &self,
        endpoint: Option<&EndpointName>,
        client: &Client,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) {
        let Some(location) = response.head.fields.get(Name::Location) else { return };
        let label = endpoint.map_or("", |endpoint| &endpoint.label);
        let secure = request.is_secure(client);
        let Some(changed) = self.changed(location, label, request.head.authority(), secure) else { return };
        response.head.fields.remove(Name::Location);
        push_checked(&mut response.head.fields, Name::Location, b"Location", &changed);
    }

    /// `None` when it stays. `label` is the endpoint's address, `authority` the client's word for it.
    fn changed(&self, location: &[u8], label: &str, authority: &[u8], secure: bool) -> Option<Vec<u8>> {
        let Some((rest, port)) = absolute(location) else {
            let is_path = location.starts_with(b"/") && !location.starts_with(b"//");
            return (self.relative && is_path).then(|| self.with_prefix(location)).flatten();
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (named, path) = rest.split_at(end);
        let mut own = self.upstream_host.iter().map(String::as_str).chain([label]);
        if !own.any(|own| is_same(named, own.as_bytes(), port)) {
            return None;
        }
        let mut changed = Vec::with_capacity(location.len());
        // A client of HTTP/1.0 may have named no host: the path alone is right for it too.
        if !authority.is_empty() {
            changed.extend_from_slice(if secure { b"https://" } else { b"http://" });
            changed.extend_from_slice(authority);
        }
        // `//evil.test` alone would be a host (RFC 3986 section 4.2).
        let slashes = path.iter().take_while(|byte| **byte == b'/').count();
        let slashes = if authority.is_empty() { slashes } else { slashes.min(1) };
        let path = [b"/", path.get(slashes..).unwrap_or_default()].concat();
        changed.extend_from_slice(&self.with_prefix(&path).unwrap_or(path));
        Some(changed)
    }

    /// `None` when there is nothing to put before it.
    fn with_prefix(&self, target: &[u8]) -> Option<Vec<u8>> {
        let prefix = self.prefix.as_deref()?.trim_end_matches('/').as_bytes();
        let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
        let has_it = path::covered_by(prefix, &target[..end]).is_some_and(|covered| covered > 0);
        (!has_it).then(|| [prefix, target].concat())
    }
}

/// What stands behind the scheme, and the port that it may leave out.
fn absolute(location: &[u8]) -> Option<(&[u8], &'static [u8])> {
    match location.strip_prefix(b"http://") {
        Some(rest) => Some((rest, b":80")),
        None => location.strip_prefix(b"https://").map(|rest| (rest, &b":443"[..])),
    }
}

/// Whether two authorities are the same, where `port` may be left out.
fn is_same(named: &[u8], own: &[u8], port: &[u8]) -> bool {
    let bare = |authority: &[u8]| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    !own.is_empty() && bare(named) == bare(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(rewrite: &LocationRewrite, location: &str) -> String {
        let changed = rewrite.changed(location.as_bytes(), "10.0.0.1:8080", b"Shop.Test", true);
        changed.map_or("-".to_owned(), |changed| String::from_utf8(changed).unwrap())
    }

    #[test]
    fn the_origins_own_name_becomes_the_clients() {
        let rewrite =
            LocationRewrite { upstream_host: Some("app.internal".to_owned()), ..Default::default() };
        for (location, expected) in [
            ("http://10.0.0.1:8080/login?x", "https://Shop.Test/login?x"),
            ("http://10.0.0.1:8080", "https://Shop.Test/"),
            ("http://10.0.0.1:8080?x", "https://Shop.Test/?x"),
            ("http://app.internal/a", "https://Shop.Test/a"),
            ("http://APP.internal:80/a", "https://Shop.Test/a"),
            ("https://app.internal:443/a", "https://Shop.Test/a"),
            ("https://app.internal:80/a", "-"),
            ("http://app.internal.evil/a", "-"),
            ("http://10.0.0.1/a", "-"),
            ("http://user@app.internal/a", "-"),
            ("https://elsewhere.test/a", "-"),
            ("/a", "-"),
            ("//app.internal/a", "-"),
            ("a", "-"),
            ("", "-"),
        ] {
            assert_eq!(changed(&rewrite, location), expected, "{location}");
        }
        let no_host = rewrite.changed(b"http://app.internal/a", "", b"", false);
        assert_eq!(no_host.as_deref(), Some(&b"/a"[..]));
        let no_host = rewrite.changed(b"http://app.internal//evil.test/a", "", b"", false);
        assert_eq!(no_host.as_deref(), Some(&b"/evil.test/a"[..]), "not another host");
    }

    #[test]
    fn a_prefix_that_was_taken_off_is_put_back() {
        let prefix = Some("/app/".to_owned());
        let absolute = LocationRewrite { prefix: prefix.clone(), ..Default::default() };
        assert_eq!(changed(&absolute, "http://10.0.0.1:8080/x"), "https://Shop.Test/app/x");
        assert_eq!(changed(&absolute, "http://10.0.0.1:8080/app/x"), "https://Shop.Test/app/x");
        assert_eq!(changed(&absolute, "/x"), "-");
        let relative = LocationRewrite { prefix, relative: true, ..Default::default() };
        assert_eq!(changed(&relative, "/x?next=/app"), "/app/x?next=/app");
        assert_eq!(changed(&relative, "/apps"), "/app/apps");
        assert_eq!(changed(&relative, "/app/x"), "-");
        assert_eq!(changed(&relative, "//other.test/x"), "-");
        assert_eq!(changed(&relative, "x"), "-");
    }
}
