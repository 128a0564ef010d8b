//! `cargo xtask fuzz TARGET [--seconds N]`: runs one fuzz target with cargo-fuzz.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::packages::find_binary;

pub fn run(options: &[&str]) -> Result<()> {
    let (target, seconds) = parse(options)?;
    let source = Path::new("fuzz/fuzz_targets").join(format!("{target}.rs"));
    ensure!(source.is_file(), "no target {target}: {} does not exist", source.display());
    ensure!(
        find_binary("cargo-fuzz").is_some(),
        "cargo-fuzz is missing; install it with `cargo install cargo-fuzz`"
    );
    let mut command = Command::new("cargo");
    command.args(["fuzz", "run", target, "--", &format!("-max_total_time={seconds}")]);
    // The sanitizers are behind a nightly flag; this opens it on the stable toolchain that we pin.
    command.env("RUSTC_BOOTSTRAP", "1");
    let status = command.status().context("cargo fuzz")?;
    ensure!(status.success(), "fuzzing {target} ended with {status}; see fuzz/artifacts/{target}");
    Ok(())
}

fn parse<'a>(options: &[&'a str]) -> Result<(&'a str, u64)> {
    match *options {
        [target] if !target.starts_with('-') => Ok((target, DEFAULT_SECONDS)),
        [target, "--seconds", seconds] | ["--seconds", seconds, target] if !target.starts_with('-') => {
            Ok((target, seconds.parse().with_context(|| format!("--seconds {seconds}"))?))
        }
        _ => bail!("usage: cargo xtask fuzz TARGET [--seconds N]"),
    }
}

const DEFAULT_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_target_and_seconds() {
        assert_eq!(parse(&["head"]).unwrap(), ("head", DEFAULT_SECONDS));
        assert_eq!(parse(&["head", "--seconds", "5"]).unwrap(), ("head", 5));
        assert_eq!(parse(&["--seconds", "5", "head"]).unwrap(), ("head", 5));
        for wrong in [&[][..], &["--seconds"], &["head", "--seconds", "x"], &["head", "tail"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
