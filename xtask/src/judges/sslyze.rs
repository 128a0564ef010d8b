//! SSLyze: does TLS keep to Mozilla's intermediate profile, and what else does it scan for?

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testkit::Origin;

use super::court::Court;
use super::python::python;
use super::{Finding, Report};

pub fn judge(court: &Court) -> Result<Report> {
    if let Some(other) = &court.against {
        return scan(court, other);
    }
    let origin = Origin::echo();
    let palisade = court.start_secure(&origin.address().to_string(), "")?;
    scan(court, &palisade.address("https").to_string())
}

fn scan(court: &Court, address: &str) -> Result<Report> {
    let mut sslyze = python(&court.target)?;
    sslyze.args([
        "-m",
        "sslyze",
        "--mozilla_config",
        "intermediate",
        "--sni",
        "localhost",
        "--certinfo_ca_file",
    ]);
    let output =
        sslyze.arg(&court.authority_file).arg(address).stdin(Stdio::null()).output().context("sslyze")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let findings = read(&text);
    ensure!(text.contains("Checking results against"), "sslyze did not come to a verdict:\n{text}");
    ensure!(
        output.status.success() == findings.is_empty(),
        "sslyze is not content, and not with what:\n{text}"
    );
    // Each scan has a heading; the profile is judged by what they found.
    let scans = text.lines().filter(|line| line.starts_with(" * ")).count();
    Ok(Report { cases: scans, findings })
}

/// Rules of the profile that are broken: `        * ciphers: why`, below the name of the server. And scans that
/// found a weakness: `VULNERABLE`.
fn read(text: &str) -> Vec<Finding> {
    let profile = text.split("Checking results against").nth(1).unwrap_or_default().lines();
    let broken = profile.filter_map(|line| line.trim_start().strip_prefix("* ")?.split_once(": "));
    let weak = text.lines().filter(|line| line.contains("VULNERABLE - "));
    let weak = weak.map(|line| ("scan", line.trim()));
    let findings = broken.chain(weak);
    findings.map(|(case, why)| Finding { case: case.to_string(), why: why.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_verdict() {
        let good = " * Heartbleed:\n   OK - Not vulnerable\n    Checking results against Mozilla's \"intermediate\" \
                    configuration.\n\n    127.0.0.1:1: OK - Compliant.\n";
        assert_eq!(read(good), []);
        let bad = format!(
            "{good}    127.0.0.1:1: FAILED - Not compliant.\n        * ciphers: Cipher suites {{'X'}}\n"
        );
        assert_eq!(read(&bad)[0].case, "ciphers");
        assert_eq!(read("   VULNERABLE - Server is vulnerable to X\n").len(), 1);
    }
}
