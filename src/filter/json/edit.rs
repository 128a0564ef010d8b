//! Changes to a JSON text. Each operation sees what those before it have made. Where nothing is at a place, nothing is
//! removed, renamed or unwrapped.

use super::pointer::{EACH, Pointer, child, each, index};
use crate::message::json::{DEEPEST, Json, JsonError, Member, parse};

/// One change, as it stands in the configuration; values are filled in for each message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation<V> {
    Remove(Pointer),
    /// Both have the same steps up to their last `*`.
    Rename(Pointer, Pointer),
    /// Missing objects on the way are made.
    Set(Pointer, V),
    /// Puts the whole at this place; no `*`.
    Wrap(Pointer),
    /// Takes what is at this place for the whole; no `*`.
    Unwrap(Pointer),
    /// Takes off all else.
    Keep(Vec<Pointer>),
}

/// Why a text could not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditError {
    Json(JsonError),
    /// The way to a place leads through what is no object.
    NoPlace,
    /// It would become much larger than it was.
    TooLarge,
}

impl EditError {
    /// For the log.
    pub fn reason(self) -> &'static str {
        match self {
            EditError::Json(error) => error.reason(),
            EditError::NoPlace => "json_no_place",
            EditError::TooLarge => "json_grows",
        }
    }
}

/// The text after all operations; the values in them are JSON texts. It grows by at most `most` bytes, and by what
/// wrapping needs.
pub fn edit(text: &[u8], operations: &[Operation<&[u8]>], most: usize) -> Result<Vec<u8>, EditError> {
    let mut json = parse(text).map_err(EditError::Json)?;
    let mut left = most;
    for operation in operations {
        apply(&mut json, operation, &mut left)?;
    }
    let mut out = Vec::with_capacity(text.len());
    json.write(&mut out);
    Ok(out)
}

fn apply<'t>(
    json: &mut Json<'t>,
    operation: &Operation<&'t [u8]>,
    left: &mut usize,
) -> Result<(), EditError> {
    match operation {
        Operation::Remove(pointer) => {
            let Some((last, way)) = pointer.0.split_last() else { return Ok(()) };
            each(json, way, &mut |json| {
                take(json, last);
                Ok(())
            })
        }
        Operation::Rename(from, to) => {
            let ((way, from), (_, to)) = (from.split(), to.split());
            each(json, way, &mut |json| match take_at(json, from) {
                Some(value) => put(json, to, value, left),
                None => Ok(()),
            })
        }
        Operation::Set(pointer, value) => {
            let value_json = parse(value).map_err(EditError::Json)?;
            let (way, rest) = pointer.split();
            each(json, way, &mut |json| {
                spend(left, value.len())?;
                put(json, rest, value_json.clone(), left)
            })
        }
        Operation::Wrap(pointer) => {
            let whole = std::mem::replace(json, Json::Object(Vec::new()));
            put(json, &pointer.0, whole, &mut usize::MAX.clone())
        }
        Operation::Unwrap(pointer) => {
            if let Some(inner) = take_at(json, &pointer.0) {
                *json = inner;
            }
            Ok(())
        }
        Operation::Keep(pointers) => {
            let ways: Vec<&[String]> = pointers.iter().map(|pointer| pointer.0.as_slice()).collect();
            if !keep(json, &ways) {
                *json = match json {
                    Json::Array(_) => Json::Array(Vec::new()),
                    Json::Object(_) => Json::Object(Vec::new()),
                    Json::Scalar(_) => Json::Scalar("null".into()),
                };
            }
            Ok(())
        }
    }
}

fn spend(left: &mut usize, bytes: usize) -> Result<(), EditError> {
    *left = left.checked_sub(bytes).ok_or(EditError::TooLarge)?;
    Ok(())
}

/// Takes one member or element off; with `*` all elements.
fn take<'t>(json: &mut Json<'t>, step: &str) -> Option<Json<'t>> {
    match json {
        Json::Object(members) => {
            let at = members.iter().position(|member| member.name == step)?;
            Some(members.remove(at).value)
        }
        Json::Array(items) if step == EACH => {
            items.clear();
            None
        }
        Json::Array(items) => {
            let at = index(step).filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        Json::Scalar(_) => None,
    }
}

