//! Cross-origin requests (CORS, fetch.spec.whatwg.org section 3.2): the proxy answers preflights and says what a
//! page of another origin may do with an answer. What the target itself says of that is taken off.

use std::fmt;
use std::time::Duration;

use http1::fields::is_token;
use http1::{Fields, Method, Name};

use super::vary::add_vary;
use super::{Decision, ResponseStep};
use crate::message::{FieldName, Request, Response, pages, push_checked};

/// `cors = { origins = ["https://app.example.com"], credentials = true }`
#[derive(Debug, Clone)]
pub struct Cors {
    pub origins: Origins,
    /// As written.
    pub methods: Vec<String>,
    /// That a request may have beside the harmless ones.
    pub headers: RequestFields,
    /// That a page may read beside the harmless ones.
    pub expose: Vec<String>,
    /// Cookies and the like may be sent along.
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight.
    pub max_age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    Any,
    These(Vec<OriginPattern>),
}

/// Compared in lower case, as browsers send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// `https://app.example.com`, `null`
    Exact(String),
    /// `https://*.example.com`: what stands before and behind the labels.
    Wildcard { before: String, behind: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestFields {
    /// Whatever is asked for.
    Any,
    These(Vec<FieldName>),
}

/// What is to be said to the page that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is of an origin that is not allowed, or none is named.
    Nothing,
    /// To every page.
    ToAll,
    /// To the pages of this origin.
    To(Vec<u8>),
}

/// Longest list of fields that a preflight may ask for, in bytes.
const LONGEST_LIST: usize = 4096;

