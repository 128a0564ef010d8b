//! Conversations with a connection, as text: what the client sends, what whoever serves the streams does, and what
//! came of it. `UPDATE_GOLDEN=1 cargo test -p http2 --test conversations` writes what came of it anew: read the
//! difference as a change of behaviour.
//!
//! Lines of a conversation: `> FRAME` is from the client, `. WORDS` is done by the server; what follows from either
//! stands below it: `= EVENT`, `< FRAME` to the client, `! REASON` that ends the connection.

mod frames;
mod laws;
mod random;
mod talk;

use std::fs;
use std::path::PathBuf;

use talk::Talk;

#[test]
fn conversations_go_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut count = 0;
    for file in fs::read_dir(folder).expect("the corpus") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let expected = fs::read_to_string(&path).expect("text");
        let mut went = String::new();
        for part in expected.split_inclusive("\n\n") {
            went += &play(part);
            count += 1;
        }
        if update {
            fs::write(&path, &went).expect("writable");
            continue;
        }
        assert!(went == expected, "{}: it went otherwise:\n{went}", path.display());
    }
    assert!(count > 60, "only {count} conversations");
}

/// One conversation, with what came of it in this run.
fn play(part: &str) -> String {
    let mut went = String::new();
    let mut talk = Talk::begin();
    for line in part.lines() {
        match line.split_at_checked(2) {
            Some(("> ", frame)) => went += &format!("{line}\n{}", talk.client(frame)),
            Some((". ", words)) => went += &format!("{line}\n{}", talk.server(words)),
            // What came of the lines before.
            Some(("= " | "< " | "! ", _)) => {}
            _ => went += &format!("{line}\n"),
        }
    }
    went
}

/// What once was wrong, in `fuzz/regressions/http2`, and stays right. The first byte says how the rest is cut.
#[test]
fn regressions_stay_fixed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions/http2");
    for file in fs::read_dir(folder).into_iter().flatten() {
        laws::any_bytes(&fs::read(file.expect("a file").path()).expect("readable"));
    }
}

/// Writes `fuzz/corpus/http2`, which is not kept: `cargo test -p http2 --test conversations -- --ignored`.
#[test]
#[ignore = "writes files, only for those who fuzz"]
fn write_seeds() {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http2");
    fs::create_dir_all(&corpus).expect("a folder");
    let files = ["begin", "heads", "streams", "windows"].map(|name| tests.join(name).with_extension("txt"));
    let texts = files.map(|file| fs::read_to_string(file).expect("text"));
    for (number, part) in texts.iter().flat_map(|text| text.split("\n\n")).enumerate() {
        let frames =
            part.lines().filter_map(|line| line.strip_prefix("> ")).filter(|line| *line != "preface");
        let bytes: Vec<u8> = [17].into_iter().chain(frames.flat_map(frames::of_client)).collect();
        fs::write(corpus.join(format!("seed-{number}")), bytes).expect("writable");
    }
}
