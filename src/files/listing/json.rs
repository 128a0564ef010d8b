//! A listing as JSON.

use super::{Listing, date};
use crate::files::path::{Below, push_segment};
use crate::observe::json;

/// `{"path":"/a/","entries":[{"name":"b","type":"file","size":1,"modified":"2024-11-26T06:09:00Z","href":"b"}],
/// "truncated":false}`; `href` is relative to the folder, also for names that are no text.
pub fn text(listing: &Listing, name: &Below) -> Vec<u8> {
    let mut out = b"{\"path\":".to_vec();
    let slash = if name.as_bytes().is_empty() { "" } else { "/" };
    json::string(&mut out, format!("/{}{slash}", String::from_utf8_lossy(name.as_bytes())).as_bytes());
    out.extend_from_slice(b",\"entries\":[");
    for (place, entry) in listing.entries.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        json::string(&mut out, &entry.name);
        let rest = if entry.is_folder {
            ",\"type\":\"folder\"".to_owned()
        } else {
            format!(",\"type\":\"file\",\"size\":{}", entry.size)
        };
        out.extend_from_slice(rest.as_bytes());
        let mut href = String::new();
        push_segment(&entry.name, &mut href);
        let slash = if entry.is_folder { "/" } else { "" };
        let modified = date(entry.modified).replace(' ', "T");
        out.extend_from_slice(
            format!(",\"modified\":\"{modified}Z\",\"href\":\"{href}{slash}\"}}").as_bytes(),
        );
    }
    out.extend_from_slice(format!("],\"truncated\":{}}}\n", listing.is_cut).as_bytes());
    out
}
