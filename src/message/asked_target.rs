//! What the proxy asks another server for on behalf of a request: a path and maybe a query, from a template.

use http1::fields::Field;
use http1::name::same_name;
use http1::{Name, RequestHead};

use super::path::{Canonical, canonicalise, push_escape};
use super::{Failure, Template, Values, Variable};

#[derive(Debug, PartialEq, Eq)]
pub struct AskedTarget {
    path: Vec<u8>,
    query: Option<Vec<u8>>,
}

impl AskedTarget {
    /// A value that would lead to another path than the one that was meant is refused.
    pub fn of(template: &Template, values: &Values<'_, '_>) -> Result<AskedTarget, Failure> {
        let mut target = Vec::new();
        template.write_escaped(values, &mut target, push_value);
        // A `?` of a value is encoded: the first one is the template's.
        let (path, query) = match memchr::memchr(b'?', &target) {
            Some(at) => {
                let query = target.split_off(at);
                (target, query.get(1..).map(<[u8]>::to_vec))
            }
            None => (target, None),
        };
        match canonicalise(&path, &mut Vec::new()) {
            // Nothing in place of a name is all that has one.
            Ok(Canonical::Same) if path.ends_with(b"/") && !ends_in_slash(template) => {
                Err(Failure::BadPath("path_merged"))
            }
            Ok(Canonical::Same) => Ok(AskedTarget { path, query }),
            Ok(Canonical::Changed) => Err(Failure::BadPath("path_merged")),
            Err(error) => Err(Failure::BadPath(error.code())),
        }
    }

    /// Has a request ask for it.
    pub fn put(&self, head: &mut RequestHead) {
        head.set_path(&self.path);
        head.set_query(self.query.as_deref());
    }
}

/// A field that is about the body that a client sends, or about which part or version of the answer it wants: in
/// a question of the proxy's own, without that body, it would be wrong.
pub fn is_of_own_message(field: Field<'_>) -> bool {
    let starts_with = |prefix: &[u8]| field.name.get(..prefix.len()).is_some_and(|s| same_name(s, prefix));
    matches!(field.known, Name::Te | Name::Expect | Name::Upgrade)
        || starts_with(b"content-")
        || starts_with(b"if-")
        || [&b"range"[..], b"digest", b"repr-digest"].iter().any(|name| same_name(field.name, name))
}

fn ends_in_slash(template: &Template) -> bool {
    template.to_string().split('?').next().is_some_and(|path| path.ends_with('/'))
}

/// What a value has that is no plain letter is percent-encoded; what was encoded already stays so.
fn push_value(_: &Variable, value: &[u8], out: &mut Vec<u8>) {
    for (index, byte) in value.iter().enumerate() {
        let is_escape = *byte == b'%'
            && value.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if is_plain || is_escape { out.push(*byte) } else { push_escape(*byte, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Client, Exchange, Moment, Protocol, staged};
    use crate::wire::Peer;

    fn asked(template: &str, query: &str) -> Result<String, Failure> {
        let template = Template::compile(template, Moment::Request).unwrap();
        let client = Client::new(Peer::Unix);
        let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "", endpoint: None };
        staged::request(&format!("GET /?{query} HTTP/1.1\r\nHost: a\r\n\r\n"), |request| {
            let asked = AskedTarget::of(&template, &Values::of_request(exchange, request))?;
            let query =
                asked.query.map_or(String::new(), |query| format!("?{}", String::from_utf8(query).unwrap()));
            Ok(String::from_utf8(asked.path).unwrap() + &query)
        })
    }

    #[test]
    fn a_value_stays_within_its_segment_or_parameter() {
        for (template, query, expected) in [
            ("/u/{query.id}", "id=7", "/u/7"),
            ("/u/{query.id}", "id=a%20b", "/u/a%20b"),
            ("/u/{query.id}", "id=a?b=c;d", "/u/a%3Fb%3Dc%3Bd"),
            ("/u/{query.id}/x", "id=...", "/u/.../x"),
            ("/u?id={query.id}&x=1", "id=1%26y=2", "/u?id=1%26y%3D2&x=1"),
            ("/u?id={query.id}", "id=../../x?y", "/u?id=..%2F..%2Fx%3Fy"),
            ("/u?id={query.none}", "", "/u?id="),
        ] {
            assert_eq!(asked(template, query).as_deref(), Ok(expected), "{template} {query}");
        }
        for query in ["id=..", "id=.", "id=%2e%2e", "id=", "id=a/../b", "id=a%2fb", "id=%00", "id=%5c"] {
            let outcome = asked("/u/{query.id}/x", query);
            assert!(matches!(outcome, Err(Failure::BadPath(_))), "{query} {outcome:?}");
        }
        assert!(asked("/u/{query.id}?a=1/", "id=").is_err());
        assert_eq!(asked("/u/", "id=").as_deref(), Ok("/u/"));
    }

    #[test]
    fn what_is_about_the_message_of_the_client_stays_there() {
        for (name, is_own) in [
            ("Content-Length", true),
            ("content-md5", true),
            ("If-None-Match", true),
            ("Range", true),
            ("Expect", true),
            ("Upgrade", true),
            ("Repr-Digest", true),
            ("Cookie", false),
            ("Accept", false),
            ("Ranger", false),
            ("Contents", false),
        ] {
            let field = Field { known: Name::classify(name.as_bytes()), name: name.as_bytes(), value: b"" };
            assert_eq!(is_of_own_message(field), is_own, "{name}");
        }
    }
}