fn take_at<'t>(json: &mut Json<'t>, steps: &[String]) -> Option<Json<'t>> {
    match steps {
        [] => Some(std::mem::replace(json, Json::Scalar("null".into()))),
        [last] => take(json, last),
        [step, rest @ ..] => take_at(child(json, step)?, rest),
    }
}

/// Puts a value at a place, in place of what is there.
fn put<'t>(
    json: &mut Json<'t>,
    steps: &[String],
    value: Json<'t>,
    left: &mut usize,
) -> Result<(), EditError> {
    let Some((step, rest)) = steps.split_first() else {
        *json = value;
        return Ok(());
    };
    if child(json, step).is_none() {
        // With its quotes, colon and comma, or braces.
        spend(left, step.len().saturating_add(6))?;
        let empty = Json::Object(Vec::new());
        match json {
            Json::Object(members) => members.push(Member { name: step.clone().into(), value: empty }),
            Json::Array(items) if step == "-" => items.push(empty),
            _ => return Err(EditError::NoPlace),
        }
        let made = match json {
            Json::Object(members) => members.last_mut().map(|member| &mut member.value),
            Json::Array(items) => items.last_mut(),
            Json::Scalar(_) => None,
        };
        return made.map_or(Err(EditError::NoPlace), |made| put(made, rest, value, left));
    }
    child(json, step).map_or(Err(EditError::NoPlace), |child| put(child, rest, value, left))
}

/// Takes off what none of the ways leads to; false when that is all of it.
fn keep(json: &mut Json<'_>, ways: &[&[String]]) -> bool {
    if ways.iter().any(|way| way.is_empty()) {
        return true;
    }
    let below = |fits: &dyn Fn(&str) -> bool| -> Vec<&[String]> {
        let split = ways.iter().filter_map(|way| way.split_first());
        split.filter(|(step, _)| fits(step)).map(|(_, rest)| rest).collect()
    };
    match json {
        Json::Scalar(_) => false,
        Json::Object(members) => {
            members.retain_mut(|member| {
                let ways = below(&|step| member.name == step);
                !ways.is_empty() && keep(&mut member.value, &ways)
            });
            !members.is_empty()
        }
        Json::Array(items) => {
            let mut at = 0;
            items.retain_mut(|item| {
                let ways = below(&|step| step == EACH || index(step) == Some(at));
                at += 1;
                !ways.is_empty() && keep(item, &ways)
            });
            !items.is_empty()
        }
    }
}

