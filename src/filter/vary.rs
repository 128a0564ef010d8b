//! `Vary`: by which fields of a request its answer differs (RFC 9110 section 12.5.5).

use http1::{Fields, Name};

use crate::message::push_checked;

/// Says that answers differ by the field `name`, unless that is said already.
pub fn add_vary(fields: &mut Fields, name: &str) {
    let says_it = |said: &[u8]| said == b"*" || said.eq_ignore_ascii_case(name.as_bytes());
    let is_said = fields
        .all_named(b"vary")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|said| says_it(said.trim_ascii()));
    if !is_said {
        push_checked(fields, Name::Own, b"Vary", name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_said_once() {
        for (before, added) in [
            (&[][..], true),
            (&["Accept"][..], true),
            (&["Accept, origin"][..], false),
            (&["Accept", " ORIGIN "][..], false),
            (&["*"][..], false),
            (&["Original"][..], true),
        ] {
            let mut fields = Fields::new();
            for value in before {
                fields.push(Name::Other, b"Vary", value.as_bytes());
            }
            add_vary(&mut fields, "Origin");
            assert_eq!(fields.len() > before.len(), added, "{before:?}");
        }
    }
}
