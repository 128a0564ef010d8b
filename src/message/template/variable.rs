//! The variables: their names, and what each one is for a request.

use std::io::Write;

use http1::{Fields, Name};
use tokio::time::Instant;

use super::TemplateError;
use crate::message::{ClientCertificate, FieldName, Protocol, Secured, Values};
use crate::wire::{calendar, clock};

/// When a template is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Request,
    /// The answer is known too.
    Answer,
    /// The answer is a page that tells of a failure.
    Page,
}

/// Something that each request has its own of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    RequestId,
    ClientIp,
    PeerIp,
    Scheme,
    /// Lower case, without port.
    Host,
    /// As received.
    Authority,
    Method,
    Protocol,
    /// Canonical; behind a rewrite, the rewritten one.
    Path,
    /// With its `?`; nothing when there is none.
    Query,
    /// As received.
    Target,
    Route,
    Header(FieldName),
    Cookie(String),
    /// One parameter, as received: percent escapes stay.
    Parameter(String),
    TlsVersion,
    TlsCipher,
    Certificate(CertificateFact),
    /// The date as HTTP writes it.
    Now,
    /// Seconds since 1970.
    NowUnix,
    /// `2026-11-26T08:15:30Z`
    NowIso,
    Status,
    /// Address of the endpoint that was asked.
    Upstream,
    UpstreamName,
    ResponseHeader(FieldName),
    /// What people call the status: `Not Found`.
    Reason,
    /// One sentence for whoever sees the page.
    Message,
    /// What a group of the regex caught.
    Group(Group),
}

/// A group of a regex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    Number(usize),
    Name(String),
}

/// What a client's certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFact {
    Subject,
    Issuer,
    Serial,
    /// All alternative names, with commas between.
    Names,
    Fingerprint,
    Spiffe,
}

/// Those with a fixed name.
const PLAIN: &[(&str, Variable)] = &[
    ("request_id", Variable::RequestId),
    ("client_ip", Variable::ClientIp),
    ("peer_ip", Variable::PeerIp),
    ("scheme", Variable::Scheme),
    ("host", Variable::Host),
    ("authority", Variable::Authority),
    ("method", Variable::Method),
    ("protocol", Variable::Protocol),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("target", Variable::Target),
    ("route", Variable::Route),
    ("tls.version", Variable::TlsVersion),
    ("tls.cipher", Variable::TlsCipher),
    ("tls.client.subject", Variable::Certificate(CertificateFact::Subject)),
    ("tls.client.issuer", Variable::Certificate(CertificateFact::Issuer)),
    ("tls.client.serial", Variable::Certificate(CertificateFact::Serial)),
    ("tls.client.san", Variable::Certificate(CertificateFact::Names)),
    ("tls.client.fingerprint", Variable::Certificate(CertificateFact::Fingerprint)),
    ("tls.client.spiffe", Variable::Certificate(CertificateFact::Spiffe)),
    ("now", Variable::Now),
    ("now.unix", Variable::NowUnix),
    ("now.iso", Variable::NowIso),
    ("status", Variable::Status),
    ("upstream", Variable::Upstream),
    ("upstream.name", Variable::UpstreamName),
];

/// Of pages.
const OF_PAGES: &[(&str, Variable)] = &[("reason", Variable::Reason), ("message", Variable::Message)];

impl Variable {
    /// Reads what stands between the braces.
    pub fn parse(name: &str, moment: Moment) -> Result<Variable, TemplateError> {
        if moment == Moment::Page
            && let Some((_, variable)) = OF_PAGES.iter().find(|(plain, _)| *plain == name)
        {
            return Ok(variable.clone());
        }
        let variable = Variable::named(name)?;
        if moment == Moment::Request && variable.needs_answer() {
            return Err(TemplateError::NeedsAnswer(name.to_owned()));
        }
        Ok(variable)
    }

    fn named(name: &str) -> Result<Variable, TemplateError> {
        if let Some((_, variable)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return Ok(variable.clone());
        }
        let of_field = |field: &str, make: fn(FieldName) -> Variable| {
            FieldName::new(field).map(make).ok_or_else(|| TemplateError::BadFieldName(field.to_owned()))
        };
        match name.split_once('.') {
            Some(("header", field)) => of_field(field, Variable::Header),
            Some(("response", field)) => of_field(field, Variable::ResponseHeader),
            Some(("cookie", cookie)) if !cookie.is_empty() => Ok(Variable::Cookie(cookie.to_owned())),
            Some(("query", parameter)) if !parameter.is_empty() => {
                Ok(Variable::Parameter(parameter.to_owned()))
            }
            _ => Err(TemplateError::Unknown(name.to_owned())),
        }
    }

