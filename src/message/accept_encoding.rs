//! Which content coding a client wants (RFC 9110 section 12.5.3): by `Accept-Encoding`, out of those on offer.

/// The codings that are told apart; every other one is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

/// Members of a list that are looked at: honest clients send five.
const MOST_MEMBERS: usize = 32;
/// Weights are counted in thousandths.
const WHOLE: u16 = 1000;

impl Coding {
    /// As `Content-Encoding` has it.
    pub fn name(self) -> &'static [u8] {
        match self {
            Coding::Brotli => b"br",
            Coding::Zstd => b"zstd",
            Coding::Gzip => b"gzip",
        }
    }

    /// `x-gzip` is another name of `gzip` (RFC 9110 section 8.4.1.3).
    fn named(name: &[u8]) -> Option<Coding> {
        match name {
            name if name.eq_ignore_ascii_case(b"br") => Some(Coding::Brotli),
            name if name.eq_ignore_ascii_case(b"zstd") => Some(Coding::Zstd),
            name if name.eq_ignore_ascii_case(b"gzip") => Some(Coding::Gzip),
            name if name.eq_ignore_ascii_case(b"x-gzip") => Some(Coding::Gzip),
            _ => None,
        }
    }
}

/// The coding of the highest weight among `offered`, the first of them where several have it; `None` when the
/// content shall go as it is: nothing on offer is accepted, or `identity` has a higher weight.
///
/// `values` are the field's, in order. Without the field nothing is encoded: many who send none cannot decode.
/// Who refuses everything (`*;q=0`) gets the content as it is, rather than a 406.
pub fn choose<'v>(values: impl Iterator<Item = &'v [u8]>, offered: &[Coding]) -> Option<Coding> {
    let mut told = Told::default();
    let members = values.flat_map(|value| value.split(|byte| *byte == b','));
    members.take(MOST_MEMBERS).for_each(|member| told.hear(member));
    let mut best = None;
    let mut highest = told.identity.unwrap_or(0);
    for coding in offered {
        let weight = told.weight(*coding);
        // What is encoded is smaller: of two that are as welcome it wins against what is not.
        if weight > highest || (weight == highest && weight > 0 && best.is_none()) {
            (best, highest) = (Some(*coding), weight);
        }
    }
    best
}

/// Weights that a client gave; of a coding that it named twice the higher one.
#[derive(Default)]
struct Told {
    codings: [Option<u16>; 3],
    identity: Option<u16>,
    any: Option<u16>,
}

impl Told {
    fn hear(&mut self, member: &[u8]) {
        let mut parts = member.split(|byte| *byte == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let Some(weight) = parts.next().map_or(Some(WHOLE), weight) else { return };
        let place = if name == b"*" {
            &mut self.any
        } else if name.eq_ignore_ascii_case(b"identity") {
            &mut self.identity
        } else if let Some(coding) = Coding::named(name) {
            &mut self.codings[coding as usize]
        } else {
            return;
        };
        *place = Some(place.map_or(weight, |before| before.max(weight)));
    }

    fn weight(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.any).unwrap_or(0)
    }
}

/// `q=0.5` in thousandths (RFC 9110 section 12.4.2); `None` when it is no weight.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', digits @ ..] = parameter.trim_ascii() else { return None };
    let (whole, fraction) = match digits {
        [whole] | [whole, b'.'] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandths = (0..3)
        .fold(0, |sum, place| sum * 10 + fraction.get(place).map_or(0, |digit| u16::from(digit - b'0')));
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(WHOLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    fn chosen(field: &str, offered: &[Coding]) -> &'static str {
        let name = choose([field.as_bytes()].into_iter(), offered).map_or(&b"-"[..], Coding::name);
        std::str::from_utf8(name).unwrap()
    }

    #[test]
    fn the_heaviest_coding_on_offer_is_chosen() {
        for (field, expected) in [
            ("", "-"),
            ("gzip", "gzip"),
            ("x-gzip", "gzip"),
            ("GZip", "gzip"),
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, deflate, zstd", "zstd"),
            ("deflate", "-"),
            ("*", "br"),
            ("br;q=0, *", "zstd"),
            ("br;q=0,zstd;q=0, *;q=0.1", "gzip"),
            ("gzip;q=1.0, br;q=0.9", "gzip"),
            ("gzip;q=0.501, br;q=0.5", "gzip"),
            ("gzip ; q=0.8 , br ; Q=0.9", "br"),
            ("gzip;q=0", "-"),
            ("gzip;q=0.000", "-"),
            ("*;q=0", "-"),
            ("identity", "-"),
            ("identity, gzip", "gzip"),
            ("identity;q=1, gzip;q=0.5", "-"),
            ("identity;q=0.5, gzip;q=0.5", "gzip"),
            ("identity;q=0, gzip;q=0.1", "gzip"),
            ("identity;q=0, deflate", "-"),
            // What is no weight is no member.
            ("gzip;q=2", "-"),
            ("gzip;q=1.001", "-"),
            ("gzip;q=0.0001", "-"),
            ("gzip;q=-1", "-"),
            ("gzip;q=", "-"),
            ("gzip;level=9", "-"),
            ("gzip;q=x, zstd;q=0.1", "zstd"),
            // Named twice, the higher weight holds.
            ("gzip;q=0.2, zstd;q=0.5, gzip;q=0.7", "gzip"),
            (",,, gzip", "gzip"),
        ] {
            assert_eq!(chosen(field, &ALL), expected, "{field}");
        }
    }

    #[test]
    fn what_is_not_on_offer_is_not_chosen() {
        assert_eq!(chosen("br, gzip;q=0.1", &[Coding::Gzip]), "gzip");
        assert_eq!(chosen("br", &[Coding::Gzip]), "-");
        assert_eq!(chosen("gzip, br", &[Coding::Gzip, Coding::Brotli]), "gzip", "the order of the offer");
        assert_eq!(chosen("*", &[]), "-");
    }

    #[test]
    fn several_lines_are_one_list_and_no_line_is_none() {
        let lines = [&b"gzip;q=0.1"[..], b"br;q=0.2"];
        assert_eq!(choose(lines.into_iter(), &ALL), Some(Coding::Brotli));
        assert_eq!(choose(std::iter::empty(), &ALL), None);
    }

    #[test]
    fn a_list_without_end_is_looked_at_for_a_while() {
        let field = "x,".repeat(MOST_MEMBERS) + "gzip";
        assert_eq!(chosen(&field, &ALL), "-");
    }
}
