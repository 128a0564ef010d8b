//! testssl.sh: protocols, ciphers, certificates and known weaknesses of TLS.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::{Origin, temp_dir};

use super::court::Court;
use super::{Finding, Report};

pub fn judge(court: &Court) -> Result<Report> {
    if let Some(other) = &court.against {
        return scan(other);
    }
    let origin = Origin::echo();
    let palisade = court.start_secure(&origin.address().to_string(), "")?;
    scan(&palisade.address("https").to_string())
}

fn scan(address: &str) -> Result<Report> {
    let dir = temp_dir();
    let (file, log) = (dir.join("findings.json"), dir.join("output.txt"));
    let mut testssl = Command::new("testssl");
    testssl
        .args(["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--jsonfile"])
        .arg(&file);
    // Protocols, ciphers, forward secrecy, the server's defaults, weaknesses, and what it says in HTTP.
    testssl.args(["-p", "-s", "-f", "-P", "-S", "-U", "-h", address]);
    testssl.stdin(Stdio::null()).stdout(fs::File::create(&log)?).stderr(Stdio::null());
    let status = testssl.status().context("testssl")?;
    let text = fs::read_to_string(&file).context("the findings of testssl")?;
    let report = read(&text);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    ensure!(report.cases > 50, "testssl ({status}) came to {} findings only:\n{}", report.cases, said());
    Ok(report)
}

/// A list of objects, one key a line: `"id"`, then `"severity"`, then `"finding"`. INFO and OK are none.
fn read(text: &str) -> Report {
    let mut report = Report { cases: 0, findings: Vec::new() };
    let (mut id, mut severity) = (String::new(), String::new());
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        let value = value.trim().trim_end_matches(',').trim_matches('"').to_string();
        match key.trim().trim_matches('"') {
            "id" => id = value,
            "severity" => severity = value,
            "finding" => {
                report.cases += 1;
                if !matches!(severity.as_str(), "OK" | "INFO" | "DEBUG") {
                    report.findings.push(Finding { case: id.clone(), why: format!("{severity}: {value}") });
                }
            }
            _ => {}
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_findings() {
        let text = r#"[
          {
              "id"           : "SSLv2",
              "severity"     : "OK",
              "finding"      : "not offered"
          }
        , {
              "id"           : "LUCKY13",
              "severity"     : "LOW",
              "cve"          : "CVE-2013-0169",
              "finding"      : "potentially vulnerable, uses TLS CBC ciphers"
          }]"#;
        let report = read(text);
        assert_eq!((report.cases, report.findings.len()), (2, 1));
        assert_eq!(report.findings[0].case, "LUCKY13");
        assert!(report.findings[0].why.starts_with("LOW: potentially"));
    }
}
