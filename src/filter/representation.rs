//! What an answer says of its own bytes, when these are no longer the ones that the origin made its validators and
//! digests from.

use http1::name::same_name;
use http1::{Fields, Name};

/// The one coding of an answer.
pub fn content_coding(fields: &Fields) -> Coded<'_> {
    let mut coded = Coded::Plain;
    for value in fields.all(Name::ContentEncoding) {
        for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if token.is_empty() || token.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            match coded {
                Coded::Plain => coded = Coded::Once(token),
                Coded::Once(_) | Coded::Nested => return Coded::Nested,
            }
        }
    }
    coded
}

/// How often something is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coded<'f> {
    /// Not at all; `identity` is nothing.
    Plain,
    Once(&'f [u8]),
    /// One coding around another.
    Nested,
}

/// Whether the answer may be a part of something.
pub fn is_part(status: u16, fields: &Fields) -> bool {
    status == 206 || fields.all_named(b"content-range").next().is_some()
}

/// Fields of other bytes: the validator becomes a weak one (RFC 9110 section 8.8.1), ranges are no longer to be had,
/// and digests of what nobody gets are taken off.
pub fn changed(fields: &mut Fields) {
    fields.retain(|field| !same_name(field.name, b"accept-ranges") && !is_digest(field.name));
    weaken(fields);
}

/// Makes a strong `ETag` a weak one.
pub fn weaken(fields: &mut Fields) {
    let Some(tag) = fields.all_named(b"etag").next() else { return };
    if !tag.starts_with(b"\"") {
        // Weak already, or no entity tag.
        return;
    }
    let weak = [b"W/", tag].concat();
    fields.retain(|field| !same_name(field.name, b"etag"));
    fields.push(Name::Other, b"ETag", &weak);
}

/// Digests in the trailers are of the bytes before too.
pub fn without_digests(trailers: Option<Fields>) -> Option<Fields> {
    let mut trailers = trailers?;
    trailers.retain(|field| !is_digest(field.name));
    (!trailers.is_empty()).then_some(trailers)
}

/// RFC 9530, and what came before it.
fn is_digest(name: &[u8]) -> bool {
    [&b"content-md5"[..], b"digest", b"content-digest", b"repr-digest"]
        .iter()
        .any(|known| same_name(name, known))
}

/// Takes from a request what would make its answer a part, or a coded one, of which nothing can be changed.
pub fn ask_for_all(request: &mut Fields) {
    request.remove(Name::AcceptEncoding);
    request.retain(|field| !same_name(field.name, b"range") && !same_name(field.name, b"if-range"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(Name::classify(name.as_bytes()), name.as_bytes(), value.as_bytes());
        }
        fields
    }

    fn told(fields: &Fields) -> String {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let lines = fields.iter().map(|field| format!("{}: {}", text(field.name), text(field.value)));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn codings_are_counted() {
        for (lines, wanted) in [
            (&[][..], Coded::Plain),
            (&["identity"], Coded::Plain),
            (&["gzip"], Coded::Once(b"gzip")),
            (&["identity, br"], Coded::Once(b"br")),
            (&["gzip", "br"], Coded::Nested),
        ] {
            let lines: Vec<_> = lines.iter().map(|value| ("Content-Encoding", *value)).collect();
            assert_eq!(content_coding(&fields(&lines)), wanted, "{lines:?}");
        }
    }

    #[test]
    fn other_bytes_have_another_validator_and_no_digest() {
        let mut some = fields(&[
            ("ETag", "\"a\""),
            ("accept-ranges", "bytes"),
            ("Content-MD5", "x"),
            ("Repr-Digest", "x"),
            ("Want-Repr-Digest", "x"),
        ]);
        changed(&mut some);
        assert_eq!(told(&some), "Want-Repr-Digest: x\nETag: W/\"a\"");
        for odd in ["W/\"a\"", "a"] {
            let mut one = fields(&[("ETag", odd)]);
            weaken(&mut one);
            assert_eq!(told(&one), format!("ETag: {odd}"));
        }
        assert!(without_digests(Some(fields(&[("repr-digest", "x")]))).is_none());
    }

    #[test]
    fn a_request_for_all_of_it() {
        let mut some = fields(&[
            ("Accept-Encoding", "gzip"),
            ("Range", "bytes=0-1"),
            ("IF-RANGE", "\"a\""),
            ("Accept", "text/html"),
        ]);
        ask_for_all(&mut some);
        assert_eq!(told(&some), "Accept: text/html");
    }
}