    /// The fixed names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PLAIN.iter().map(|(name, _)| *name)
    }

    fn needs_answer(&self) -> bool {
        use Variable::*;
        matches!(self, Status | Upstream | UpstreamName | ResponseHeader(_))
    }

    /// Appends what it is for this request.
    pub fn write(&self, values: &Values<'_, '_>, out: &mut Vec<u8>) {
        let Values { exchange, request, response, groups, message } = values;
        let head = &request.head;
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        match self {
            Variable::RequestId => put(request.id.as_bytes()),
            Variable::ClientIp => exchange.client.write_address(out),
            Variable::PeerIp => put(exchange.client.peer_text()),
            Variable::Scheme => put(if request.is_secure(exchange.client) { b"https" } else { b"http" }),
            Variable::Host => put(head.host()),
            Variable::Authority => put(head.authority()),
            Variable::Method => put(head.method_name()),
            Variable::Protocol => put(match exchange.protocol {
                Protocol::Http1 => head.version.as_str().as_bytes(),
                Protocol::Http2 => b"HTTP/2",
            }),
            Variable::Path => put(head.path()),
            Variable::Query => {
                if let Some(query) = head.query() {
                    put(b"?");
                    put(query);
                }
            }
            Variable::Target => put(head.target()),
            Variable::Route => put(exchange.route.as_bytes()),
            Variable::Header(name) => name.write_joined(&head.fields, out),
            Variable::Cookie(name) => put(cookie(&head.fields, name).unwrap_or_default()),
            Variable::Parameter(name) => put(parameter(head.query(), name).unwrap_or_default()),
            Variable::TlsVersion => put(secured(values, |secured| secured.version)),
            Variable::TlsCipher => put(secured(values, |secured| secured.cipher)),
            Variable::Certificate(fact) => {
                if let Some(certificate) = request.secured.and_then(|secured| secured.certificate.as_deref())
                {
                    fact.write(certificate, out);
                }
            }
            Variable::Now => put(&clock::http_date()),
            Variable::NowUnix => {
                let _ = write!(out, "{}", clock::since_epoch(Instant::now()).as_secs());
            }
            Variable::NowIso => {
                let second = clock::since_epoch(Instant::now()).as_secs();
                let _ = write!(out, "{}Z", calendar::iso_second(second));
            }
            Variable::Status => {
                if let Some(response) = response {
                    let _ = write!(out, "{}", response.status);
                }
            }
            Variable::Upstream => put(exchange.endpoint.map_or("", |name| &name.label).as_bytes()),
            Variable::UpstreamName => put(exchange.endpoint.map_or("", |name| &name.upstream).as_bytes()),
            Variable::Reason => {
                put(response.map_or("", |head| http1::head::standard_reason(head.status)).as_bytes());
            }
            Variable::Message => put(message.as_bytes()),
            Variable::Group(group) => {
                let caught = groups.and_then(|groups| match group {
                    Group::Number(number) => groups.get(*number),
                    Group::Name(name) => groups.name(name),
                });
                put(caught.map_or(b"", |caught| caught.as_bytes()));
            }
            Variable::ResponseHeader(name) => {
                if let Some(response) = response {
                    name.write_joined(&response.fields, out);
                }
            }
        }
    }
}

impl CertificateFact {
    fn write(self, certificate: &ClientCertificate, out: &mut Vec<u8>) {
        match self {
            CertificateFact::Subject => out.extend_from_slice(certificate.subject.as_bytes()),
            CertificateFact::Issuer => out.extend_from_slice(certificate.issuer.as_bytes()),
            CertificateFact::Serial => out.extend_from_slice(certificate.serial.as_bytes()),
            CertificateFact::Fingerprint => out.extend_from_slice(certificate.fingerprint.as_bytes()),
            CertificateFact::Spiffe => {
                out.extend_from_slice(certificate.spiffe.as_deref().unwrap_or_default().as_bytes());
            }
            CertificateFact::Names => {
                for (index, name) in certificate.sans().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name.as_bytes());
                }
            }
        }
    }
}

fn secured<'v>(values: &Values<'v, '_>, fact: impl Fn(&'v Secured) -> &'v str) -> &'v [u8] {
    values.request.secured.map_or("", |secured| fact(secured)).as_bytes()
}

/// The first cookie of that name (RFC 6265 section 5.4).
fn cookie<'f>(fields: &'f Fields, name: &str) -> Option<&'f [u8]> {
    let pairs = fields.all(Name::Cookie).flat_map(|value| value.split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| pair.trim_ascii().split_at_checked(name.len()))
        .find(|(start, rest)| *start == name.as_bytes() && rest.first() == Some(&b'='))
        .map(|(_, rest)| &rest[1..])
}

/// The first parameter of that name.
fn parameter<'q>(query: Option<&'q [u8]>, name: &str) -> Option<&'q [u8]> {
    let mut pairs = query?.split(|byte| *byte == b'&').filter_map(|pair| pair.strip_prefix(name.as_bytes()));
    pairs.find_map(|rest| match rest {
        [] => Some(rest),
        [b'=', value @ ..] => Some(value),
        _ => None,
    })
}
