//! What a client's certificate says: for conditions of routes, header fields and logs. rustls has verified
//! it before anybody reads it here.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509Name};

/// Names beyond this many of a kind are left out: a certificate may be large.
const MOST_NAMES: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCertificate {
    /// Distinguished name (RFC 4514): `CN=alice,O=Example`.
    pub subject: String,
    pub issuer: String,
    /// Hexadecimal, lower case, two digits a byte.
    pub serial: String,
    /// Alternative names. DNS names in lower case.
    pub dns: Vec<String>,
    pub uris: Vec<String>,
    pub emails: Vec<String>,
    pub ips: Vec<String>,
    /// The URI that begins with `spiffe://`, if it is the only URI, as SPIFFE asks.
    pub spiffe: Option<String>,
    /// SHA-256 of the whole, hexadecimal, lower case.
    pub fingerprint: String,
    /// Seconds since 1970.
    pub not_after: i64,
    pub der: Vec<u8>,
}

/// It is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCertificate;

impl ClientCertificate {
    pub fn parse(der: &CertificateDer<'_>) -> Result<ClientCertificate, NoCertificate> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| NoCertificate)?;
        let mut parsed = ClientCertificate {
            subject: distinguished(certificate.subject()),
            issuer: distinguished(certificate.issuer()),
            serial: hex(certificate.raw_serial()),
            fingerprint: hex(digest(&SHA256, der).as_ref()),
            not_after: certificate.validity().not_after.timestamp(),
            der: der.to_vec(),
            ..ClientCertificate::default()
        };
        let alternative = certificate.subject_alternative_name().map_err(|_| NoCertificate)?;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            let (list, text) = match name {
                GeneralName::DNSName(name) => (&mut parsed.dns, name.to_ascii_lowercase()),
                GeneralName::URI(uri) => (&mut parsed.uris, (*uri).to_owned()),
                GeneralName::RFC822Name(email) => (&mut parsed.emails, (*email).to_owned()),
                GeneralName::IPAddress(bytes) => match address(bytes) {
                    Some(ip) => (&mut parsed.ips, ip),
                    None => continue,
                },
                _ => continue,
            };
            if list.len() < MOST_NAMES {
                list.push(text);
            }
        }
        parsed.spiffe = match parsed.uris.as_slice() {
            [uri] if uri.starts_with("spiffe://") => Some(uri.clone()),
            _ => None,
        };
        Ok(parsed)
    }

    /// Whether it has ended at `now`, in seconds since 1970.
    pub fn has_ended(&self, now: i64) -> bool {
        now > self.not_after
    }

    /// All alternative names.
    pub fn sans(&self) -> impl Iterator<Item = &str> {
        [&self.dns, &self.uris, &self.emails, &self.ips].into_iter().flatten().map(String::as_str)
    }
}

/// The address of an IP name in a certificate.
pub fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// As RFC 4514 writes it: the last part first, and no value can be taken for more parts than it is.
pub fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for set in name.iter_rdn() {
        let part: Vec<String> = set
            .iter()
            .map(|attribute| {
                let kind = attribute.attr_type().to_id_string();
                let kind =
                    SHORT.iter().find(|(id, _)| *id == kind).map_or(kind, |(_, short)| (*short).to_owned());
                match attribute.as_str() {
                    Ok(value) => format!("{kind}={}", escaped(value)),
                    Err(_) => format!("{kind}=#{}", hex(attribute.as_slice())),
                }
            })
            .collect();
        parts.push(part.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

/// RFC 4514 section 2.4; what cannot be printed is hexadecimal.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let at_edge = (index == 0 && matches!(c, ' ' | '#')) || (index == last && c == ' ');
        if at_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=') {
            out.push('\\');
            out.push(c);
        } else if c.is_control() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "\\{byte:02x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// RFC 4514 section 3, and what else is usual.
const SHORT: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    use super::*;

    #[test]
    fn everything_that_is_asked_of_it() {
        let mut params =
            CertificateParams::new(vec!["Client.test".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Ex, Inc");
        params.distinguished_name.push(DnType::CommonName, "alice,O=Admins");
        params.serial_number = Some(SerialNumber::from(vec![1, 0xab]));
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        params.subject_alt_names.push(SanType::URI("spiffe://prod/web".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@b.test".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let parsed = ClientCertificate::parse(certificate.der()).unwrap();
        // The common name comes first by default, so it is written last.
        assert!(parsed.subject.contains(r"CN=alice\,O\=Admins"), "{}", parsed.subject);
        assert!(parsed.subject.contains(r"O=Ex\, Inc"), "{}", parsed.subject);
        assert_eq!(parsed.issuer, parsed.subject);
        assert_eq!(parsed.serial, "01ab");
        assert_eq!(parsed.not_after, 1_893_456_000);
        assert_eq!(parsed.fingerprint.len(), 64);
        assert_eq!(parsed.spiffe.as_deref(), Some("spiffe://prod/web"));
        let sans: Vec<&str> = parsed.sans().collect();
        assert_eq!(sans, ["client.test", "spiffe://prod/web", "a@b.test", "10.0.0.1"]);
    }

    #[test]
    fn two_uris_are_no_spiffe_id() {
        let mut params = CertificateParams::default();
        for uri in ["spiffe://prod/web", "spiffe://prod/admin"] {
            params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(ClientCertificate::parse(certificate.der()).unwrap().spiffe, None);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for der in [b"x".as_slice(), b""] {
            assert_eq!(ClientCertificate::parse(&der.into()), Err(NoCertificate));
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(address(&[10, 0, 0, 1]).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&[0; 16]).as_deref(), Some("::"));
        assert_eq!(address(&[1]), None);
    }

    #[test]
    fn a_certificate_ends_after_its_last_second() {
        let certificate = ClientCertificate { not_after: 100, ..ClientCertificate::default() };
        assert!(!certificate.has_ended(100));
        assert!(certificate.has_ended(101));
    }

    #[test]
    fn values_cannot_leave_their_place() {
        for (value, written) in
            [("a", "a"), ("a,b", r"a\,b"), (" a ", r"\ a\ "), ("#1", r"\#1"), ("a\nb", r"a\0ab"), ("é", "é")]
        {
            assert_eq!(escaped(value), written);
        }
    }
}
