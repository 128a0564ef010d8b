//! Which bytes of a file a client wants (RFC 9110 section 14), and which of its wishes are heard.

/// Ranges in one request; more are taken for an attack, and answered with the whole.
const MOST_RANGES: usize = 8;
/// Ranges that may have a byte in common. With more, a small request would make a large answer.
const MOST_OVERLAPPING: usize = 2;

/// Bytes `first` to `last`, which is among them; both are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: u64,
    pub last: u64,
}

impl Range {
    /// Bytes; never 0.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What is answered to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The field asks for nothing that is understood, or for too much.
    Whole,
    Ranges(Vec<Range>),
    /// 416: the file has nothing of what is asked for.
    Nothing,
}

/// Reads the value of a `Range` field, for a file of `size` bytes. Ranges that the file has nothing of are left out
/// as long as another one remains; a field that is malformed is no field.
pub fn wanted(value: &[u8], size: u64) -> Wanted {
    let Some((unit, set)) = cut(value, b'=') else { return Wanted::Whole };
    if !unit.trim_ascii().eq_ignore_ascii_case(b"bytes") {
        return Wanted::Whole;
    }
    let mut ranges = Vec::new();
    let mut members = 0;
    for member in set.split(|byte| *byte == b',') {
        let member = member.trim_ascii();
        if member.is_empty() {
            continue;
        }
        members += 1;
        match read(member, size) {
            None => return Wanted::Whole,
            Some(_) if members > MOST_RANGES => return Wanted::Whole,
            Some(One::Outside) => {}
            // RFC 9110 section 14.1.2 calls it satisfiable; there is no byte to name.
            Some(One::TailOfNothing) => return Wanted::Whole,
            Some(One::Inside(range)) => ranges.push(range),
        }
    }
    match ranges.len() {
        0 if members == 0 => Wanted::Whole,
        0 => Wanted::Nothing,
        _ if overlap_too_much(&ranges) => Wanted::Whole,
        _ => Wanted::Ranges(ranges),
    }
}

enum One {
    Inside(Range),
    Outside,
    TailOfNothing,
}

