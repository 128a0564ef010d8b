//! Requests that go round in circles: each proxy adds itself to `CDN-Loop` (RFC 8586) and refuses what
//! it has seen before. `Via` would do too, but some origins compress nothing for requests that have it.

use std::sync::OnceLock;

use http1::{Fields, Name};

use crate::message::RequestId;

/// More proxies than this between client and origin are a circle whose members forget themselves.
const MAX_HOPS: usize = 20;

/// This process among all of its kind, as the end of a field.
fn own() -> &'static [u8] {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| format!("palisade;id={}\r\n", &RequestId::make().as_str()[..16])).as_bytes()
}

/// True when the request was here before, or passed too many proxies.
pub fn is_loop(fields: &Fields) -> bool {
    if !fields.contains(Name::CdnLoop) {
        return false;
    }
    let mut hops = 0;
    for hop in fields.all(Name::CdnLoop).flat_map(|value| value.split(|byte| *byte == b',')) {
        hops += 1;
        if hop.trim_ascii() == own().trim_ascii_end() || hops > MAX_HOPS {
            return true;
        }
    }
    false
}

/// Writes the field with this process at its end.
pub fn write_field(out: &mut Vec<u8>, fields: &Fields) {
    out.extend_from_slice(b"CDN-Loop: ");
    if fields.contains(Name::CdnLoop) {
        for earlier in fields.all(Name::CdnLoop) {
            out.extend_from_slice(earlier);
            out.extend_from_slice(b", ");
        }
    }
    out.extend_from_slice(own());
}
