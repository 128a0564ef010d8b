//! Who sends a request, in fields that only the auth service fills in: what a client has written there goes.

use std::sync::Arc;
use std::task::{Context, Poll};

use http1::fields::is_safe_value;
use http1::{BodyLength, Fields};

use super::question::is_steering;
use crate::message::{Body, BodyStream, Failure, FieldName, Request};

/// Fields of an answer that lets a request pass, for the request.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Each once; the first one is the user to the log.
    pub names: Vec<FieldName>,
    /// Of these, those without which an answer says nothing.
    pub required: Vec<FieldName>,
}

impl Identity {
    /// The answer has all that is required.
    pub fn is_complete(&self, said: &Fields) -> bool {
        self.required.iter().all(|name| value(name, said).is_some())
    }

    /// A field with this name would be taken for one of these.
    pub fn is_claimed_by(&self, name: &[u8]) -> bool {
        self.names.iter().any(|own| is_alike(name, own.as_str().as_bytes()))
    }

    /// Each field once as it was said, or not at all.
    pub fn put(&self, said: &Fields, request: &mut Fields) {
        self.strip(request);
        for name in &self.names {
            if let Some(value) = value(name, said) {
                name.push(request, &value);
            }
        }
    }

    /// For the log.
    pub fn user(&self, said: &Fields) -> Option<Box<[u8]>> {
        value(self.names.first()?, said).map(Vec::into_boxed_slice)
    }

    /// What only the service may say goes, and what would have the request be another one than was asked about.
    pub fn strip(&self, fields: &mut Fields) {
        fields.retain(|field| !self.is_claimed_by(field.name) && !is_steering(field));
    }
}

/// Several lines are one, with commas between; what is empty was not said.
fn value(name: &FieldName, said: &Fields) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    for value in name.values(said).filter(|value| !value.is_empty()) {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(value);
    }
    (!joined.is_empty() && is_safe_value(&joined)).then_some(joined)
}

/// True for names that a server behind may take for the same: to the programs that it hands them to as variables
/// (RFC 3875 section 4.1.18) the case is lost, and all marks are `_` to some.
pub fn is_alike(one: &[u8], other: &[u8]) -> bool {
    let fold = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
    one.len() == other.len() && one.iter().map(fold).eq(other.iter().map(fold))
}

/// What comes behind the body of a request must not name anybody either.
pub fn watch_trailers(identity: &Arc<Identity>, request: &mut Request<'_>) {
    request.body = match std::mem::take(&mut request.body) {
        Body::Stream(stream) => Body::Stream(Box::new(Watched { stream, identity: identity.clone() })),
        body => body,
    };
}

struct Watched<'c> {
    stream: Box<dyn BodyStream + 'c>,
    identity: Arc<Identity>,
}

impl BodyStream for Watched<'_> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<&[u8], Failure>> {
        self.stream.poll_data(cx)
    }

    fn consume(&mut self, count: usize) {
        self.stream.consume(count);
    }

    fn length(&self) -> BodyLength {
        self.stream.length()
    }

    fn trailers(&mut self) -> Option<Fields> {
        let mut trailers = self.stream.trailers()?;
        self.identity.strip(&mut trailers);
        Some(trailers)
    }
}

#[cfg(test)]
mod tests {
    use http1::Name;

    use super::*;
    use crate::message::staged;

    fn names(names: &[&str]) -> Vec<FieldName> {
        names.iter().map(|name| FieldName::new(name).unwrap()).collect()
    }

    /// What of the fields of a request goes on, after `said` of an answer.
    fn put(request: &str, said: &[(&str, &str)]) -> String {
        let identity = Identity { names: names(&["X-Auth-User", "Authorization"]), required: Vec::new() };
        let mut answer = Fields::new();
        for (name, value) in said {
            answer.push(Name::classify(name.as_bytes()), name.as_bytes(), value.as_bytes());
        }
        staged::request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{request}\r\n"), |request| {
            identity.put(&answer, &mut request.head.fields);
            let mut out = Vec::new();
            request.head.fields.write_lines(&mut out, |field| field.known != Name::Host);
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn nobody_names_himself() {
        for line in [
            "X-Auth-User: evil",
            "x-auth-user: evil",
            "X-AUTH-USER: evil\r\nX-Auth-User: evil",
            "X.Auth.User: evil",
            "X-Auth~User:",
            "X_Auth-User: evil",
            "Authorization: Basic x",
        ] {
            assert_eq!(put(&format!("{line}\r\n"), &[]), "", "{line}");
            let line = format!("{line}\r\nAccept: */*\r\n");
            let said = [("X-Auth-User", "alice"), ("Authorization", "Bearer a"), ("X-Other", "b")];
            let expected = "Accept: */*\r\nX-Auth-User: alice\r\nAuthorization: Bearer a\r\n";
            assert_eq!(put(&line, &said), expected, "{line}");
        }
        assert_eq!(put("X-Auth-Users: 7\r\nXAuthUser: 8\r\n", &[]), "X-Auth-Users: 7\r\nXAuthUser: 8\r\n");
    }

    #[test]
    fn what_was_said_in_several_lines_arrives_in_one() {
        let said = [("x-auth-user", ""), ("X-Auth-User", "a"), ("X-Auth-User", "b")];
        assert_eq!(put("", &said), "X-Auth-User: a, b\r\n");
        assert_eq!(put("", &[("X-Auth-User", "")]), "");
    }
}
