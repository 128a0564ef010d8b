//! What an answer says of its own bytes, when a coding is put on them or taken off: they are no longer the ones that
//! the origin made its validators and digests from.

use http1::name::same_name;
use http1::{Fields, Name};

use crate::message::grpc::Framing;

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

/// Whether the answer may be a part of something, which has a meaning only in the coding it was cut from.
pub fn is_part(status: u16, fields: &Fields) -> bool {
    status == 206 || fields.all_named(b"content-range").next().is_some()
}

/// Whether nobody on the way may change the bytes (RFC 9111 sections 5.2.1.6 and 5.2.2.6).
pub fn forbids_transform(fields: &Fields) -> bool {
    let directives = fields.all(Name::CacheControl).flat_map(|value| value.split(|&byte| byte == b','));
    directives.map(<[u8]>::trim_ascii).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

/// Whether it answers a call of gRPC, or of gRPC-Web: its messages have a compression of their own.
pub fn is_of_call(fields: &Fields) -> bool {
    fields.get(Name::ContentType).and_then(Framing::of_type).is_some()
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

/// What a client knows already, by its `If-None-Match`.
#[derive(Debug, Default)]
pub struct Known(Option<Box<[u8]>>);

impl Known {
    pub fn of(request: &Fields) -> Known {
        let lines: Vec<&[u8]> = request.all_named(b"if-none-match").collect();
        Known((!lines.is_empty()).then(|| lines.join(&b", "[..]).into()))
    }

    /// In a 304: the strong tag that the origin gives becomes the weak one that the client has, so that its cache
    /// finds the entry that is still good (RFC 9111 section 4.3.4).
    pub fn name_again(&self, fields: &mut Fields) {
        let (Some(known), Some(tag)) = (&self.0, fields.all_named(b"etag").next()) else { return };
        let weak = [b"W/", tag].concat();
        let mut places = memchr::memmem::find_iter(known, tag);
        let only_weak =
            places.all(|at| at.checked_sub(2).and_then(|start| known.get(start..at)) == Some(b"W/"));
        if only_weak && memchr::memmem::find(known, &weak).is_some() {
            weaken(fields);
        }
    }
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
            (&[" , Identity,"], Coded::Plain),
            (&["gzip"], Coded::Once(b"gzip")),
            (&["identity, br"], Coded::Once(b"br")),
            (&["gzip, gzip"], Coded::Nested),
            (&["gzip", "br"], Coded::Nested),
            (&["aws-chunked"], Coded::Once(b"aws-chunked")),
        ] {
            let lines: Vec<_> = lines.iter().map(|value| ("Content-Encoding", *value)).collect();
            assert_eq!(content_coding(&fields(&lines)), wanted, "{lines:?}");
        }
    }

    #[test]
    fn other_bytes_have_another_validator_and_no_digest() {
        let mut fields = fields(&[
            ("ETag", "\"a\""),
            ("accept-ranges", "bytes"),
            ("Content-MD5", "x"),
            ("Digest", "x"),
            ("Repr-Digest", "x"),
            ("Content-Digest", "x"),
            ("Want-Repr-Digest", "x"),
            ("X-Digest", "x"),
        ]);
        changed(&mut fields);
        assert_eq!(told(&fields), "Want-Repr-Digest: x\nX-Digest: x\nETag: W/\"a\"");
        for odd in ["W/\"a\"", "a"] {
            let mut one = super::tests::fields(&[("ETag", odd)]);
            weaken(&mut one);
            assert_eq!(told(&one), format!("ETag: {odd}"));
        }
        assert!(without_digests(Some(super::tests::fields(&[("repr-digest", "x")]))).is_none());
        assert_eq!(
            without_digests(Some(super::tests::fields(&[("x", "y"), ("digest", "x")]))).unwrap().len(),
            1
        );
    }

    #[test]
    fn a_304_names_the_tag_that_the_client_has() {
        for (known, wanted) in [
            ("W/\"a\"", "W/\"a\""),
            ("\"b\", W/\"a\"", "W/\"a\""),
            ("\"a\"", "\"a\""),
            ("W/\"a\", \"a\"", "\"a\""),
            ("W/\"b\"", "\"a\""),
            ("*", "\"a\""),
        ] {
            let known = Known::of(&fields(&[("If-None-Match", known)]));
            let mut answer = fields(&[("ETag", "\"a\"")]);
            known.name_again(&mut answer);
            assert_eq!(told(&answer), format!("ETag: {wanted}"), "{known:?}");
        }
    }

    #[test]
    fn who_forbids_it() {
        for (value, wanted) in [
            ("no-transform", true),
            ("public, No-Transform", true),
            ("max-age=1", false),
            ("no-transforms", false),
        ] {
            assert_eq!(forbids_transform(&fields(&[("Cache-Control", value)])), wanted, "{value}");
        }
    }
}
