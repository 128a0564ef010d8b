use proptest::prelude::*;

use super::*;

fn again(text: &str) -> Result<String, JsonError> {
    let mut out = Vec::new();
    parse(text.as_bytes())?.write(&mut out);
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn nothing_is_lost_but_white_space() {
    for (text, expected) in [
        (" { \"b\" : 1 , \"a\" : [ ] }\n", "{\"b\":1,\"a\":[]}"),
        (
            "[12345678901234567890123, -0.0, 1.10, 1E400, 0e-5]",
            "[12345678901234567890123,-0.0,1.10,1E400,0e-5]",
        ),
        (r#"["\u00e9\/\ud800","é"]"#, r#"["\u00e9\/\ud800","é"]"#),
        (r#"{"\u0061\"\n":true,"":null}"#, r#"{"a\"\n":true,"":null}"#),
        ("\"x\"", "\"x\""),
        ("false", "false"),
    ] {
        assert_eq!(again(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_two_readers_could_take_differently_is_refused() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for (text, expected) in [
        (r#"{"a":1,"a":2}"#, JsonError::NamedTwice),
        (r#"{"a":1,"\u0061":2}"#, JsonError::NamedTwice),
        (r#"[{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"1":0}]"#, JsonError::NamedTwice),
        (r#"[{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"9":0}]"#, JsonError::NamedTwice),
        (r#"{"\ud800":1}"#, JsonError::Syntax),
        (&deep(DEEPEST + 1), JsonError::TooDeep),
        (&deep(100_000), JsonError::TooDeep),
    ] {
        assert_eq!(again(text), Err(expected), "{}", &text[..text.len().min(80)]);
    }
    assert!(again(&deep(DEEPEST)).is_ok());
    assert_eq!(parse(b"\"\xff\""), Err(JsonError::NotUtf8));
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "NaN",
        "tru",
        "nulll",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\t\"",
        "1 1",
        "\u{feff}1",
        "'a'",
        "//\n1",
        "[1]]",
    ] {
        assert_eq!(again(text), Err(JsonError::Syntax), "{text:?}");
    }
}

/// No name twice, and nothing that serde_json cannot tell: it is the judge.
fn sound(value: &serde_json::Value, text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(&again(text).unwrap()).unwrap() == *value
}

proptest! {
    /// Of texts that look like JSON, we take what another reader takes, and mean the same.
    #[test]
    fn another_reader_agrees(text in "([\\[\\]{},:\" \n]|\"a\"|\"b\":|[0-9.eE+-]{1,3}|true|null|\\\\u00[0-9a-f]{2}|é){0,12}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (parse(text.as_bytes()), theirs) {
            (Ok(_), Ok(value)) => prop_assert!(sound(&value, &text), "{}", text),
            // Numbers beyond a double are numbers.
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range"), "{} {}", text, error),
            (Err(error), Ok(_)) => prop_assert_eq!(error, JsonError::NamedTwice, "{}", text),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn every_tree_can_be_read_again(names in prop::collection::btree_set(".{0,4}", 0..12), texts in prop::collection::vec(".{0,6}", 0..6)) {
        let scalar = |text: &String| {
            let mut out = Vec::new();
            write_string(text, &mut out);
            Json::Scalar(String::from_utf8(out).unwrap().into())
        };
        let members = names.iter().map(|name| Member {
            name: name.as_str().into(),
            value: Json::Array(texts.iter().map(scalar).collect()),
        });
        let tree = Json::Object(members.collect());
        let mut out = Vec::new();
        tree.write(&mut out);
        prop_assert_eq!(parse(&out), Ok(tree));
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    }
}
