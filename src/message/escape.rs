//! Values that a client may have chosen, in a text of the operator: whatever they are, they stay values.

use crate::observe::json;

/// How a value is made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// HTML, XML, and whatever a browser may take for one of them.
    Markup,
    Json,
    /// JavaScript: a value is meant to stand in quotes.
    Script,
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
        } else if SCRIPTS.contains(&media.as_str()) {
            Escape::Script
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
        if self == Escape::Script {
            let is_plain = |c: &char| c.is_alphanumeric() || " -._~:/?@,+*".contains(*c);
            for character in text.chars() {
                if is_plain(&character) {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                } else {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    }
                }
            }
            return;
        }
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

/// Those that browsers run, without the old names that nobody sends.
const SCRIPTS: [&str; 4] =
    ["text/javascript", "application/javascript", "application/x-javascript", "application/ecmascript"];

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
            (
                "text/javascript; charset=utf-8",
                "\\u003cb a\\u003d\\u0022\\u0027\\u0022\\u003e\\u0026\\u000a\\u005c\\u0000\\ufffd",
            ),
            ("text/plain", "<b a=\"'\">&\\\u{fffd}"),
        ] {
            assert_eq!(written(content_type, hostile), expected, "{content_type}");
        }
    }
}
