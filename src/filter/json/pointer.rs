//! Places in a JSON text by RFC 6901, and `*` for each element of an array.

use crate::message::json::Json;

/// `/user/name`, `/items/*/id`; the empty one is the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(pub Vec<String>);

impl Pointer {
    /// `None` for what is no pointer.
    pub fn parse(text: &str) -> Option<Pointer> {
        let Some(steps) = text.strip_prefix('/') else { return text.is_empty().then(Pointer::default) };
        steps.split('/').map(unescaped).collect::<Option<_>>().map(Pointer)
    }

    /// Cut behind the last `*`: what comes before is where something happens, to what the rest names.
    pub fn split(&self) -> (&[String], &[String]) {
        let at = self.0.iter().rposition(|step| step == EACH).map_or(0, |at| at + 1);
        self.0.split_at(at)
    }
}

/// Of an object it is the member with this name.
pub const EACH: &str = "*";

fn unescaped(step: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = step;
    while let Some((before, after)) = rest.split_once('~') {
        out.push_str(before);
        out.push(match after.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        rest = &after[1..];
    }
    out.push_str(rest);
    Some(out)
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// The element that a step names in an array: no zero in front of a number.
pub fn index(step: &str) -> Option<usize> {
    let is_plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    step.parse().ok().filter(|_| is_plain)
}

/// One step down.
pub fn child<'j, 't>(json: &'j mut Json<'t>, step: &str) -> Option<&'j mut Json<'t>> {
    match json {
        Json::Object(members) => {
            members.iter_mut().find(|member| member.name == step).map(|member| &mut member.value)
        }
        Json::Array(items) => items.get_mut(index(step)?),
        Json::Scalar(_) => None,
    }
}

/// Calls `act` with everything that the steps lead to.
pub fn each<'t, E>(
    json: &mut Json<'t>,
    steps: &[String],
    act: &mut impl FnMut(&mut Json<'t>) -> Result<(), E>,
) -> Result<(), E> {
    match (steps, json) {
        ([], json) => act(json),
        ([step, rest @ ..], Json::Array(items)) if step == EACH => {
            items.iter_mut().try_for_each(|item| each(item, rest, act))
        }
        ([step, rest @ ..], json) => match child(json, step) {
            Some(json) => each(json, rest, act),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read() {
        for (text, steps) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/a/b", &["a", "b"]),
            ("/a~1b/m~0n/~01", &["a/b", "m~n", "~1"]),
            ("/items/*/id", &["items", "*", "id"]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.0, steps, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
        for text in ["a", "/a~", "/a~2", "#/a"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
        let pointer = Pointer::parse("/a/*/b/*/c").unwrap();
        assert_eq!((pointer.split().0.len(), pointer.split().1.len()), (4, 1));
    }

    #[test]
    fn elements_are_numbered_in_one_way() {
        for (step, expected) in
            [("0", Some(0)), ("12", Some(12)), ("01", None), ("-", None), ("+1", None), ("", None)]
        {
            assert_eq!(index(step), expected, "{step}");
        }
        assert_eq!(index("99999999999999999999999"), None);
    }
}
