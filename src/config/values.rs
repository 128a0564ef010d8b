//! Durations, sizes and rates, from the text of a user.

use std::time::Duration;

/// Why a value is wrong; the caller knows the place and the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub message: String,
    pub hint: Option<String>,
}

pub fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { message: message.into(), hint: Some(hint.into()) }
}

/// What the user wrote, for the middle of a message.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        _ if text.is_empty() => "an empty string".to_string(),
        Some((end, _)) => format!("`{}...`", &text[..end]),
        None => format!("`{text}`"),
    }
}

pub type Parsed<T> = Result<T, Wrong>;

const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// A year; beyond it a timer is a mistake.
const MAX_MILLIS: u64 = 365 * 24 * 3_600_000;

/// "250ms", "5s", "2m", "1h", and together: "1m30s".
pub fn duration(text: &str) -> Parsed<Duration> {
    let not = || format!("{} is not a duration", shown(text));
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() || last == u64::MAX {
        let (number, after) = split_number(rest);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if number.is_empty() {
            return Err(wrong(not(), "write a number and a unit: \"250ms\", \"5s\", \"2m\" or \"1h\""));
        }
        let Some((_, factor)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            let hint = whole(rest, &DURATION_UNITS).unwrap_or_else(|| duration_hint(number, unit));
            return Err(wrong(not(), hint));
        };
        if *factor >= last {
            return Err(wrong(not(), "write the larger unit first, and each once: \"1m30s\""));
        }
        last = *factor;
        let value = number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(*factor);
        millis = millis.saturating_add(value);
        rest = after;
    }
    if millis > MAX_MILLIS {
        return Err(wrong(format!("{} is longer than a year", shown(text)), "the longest is \"8760h\""));
    }
    Ok(Duration::from_millis(millis))
}

fn duration_hint(number: &str, unit: &str) -> String {
    let trimmed = unit.trim().to_lowercase();
    let right = match trimmed.as_str() {
        "" => return format!("add a unit: \"{number}s\" or \"{number}ms\""),
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => "ms",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        "d" | "day" | "days" => return in_hours(number, 24),
        "w" | "week" | "weeks" => return in_hours(number, 24 * 7),
        "us" | "µs" | "ns" => return "the smallest unit is \"ms\"".to_string(),
        _ => return "the units are \"ms\", \"s\", \"m\" and \"h\"".to_string(),
    };
    format!("write \"{number}{right}\"")
}

fn in_hours(number: &str, factor: u64) -> String {
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(hours) => format!("write it in hours: \"{hours}h\""),
        None => "write it in hours".to_string(),
    }
}

const SIZE_UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// "64KiB", "10MiB", "1GiB", "10MB" (decimal), "512"; in bytes.
pub fn size(text: &str) -> Parsed<u64> {
    let (number, unit) = split_number(text);
    if number.is_empty() {
        let hint = "write a number and a unit: \"64KiB\", \"10MiB\" or \"1GiB\"";
        return Err(wrong(format!("{} is not a size", shown(text)), hint));
    }
    let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        let hint = whole(text, &WHOLE_SIZES).unwrap_or_else(|| size_hint(number, unit));
        return Err(wrong(format!("{} is not a size", shown(text)), hint));
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    bytes
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or_else(|| Wrong { message: format!("{} is larger than any machine", shown(text)), hint: None })
}

fn size_hint(number: &str, unit: &str) -> String {
    let lower = unit.trim().to_lowercase();
    let right = match lower.trim_end_matches("ytes").trim_end_matches("yte") {
        "b" => "B",
        "k" | "kb" | "ki" | "kib" => "KiB",
        "m" | "mb" | "mi" | "mib" => "MiB",
        "g" | "gb" | "gi" | "gib" => "GiB",
        "t" | "tb" | "ti" | "tib" => "TiB",
        _ => return "the units are \"KiB\", \"MiB\" and \"GiB\"".to_string(),
    };
    format!("write \"{number}{right}\"")
}

