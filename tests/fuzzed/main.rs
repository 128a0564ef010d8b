//! The laws of the fuzz targets `json`, `template` and `ranges`, held against inputs that are kept: seeds, and what
//! the fuzzer found.

mod laws;
mod seeds;

use std::fs;
use std::path::PathBuf;

type Law = fn(&[u8]);

/// Fuzz target, its law, and its seeds.
const TARGETS: [(&str, Law, &[&str]); 3] = [
    ("json", laws::json, seeds::JSON),
    ("template", laws::template, seeds::TEMPLATES),
    ("ranges", laws::ranges, seeds::RANGES),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Writes `fuzz/corpus`, which is not kept: `cargo test --test fuzzed -- --ignored`.
#[test]
#[ignore = "writes files, only for those who fuzz"]
fn write_seeds() {
    for (target, _, seeds) in TARGETS {
        let folder = folder().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}

#[test]
fn seeds_keep_the_laws() {
    for (_, law, seeds) in TARGETS {
        seeds.iter().for_each(|seed| law(seed.as_bytes()));
    }
}

/// Seeds with one byte less, and each of their beginnings: the cheapest of what a fuzzer does.
#[test]
fn what_is_near_a_seed_keeps_the_laws_too() {
    for (_, law, seeds) in TARGETS {
        for seed in seeds.iter().map(|seed| seed.as_bytes()).filter(|seed| seed.len() < 200) {
            for at in 0..seed.len() {
                law(&seed[..at]);
                law(&[&seed[..at], &seed[at + 1..]].concat());
            }
        }
    }
}

/// What once was wrong, in `fuzz/regressions/<target>`, and stays right.
#[test]
fn regressions_stay_fixed() {
    for (target, law, _) in TARGETS {
        let Ok(folder) = fs::read_dir(folder().join("regressions").join(target)) else { continue };
        for file in folder {
            law(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}
