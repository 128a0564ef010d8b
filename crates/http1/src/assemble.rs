//! A request head made of the parts that another version of HTTP carries in frames. The same rules as for one
//! that came as text, so that no version is a way around them.

use crate::error::HeadError;
use crate::fields::{Fields, is_safe_value, is_token};
use crate::head::{RequestHead, Version};
use crate::method::Method;
use crate::name::{Name, imitates_framing, is_allowed_in_trailers};
use crate::scan::HeadLimits;
use crate::target::{Scheme, TargetForm};

/// What is said beside the fields (RFC 9113 section 8.3.1).
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'p> {
    pub method: &'p [u8],
    pub scheme: Scheme,
    /// `host[:port]`; `None` when only a `Host` field tells.
    pub authority: Option<&'p [u8]>,
    /// Path and query, or `*`.
    pub target: &'p [u8],
}

impl RequestHead {
    /// Makes this the head of such a request; what was in it is gone. Fields of a connection have no place in
    /// it, and crumbs of a cookie become one field (RFC 9113 sections 8.2.2 and 8.2.3). After an error it holds
    /// what was understood so far, as with [`RequestHead::parse`].
    pub fn assemble<'p>(
        &mut self,
        parts: RequestParts<'p>,
        fields: impl Iterator<Item = (&'p [u8], &'p [u8])>,
        limits: &HeadLimits,
    ) -> Result<(), HeadError> {
        self.reset();
        self.version = Version::Http11;
        self.method = Method::classify(parts.method);
        self.method_name = self.fields.append(parts.method);
        if !is_token(parts.method) {
            return Err(HeadError::BadSyntax);
        }
        if parts.target.len() > limits.start_line {
            return Err(HeadError::TargetTooLong);
        }
        self.target = self.fields.append(parts.target);
        self.split_target()?;
        if !matches!(self.form, TargetForm::Origin | TargetForm::Asterisk) {
            return Err(HeadError::BadTarget);
        }
        self.take_fields(fields, limits)?;
        if let Some(authority) = parts.authority {
            self.authority = self.fields.append(authority);
        }
        // The authority, or else exactly one `Host`; both must be the same.
        let field = self.host_field()?;
        if field.is_none() && parts.authority.is_none() {
            return Err(HeadError::MissingHost);
        }
        self.settle_host(field, parts.authority.is_some(), parts.scheme)
    }

    fn take_fields<'p>(
        &mut self,
        fields: impl Iterator<Item = (&'p [u8], &'p [u8])>,
        limits: &HeadLimits,
    ) -> Result<(), HeadError> {
        let mut cookie: Option<Vec<u8>> = None;
        let mut weight = 0;
        for (count, (name, value)) in fields.enumerate() {
            weight += name.len() + value.len() + 4;
            if count >= limits.fields {
                return Err(HeadError::TooManyFields);
            }
            if name.len() + value.len() > limits.field {
                return Err(HeadError::FieldTooLong);
            }
            if weight > limits.head {
                return Err(HeadError::HeadTooLong);
            }
            match check(name, value)? {
                Name::Cookie => match &mut cookie {
                    None => cookie = Some(value.to_vec()),
                    Some(crumbs) => {
                        crumbs.extend_from_slice(b"; ");
                        crumbs.extend_from_slice(value);
                    }
                },
                Name::Other if name.contains(&b'_') => self.dropped_fields += 1,
                known => self.fields.push(known, name, value),
            }
        }
        if let Some(cookie) = cookie {
            self.fields.push(Name::Cookie, b"cookie", &cookie);
        }
        Ok(())
    }
}

impl Fields {
    /// A trailer section that came in frames, without the fields that may not be in one (RFC 9110 section 6.5.1).
    /// The rules for the fields of a head hold for it.
    pub fn of_trailers<'p>(
        trailers: impl Iterator<Item = (&'p [u8], &'p [u8])>,
        limits: &HeadLimits,
    ) -> Result<Fields, HeadError> {
        let mut fields = Fields::new();
        for (count, (name, value)) in trailers.enumerate() {
            if count >= limits.fields {
                return Err(HeadError::TooManyFields);
            }
            let known = check(name, value)?;
            if is_allowed_in_trailers(name) {
                fields.push(known, name, value);
            }
        }
        Ok(fields)
    }
}

