//! `cargo xtask test`: everything that must hold before a change is merged, in the order of cheapness.

use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::packages::{FOR_TESTS, find_binary, install_missing};

/// What became of one step.
struct Outcome {
    name: &'static str,
    status: ExitStatus,
    duration: Duration,
}

/// Runs every step, also after a failed one, so that one run tells everything; fails if any did.
pub fn run() -> Result<()> {
    install_missing(FOR_TESTS).context("the tests need programs that are missing")?;
    let tests: &[&str] = match find_binary("cargo-nextest") {
        Some(_) => &["nextest", "run", "--workspace"],
        None => &["test", "--workspace", "--lib", "--bins", "--tests"],
    };
    let outcomes = [
        step("format", &["fmt", "--all", "--check"])?,
        step("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?,
        step("tests", tests)?,
    ];

    println!("\n== summary");
    for Outcome { name, status, duration } in &outcomes {
        let result = if status.success() { "ok" } else { "FAILED" };
        println!("{name:<8} {result:<8} {:>6.1} s", duration.as_secs_f64());
    }
    match outcomes.iter().filter(|outcome| !outcome.status.success()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} steps failed", outcomes.len()),
    }
}

fn step(name: &'static str, arguments: &[&str]) -> Result<Outcome> {
    println!("\n== {name}: cargo {}", arguments.join(" "));
    let start = Instant::now();
    let mut command = Command::new("cargo");
    let status =
        command.args(arguments).status().with_context(|| format!("cargo {}", arguments.join(" ")))?;
    let duration = start.elapsed();
    println!("== {name}: {status} after {:.1} s", duration.as_secs_f64());
    Ok(Outcome { name, status, duration })
}
