//! h2spec: HTTP/2 and HPACK as others read the RFCs. It is taken from the `PATH`, or made by Go from Go's registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use testkit::Origin;

use super::court::Court;
use super::{Finding, Report};
use crate::packages::find_binary;

/// Version 2.6.0. Its number cannot be named: the module's path is that of version 1.
const SOURCE: &str = "github.com/summerwind/h2spec/cmd/h2spec@70ac2294010887f48b18e2d64f5cccd48421fad1";

pub fn judge(court: &Court) -> Result<Report> {
    let program = program(&court.target)?;
    if let Some(other) = &court.against {
        return ask(&program, "plain", other, &[]);
    }
    let origin = Origin::echo();
    let palisade = court.start_secure(&origin.address().to_string(), "")?;
    // Where HTTP/1.1 is spoken too, what is no preface is answered as a bad request of that.
    let mut report = ask(&program, "plain", &palisade.address("only").to_string(), &[])?;
    let secure = ask(&program, "tls", &palisade.address("https").to_string(), &["--tls", "--insecure"])?;
    report.cases += secure.cases;
    report.findings.extend(secure.findings);
    Ok(report)
}

fn program(target: &Path) -> Result<PathBuf> {
    if let Some(found) = find_binary("h2spec") {
        return Ok(found);
    }
    let folder = target.join("judges/go");
    let made = folder.join("h2spec");
    if made.exists() {
        return Ok(made);
    }
    println!("judges: making h2spec with Go");
    let mut go = Command::new("go");
    go.args(["install", SOURCE]).env("GOBIN", &folder).env("GOPATH", folder.join("path"));
    match go.status() {
        Ok(status) if status.success() => Ok(made),
        Ok(status) => bail!("go install {SOURCE}: {status}; or put h2spec 2.6.0 on the PATH"),
        Err(error) => bail!("neither h2spec nor go is there ({error}); put h2spec 2.6.0 on the PATH"),
    }
}

fn ask(program: &Path, name: &str, address: &str, options: &[&str]) -> Result<Report> {
    let (host, port) = address.rsplit_once(':').context("HOST:PORT")?;
    let mut h2spec = Command::new(program);
    let output = h2spec.args(["-h", host, "-p", port]).args(options).output().context("h2spec")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = read(name, &text).with_context(|| format!("h2spec ({}) said:\n{text}", output.status))?;
    ensure!(report.cases > 100, "h2spec came to {} cases only:\n{text}", report.cases);
    Ok(report)
}

/// Failures come once more at the end, below the numbers of their sections; then the sums.
fn read(name: &str, text: &str) -> Option<Report> {
    let sums = text.lines().rev().find(|line| line.contains(" tests, "))?;
    let count = |what: &str| {
        let part = sums.split(", ").find_map(|part| part.strip_suffix(what))?;
        part.trim().parse::<usize>().ok()
    };
    let (cases, skipped, failed) = (count(" tests")?, count(" skipped")?, count(" failed")?);
    let mut findings = Vec::new();
    let mut section = "";
    let failures = text.split_once("Failures:").map_or("", |(_, failures)| failures);
    for line in failures.lines().map(str::trim) {
        if let Some(case) = line.strip_prefix("× ") {
            let (number, rule) = case.split_once(": ")?;
            findings.push(Finding { case: format!("{name} {section}/{number}"), why: rule.to_string() });
        } else if line.starts_with(|first: char| first.is_ascii_digit()) && !line.contains(" tests, ") {
            section = line.split_once(". ").map_or(line, |(number, _)| number);
        }
    }
    // Nothing is lost on the way from its list to ours.
    (findings.len() == failed).then_some(Report { cases: cases - skipped, findings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_findings() {
        let text = "Generic tests for HTTP/2 server\n  1. Starting HTTP/2\n    ✔ 1: Sends a client connection preface\n\n\
                    Failures: \n\nHypertext Transfer Protocol Version 2 (HTTP/2)\n  3. Starting HTTP/2\n    3.5. HTTP/2 Connection \
                    Preface\n      × 2: Sends invalid connection preface\n        -> The endpoint MUST terminate the TCP connection.\n\
                    \x20          Expected: Connection closed\n\nFinished in 0.4347 seconds\n146 tests, 145 passed, 0 skipped, 1 failed";
        let report = read("plain", text).unwrap();
        let found = Finding { case: "plain 3.5/2".into(), why: "Sends invalid connection preface".into() };
        assert_eq!((report.cases, report.findings), (146, vec![found]));
        let good =
            read("tls", "Finished in 0.1 seconds\n146 tests, 144 passed, 2 skipped, 0 failed\n").unwrap();
        assert_eq!((good.cases, good.findings.len()), (144, 0));
        assert!(
            read("tls", "146 tests, 145 passed, 0 skipped, 1 failed").is_none(),
            "a failure that is not listed"
        );
        assert!(read("tls", "could not connect").is_none());
    }
}
