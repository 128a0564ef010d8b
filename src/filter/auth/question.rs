//! What an auth service is asked: the head of the request as the target will get it, but as a request of the
//! proxy's own and without a body.

use http1::fields::Field;
use http1::name::same_name;
use http1::{Name, RequestHead};

use super::identity::{Identity, is_alike};
use crate::message::{
    AskedTarget, Exchange, Failure, FieldName, Recycled, Request, Template, Values, is_of_own_message,
    push_checked,
};

/// How it is asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Path and maybe query.
    pub path: Template,
    /// By the client's method, not by GET.
    pub same_method: bool,
    /// These fields of the client alone; `None` for all that can be told.
    pub fields: Option<Vec<FieldName>>,
}

const METHOD: &str = "X-Forwarded-Method";
const URI: &str = "X-Forwarded-Uri";

/// What the proxy states in a question, beside what it states in every request.
pub const STATED: [&str; 2] = [METHOD, URI];

impl Ask {
    pub fn head(
        &self,
        identity: &Identity,
        exchange: Exchange<'_>,
        request: &Request<'_>,
    ) -> Result<Recycled<RequestHead>, Failure> {
        let target = AskedTarget::of(&self.path, &Values::of_request(exchange, request))?;
        let mut head = Recycled::<RequestHead>::take();
        head.clone_from(&request.head);
        if !self.same_method {
            head.set_get();
        }
        target.put(&mut head);
        head.fields.retain(|field| self.tells(field, identity));
        let mut uri = request.head.path().to_vec();
        if let Some(query) = request.head.query() {
            uri.push(b'?');
            uri.extend_from_slice(query);
        }
        // A question that does not say what it is about must not be asked.
        let is_stated =
            push_checked(&mut head.fields, Name::Own, METHOD.as_bytes(), request.head.method_name())
                && push_checked(&mut head.fields, Name::Own, URI.as_bytes(), &uri);
        if is_stated { Ok(head) } else { Err(Failure::AuthFailed("uri")) }
    }

    /// A field of the client is told. Whom fields claim to name is nothing to ask about; but what shows who it is
    /// must be seen, though the target gets another in its place.
    fn tells(&self, field: Field<'_>, identity: &Identity) -> bool {
        if is_for_the_proxy(field.known) {
            return true;
        }
        if is_withheld(field) {
            return false;
        }
        match &self.fields {
            Some(names) => names.iter().any(|name| same_name(field.name, name.lower().as_bytes())),
            None => {
                matches!(field.known, Name::Authorization | Name::Cookie)
                    || !identity.is_claimed_by(field.name)
            }
        }
    }
}

/// What the proxy itself looks at when it writes a head, and writes anew: whom a trusted proxy names, and which way
/// the request has come.
fn is_for_the_proxy(known: Name) -> bool {
    matches!(
        known,
        Name::CdnLoop
            | Name::Connection
            | Name::Forwarded
            | Name::XForwardedFor
            | Name::XForwardedHost
            | Name::XForwardedPort
            | Name::XForwardedProto
    )
}

/// What some programs take for another method or path than those of the request. The auth service is not told, so the
/// target must not be either: it would do what nobody was asked about.
pub fn is_steering(field: Field<'_>) -> bool {
    const STEERING: [&[u8]; 5] =
        [b"x-original-", b"x-rewrite-", b"x-http-method", b"x-method-override", b"x-envoy-original-"];
    let begins = |prefix: &&[u8]| field.name.get(..prefix.len()).is_some_and(|start| is_alike(start, prefix));
    STATED.iter().any(|name| is_alike(field.name, name.as_bytes())) || STEERING.iter().any(begins)
}

/// Never told: what is about the client's own message, and what would have the question itself be taken for another
/// one by some.
pub fn is_withheld(field: Field<'_>) -> bool {
    is_of_own_message(field) || is_steering(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Client, Moment, Protocol, staged};
    use crate::wire::Peer;

    fn asked(ask: &Ask, request: &str) -> String {
        let client = Client::new(Peer::Unix);
        let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "r", endpoint: None };
        let names = ["X-Auth-User", "Authorization"].map(|name| FieldName::new(name).unwrap());
        let identity = Identity { names: names.to_vec(), required: Vec::new() };
        staged::request(request, |request| {
            let head = ask.head(&identity, exchange, request).unwrap();
            let query = head.query().map_or(String::new(), |query| format!("?{}", lossy(query)));
            let mut out =
                format!("{} {}{query}\n", lossy(head.method_name()), lossy(head.path())).into_bytes();
            head.fields.write_lines(&mut out, |field| field.known != Name::Host);
            lossy(&out).replace('\r', "")
        })
    }

    fn lossy(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn ask(same_method: bool, fields: Option<&[&str]>) -> Ask {
        let fields = fields.map(|names| names.iter().map(|name| FieldName::new(name).unwrap()).collect());
        Ask { path: Template::compile("/verify?r={route}", Moment::Request).unwrap(), same_method, fields }
    }

    const REQUEST: &str = "POST /a/b?c=%20d HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\nAuthorization: Bearer x\r\n\
        Accept: text/html\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n\
        Range: bytes=0-1\r\nIf-None-Match: \"a\"\r\nX-Auth-User: evil\r\nX.Auth-User: evil\r\n\
        X-Forwarded-Uri: /public\r\nX-Forwarded.Method: GET\r\nX-Original-URL: /public\r\n\
        X-HTTP-Method-Override: GET\r\nX-Rewrite-URL: /public\r\nCDN-Loop: other\r\n\r\n";

    #[test]
    fn the_question_says_what_will_be_asked_of_the_target() {
        assert_eq!(
            asked(&ask(false, None), REQUEST),
            "GET /verify?r=r\nCookie: s=1\nAuthorization: Bearer x\nAccept: text/html\nCDN-Loop: other\n\
             X-Forwarded-Method: POST\nX-Forwarded-Uri: /a/b?c=%20d\n"
        );
        assert!(asked(&ask(true, None), REQUEST).starts_with("POST /verify?r=r\n"));
    }

    #[test]
    fn a_list_tells_no_more_than_it_names() {
        assert_eq!(
            asked(&ask(false, Some(&["accept", "X-Auth-User"])), REQUEST),
            "GET /verify?r=r\nAccept: text/html\nX-Auth-User: evil\nCDN-Loop: other\n\
             X-Forwarded-Method: POST\nX-Forwarded-Uri: /a/b?c=%20d\n"
        );
    }
}
