//! Whether a request is to be answered at all, and with all of the file: preconditions in the order of RFC 9110
//! section 13.2.2.

use std::time::{Duration, UNIX_EPOCH};

use http1::{Fields, Method, Name};

/// What a client's conditions are held against.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'v> {
    /// Strong, with its quotes.
    pub etag: &'v [u8],
    /// Seconds since 1970; `None` when it cannot be told to clients.
    pub modified: Option<u64>,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 200 or 206, with the ranges that were asked for.
    Ranges,
    /// 200, whatever the ranges.
    Whole,
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// The conditional fields of one request, found in one walk.
#[derive(Debug, Default, Clone, Copy)]
pub struct Conditions<'f> {
    if_match: List<'f>,
    if_none_match: List<'f>,
    if_unmodified_since: Option<&'f [u8]>,
    if_modified_since: Option<&'f [u8]>,
    if_range: Option<&'f [u8]>,
    range: Option<&'f [u8]>,
    /// There were several, of a field that can be there once: none holds.
    several_ranges: bool,
}

/// All lines of one field.
#[derive(Debug, Default, Clone, Copy)]
struct List<'f> {
    first: Option<&'f [u8]>,
    /// There are more: they are looked for again.
    more: bool,
}

impl<'f> Conditions<'f> {
    pub fn of(fields: &'f Fields) -> Conditions<'f> {
        let mut found = Conditions::default();
        for field in fields.iter().filter(|field| field.known == Name::Other) {
            // Few fields are as long as one of these.
            let is = |name: &[u8]| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                5 if is(b"range") => {
                    found.several_ranges = found.range.is_some();
                    found.range = Some(field.value);
                }
                8 if is(b"if-match") => found.if_match.add(field.value),
                8 if is(b"if-range") => found.if_range = Some(field.value),
                13 if is(b"if-none-match") => found.if_none_match.add(field.value),
                17 if is(b"if-modified-since") => found.if_modified_since = Some(field.value),
                19 if is(b"if-unmodified-since") => found.if_unmodified_since = Some(field.value),
                _ => {}
            }
        }
        found
    }

    /// The field that says which bytes are wanted, when the verdict lets it.
    pub fn range(&self) -> Option<&'f [u8]> {
        self.range.filter(|_| !self.several_ranges)
    }

    /// For a GET or HEAD of a file that is there. `now` is in seconds since 1970, and rarely asked for.
    pub fn judge(
        &self,
        fields: &Fields,
        method: Method,
        file: Validators<'_>,
        now: impl FnOnce() -> u64,
    ) -> Verdict {
        if let Some(first) = self.if_match.first {
            if !self.if_match.any(first, fields, b"if-match", |tag| tag == file.etag) {
                return Verdict::Failed;
            }
        } else if let Some(date) = self.if_unmodified_since.and_then(seconds)
            && file.modified.is_none_or(|modified| modified > date)
        {
            return Verdict::Failed;
        }
        if let Some(first) = self.if_none_match.first {
            let same = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == file.etag;
            if self.if_none_match.any(first, fields, b"if-none-match", same) {
                return Verdict::NotModified;
            }
        } else if let Some(date) = self.if_modified_since.and_then(seconds)
            && file.modified.is_some_and(|modified| modified <= date)
        {
            return Verdict::NotModified;
        }
        // Ranges are for GET alone (RFC 9110 section 14.2).
        match self.if_range {
            _ if method != Method::Get || self.range().is_none() => Verdict::Whole,
            Some(wanted) if !file.is_named_by(wanted, now) => Verdict::Whole,
            _ => Verdict::Ranges,
        }
    }
}

impl Validators<'_> {
    /// `If-Range` (RFC 9110 section 13.1.5): the strong tag, or the very date of a file that was old enough to have
    /// changed only once in that second.
    fn is_named_by(&self, wanted: &[u8], now: impl FnOnce() -> u64) -> bool {
        if wanted.starts_with(b"\"") || wanted.starts_with(b"W/") {
            return wanted == self.etag;
        }
        match (seconds(wanted), self.modified) {
            (Some(date), Some(modified)) => date == modified && modified < now(),
            _ => false,
        }
    }
}

impl<'f> List<'f> {
    fn add(&mut self, value: &'f [u8]) {
        self.more = self.first.is_some();
        self.first = self.first.or(Some(value));
    }

    /// Whether the list has a tag that fits, or is `*`.
    fn any(&self, first: &[u8], fields: &Fields, name: &[u8], fits: impl Fn(&[u8]) -> bool) -> bool {
        if !self.more {
            return any_tag(first, &fits);
        }
        fields.all_named(name).any(|value| any_tag(value, &fits))
    }
}

/// A comma may stand in a tag (RFC 9110 section 8.8.3): the list is cut behind closing quotes.
fn any_tag(list: &[u8], fits: &impl Fn(&[u8]) -> bool) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = behind;
            continue;
        }
        let quotes = if rest.starts_with(b"W/") { 2 } else { 0 };
        if rest.get(quotes) != Some(&b'"') {
            return false;
        }
        let Some(end) = memchr::memchr(b'"', &rest[quotes + 1..]) else { return false };
        let (tag, behind) = rest.split_at(quotes + end + 2);
        if fits(tag) {
            return true;
        }
        rest = behind;
    }
}

