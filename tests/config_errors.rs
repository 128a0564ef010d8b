//! What a user reads about a wrong configuration, word by word.
//!
//! `tests/config_errors/NAME.toml` (or `NAME/palisade.toml` with its files) is the configuration, `NAME.txt`
//! the text. `UPDATE_GOLDEN=1 cargo test --test config_errors` writes the texts anew: read the difference as
//! a user would.

use std::fs;
use std::path::{Path, PathBuf};

use palisade::config::{self, Loaded, Report};

const FOLDER: &str = "tests/config_errors";

#[test]
fn texts_are_as_agreed() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 45, "only {} cases found", cases.len());
    for case in cases {
        let text = told(&case);
        let expected_path = case.with_extension("txt");
        if update {
            fs::write(&expected_path, &text).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if text != expected {
            wrong.push(format!("{}:\n{text}\nexpected:\n{expected}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files and folders of wrong configurations, sorted.
fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> =
        entries.filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "toml")).collect();
    cases.sort();
    cases
}

fn told(case: &Path) -> String {
    let result = if case.is_dir() {
        config::load(&case.join("palisade.toml"))
    } else {
        let text = fs::read_to_string(case).unwrap();
        config::parse("palisade.toml", &text)
    };
    let report = match result {
        Ok(Loaded { warnings, .. }) if warnings.is_empty() => return "nothing is wrong\n".to_string(),
        Ok(Loaded { warnings, .. }) => Report { diagnostics: warnings },
        Err(report) => report,
    };
    report.to_string().replace(&format!("{}/", case.display()), "")
}
