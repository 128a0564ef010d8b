//! `http_desync_guardian` as a second judge: nothing that it calls severe is accepted.
//!
//! Its own cases come with its package, so they are read where cargo keeps it and not copied here.

mod shared;

use std::path::PathBuf;
use std::process::Command;

use http_desync_guardian::RequestSafetyTier;
use http_desync_guardian::request_analyzer::HttpRequestData;
use http1::{HeadLimits, HeadScanner};
use shared::checks::{self, Outcome};
use shared::corpus::escape;
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn nothing_in_our_corpus_that_is_severe_is_accepted() {
    let cases = shared::cases("request");
    for case in &cases {
        assert_eq!(checks::guardian_objection(&case.input), None, "{}", case.name);
    }
    // The judge is awake.
    let severe = cases
        .iter()
        .filter(|case| HttpRequestData::analyze_raw_request(&case.input).tier == RequestSafetyTier::Severe);
    assert!(severe.count() > 50);
}

#[test]
fn no_severe_case_of_the_guardian_is_accepted() {
    let cases = guardian_cases();
    assert!(cases.len() >= 150, "only {} cases found", cases.len());
    let mut severe = 0;
    for case in &cases {
        assert_eq!(checks::guardian_objection(&case.input), None, "{}", case.name);
        if case.tier == "Severe" {
            severe += 1;
            assert!(!is_accepted(&case.input), "{}: {}", case.name, escape(&case.input));
        }
    }
    assert!(severe >= 30, "only {severe} severe cases");
}

/// What it calls compliant is no attack, so it is refused only where our rules are meant to be stricter:
/// codings other than `chunked`, and targets that no URI has.
#[test]
fn compliant_cases_of_the_guardian_are_accepted() {
    let cases = guardian_cases();
    let compliant: Vec<_> = cases.iter().filter(|case| case.tier == "Compliant").collect();
    let refused: Vec<_> = compliant.iter().filter(|case| !is_accepted(&case.input)).collect();
    for case in &refused {
        let outcome = checks::request(&case.input, &[]);
        let meant = match &outcome {
            Outcome::Rejected(reason) => ["unknown_coding", "bad_coding", "bad_target"].contains(reason),
            _ => false,
        };
        assert!(meant || case.name == "Empty URI", "{}: {outcome:?}: {}", case.name, escape(&case.input));
    }
    assert!(compliant.len() > 2 * refused.len(), "{} of {} refused", refused.len(), compliant.len());
}

fn is_accepted(input: &[u8]) -> bool {
    match HeadScanner::default().find_end(input, &HeadLimits::default()) {
        Ok(Some(end)) => checks::request_head(&input[..end]).is_ok(),
        _ => false,
    }
}

struct GuardianCase {
    name: String,
    /// `Compliant`, `Acceptable`, `Ambiguous` or `Severe`.
    tier: String,
    input: Vec<u8>,
}

fn guardian_cases() -> Vec<GuardianCase> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(guardian_folder().join("tests"))
        .expect("its tests are in its package")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for document in YamlLoader::load_from_str(&text).unwrap() {
            cases.extend(document.as_vec().unwrap().iter().map(read_case));
        }
    }
    cases
}

/// The request as it would come over the wire; a case without `Host` gets one, as its absence is another
/// fault than the one that the case is about.
fn read_case(case: &Yaml) -> GuardianCase {
    let text = |yaml: &Yaml| match yaml {
        Yaml::Integer(number) => number.to_string().into_bytes(),
        Yaml::Real(number) => number.clone().into_bytes(),
        // Escapes stand for bytes, which YAML reads as the characters of these numbers.
        Yaml::String(text) if text.chars().all(|c| u32::from(c) < 256) => {
            text.chars().map(|c| c as u8).collect()
        }
        Yaml::String(text) => text.clone().into_bytes(),
        _ => Vec::new(),
    };
    let mut input =
        [&text(&case["method"])[..], b" ", &text(&case["uri"]), b" ", &text(&case["version"])].concat();
    input.extend_from_slice(b"\r\n");
    let headers = case["headers"].as_vec().cloned().unwrap_or_default();
    for header in &headers {
        input.extend([&text(&header["name"])[..], b": ", &text(&header["value"]), b"\r\n"].concat());
    }
    if !headers.iter().any(|header| text(&header["name"]).eq_ignore_ascii_case(b"host")) {
        input.extend_from_slice(b"Host: a.test\r\n");
    }
    input.extend_from_slice(b"\r\n");
    GuardianCase {
        name: case["name"].as_str().unwrap_or_default().to_owned(),
        tier: case["expected"]["tier"].as_str().unwrap_or_default().to_owned(),
        input,
    }
}

/// Where cargo keeps the sources of the guardian.
fn guardian_folder() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Of other platforms not everything is on this machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata = String::from_utf8(output.stdout).unwrap();
    let (_, after) = metadata.split_once("/http_desync_guardian-").expect("a dependency of the tests");
    let version = after.split(['/', '"', '\\']).next().unwrap();
    let end = metadata.len() - after.len() + version.len();
    let start = metadata[..end].rfind('"').unwrap() + 1;
    PathBuf::from(&metadata[start..end])
}