/// `None` when it is malformed.
fn read(member: &[u8], size: u64) -> Option<One> {
    let (first, last) = cut(member, b'-')?;
    let (first, last) = (first.trim_ascii(), last.trim_ascii());
    if first.is_empty() {
        return match number(last)? {
            0 => Some(One::Outside),
            _ if size == 0 => Some(One::TailOfNothing),
            count => Some(One::Inside(Range { first: size.saturating_sub(count), last: size - 1 })),
        };
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= size {
        return Some(One::Outside);
    }
    Some(One::Inside(Range { first, last: last.min(size - 1) }))
}

/// Numbers that are too large for us are larger than any file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

/// Where most ranges have a byte in common, one of them begins.
fn overlap_too_much(ranges: &[Range]) -> bool {
    ranges.iter().any(|range| {
        let holding = ranges.iter().filter(|other| other.first <= range.first && range.first <= other.last);
        holding.count() > MOST_OVERLAPPING
    })
}

/// What is before and behind the first such byte.
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, text)?;
    Some((&text[..place], &text[place + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(value: &str, size: u64) -> String {
        match wanted(value.as_bytes(), size) {
            Wanted::Whole => "whole".to_owned(),
            Wanted::Nothing => "nothing".to_owned(),
            Wanted::Ranges(ranges) => {
                let texts: Vec<String> =
                    ranges.iter().map(|range| format!("{}-{}", range.first, range.last)).collect();
                texts.join(" ")
            }
        }
    }

    #[test]
    fn ranges_are_read_against_the_size() {
        for (value, size, expected) in [
            ("bytes=0-0", 10, "0-0"),
            ("bytes=0-", 10, "0-9"),
            ("bytes=2-5", 10, "2-5"),
            ("bytes=2-99999999999999999999999", 10, "2-9"),
            ("bytes=9-9", 10, "9-9"),
            ("bytes=10-", 10, "nothing"),
            ("bytes=99999999999999999999999-", 10, "nothing"),
            ("bytes=-3", 10, "7-9"),
            ("bytes=-10", 10, "0-9"),
            ("bytes=-11", 10, "0-9"),
            ("bytes=-0", 10, "nothing"),
            ("bytes=0-0,-1", 10, "0-0 9-9"),
            ("bytes=5-6,0-1", 10, "5-6 0-1"),
            ("bytes= 0-1 , 3-4 ", 10, "0-1 3-4"),
            ("bytes=,0-1,,", 10, "0-1"),
            ("BYTES=0-1", 10, "0-1"),
            ("bytes=0-1,20-30", 10, "0-1"),
            ("bytes=20-30,40-", 10, "nothing"),
            // Malformed: as if it were not there.
            ("bytes=", 10, "whole"),
            ("bytes=,", 10, "whole"),
            ("bytes", 10, "whole"),
            ("bytes=a-b", 10, "whole"),
            ("bytes=1", 10, "whole"),
            ("bytes=-", 10, "whole"),
            ("bytes=5-4", 10, "whole"),
            ("bytes=0-1,x", 10, "whole"),
            ("bytes=+1-2", 10, "whole"),
            ("bytes=0x1-2", 10, "whole"),
            ("bytes=--1", 10, "whole"),
            ("items=0-1", 10, "whole"),
            // Too many, or too often the same.
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7", 10, "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7"),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", 10, "whole"),
            ("bytes=0-,0-", 10, "0-9 0-9"),
            ("bytes=0-,0-,0-", 10, "whole"),
            ("bytes=0-5,3-9,5-6", 10, "whole"),
            ("bytes=0-4,3-7,6-9", 10, "0-4 3-7 6-9"),
            // Nothing can be sent of an empty file.
            ("bytes=0-", 0, "nothing"),
            ("bytes=-5", 0, "whole"),
            ("bytes=-0", 0, "nothing"),
        ] {
            assert_eq!(told(value, size), expected, "{value} of {size}");
        }
    }

    /// What a reader does who takes the bytes in hand, one by one.
    fn naive(specs: &[(Option<u64>, Option<u64>)], size: u64) -> Option<Vec<Vec<u64>>> {
        let all: Vec<u64> = (0..size).collect();
        let parts: Vec<Vec<u64>> = specs
            .iter()
            .map(|spec| match *spec {
                (Some(first), Some(last)) => {
                    all.iter().copied().filter(|at| (first..=last).contains(at)).collect()
                }
                (Some(first), None) => all.iter().copied().filter(|at| *at >= first).collect(),
                (None, Some(count)) => all.iter().copied().filter(|at| at + count >= size).collect(),
                (None, None) => Vec::new(),
            })
            .filter(|part: &Vec<u64>| !part.is_empty())
            .collect();
        let crowded = all.iter().any(|at| parts.iter().filter(|part| part.contains(at)).count() > 2);
        (specs.len() <= 8 && !crowded).then_some(parts)
    }

    proptest! {
        #[test]
        fn the_naive_reader_comes_to_the_same(
            size in 1_u64..40,
            specs in proptest::collection::vec((0_u64..50, 0_u64..50, 0..3), 1..10),
        ) {
            let specs: Vec<(Option<u64>, Option<u64>)> = specs
                .into_iter()
                .map(|(a, b, kind)| match kind {
                    0 => (Some(a.min(b)), Some(a.max(b))),
                    1 => (Some(a), None),
                    _ => (None, Some(b)),
                })
                .collect();
            let text = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
            let members: Vec<String> =
                specs.iter().map(|(first, last)| format!("{}-{}", text(*first), text(*last))).collect();
            let value = format!("bytes={}", members.join(", "));
            let expected = match naive(&specs, size) {
                None => Wanted::Whole,
                Some(parts) if parts.is_empty() => Wanted::Nothing,
                Some(parts) => Wanted::Ranges(
                    parts.iter().map(|part| Range { first: part[0], last: part[part.len() - 1] }).collect(),
                ),
            };
            prop_assert_eq!(wanted(value.as_bytes(), size), expected, "{} of {}", value, size);
        }

        #[test]
        fn no_answer_is_longer_than_twice_the_file(value in "bytes=[-0-9, ]{0,60}", size in 0_u64..1000) {
            if let Wanted::Ranges(ranges) = wanted(value.as_bytes(), size) {
                prop_assert!(ranges.iter().all(|range| range.first <= range.last && range.last < size));
                prop_assert!(ranges.iter().map(|range| range.count()).sum::<u64>() <= 2 * size);
            }
        }
    }
}
