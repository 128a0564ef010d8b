//! `grpc-timeout`: how long the client of a call waits for its end.

use std::time::Duration;

use http1::Fields;

/// The time that a call has; `None` when its head names none, or names it in another way than it has to: one to
/// eight digits and a unit. Such a field means nothing here, and the server makes of it what it likes.
pub fn timeout(fields: &Fields) -> Option<Duration> {
    let mut told = fields.all_named(b"grpc-timeout");
    let (value, None) = (told.next()?, told.next()) else { return None };
    parse(value)
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // At most eight digits: no product of these comes near the end of its range.
    let count = digits.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

const MOST_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use http1::Name;

    #[test]
    fn one_to_eight_digits_and_a_unit() {
        let second = Duration::from_secs(1);
        let cases = [
            ("1H", Some(3600 * second)),
            ("2M", Some(120 * second)),
            ("3S", Some(3 * second)),
            ("1500m", Some(Duration::from_millis(1500))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("00000001S", Some(second)),
            ("100000000n", None),
            ("1", None),
            ("S", None),
            ("1s", None),
            ("1h", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("1 S", None),
            ("1SS", None),
            ("", None),
        ];
        for (value, wanted) in cases {
            assert_eq!(parse(value.as_bytes()), wanted, "{value}");
        }
    }

    #[test]
    fn two_of_them_mean_nothing() {
        let mut fields = Fields::new();
        assert_eq!(timeout(&fields), None);
        fields.push(Name::Other, b"Grpc-Timeout", b"1S");
        assert_eq!(timeout(&fields), Some(Duration::from_secs(1)));
        fields.push(Name::Other, b"grpc-timeout", b"2S");
        assert_eq!(timeout(&fields), None);
    }
}
