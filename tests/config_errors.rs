//! What a user reads about a wrong configuration, word by word.
//!
//! `tests/config_errors/NAME.toml` (or `NAME/palisade.toml` with its files) is the configuration, `NAME.txt`
//! the text. Certificates and keys that a configuration names are made by the test. `UPDATE_GOLDEN=1 cargo test --test config_errors` writes the texts anew: read the difference as
//! a user would.

use std::fs;
use std::path::{Path, PathBuf};

use palisade::config::{self, Loaded, Report};
use testkit::{Authority, Leaf, temp_dir, write_example_files};

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
    let dir = temp_dir();
    let file = dir.join("palisade.toml");
    let result = if case.is_dir() {
        copy(case, &dir);
        if case.ends_with("certificates") {
            write_certificates(&dir);
        }
        config::load(&file)
    } else {
        write_example_files(&dir);
        let text = fs::read_to_string(case).unwrap();
        config::parse(&file.display().to_string(), &text)
    };
    let report = match result {
        Ok(Loaded { warnings, .. }) if warnings.is_empty() => return "nothing is wrong\n".to_string(),
        Ok(Loaded { warnings, .. }) => Report { diagnostics: warnings },
        Err(report) => report,
    };
    report.to_string().replace(&format!("{}/", dir.display()), "")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Good ones, and what people take for them.
fn write_certificates(dir: &Path) {
    let authority = Authority::new("Example CA");
    let (app, other) = (authority.issue(Leaf::server(&["app.example.com"])), Authority::new("other"));
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).unwrap();
    authority.write_to(dir, "ca");
    app.write_to(dir, "app");
    write("other.key", other.issue(Leaf::client("other")).key_pem.as_bytes());
    write("app.der", &app.chain[0]);
    write("app.key.der", app.key().secret_der());
    write("whole.pem", format!("{}{}", app.chain_pem, authority.pem()).as_bytes());
    write("reversed.pem", format!("{}{}", authority.pem(), app.chain_pem).as_bytes());
    write("cut.pem", &app.chain_pem.as_bytes()[..app.chain_pem.len() / 2]);
    let section = |kind: &str, fields: &str| {
        format!("-----BEGIN {kind} PRIVATE KEY-----\n{fields}AAAA\n-----END {kind} PRIVATE KEY-----\n")
    };
    write("encrypted.key", section("ENCRYPTED", "").as_bytes());
    write("old.key", section("EC", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n").as_bytes());
}
