//! `Vary`: by which fields of a request its answer differs (RFC 9110 section 12.5.5).

use http1::name::same_name;
use http1::{Fields, Name};

use crate::message::push_checked;

/// Says that answers differ by the field `name`, unless that is said already: in one line with all else that they
/// differ by, since some caches look at the first line alone.
pub fn add_vary(fields: &mut Fields, name: &str) {
    let members = || {
        let lines = fields.all_named(b"vary");
        lines.flat_map(|line| line.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    };
    if members().any(|said| said == b"*" || said.eq_ignore_ascii_case(name.as_bytes())) {
        return;
    }
    let said: Vec<&[u8]> = members().filter(|said| !said.is_empty()).chain([name.as_bytes()]).collect();
    let line = said.join(&b", "[..]);
    fields.retain(|field| !same_name(field.name, b"vary"));
    push_checked(fields, Name::Own, b"Vary", &line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_once_and_in_one_line() {
        for (before, after) in [
            (&[][..], "Origin"),
            (&["Accept"], "Accept, Origin"),
            (&["Accept,Cookie", "Referer"], "Accept, Cookie, Referer, Origin"),
            (&["Accept, origin"], "Accept, origin"),
            (&["ORIGIN,Accept"], "ORIGIN,Accept"),
            (&["*"], "*"),
            (&[""], "Origin"),
            (&["Original"], "Original, Origin"),
        ] {
            let mut fields = Fields::new();
            for value in before {
                fields.push(Name::Other, b"Vary", value.as_bytes());
            }
            add_vary(&mut fields, "Origin");
            add_vary(&mut fields, "Origin");
            let lines: Vec<_> = fields.iter().map(|field| String::from_utf8_lossy(field.value)).collect();
            assert_eq!(lines, [after], "{before:?}");
        }
    }
}
