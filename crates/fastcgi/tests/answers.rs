//! Every answer of the corpus is read as its case says, however it is cut.

mod shared;

use std::fs;
use std::path::PathBuf;

use shared::{checks, corpus};

#[test]
fn answers_are_read_as_expected() {
    for case in corpus::cases() {
        assert_eq!(checks::read(&case.input, &[]), case.expected, "{}", case.name);
    }
}

#[test]
fn no_cut_changes_what_is_read() {
    for case in corpus::cases() {
        let len = case.input.len();
        let all: Vec<usize> = (0..len.min(400)).chain([len]).collect();
        checks::every_answer(&case.input, &all);
        for cut in 0..len.min(400) {
            checks::every_answer(&case.input, &[cut]);
        }
    }
}

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Writes `fuzz/corpus/fastcgi_answer`, which is not kept: `cargo test -p fastcgi --test answers -- --ignored`.
#[test]
#[ignore = "writes files, only for those who fuzz"]
fn write_seeds() {
    let folder = fuzz_folder().join("corpus/fastcgi_answer");
    fs::create_dir_all(&folder).unwrap();
    for (number, case) in corpus::cases().iter().filter(|case| case.input.len() < 4000).enumerate() {
        // No cuts: the fuzzer finds its own.
        fs::write(folder.join(format!("case-{number}")), [&[0], case.input.as_slice()].concat()).unwrap();
    }
}

/// What is in `fuzz/regressions/fastcgi_answer` stays right.
#[test]
fn regressions_stay_fixed() {
    let mut replayed = 0;
    for file in fs::read_dir(fuzz_folder().join("regressions/fastcgi_answer")).unwrap() {
        let data = fs::read(file.unwrap().path()).unwrap();
        let (cuts, answer) = shared::split_cuts(&data).expect("a whole input");
        checks::every_answer(answer, &cuts);
        replayed += 1;
    }
    assert!(replayed > 0, "no regressions found");
}
