//! What a route may ask of a client's certificate.

use crate::message::ClientCertificate;

/// All that is set must hold; of several texts for one thing one is enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientCertificateMatch {
    pub subject: Vec<Glob>,
    pub issuer: Vec<Glob>,
    /// Any alternative name.
    pub san: Vec<Glob>,
    pub spiffe: Vec<Glob>,
    /// SHA-256, hexadecimal, lower case.
    pub fingerprint: Vec<String>,
}

impl ClientCertificateMatch {
    /// The key of the first condition that does not hold for a certificate that was verified.
    pub fn first_mismatch(&self, certificate: &ClientCertificate) -> Option<&'static str> {
        let any = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.fits(text));
        let fingerprint = &certificate.fingerprint;
        let holds = [
            ("subject", any(&self.subject, &certificate.subject)),
            ("issuer", any(&self.issuer, &certificate.issuer)),
            ("san", self.san.is_empty() || certificate.sans().any(|san| any(&self.san, san))),
            ("spiffe", self.spiffe.is_empty() || certificate.spiffe.iter().any(|id| any(&self.spiffe, id))),
            ("fingerprint", self.fingerprint.is_empty() || self.fingerprint.contains(fingerprint)),
        ];
        holds.into_iter().find(|(_, holds)| !holds).map(|(key, _)| key)
    }
}

/// Text in which `*` stands for any characters but `,`, which parts a distinguished name. A lone `*` is
/// anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(text: impl Into<String>) -> Glob {
        Glob(text.into())
    }

    fn fits(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        if pattern == b"*" {
            return true;
        }
        let (mut p, mut t) = (0, 0);
        // Only the last `*` is tried again: no more than (pattern x text) steps.
        let mut star = None;
        while let Some(byte) = text.get(t) {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(wanted) if wanted == byte => {
                    p += 1;
                    t += 1;
                }
                _ => match star {
                    Some((at, from)) if text.get(from) != Some(&b',') => {
                        star = Some((at, from + 1));
                        p = at + 1;
                        t = from + 1;
                    }
                    _ => return false,
                },
            }
        }
        pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_part_of_a_name() {
        for (pattern, text, expected) in [
            ("CN=alice,O=Example", "CN=alice,O=Example", true),
            ("CN=alice", "CN=alice,O=Example", false),
            ("CN=*,O=Example", "CN=bob,O=Example", true),
            ("CN=*,O=Example", "CN=bob,OU=x,O=Example", false),
            ("CN=*,*,O=Example", "CN=bob,OU=x,O=Example", true),
            ("*", "a.test", true),
            ("*", "CN=a,O=b", true),
            ("**", "CN=a,O=b", false),
            ("*.a.test", "x.y.a.test", true),
            ("spiffe://prod/*/web", "spiffe://prod/eu/west/web", true),
            ("spiffe://prod/*", "spiffe://production/x", false),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn all_that_is_set_must_hold() {
        let certificate = ClientCertificate {
            subject: "CN=alice,O=Example".to_owned(),
            issuer: "CN=ca".to_owned(),
            dns: vec!["a.test".to_owned(), "b.test".to_owned()],
            fingerprint: "ab".repeat(32),
            ..ClientCertificate::default()
        };
        let globs = |texts: &[&str]| texts.iter().map(|text| Glob::new(*text)).collect::<Vec<_>>();
        let asks = ClientCertificateMatch::default;
        for (asked, expected) in [
            (asks(), None),
            (ClientCertificateMatch { subject: globs(&["CN=bob,*", "CN=alice,*"]), ..asks() }, None),
            (ClientCertificateMatch { san: globs(&["b.*"]), issuer: globs(&["CN=ca"]), ..asks() }, None),
            (
                ClientCertificateMatch { san: globs(&["b.*"]), issuer: globs(&["CN=other"]), ..asks() },
                Some("issuer"),
            ),
            (ClientCertificateMatch { san: globs(&["c.test"]), ..asks() }, Some("san")),
            (ClientCertificateMatch { spiffe: globs(&["*"]), ..asks() }, Some("spiffe")),
            (ClientCertificateMatch { fingerprint: vec!["ab".repeat(32)], ..asks() }, None),
            (ClientCertificateMatch { fingerprint: vec!["cd".repeat(32)], ..asks() }, Some("fingerprint")),
        ] {
            assert_eq!(asked.first_mismatch(&certificate), expected, "{asked:?}");
        }
    }
}