/// The name, when it and the value may stand in a field of any version.
fn check(name: &[u8], value: &[u8]) -> Result<Name, HeadError> {
    if !is_token(name) || !is_safe_value(value) || value.trim_ascii().len() != value.len() {
        return Err(HeadError::BadSyntax);
    }
    match Name::classify(name) {
        Name::Te if value.eq_ignore_ascii_case(b"trailers") => Ok(Name::Te),
        Name::Te
        | Name::Connection
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::TransferEncoding
        | Name::Upgrade => Err(HeadError::BadConnection),
        Name::Other if imitates_framing(name) => Err(HeadError::DisguisedFraming),
        known => Ok(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(
        target: &str,
        authority: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead::default();
        let parts = RequestParts {
            method: b"GET",
            scheme: Scheme::Https,
            authority: authority.map(str::as_bytes),
            target: target.as_bytes(),
        };
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        head.assemble(parts, fields, &HeadLimits::STRICT).map(|()| head)
    }

    fn lines(head: &RequestHead) -> String {
        let mut out = Vec::new();
        head.fields.write_lines(&mut out, |_| true);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_become_what_their_text_would() {
        let head = assemble("/a/b?c=d", Some("A.Test.:8443"), &[("accept", "*/*"), ("x-y", "")]).unwrap();
        assert_eq!((head.path(), head.query()), (&b"/a/b"[..], Some(&b"c=d"[..])));
        assert_eq!((head.host(), head.port()), (&b"a.test"[..], Some(8443)));
        assert_eq!(head.authority(), b"A.Test.:8443");
        assert_eq!(head.method_name(), b"GET");
        assert_eq!(lines(&head), "accept: */*\r\nx-y: \r\n");
    }

    #[test]
    fn crumbs_of_a_cookie_become_one() {
        let head = assemble("/", Some("a"), &[("cookie", "a=1"), ("b", "c"), ("cookie", "d=2")]).unwrap();
        assert_eq!(lines(&head), "b: c\r\ncookie: a=1; d=2\r\n");
    }

    #[test]
    fn the_host_is_told_once_or_twice_alike() {
        assert_eq!(assemble("/", None, &[("host", "a.test")]).unwrap().host(), b"a.test");
        assert_eq!(assemble("/", Some("a.test"), &[("host", "A.test")]).unwrap().host(), b"a.test");
        // The port of the scheme may be named or not (RFC 9110 section 4.2.3).
        assert_eq!(assemble("/", Some("a.test"), &[("host", "a.test:443")]).unwrap().port(), None);
        assert_eq!(assemble("/", Some("a.test:443"), &[("host", "a.test")]).unwrap().port(), Some(443));
        let refused = [
            (None, vec![], HeadError::MissingHost),
            (Some("a.test"), vec![("host", "b.test")], HeadError::HostMismatch),
            (Some("a.test"), vec![("host", "a.test:80")], HeadError::HostMismatch),
            (Some("a.test:8443"), vec![("host", "a.test")], HeadError::HostMismatch),
            (Some("a.test"), vec![("host", "a.test"), ("host", "a.test")], HeadError::RepeatedHost),
            (Some("u@a.test"), vec![], HeadError::BadTarget),
            (Some(""), vec![], HeadError::BadTarget),
            (None, vec![("host", "a/b")], HeadError::BadHost),
        ];
        for (authority, fields, error) in refused {
            assert_eq!(assemble("/", authority, &fields).unwrap_err(), error, "{authority:?} {fields:?}");
        }
    }

    #[test]
    fn what_frames_or_hides_is_refused() {
        for (name, value, error) in [
            ("connection", "close", HeadError::BadConnection),
            ("transfer-encoding", "chunked", HeadError::BadConnection),
            ("upgrade", "websocket", HeadError::BadConnection),
            ("keep-alive", "1", HeadError::BadConnection),
            ("proxy-connection", "close", HeadError::BadConnection),
            ("te", "gzip", HeadError::BadConnection),
            ("content_length", "1", HeadError::DisguisedFraming),
            ("a b", "c", HeadError::BadSyntax),
            ("", "c", HeadError::BadSyntax),
            ("a", "b\r\nc: d", HeadError::BadSyntax),
            ("a", "b\0", HeadError::BadSyntax),
            ("a", " b", HeadError::BadSyntax),
            ("a", "b\t", HeadError::BadSyntax),
        ] {
            assert_eq!(assemble("/", Some("a"), &[(name, value)]).unwrap_err(), error, "{name:?}: {value:?}");
        }
        assert_eq!(
            lines(&assemble("/", Some("a"), &[("te", "trailers"), ("x_y", "1"), ("trailer", "x")]).unwrap()),
            "te: trailers\r\ntrailer: x\r\n"
        );
    }

    #[test]
    fn targets_keep_to_their_grammar() {
        for target in ["", "a", "http://a/", "/ HTTP/1.1\r\nx: y", "/#a", "/%zz", "*", "/ü"] {
            assert_eq!(assemble(target, Some("a"), &[]).unwrap_err(), HeadError::BadTarget, "{target:?}");
        }
    }

    #[test]
    fn fields_are_counted_and_weighed() {
        let many: Vec<_> = (0..101).map(|_| ("cookie", "a=b")).collect();
        assert_eq!(assemble("/", Some("a"), &many).unwrap_err(), HeadError::TooManyFields);
        assert!(assemble("/", Some("a"), &many[..100]).is_ok());
        let long = "x".repeat(17 << 10);
        assert_eq!(assemble("/", Some("a"), &[("a", &long)]).unwrap_err(), HeadError::FieldTooLong);
        let half = "x".repeat(15 << 10);
        let heavy: Vec<_> = (0..5).map(|_| ("a", half.as_str())).collect();
        assert_eq!(assemble("/", Some("a"), &heavy).unwrap_err(), HeadError::HeadTooLong);
        let target = format!("/{}", "a".repeat(9000));
        assert_eq!(assemble(&target, Some("a"), &[]).unwrap_err(), HeadError::TargetTooLong);
    }
}
