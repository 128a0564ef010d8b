//! Seeds for the fuzz targets, made from the corpus, and the inputs that they found, replayed.

mod shared;

use std::fs;
use std::path::PathBuf;

use shared::checks;

type Check = fn(&[u8], &[usize]);

/// Fuzz target, kind of corpus, and what the target checks.
const TARGETS: [(&str, &str, Check); 3] = [
    ("request_head", "request", checks::every_request),
    ("response_head", "response", checks::every_response),
    ("chunked", "chunked", checks::every_chunked),
];

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Writes `fuzz/corpus`, which is not kept: `cargo test -p http1 --test seeds -- --ignored`.
#[test]
#[ignore = "writes files, only for those who fuzz"]
fn write_seeds() {
    for (target, kind, _) in TARGETS {
        let folder = fuzz_folder().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        let cases = shared::cases(kind);
        for (number, case) in cases.iter().filter(|case| case.input.len() < 4000).enumerate() {
            // No cuts: the fuzzer finds its own.
            fs::write(folder.join(format!("case-{number}")), [&[0], case.input.as_slice()].concat()).unwrap();
        }
        assert!(fs::read_dir(&folder).unwrap().count() > 0);
    }
}

/// What once was wrong, in `fuzz/regressions/<target>`, and stays right.
#[test]
fn regressions_stay_fixed() {
    let mut replayed = 0;
    for (target, _, check) in TARGETS {
        let Ok(folder) = fs::read_dir(fuzz_folder().join("regressions").join(target)) else { continue };
        for file in folder {
            let data = fs::read(file.unwrap().path()).unwrap();
            let (cuts, message) = shared::split_cuts(&data).expect("a whole input");
            check(message, &cuts);
            replayed += 1;
        }
    }
    assert!(replayed > 0, "no regressions found");
}

/// The corpus keeps the same laws as what the fuzzer makes of it.
#[test]
fn the_corpus_keeps_the_laws() {
    for (_, kind, check) in TARGETS {
        for case in shared::cases(kind) {
            check(&case.input, &[case.input.len() / 3, case.input.len() / 2]);
        }
    }
}