/// The longest way that may stand in the configuration: what is put at its end is still not too deep to be read.
pub const MOST_STEPS: usize = DEEPEST / 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn edited(text: &str, operations: &[Operation<&[u8]>]) -> Result<String, EditError> {
        edit(text.as_bytes(), operations, 1000).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn operations_do_what_they_say() {
        use Operation::*;
        let rename = |from: &str, to: &str| Rename(at(from), at(to));
        let keep = |ways: &[&str]| Keep(ways.iter().map(|way| at(way)).collect());
        for (text, operation, expected) in [
            (r#"{"a":1,"b":2}"#, Remove(at("/a")), r#"{"b":2}"#),
            (r#"{"a":{"b":[1,2,3]}}"#, Remove(at("/a/b/1")), r#"{"a":{"b":[1,3]}}"#),
            (r#"[{"a":1,"b":2},3,{"a":4}]"#, Remove(at("/*/a")), r#"[{"b":2},3,{}]"#),
            (r#"{"a":[1,2]}"#, Remove(at("/a/*")), r#"{"a":[]}"#),
            (r#"{"*":1,"b":2}"#, Remove(at("/*")), r#"{"b":2}"#),
            (r#"{"a":1}"#, Remove(at("/x/y")), r#"{"a":1}"#),
            (r#"{"u":{"name":"x","id":1}}"#, rename("/u/name", "/u/full"), r#"{"u":{"id":1,"full":"x"}}"#),
            (r#"{"a":1,"b":2}"#, rename("/a", "/b"), r#"{"b":1}"#),
            (r#"{"a":1}"#, rename("/a", "/b/c"), r#"{"b":{"c":1}}"#),
            (
                r#"{"i":[{"a":1},{},{"a":2}]}"#,
                rename("/i/*/a", "/i/*/b/c"),
                r#"{"i":[{"b":{"c":1}},{},{"b":{"c":2}}]}"#,
            ),
            (r#"{"a":1}"#, Set(at("/b/c"), &b"[1.50]"[..]), r#"{"a":1,"b":{"c":[1.50]}}"#),
            (r#"{"a":[1,2]}"#, Set(at("/a/0"), b"null"), r#"{"a":[null,2]}"#),
            (r#"{"a":[1,2]}"#, Set(at("/a/-"), b"3"), r#"{"a":[1,2,3]}"#),
            (r#"{"a":[1,2]}"#, Set(at("/a/*"), b"0"), r#"{"a":[0,0]}"#),
            (r#"{"a":1}"#, Set(at(""), b"{}"), "{}"),
            ("[1]", Wrap(at("/data/x")), r#"{"data":{"x":[1]}}"#),
            (r#"{"data":{"x":1},"e":0}"#, Unwrap(at("/data")), r#"{"x":1}"#),
            (r#"{"e":0}"#, Unwrap(at("/data")), r#"{"e":0}"#),
            (r#"{"id":1,"s":2,"u":{"n":1,"p":2}}"#, keep(&["/u/n", "/id"]), r#"{"id":1,"u":{"n":1}}"#),
            (r#"[{"id":1,"s":2},{"s":3},4]"#, keep(&["/*/id"]), r#"[{"id":1}]"#),
            (r#"{"a":[1,2,3]}"#, keep(&["/a/1"]), r#"{"a":[2]}"#),
            (r#"{"secret":1}"#, keep(&["/id"]), "{}"),
            ("[1]", keep(&["/id"]), "[]"),
            ("\"secret\"", keep(&["/id"]), "null"),
            ("\"all\"", keep(&[""]), "\"all\""),
        ] {
            assert_eq!(
                edited(text, std::slice::from_ref(&operation)).as_deref(),
                Ok(expected),
                "{operation:?}"
            );
        }
    }

    #[test]
    fn operations_follow_each_other() {
        let operations = [
            Operation::Unwrap(at("/d")),
            Operation::Remove(at("/p")),
            Operation::Set(at("/s"), &b"\"x\""[..]),
            Operation::Rename(at("/s"), at("/t")),
            Operation::Wrap(at("/data")),
        ];
        assert_eq!(
            edited(r#"{"d":{"n":1e400,"p":0}}"#, &operations).as_deref(),
            Ok(r#"{"data":{"n":1e400,"t":"x"}}"#)
        );
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        use Operation::*;
        for (text, operation, expected) in [
            ("{\"a\":1}", Set(at("/a/b"), &b"1"[..]), EditError::NoPlace),
            ("[1]", Set(at("/b"), b"1"), EditError::NoPlace),
            ("[1]", Set(at("/5"), b"1"), EditError::NoPlace),
            ("{\"a\":1,\"b\":2}", Rename(at("/a"), at("/b/c")), EditError::NoPlace),
            ("{\"a\":1,\"a\":2}", Remove(at("/a")), EditError::Json(JsonError::NamedTwice)),
        ] {
            assert_eq!(edited(text, std::slice::from_ref(&operation)), Err(expected), "{operation:?}");
        }
        let many = format!("[{}0]", "0,".repeat(600));
        assert_eq!(edited(&many, &[Set(at("/*"), b"\"xx\"")]), Err(EditError::TooLarge));
        let many = format!("[{}{{}}]", "{\"a\":0},".repeat(100));
        assert_eq!(edited(&many, &[Rename(at("/*/a"), at("/*/long-name"))]), Err(EditError::TooLarge));
    }
}
