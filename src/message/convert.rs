//! To and from the types of the HTTP/2 engine. Fields are written as lines by whoever decides which of them go
//! on, for every version alike; here lines become an engine's map, and its map becomes our list.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http1::{Fields, Name};

/// Lines, each `name: value CRLF`, as a map. What cannot stand in one is left out: names and values were
/// checked where they came in.
pub fn header_map(lines: &[u8]) -> HeaderMap {
    let text = Bytes::copy_from_slice(lines);
    let mut map = HeaderMap::with_capacity(16);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\r', lines) {
        if let Some(line) = lines.get(start..end)
            && let Some(colon) = memchr::memchr(b':', line)
            && let Ok(name) = HeaderName::from_bytes(&line[..colon])
        {
            let from = (start + colon + 2).min(end);
            // The values share the one copy of the text.
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(from..end)) {
                // A map of this kind panics when it is over-full, unless asked to try.
                let _ = map.try_append(name, value);
            }
        }
        start = end + 2;
    }
    map
}

/// Appends a map's fields to a list, without those that belong to one connection; a map holds nothing that
/// could not stand in a field.
pub fn append_fields(map: &HeaderMap, fields: &mut Fields) {
    for (name, value) in map {
        let name = name.as_str().as_bytes();
        fields.push(Name::classify(name), name, value.as_bytes());
    }
}

/// The same for trailers: without what would change how a message is read (RFC 9110 section 6.5.1).
pub fn append_trailers(map: &HeaderMap, fields: &mut Fields) {
    for (name, value) in map {
        let name = name.as_str().as_bytes();
        let known = Name::classify(name);
        if !known.is_forbidden_in_trailers() {
            fields.push(known, name, value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_a_map_and_a_map_becomes_lines() {
        let lines = b"Content-Type: text/plain\r\nX-Empty: \r\nset-cookie: a=1\r\nset-cookie: b=\xfc:2\r\n";
        let map = header_map(lines);
        assert_eq!(map["content-type"], "text/plain");
        assert_eq!(map["x-empty"], "");
        assert_eq!(map.get_all("set-cookie").iter().count(), 2);
        let mut fields = Fields::new();
        append_fields(&map, &mut fields);
        let mut out = Vec::new();
        fields.write_lines(&mut out, |_| true);
        assert_eq!(
            out,
            b"content-type: text/plain\r\nx-empty: \r\nset-cookie: a=1\r\nset-cookie: b=\xfc:2\r\n"
        );
        assert!(header_map(b"").is_empty());
    }
}
