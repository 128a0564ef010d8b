//! Which media types are worth compressing.

use crate::message::MediaRange;

/// As the list was written; an empty list covers nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types(pub Vec<MediaRange>);

impl Types {
    /// Whether a `Content-Type` is one of them.
    pub fn cover(&self, content_type: &[u8]) -> bool {
        self.0.iter().any(|range| range.covers(content_type))
    }
}

impl Default for Types {
    fn default() -> Types {
        Types(USUAL.iter().filter_map(|text| MediaRange::parse(text)).collect())
    }
}

/// Text in any form, and what is not compressed by itself. Images but SVG and icons, video, archives and WOFF fonts
/// are: to compress them again costs time and gains nothing.
const USUAL: &[&str] = &[
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "text/xml",
    "text/csv",
    "text/markdown",
    "text/calendar",
    "text/vtt",
    "text/event-stream",
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/graphql",
    "application/yaml",
    "application/toml",
    "application/rtf",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "application/x-font-ttf",
    "application/x-font-opentype",
    "font/ttf",
    "font/otf",
    "font/collection",
    "image/svg+xml",
    "image/x-icon",
    "image/vnd.microsoft.icon",
    "image/bmp",
    "application/*+json",
    "application/*+xml",
    "application/*+yaml",
    "model/*+json",
    "model/*+xml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compressed_and_what_is_compressed_is_not() {
        let usual = Types::default();
        assert_eq!(usual.0.len(), USUAL.len(), "an entry that cannot be read");
        for (content_type, wanted) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("text/html;charset=utf-8", true),
            ("application/json ; a=b", true),
            ("application/problem+json", true),
            ("application/ld+JSON", true),
            ("image/svg+xml", true),
            ("application/rss+xml", true),
            ("model/gltf+json", true),
            ("text/event-stream", true),
            ("application/wasm", true),
            ("font/ttf", true),
            ("font/woff2", false),
            ("image/png", false),
            ("image/jpeg", false),
            ("video/mp4", false),
            ("application/zip", false),
            ("application/gzip", false),
            ("application/pdf", false),
            ("application/octet-stream", false),
            ("application/grpc", false),
            ("multipart/byteranges; boundary=x", false),
            ("text/htm", false),
            ("text/htmlx", false),
            ("+json", false),
            ("", false),
            (";", false),
        ] {
            assert_eq!(usual.cover(content_type.as_bytes()), wanted, "{content_type}");
        }
    }
}
