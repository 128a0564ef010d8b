//! Content codings (RFC 9110 section 8.4.1), and which of them a client takes: `Accept-Encoding` as RFC 9110
//! section 12.5.3 has it.

use http1::{Fields, Name};

/// One that we can make or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Zstd,
    Brotli,
    Gzip,
    /// Only read: half of those who made it left out the frame that the name promises.
    Deflate,
}

impl Coding {
    /// The name in `Content-Encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
        }
    }

    /// By its name in any case.
    pub fn named(token: &[u8]) -> Option<Coding> {
        let is = |name: &str| token.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("zstd") => Some(Coding::Zstd),
            () if is("br") => Some(Coding::Brotli),
            // RFC 9110 section 8.4.1.3.
            () if is("gzip") || is("x-gzip") => Some(Coding::Gzip),
            () if is("deflate") => Some(Coding::Deflate),
            () => None,
        }
    }
}

/// How many codings there are.
const CODINGS: usize = 4;

/// What a client takes; weights are in thousandths, and 0 is a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    named: [Option<u16>; CODINGS],
    identity: Option<u16>,
    /// `*`: each coding that is not named.
    other: Option<u16>,
}

impl Accepted {
    /// From all `Accept-Encoding` lines of a request. Who sends none, or one that breaks the syntax, gets nothing
    /// coded: the standard would allow it, but such clients are old or made by hand.
    pub fn of(fields: &Fields) -> Accepted {
        let mut accepted = Accepted::default();
        for value in fields.all(Name::AcceptEncoding) {
            for member in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if !member.is_empty() && accepted.add(member).is_none() {
                    return Accepted::default();
                }
            }
        }
        accepted
    }

    /// `token` or `token;q=0.5`; `None` when it is neither.
    fn add(&mut self, member: &[u8]) -> Option<()> {
        let mut parts = member.splitn(2, |&byte| byte == b';');
        let token = parts.next()?.trim_ascii_end();
        let weight = match parts.next() {
            None => 1000,
            Some(weight) => weight_of(weight.trim_ascii_start())?,
        };
        if !http1::fields::is_token(token) {
            return None;
        }
        let place = match Coding::named(token) {
            Some(coding) => self.named.get_mut(coding as usize)?,
            None if token == b"*" => &mut self.other,
            None if token.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            None => return Some(()),
        };
        // Of two that contradict each other the more careful one holds.
        *place = Some(place.map_or(weight, |known| known.min(weight)));
        Some(())
    }

    /// 0 when the coding may not be sent.
    pub fn weight(&self, coding: Coding) -> u16 {
        let named = self.named.get(coding as usize).copied().flatten();
        named.or(self.other).unwrap_or(0)
    }

    /// The coding with the largest weight, of several the first of `order`; none when the client would rather have
    /// it as it is.
    pub fn choose(&self, order: &[Coding]) -> Option<Coding> {
        let mut best = None;
        let mut most = self.identity.unwrap_or(0).max(1);
        for coding in order {
            let weight = self.weight(*coding);
            if weight > most || (weight == most && best.is_none()) {
                (best, most) = (Some(*coding), weight);
            }
        }
        best
    }
}

/// `q=0.5` in thousandths: up to three digits behind the dot, and at most 1.
fn weight_of(text: &[u8]) -> Option<u16> {
    let (b"q=" | b"Q=") = text.get(..2)? else { return None };
    let (whole, digits) = match text.get(2..)? {
        [whole] => (whole, &b""[..]),
        [whole, b'.', digits @ ..] => (whole, digits),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let parts = digits.iter().chain(b"000").take(3);
    let thousandths = parts.fold(u16::from(whole - b'0'), |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(lines: &[&str]) -> Accepted {
        let mut fields = Fields::new();
        lines.iter().for_each(|line| fields.push(Name::AcceptEncoding, b"Accept-Encoding", line.as_bytes()));
        Accepted::of(&fields)
    }

    const ORDER: &[Coding] = &[Coding::Zstd, Coding::Brotli, Coding::Gzip];

    #[test]
    fn the_largest_weight_wins_and_then_the_order() {
        use Coding::*;
        let cases: &[(&str, Option<Coding>)] = &[
            ("gzip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("GZip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("gzip;q=1.0, br;q=0.9", Some(Gzip)),
            ("gzip ; q=0.5 , br;q=0.501", Some(Brotli)),
            ("gzip;Q=0.001", Some(Gzip)),
            ("*", Some(Zstd)),
            ("*;q=0.1, gzip;q=0.2", Some(Gzip)),
            ("zstd;q=0, *", Some(Brotli)),
            ("gzip;q=0", None),
            ("gzip;q=0.000, *;q=0", None),
            ("br;q=0, gzip", Some(Gzip)),
            ("identity", None),
            ("identity;q=0", None),
            ("identity;q=0, gzip", Some(Gzip)),
            ("identity, gzip", Some(Gzip)),
            ("identity;q=1, gzip;q=0.9", None),
            ("identity;q=0.5, gzip;q=0.5, br;q=0.2", Some(Gzip)),
            ("*;q=0.5, identity;q=0.6", None),
            ("deflate", None),
            ("compress, x-compress, bogus;q=0.3", None),
            ("", None),
            (" , ,gzip,, ", Some(Gzip)),
            ("gzip, gzip;q=0", None),
            // Not the syntax of the field.
            ("gzip;q=1.1", None),
            ("gzip;q=2", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=", None),
            ("gzip;q=-1", None),
            ("gzip;q=.5", None),
            ("gzip;q=0,5", None),
            ("gzip;level=3", None),
            ("gzip;q=1;a=b", None),
            ("gzip;", None),
            ("gz ip", None),
            ("gzip, (br)", None),
            ("gzip, ;q=1", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(accepted(&[line]).choose(ORDER), *wanted, "{line:?}");
        }
    }

    #[test]
    fn several_lines_are_one_list_and_the_order_is_the_servers() {
        assert_eq!(accepted(&["gzip", "br"]).choose(ORDER), Some(Coding::Brotli));
        assert_eq!(accepted(&["gzip", "br;q=x"]).choose(ORDER), None);
        assert_eq!(accepted(&["gzip, br"]).choose(&[Coding::Gzip, Coding::Brotli]), Some(Coding::Gzip));
        assert_eq!(accepted(&["br"]).choose(&[Coding::Gzip]), None);
        assert_eq!(accepted(&["*"]).choose(&[]), None);
        assert_eq!(Accepted::of(&Fields::new()), Accepted::default());
    }

    #[test]
    fn what_is_not_named_may_not_be_sent() {
        for (line, deflate, gzip) in [("gzip", 0, 1000), ("*;q=0.25", 250, 250), ("deflate;q=1.000", 1000, 0)]
        {
            let accepted = accepted(&[line]);
            assert_eq!((accepted.weight(Coding::Deflate), accepted.weight(Coding::Gzip)), (deflate, gzip));
        }
    }
}
