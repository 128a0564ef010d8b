//! Values that a client may have chosen, in a text of the operator: whatever they are, they stay values.

use crate::observe::json;

/// How a value is made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// HTML, XML, and whatever a browser may take for one of them.
    Markup,
    Json,
    Plain,
}

impl Escape {
    /// By the type of the text that the value stands in.
    pub fn of(content_type: &str) -> Escape {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media == "text/plain" {
            Escape::Plain
        } else if media.ends_with("/json") || media.ends_with("+json") {
            Escape::Json
        } else {
            Escape::Markup
        }
    }

    /// Appends the value.
    pub fn write(self, value: &[u8], out: &mut Vec<u8>) {
        if self == Escape::Json {
            let mut quoted = Vec::new();
            json::string(&mut quoted, value);
            out.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default());
            return;
        }
        let text = String::from_utf8_lossy(value);
        for character in text.chars().filter(|character| !character.is_control()) {
            match character {
                '<' if self == Escape::Markup => out.extend_from_slice(b"&lt;"),
                '>' if self == Escape::Markup => out.extend_from_slice(b"&gt;"),
                '&' if self == Escape::Markup => out.extend_from_slice(b"&amp;"),
                '"' if self == Escape::Markup => out.extend_from_slice(b"&quot;"),
                '\'' if self == Escape::Markup => out.extend_from_slice(b"&#39;"),
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_made_safe_for_where_they_stand() {
        let written = |content_type: &str, value: &[u8]| {
            let mut out = Vec::new();
            Escape::of(content_type).write(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        let hostile = b"<b a=\"'\">&\n\\\x00\xff";
        for (content_type, expected) in [
            ("text/html; charset=utf-8", "&lt;b a=&quot;&#39;&quot;&gt;&amp;\\\u{fffd}"),
            ("image/svg+xml", "&lt;b a=&quot;&#39;&quot;&gt;&amp;\\\u{fffd}"),
            ("Application/Problem+JSON", "<b a=\\\"'\\\">&\\n\\\\\\u0000\u{fffd}"),
            ("text/plain", "<b a=\"'\">&\\\u{fffd}"),
        ] {
            assert_eq!(written(content_type, hostile), expected, "{content_type}");
        }
    }
}
