//! `palisade check` and `palisade schema`, from outside.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn palisade(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_palisade")).args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_sound_configuration_is_summed_up_in_one_line() {
    let output = palisade(&["check", "-c", "examples/minimal.toml"]);
    assert_eq!(out(&output), "examples/minimal.toml: ok, 1 listener, 1 route, 1 upstream\n");
    assert_eq!(err(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_wrong_configuration_is_told_on_standard_error() {
    let output = palisade(&["check", "--config", "tests/config_errors/unknown_key_slip.toml"]);
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("did you mean `address`?"), "{}", err(&output));
    assert!(!err(&output).contains('\x1b'), "colour without a terminal");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn warnings_do_not_fail() {
    let output = palisade(&["check", "-c", "tests/config_errors/warnings.toml"]);
    assert!(err(&output).contains("warning: "), "{}", err(&output));
    assert!(out(&output).contains(": ok, "), "{}", out(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json_is_one_object_per_line() {
    let output = palisade(&["check", "--format", "json", "-c", "tests/config_errors/many_at_once.toml"]);
    let lines: Vec<serde_json::Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 14);
    assert_eq!(lines[0]["severity"], "error");
    assert_eq!(lines[0]["message"], "unknown key `http3`");
    assert_eq!(lines[0]["line"], 3);
    assert_eq!(lines[0]["column"], 1);
    assert_eq!(lines[0]["end_column"], 6);
    assert_eq!(lines[9]["hint"], "did you mean `backend`?");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    for (path, why) in [("nowhere.toml", "there is no such file"), ("tests", "it is a folder")] {
        let output = palisade(&["check", "-c", path]);
        assert!(err(&output).contains(&format!("error: cannot read `{path}`: {why}")), "{}", err(&output));
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn bytes_that_are_no_text_and_huge_files_are_refused() {
    let folder = scratch("refused");
    let wrong = folder.join("wrong.toml");
    fs::write(&wrong, b"# ok\n\xff\n").unwrap();
    assert!(err(&palisade(&["check", "-c", wrong.to_str().unwrap()])).contains("line 2 is not UTF-8"));
    let huge = folder.join("huge.toml");
    fs::write(&huge, vec![b'#'; (16 << 20) + 1]).unwrap();
    assert!(err(&palisade(&["check", "-c", huge.to_str().unwrap()])).contains("larger than 16 MiB"));
    fs::remove_dir_all(folder).unwrap();
}

/// Neither takes the stack nor for ever.
#[test]
fn deep_nesting_is_refused() {
    let folder = scratch("deep");
    let file = folder.join("deep.toml");
    for text in [
        "x = ".to_string() + &"[".repeat(1 << 20),
        "a.".repeat(1 << 20) + "a = 1",
        "[a".to_string() + &".a".repeat(1 << 20) + "]",
    ] {
        fs::write(&file, text).unwrap();
        let output = palisade(&["check", "-c", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn included_files_are_merged() {
    let folder = scratch("merged");
    fs::create_dir(folder.join("conf.d")).unwrap();
    fs::write(
        folder.join("palisade.toml"),
        "include = [\"conf.d/*.toml\"]\n[listeners.http]\naddress = \":0\"\n",
    )
    .unwrap();
    fs::write(folder.join("conf.d/a.toml"), "[routes.a]\nupstream = \"app\"\n").unwrap();
    fs::write(folder.join("conf.d/b.toml"), "[upstreams.app]\nendpoints = [\"127.0.0.1:1\"]\n").unwrap();
    fs::write(folder.join("conf.d/.hidden.toml"), "nonsense").unwrap();
    let output = palisade(&["check", "-c", folder.join("palisade.toml").to_str().unwrap()]);
    assert!(out(&output).ends_with(": ok, 1 listener, 1 route, 1 upstream\n"), "{}", err(&output));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_schema_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&out(&palisade(&["schema"]))).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["listeners"]["additionalProperties"]["properties"]["address"].is_object());
}

fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}