impl Cors {
    pub fn on_request(&self, request: &Request<'_>) -> Decision<'_> {
        let head = &request.head;
        let origin = head.fields.get(Name::Origin);
        let said = self.said_to(origin);
        let method = head.fields.all_named(b"access-control-request-method").next();
        match (head.method, origin, method) {
            (Method::Options, Some(_), Some(method)) => {
                Decision::Answer(self.preflight(request, &said, method))
            }
            _ => Decision::PassThen(ResponseStep::Cors(self, said)),
        }
    }

    fn said_to(&self, origin: Option<&[u8]>) -> Said {
        match (&self.origins, origin) {
            // Also when no page asks: a cache may keep the answer for one that will.
            (Origins::Any, _) => Said::ToAll,
            (Origins::These(patterns), Some(origin))
                if patterns.iter().any(|pattern| pattern.covers(origin)) =>
            {
                Said::To(origin.to_vec())
            }
            (Origins::These(_), _) => Said::Nothing,
        }
    }

    fn preflight(&self, request: &Request<'_>, said: &Said, method: &[u8]) -> Response<'static> {
        let wanted: Vec<u8> = request
            .head
            .fields
            .all_named(b"access-control-request-headers")
            .collect::<Vec<_>>()
            .join(&b", "[..]);
        let is_allowed = *said != Said::Nothing
            && self.methods.iter().any(|allowed| allowed.as_bytes() == method)
            && self.headers.allow(&wanted);
        if !is_allowed {
            return pages::page(403, &request.head, &request.id);
        }
        let mut response = Response::empty(204);
        let fields = &mut response.head.fields;
        self.say(said, fields);
        push(fields, b"Access-Control-Allow-Methods", self.methods.join(", ").as_bytes());
        if !wanted.is_empty() {
            push(fields, b"Access-Control-Allow-Headers", &wanted);
        }
        push(fields, b"Access-Control-Max-Age", self.max_age.as_secs().to_string().as_bytes());
        add_vary(fields, "Access-Control-Request-Method");
        add_vary(fields, "Access-Control-Request-Headers");
        response
    }

    /// Says it, in place of what the target said.
    pub fn on_response(&self, said: &Said, response: &mut Response<'_>) {
        let fields = &mut response.head.fields;
        fields.retain(|field| !begins_like(field.name, b"access-control-"));
        self.say(said, fields);
        if *said != Said::Nothing && !self.expose.is_empty() {
            push(fields, b"Access-Control-Expose-Headers", self.expose.join(", ").as_bytes());
        }
    }

    fn say(&self, said: &Said, fields: &mut Fields) {
        match said {
            Said::Nothing => {}
            Said::ToAll => push(fields, b"Access-Control-Allow-Origin", b"*"),
            Said::To(origin) => {
                push(fields, b"Access-Control-Allow-Origin", origin);
                if self.credentials {
                    push(fields, b"Access-Control-Allow-Credentials", b"true");
                }
            }
        }
        if self.origins != Origins::Any {
            add_vary(fields, "Origin");
        }
    }
}

impl OriginPattern {
    /// Whether it covers the value of an `Origin`.
    fn covers(&self, origin: &[u8]) -> bool {
        match self {
            OriginPattern::Exact(exact) => origin.eq_ignore_ascii_case(exact.as_bytes()),
            OriginPattern::Wildcard { before, behind } => {
                let lower = origin.to_ascii_lowercase();
                let labels = lower
                    .strip_prefix(before.as_bytes())
                    .and_then(|rest| rest.strip_suffix(behind.as_bytes()))
                    .unwrap_or_default();
                let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
                !labels.is_empty() && labels.iter().all(is_label)
            }
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginPattern::Exact(exact) => f.write_str(exact),
            OriginPattern::Wildcard { before, behind } => write!(f, "{before}*{behind}"),
        }
    }
}

impl RequestFields {
    /// Whether a request may have all fields of the list.
    fn allow(&self, list: &[u8]) -> bool {
        /// Every page may send these without asking.
        const HARMLESS: [&[u8]; 5] =
            [b"accept", b"accept-language", b"content-language", b"content-type", b"range"];
        let mut names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_allowed = |name: &[u8]| match self {
            RequestFields::Any => is_token(name),
            RequestFields::These(allowed) => {
                let mut allowed = allowed.iter().map(|name| name.lower().as_bytes()).chain(HARMLESS);
                allowed.any(|allowed| name.eq_ignore_ascii_case(allowed))
            }
        };
        list.len() <= LONGEST_LIST && names.all(|name| name.is_empty() || is_allowed(name))
    }
}

fn begins_like(name: &[u8], lower: &[u8]) -> bool {
    name.get(..lower.len()).is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

fn push(fields: &mut Fields, name: &[u8], value: &[u8]) {
    push_checked(fields, Name::Own, name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_covered_whole() {
        let exact = OriginPattern::Exact("https://app.test".to_owned());
        let wildcard =
            OriginPattern::Wildcard { before: "https://".to_owned(), behind: ".app.test:8443".to_owned() };
        for (pattern, origin, expected) in [
            (&exact, "https://app.test", true),
            (&exact, "HTTPS://App.Test", true),
            (&exact, "https://app.test:443", false),
            (&exact, "https://app.test.evil", false),
            (&exact, "http://app.test", false),
            (&exact, "null", false),
            (&wildcard, "https://a.app.test:8443", true),
            (&wildcard, "https://a.b.app.test:8443", true),
            (&wildcard, "https://.app.test:8443", false),
            (&wildcard, "https://evil/.app.test:8443", false),
            (&wildcard, "https://evil@.app.test:8443", false),
            (&wildcard, "https://evil:1.app.test:8443", false),
            (&wildcard, "https://a.app.test", false),
            (&wildcard, "https://evilapp.test:8443", false),
        ] {
            assert_eq!(pattern.covers(origin.as_bytes()), expected, "{origin}");
        }
    }

    #[test]
    fn every_field_of_a_list_must_be_allowed() {
        let these = RequestFields::These(vec![FieldName::new("X-Token").unwrap()]);
        for (list, expected) in [
            ("", true),
            ("x-token", true),
            ("content-type, X-TOKEN,", true),
            ("x-token, x-other", false),
            ("x-tok", false),
        ] {
            assert_eq!(these.allow(list.as_bytes()), expected, "{list}");
        }
        assert!(RequestFields::Any.allow(b"x-a, x-b"));
        assert!(!RequestFields::Any.allow(b"x a"));
        assert!(!RequestFields::Any.allow(&b"x,".repeat(LONGEST_LIST)));
    }
}
