//! What makes two contents the same: SHA-256 over parts, each with its length in front, so that no two lists
//! of parts run together to the same bytes.

use aws_lc_rs::digest::{Context, SHA256};

pub(super) type Digest = [u8; 32];

pub(super) fn digest<'p>(purpose: &str, parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    let mut add = |part: &[u8]| {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    };
    add(purpose.as_bytes());
    parts.into_iter().for_each(add);
    let mut out = Digest::default();
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let of = |parts: &[&[u8]]| digest("test", parts.iter().copied());
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
        assert_ne!(digest("test", [b"a".as_slice()]), digest("other", [b"a".as_slice()]));
    }
}
