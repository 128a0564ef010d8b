//! HTTP/2 and HPACK by section of RFC 9113 and RFC 7541: the cases of `testkit::conformance`.

use anyhow::Result;
use testkit::conformance::{Failure, Target, cases};
use testkit::{Address, Origin, TlsClient};

use super::court::Court;
use super::{Finding, Report};

pub fn judge(court: &Court) -> Result<Report> {
    if let Some(other) = &court.against {
        let address: Address = other.parse().map_err(anyhow::Error::msg)?;
        return Ok(try_all("plain", &Target::new(address)));
    }
    let origin = Origin::echo();
    let palisade = court.start_secure(&origin.address().to_string(), "")?;
    let tls = TlsClient::trusting(&court.authority, "localhost");
    let mut report = try_all("plain", &Target::new(palisade.address("plain")));
    let secure = try_all("tls", &Target::new(palisade.address("https")).tls(tls));
    report.cases += secure.cases;
    report.findings.extend(secure.findings);
    Ok(report)
}

fn try_all(name: &str, target: &Target) -> Report {
    let mut report = Report { cases: 0, findings: Vec::new() };
    for case in cases() {
        match case.run(target) {
            Ok(()) => report.cases += 1,
            Err(Failure::NotApplicable(why)) => {
                println!("judges: not tried, {name} {} {}: {why}", case.section, case.rule);
            }
            Err(Failure::Broken(why)) => {
                report.cases += 1;
                report.findings.push(Finding { case: format!("{name} {} {}", case.section, case.rule), why });
            }
        }
    }
    report
}
