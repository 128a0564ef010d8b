//! The pseudo-fields of a request (RFC 9113 section 8.3.1, RFC 8441 section 4), and what no field may be.

use crate::hpack::FieldBlock;

/// A request whose pseudo-fields are those of one. Nothing of them is empty but the authority.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'b> {
    pub method: &'b [u8],
    /// Empty for a plain CONNECT, as the path is.
    pub scheme: &'b [u8],
    pub path: &'b [u8],
    pub authority: Option<&'b [u8]>,
    /// Of an extended CONNECT.
    pub protocol: Option<&'b [u8]>,
    block: &'b FieldBlock,
    /// How many of the fields are pseudo-fields.
    pseudo: usize,
}

/// The request is malformed (RFC 9113 section 8.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl<'b> Parts<'b> {
    /// From the fields of its head.
    pub fn read(block: &'b FieldBlock) -> Result<Parts<'b>, Malformed> {
        let mut found = [None; 5];
        let mut pseudo = 0;
        for (name, value) in block.iter() {
            if name.first() != Some(&b':') {
                break;
            }
            let place = found.get_mut(place(name).ok_or(Malformed)?).ok_or(Malformed)?;
            if place.replace(value).is_some() {
                return Err(Malformed);
            }
            pseudo += 1;
        }
        if block.iter().skip(pseudo).any(|(name, _)| !is_name(name)) {
            return Err(Malformed);
        }
        let [Some(method), scheme, path, authority, protocol] = found else { return Err(Malformed) };
        let (scheme, path) = match (method, scheme, path, protocol) {
            // It has an authority and neither scheme nor path (RFC 9113 section 8.5).
            (b"CONNECT", None, None, None) if authority.is_some() => (&b""[..], &b""[..]),
            // All of them in the extended one (RFC 8441 section 4).
            (b"CONNECT", Some(scheme), Some(path), Some(_)) if authority.is_some() => (scheme, path),
            (b"CONNECT", ..) | (_, _, _, Some(_)) => return Err(Malformed),
            (_, Some(scheme), Some(path), None) => (scheme, path),
            _ => return Err(Malformed),
        };
        if (path.is_empty() || scheme.is_empty()) && (method != b"CONNECT" || protocol.is_some()) {
            return Err(Malformed);
        }
        Ok(Parts { method, scheme, path, authority, protocol, block, pseudo })
    }

    /// The fields behind them, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
        self.block.iter().skip(self.pseudo)
    }
}

fn place(name: &[u8]) -> Option<usize> {
    match name {
        b":method" => Some(0),
        b":scheme" => Some(1),
        b":path" => Some(2),
        b":authority" => Some(3),
        b":protocol" => Some(4),
        _ => None,
    }
}

/// Not in upper case, and no pseudo-field behind or below the fields; what else a name may be is the same in every
/// version, and looked at there.
#[inline]
fn is_name(name: &[u8]) -> bool {
    name.first() != Some(&b':') && !name.iter().any(u8::is_ascii_uppercase)
}

/// Whether these can be trailers: no pseudo-field among them.
pub fn is_trailers(block: &FieldBlock) -> bool {
    block.iter().all(|(name, _)| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpack::Decoder;

    /// Of fields as `name value`.
    fn block(fields: &[&str]) -> FieldBlock {
        let mut bytes = Vec::new();
        for field in fields {
            let (name, value) = field.split_once(' ').unwrap_or((field, ""));
            bytes.push(0);
            for text in [name, value] {
                bytes.push(text.len() as u8);
                bytes.extend(text.as_bytes());
            }
        }
        let mut block = FieldBlock::new();
        Decoder::new(4096).decode(&bytes, 1 << 16, &mut block).expect("a block");
        block
    }

    const GET: [&str; 3] = [":method GET", ":scheme https", ":path /a"];

    #[test]
    fn parts_are_found_in_any_order() {
        let block = block(&[":path /a", ":authority b:1", ":scheme https", ":method GET", "x y", "z"]);
        let parts = Parts::read(&block).unwrap();
        assert_eq!((parts.method, parts.scheme, parts.path), (&b"GET"[..], &b"https"[..], &b"/a"[..]));
        assert_eq!((parts.authority, parts.protocol), (Some(&b"b:1"[..]), None));
        let fields: Vec<_> = parts.fields().collect();
        assert_eq!(fields, [(&b"x"[..], &b"y"[..]), (b"z", b"")]);
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        let with = |more: &[&'static str]| [&GET[..], more].concat();
        let wrong: [Vec<&str>; 16] = [
            vec![],
            vec!["x y"],
            vec![":scheme https", ":path /"],
            vec![":method GET", ":path /"],
            vec![":method GET", ":scheme https"],
            vec![":method GET", ":scheme https", ":path"],
            vec![":method GET", ":scheme", ":path /"],
            with(&[":path /"]),
            with(&[":status 200"]),
            with(&[":unknown"]),
            with(&["x y", ":authority a"]),
            with(&["X y"]),
            with(&["xY y"]),
            with(&[":protocol websocket", ":authority a"]),
            vec![":method CONNECT"],
            vec![":method CONNECT", ":authority a", ":path /"],
        ];
        for fields in wrong {
            assert_eq!(Parts::read(&block(&fields)).unwrap_err(), Malformed, "{fields:?}");
        }
    }

    #[test]
    fn connect_has_an_authority_and_its_extension_has_all() {
        let of = |fields: &[&str]| Parts::read(&block(fields)).map(|parts| parts.path.to_vec());
        assert_eq!(of(&[":method CONNECT", ":authority a:1"]), Ok(vec![]));
        let extended =
            [":method CONNECT", ":protocol websocket", ":scheme https", ":path /a", ":authority a"];
        assert_eq!(of(&extended), Ok(b"/a".to_vec()));
        for missing in 0..extended.len() {
            let mut rest = extended.to_vec();
            let without = rest.remove(missing);
            assert_eq!(of(&rest), Err(Malformed), "without {without}");
        }
    }

    #[test]
    fn trailers_have_no_pseudo_fields() {
        assert!(is_trailers(&block(&["x y", "grpc-status 0"])));
        assert!(!is_trailers(&block(&["x y", ":path /"])));
        assert!(!is_trailers(&block(&["X y"])));
    }
}
