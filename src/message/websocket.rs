//! The handshake of WebSocket (RFC 6455 section 4), for where a version that has one meets one that has none
//! (RFC 8441 section 5.1).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use data_encoding::BASE64;

use super::RequestId;

pub const KEY: &[u8] = b"sec-websocket-key";
pub const ACCEPT: &[u8] = b"sec-websocket-accept";

/// The key that the proxy makes for a request which has none. It keeps nothing secret: it shows that the other
/// end understood.
pub fn key_for(id: &RequestId) -> String {
    let hash = digest(&SHA256, id.as_bytes());
    BASE64.encode(hash.as_ref().get(..16).unwrap_or_default())
}

/// What the other end must answer to a key.
pub fn accept_for(key: &[u8]) -> String {
    const MARK: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, MARK].concat()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes_and_belongs_to_its_request() {
        let (one, other) = (RequestId::make(), RequestId::make());
        assert_eq!(BASE64.decode(key_for(&one).as_bytes()).unwrap().len(), 16);
        assert_eq!(key_for(&one), key_for(&one));
        assert_ne!(key_for(&one), key_for(&other));
    }
}