/// A date in seconds since 1970; `None` when it is none, which is as if it were not there.
fn seconds(date: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(date).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).as_ref().map(Duration::as_secs).ok()
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Failed, NotModified, Ranges, Whole};
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const MODIFIED: u64 = 784_111_777;
    const FILE: Validators<'_> = Validators { etag: b"\"a,b\"", modified: Some(MODIFIED) };

    fn judged(lines: &[(&str, &str)], method: Method, file: Validators<'_>, now: u64) -> Verdict {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(Name::classify(name.as_bytes()), name.as_bytes(), value.as_bytes());
        }
        Conditions::of(&fields).judge(&fields, method, file, || now)
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        let cases: &[(&[(&str, &str)], Verdict)] = &[
            (&[], Whole),
            // If-Match: the strong comparison.
            (&[("If-Match", "\"a,b\"")], Whole),
            (&[("If-Match", "*")], Whole),
            (&[("If-Match", "\"x\", \"a,b\"")], Whole),
            (&[("if-match", "\"x\"")], Failed),
            (&[("If-Match", "W/\"a,b\"")], Failed),
            (&[("If-Match", "\"a")], Failed),
            (&[("If-Match", "")], Failed),
            (&[("If-Match", "a,b")], Failed),
            (&[("If-Match", "\"x\""), ("If-Match", "\"a,b\"")], Whole),
            (&[("If-Match", "\"x\""), ("If-Match", "\"y\"")], Failed),
            // It stands in the place of If-Unmodified-Since.
            (&[("If-Match", "\"a,b\""), ("If-Unmodified-Since", BEFORE)], Whole),
            (&[("If-Unmodified-Since", BEFORE)], Failed),
            (&[("If-Unmodified-Since", SAME)], Whole),
            (&[("If-Unmodified-Since", AFTER)], Whole),
            (&[("If-Unmodified-Since", "yesterday")], Whole),
            // If-None-Match: the weak comparison.
            (&[("If-None-Match", "\"a,b\"")], NotModified),
            (&[("If-None-Match", "W/\"a,b\"")], NotModified),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"x\",W/\"y\" ,\"a,b\"")], NotModified),
            (&[("If-None-Match", ",, \"a,b\",")], NotModified),
            (&[("If-None-Match", "\"x\"")], Whole),
            (&[("If-None-Match", "x, \"a,b\"")], Whole),
            (&[("If-None-Match", "\"x\""), ("If-None-Match", "\"a,b\"")], NotModified),
            // It stands in the place of If-Modified-Since.
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], Whole),
            (&[("If-Modified-Since", BEFORE)], Whole),
            (&[("If-Modified-Since", SAME)], NotModified),
            (&[("If-Modified-Since", AFTER)], NotModified),
            (&[("If-Modified-Since", "0")], Whole),
            (&[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified),
            (&[("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], NotModified),
            // What failed first is told.
            (&[("If-Match", "\"x\""), ("If-None-Match", "\"a,b\"")], Failed),
            (&[("If-Match", "\"a,b\""), ("If-None-Match", "\"a,b\"")], NotModified),
            (&[("If-Unmodified-Since", BEFORE), ("If-Modified-Since", AFTER)], Failed),
            // Ranges come last.
            (&[("Range", "bytes=0-1")], Ranges),
            (&[("Range", "bytes=0-1"), ("If-Range", "\"a,b\"")], Ranges),
            (&[("Range", "bytes=0-1"), ("If-Range", "\"x\"")], Whole),
            (&[("Range", "bytes=0-1"), ("If-Range", "W/\"a,b\"")], Whole),
            (&[("Range", "bytes=0-1"), ("If-Range", SAME)], Ranges),
            (&[("Range", "bytes=0-1"), ("If-Range", AFTER)], Whole),
            (&[("Range", "bytes=0-1"), ("If-Range", BEFORE)], Whole),
            (&[("Range", "bytes=0-1"), ("If-Range", "soon")], Whole),
            (&[("If-Range", "\"x\"")], Whole),
            (&[("Range", "bytes=0-1"), ("Range", "bytes=2-3")], Whole),
            (&[("Range", "bytes=0-1"), ("If-None-Match", "\"a,b\"")], NotModified),
            (&[("Range", "bytes=0-1"), ("If-Match", "\"x\"")], Failed),
        ];
        for (lines, verdict) in cases {
            assert_eq!(judged(lines, Method::Get, FILE, MODIFIED + 100), *verdict, "{lines:?}");
            let of_head = if *verdict == Ranges { Whole } else { *verdict };
            assert_eq!(judged(lines, Method::Head, FILE, MODIFIED + 100), of_head, "HEAD {lines:?}");
        }
    }

    #[test]
    fn a_date_of_this_second_is_no_strong_validator() {
        let lines = [("Range", "bytes=0-1"), ("If-Range", SAME)];
        assert_eq!(judged(&lines, Method::Get, FILE, MODIFIED), Whole);
        assert_eq!(judged(&lines, Method::Get, FILE, MODIFIED + 1), Ranges);
    }

    #[test]
    fn a_file_without_a_date_is_always_modified() {
        let file = Validators { modified: None, ..FILE };
        assert_eq!(judged(&[("If-Modified-Since", AFTER)], Method::Get, file, MODIFIED), Whole);
        assert_eq!(judged(&[("If-Unmodified-Since", AFTER)], Method::Get, file, MODIFIED), Failed);
    }
}