const WHOLE_SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The hint for "1.5GiB": the same in a unit in which it is a whole number.
fn whole(text: &str, units: &[(&str, u64)]) -> Option<String> {
    let (before, rest) = split_number(text);
    let (after, unit) = split_number(rest.strip_prefix(['.', ','])?);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let scale = 10_u64.checked_pow(u32::try_from(after.len()).ok()?)?;
    let digits: u64 = format!("{before}{after}").parse().ok()?;
    let amount = digits.checked_mul(*factor)? / scale;
    let (name, factor) = units.iter().find(|(_, factor)| amount % factor == 0)?;
    Some(format!("write a whole number: \"{}{name}\"", amount / factor))
}

/// "1KiB/s", "0"; in bytes per second.
pub fn rate(text: &str) -> Parsed<u64> {
    if text == "0" {
        return Ok(0);
    }
    let not = format!("{} is not a rate", shown(text));
    match text.split_once('/') {
        Some((amount, "s")) => size(amount).map_err(|wrong| Wrong { message: not, ..wrong }),
        Some(_) => Err(wrong(not, "write it per second: \"1KiB/s\"")),
        None => match size(text) {
            Ok(_) => Err(wrong(not, format!("say per second: \"{text}/s\""))),
            Err(_) => Err(wrong(not, "write a size per second: \"1KiB/s\"")),
        },
    }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5000), ("2m", 120_000), ("1h", 3_600_000), ("1m30s", 90_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn wrong_durations_are_answered_with_what_is_right() {
        for (text, hint) in [
            ("5", "add a unit: \"5s\" or \"5ms\""),
            ("5 s", "write \"5s\""),
            ("5sec", "write \"5s\""),
            ("2min", "write \"2m\""),
            ("2d", "write it in hours: \"48h\""),
            ("1.5s", "write a whole number: \"1500ms\""),
            ("1.5h", "write a whole number: \"90m\""),
            ("1.2.3s", "the units are \"ms\", \"s\", \"m\" and \"h\""),
            ("30s1m", "write the larger unit first, and each once: \"1m30s\""),
            ("100us", "the smallest unit is \"ms\""),
            ("", "write a number and a unit: \"250ms\", \"5s\", \"2m\" or \"1h\""),
            ("-5s", "write a number and a unit: \"250ms\", \"5s\", \"2m\" or \"1h\""),
            ("99999999999999999999h", "the longest is \"8760h\""),
        ] {
            assert_eq!(duration(text).unwrap_err().hint.as_deref(), Some(hint), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64KiB", 65536),
            ("10MiB", 10 << 20),
            ("1GiB", 1 << 30),
            ("10MB", 10_000_000),
            ("512", 512),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn wrong_sizes_are_answered_with_what_is_right() {
        for (text, hint) in [
            ("10m", "write \"10MiB\""),
            ("10 MiB", "write \"10MiB\""),
            ("10mb", "write \"10MiB\""),
            ("1Gi", "write \"1GiB\""),
            ("1.5MiB", "write a whole number: \"1536KiB\""),
            ("0.5GiB", "write a whole number: \"512MiB\""),
            ("10x", "the units are \"KiB\", \"MiB\" and \"GiB\""),
        ] {
            assert_eq!(size(text).unwrap_err().hint.as_deref(), Some(hint), "{text}");
        }
        assert!(size("99999999999GiB").is_err());
    }

    #[test]
    fn rates() {
        assert_eq!(rate("1KiB/s"), Ok(1024));
        assert_eq!(rate("0"), Ok(0));
        assert_eq!(rate("5KiB").unwrap_err().hint.as_deref(), Some("say per second: \"5KiB/s\""));
        assert_eq!(rate("60KiB/m").unwrap_err().hint.as_deref(), Some("write it per second: \"1KiB/s\""));
    }
}
