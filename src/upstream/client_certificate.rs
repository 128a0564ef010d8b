//! What an origin is told of the client's certificate, in fields that only the proxy may write.
//!
//! A value that cannot stand in a field as it is has bytes written as `\xx` (RFC 4514 section 2.4); a value
//! that would be too long is left out. So no value can be taken for another.

use std::fmt::Write;

use data_encoding::BASE64;

use crate::message::ClientCertificate;

/// Bytes; servers refuse heads that are much longer.
const MAX_VALUE: usize = 8 << 10;

/// Whether a field of this name claims something about the client's certificate.
#[inline]
pub(super) fn is_claimed_by(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 2] = [b"client-cert", b"client-cert-chain"];
    const PREFIX: &[u8] = b"x-client-cert";
    match name.first() {
        Some(b'x' | b'X') => name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)),
        Some(b'c' | b'C') => NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)),
        _ => false,
    }
}

/// Appends the lines of the fields.
pub(super) fn write_fields(out: &mut Vec<u8>, certificate: &ClientCertificate) {
    // RFC 9440 section 2.2: a byte sequence of RFC 8941.
    line(out, "Client-Cert", &format!(":{}:", BASE64.encode(&certificate.der)));
    line(out, "X-Client-Cert-Subject", &name(&certificate.subject));
    line(out, "X-Client-Cert-Issuer", &name(&certificate.issuer));
    line(out, "X-Client-Cert-San", &alternative_names(certificate));
    line(out, "X-Client-Cert-Serial", &certificate.serial);
    line(out, "X-Client-Cert-Fingerprint", &certificate.fingerprint);
    // Other characters have no place in one (SPIFFE ID, section 2).
    let spiffe = certificate.spiffe.as_deref().unwrap_or_default();
    if spiffe.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_".contains(&byte)) {
        line(out, "X-Client-Cert-Spiffe", spiffe);
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    if value.is_empty() || value.len() > MAX_VALUE {
        return;
    }
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// A distinguished name, whose parts are escaped among each other already.
fn name(distinguished: &str) -> String {
    match distinguished.strip_suffix(' ') {
        // An escaped space, which a reader of fields would cut off.
        Some(rest) => encoded(rest, b"") + "20",
        None => encoded(distinguished, b""),
    }
}

/// `DNS:a.test,URI:https://b.test/,email:c@d.test,IP:10.0.0.1`
fn alternative_names(certificate: &ClientCertificate) -> String {
    let ClientCertificate { dns, uris, emails, ips, .. } = certificate;
    let kinds = [("DNS", dns), ("URI", uris), ("email", emails), ("IP", ips)];
    let names = kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| (kind, name)));
    let names: Vec<String> = names.map(|(kind, name)| format!("{kind}:{}", encoded(name, b" ,\\"))).collect();
    names.join(",")
}

/// With every byte that is not visible ASCII or a space, and those in `also`, as `\xx`.
fn encoded(text: &str, also: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && !also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(certificate: &ClientCertificate) -> Vec<(String, String)> {
        let mut out = Vec::new();
        write_fields(&mut out, certificate);
        let text = String::from_utf8(out).unwrap();
        let lines = text.strip_suffix("\r\n").unwrap().split("\r\n");
        lines.map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    fn value_of(certificate: &ClientCertificate, name: &str) -> Option<String> {
        fields(certificate).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    #[test]
    fn every_field_of_a_usual_certificate() {
        let certificate = ClientCertificate {
            subject: r"CN=alice,O=Ex\, Inc".to_owned(),
            issuer: "CN=ca".to_owned(),
            serial: "01ab".to_owned(),
            dns: vec!["a.test".to_owned()],
            uris: vec!["spiffe://prod/web".to_owned()],
            ips: vec!["10.0.0.1".to_owned()],
            spiffe: Some("spiffe://prod/web".to_owned()),
            fingerprint: "cd".repeat(32),
            der: b"\x30\x82".to_vec(),
            ..ClientCertificate::default()
        };
        let expected = [
            ("Client-Cert", ":MII=:"),
            ("X-Client-Cert-Subject", r"CN=alice,O=Ex\, Inc"),
            ("X-Client-Cert-Issuer", "CN=ca"),
            ("X-Client-Cert-San", "DNS:a.test,URI:spiffe://prod/web,IP:10.0.0.1"),
            ("X-Client-Cert-Serial", "01ab"),
            ("X-Client-Cert-Fingerprint", &"cd".repeat(32)),
            ("X-Client-Cert-Spiffe", "spiffe://prod/web"),
        ];
        let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(fields(&certificate), expected);
    }

    #[test]
    fn what_cannot_stand_in_a_field_is_encoded_or_left_out() {
        let with = |subject: &str, name: &str| ClientCertificate {
            subject: subject.to_owned(),
            emails: vec![name.to_owned()],
            spiffe: Some(name.to_owned()),
            ..ClientCertificate::default()
        };
        for (subject, written) in [
            ("CN=é", r"CN=\c3\a9"),
            // As it comes from a space at the end.
            (r"CN=a,O=b\ ", r"CN=a,O=b\20"),
            ("CN=a\r\nX: y", r"CN=a\0d\0aX: y"),
        ] {
            let value = value_of(&with(subject, ""), "X-Client-Cert-Subject");
            assert_eq!(value.as_deref(), Some(written));
        }
        for (name, written) in
            [("a,DNS:b", r"email:a\2cDNS:b"), ("a\nb", r"email:a\0ab"), (r"a\2c", r"email:a\5c2c")]
        {
            assert_eq!(value_of(&with("", name), "X-Client-Cert-San").as_deref(), Some(written));
            assert_eq!(value_of(&with("", name), "X-Client-Cert-Spiffe"), None);
        }
        assert_eq!(value_of(&with(&"a".repeat(MAX_VALUE + 1), "b"), "X-Client-Cert-Subject"), None);
        let large = ClientCertificate { der: vec![0; MAX_VALUE], ..with("CN=a", "") };
        assert_eq!(value_of(&large, "Client-Cert"), None);
    }

    #[test]
    fn names_that_claim() {
        for (name, claims) in [
            ("client-cert", true),
            ("Client-Cert-Chain", true),
            ("X-CLIENT-CERT-SUBJECT", true),
            ("x-client-cert", true),
            ("x-client-certificate", true),
            ("x-client-cer", false),
            ("client-certs", false),
            ("cookie", false),
            ("", false),
        ] {
            assert_eq!(is_claimed_by(name.as_bytes()), claims, "{name}");
        }
    }
}
