//! JSON strings from bytes of any kind: what a client sends must not break a log line.

/// Longer values are cut, and end in an ellipsis.
const MAX_VALUE: usize = 4096;

/// `,"name":"value"`, made ahead for what is the same in many lines.
pub fn member(name: &str, value: &str) -> Vec<u8> {
    let mut out = format!(",\"{name}\":").into_bytes();
    string(&mut out, value.as_bytes());
    out
}

/// Appends `"value"`. Bytes that are not UTF-8 become U+FFFD, control bytes are escaped.
pub fn string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    let shown = &value[..value.len().min(MAX_VALUE)];
    // Nearly all values are plain: then this is one look and one copy.
    if shown.iter().all(|byte| PLAIN[*byte as usize]) {
        out.extend_from_slice(shown);
    } else {
        escaped(out, shown);
    }
    if shown.len() < value.len() {
        out.extend_from_slice("…".as_bytes());
    }
    out.push(b'"');
}

/// Stands in a JSON string, and in a terminal, for itself.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        table[byte as usize] = byte != b'"' && byte != b'\\';
        byte += 1;
    }
    table
};

fn escaped(out: &mut Vec<u8>, value: &[u8]) {
    for piece in value.utf8_chunks() {
        for character in piece.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // C0, DEL and C1: some terminals take the latter for escape sequences.
                character if character.is_control() => {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
                }
                character => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !piece.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    fn string(value: &[u8]) -> String {
        let mut out = Vec::new();
        super::string(&mut out, value);
        String::from_utf8(out).expect("always UTF-8")
    }

    #[test]
    fn nothing_breaks_out_of_a_string() {
        assert_eq!(string(b"plain /path?x=1"), r#""plain /path?x=1""#);
        assert_eq!(string(b"\x1b[2J\"\\\r\n"), r#""\u001b[2J\"\\\r\n""#);
        assert_eq!(string("ä\u{85}".as_bytes()), "\"ä\\u0085\"");
        assert_eq!(string(b"a\xffb"), "\"a\u{fffd}b\"");
        let long = string(&[b'a'; 5000]);
        assert!(long.len() < 4200 && long.ends_with("…\""));
    }
}
