//! Whatever a file holds, reading it ends in a report, and the report can be rendered.

use std::fs;
use std::sync::LazyLock;

use palisade::config::{self, Report};
use proptest::prelude::*;
use testkit::{TempDir, temp_dir, write_example_files};

fn read_and_render(text: &str) {
    static DIR: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = temp_dir();
        fs::create_dir(dir.join("tls")).unwrap();
        write_example_files(&dir.join("tls"));
        dir
    });
    let report = match config::parse(&DIR.join("palisade.toml").display().to_string(), text) {
        Ok(loaded) => Report { diagnostics: loaded.warnings },
        Err(report) => report,
    };
    for colour in [false, true] {
        assert!(!report.render(colour).is_empty());
    }
    let _ = report.to_json_lines();
}

/// Good and bad configurations to start from.
fn seeds() -> Vec<String> {
    let folders = ["examples", "tests/config_errors"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.push("src/config/every_key.toml".into());
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[derive(Debug, Clone)]
enum Change {
    Delete(usize, usize),
    Insert(usize, String),
    /// A piece of the text once more, elsewhere.
    Repeat(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        "[\\x00-\\x7f]{1,3}",
        "\\PC{1,2}",
        Just("\r\n".to_string()),
        Just("${".to_string()),
        Just("\"\"\"".to_string()),
        Just("[[a.b]]\n".to_string()),
        Just("\u{feff}".to_string()),
        Just("é日\u{10ffff}".to_string()),
        Just("99999999999999999999999999999999999999999999999".to_string()),
        Just("= { a = 1 }".to_string()),
    ];
    let at = 0..4000_usize;
    prop_oneof![
        (at.clone(), 1..40_usize).prop_map(|(at, length)| Change::Delete(at, length)),
        (at.clone(), piece).prop_map(|(at, text)| Change::Insert(at, text)),
        (at.clone(), 1..80_usize, at).prop_map(|(from, length, to)| Change::Repeat(from, length, to)),
    ]
}

fn apply(text: &mut Vec<char>, change: Change) {
    let end = text.len();
    match change {
        Change::Delete(at, length) => drop(text.drain(at.min(end)..(at + length).min(end))),
        Change::Insert(at, piece) => drop(text.splice(at.min(end)..at.min(end), piece.chars())),
        Change::Repeat(from, length, to) => {
            let piece = text[from.min(end)..(from + length).min(end)].to_vec();
            drop(text.splice(to.min(end)..to.min(end), piece));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_configurations(seed in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        let seeds = seeds();
        let mut text: Vec<char> = seed.get(&seeds).chars().collect();
        for change in changes {
            apply(&mut text, change);
        }
        read_and_render(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        read_and_render(&text);
    }
}
