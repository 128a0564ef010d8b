//! `cargo xtask judges`: programs that others wrote, and cases by section of the RFCs, judge the real binary.
//!
//! They take longer than tests should, or need more than tests should need. A judge that cannot be had, or ends
//! early, is an error: it never counts as content.

mod browser;
mod conformance;
mod court;
mod grpc;
mod h2spec;
mod known;
mod python;
mod sslyze;
mod testssl;
mod websocket;

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::packages::{FOR_JUDGES, install_missing};
use court::Court;

pub fn run(options: &[&str]) -> Result<()> {
    let plan = Plan::parse(options)?;
    install_missing(FOR_JUDGES).context("the judges need programs that are missing")?;
    let target = crate::bench::target_folder()?;
    python::install(&target)?;
    let build = ["build", "--bin", "palisade"];
    let status = Command::new("cargo").args(build).status().context("cargo build")?;
    ensure!(status.success(), "Palisade does not build");

    let court = Court::open(&target, plan.against)?;
    let mut rows = Vec::new();
    for judge in plan.judges {
        println!("judges: {} ({})", judge.name(), judge.asks());
        rows.push((judge, judge.try_out(&court)));
    }
    println!();
    let good: Vec<bool> = rows.iter().map(|(judge, result)| print_row(*judge, result)).collect();
    match good.iter().filter(|good| !**good).count() {
        0 => Ok(()),
        bad => bail!("{bad} of {} judges are not content", good.len()),
    }
}

/// What one judge found.
pub struct Report {
    pub cases: usize,
    pub findings: Vec<Finding>,
}

/// A case that was not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub case: String,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    Conformance,
    H2spec,
    Sslyze,
    Testssl,
    Websocket,
    Grpc,
    Browser,
}

impl Judge {
    const ALL: [Judge; 7] = [
        Judge::Conformance,
        Judge::H2spec,
        Judge::Sslyze,
        Judge::Testssl,
        Judge::Websocket,
        Judge::Grpc,
        Judge::Browser,
    ];

    fn name(self) -> &'static str {
        match self {
            Judge::Conformance => "conformance",
            Judge::H2spec => "h2spec",
            Judge::Sslyze => "sslyze",
            Judge::Testssl => "testssl",
            Judge::Websocket => "websocket",
            Judge::Grpc => "grpc",
            Judge::Browser => "browser",
        }
    }

    fn asks(self) -> &'static str {
        match self {
            Judge::Conformance => "HTTP/2 and HPACK by section, without and with TLS; our own cases",
            Judge::H2spec => "HTTP/2 and HPACK by section, without and with TLS; the cases of others",
            Judge::Sslyze => "TLS as Mozilla's intermediate profile wants it",
            Judge::Testssl => "TLS and its known weaknesses",
            Judge::Websocket => "the Autobahn suite through the proxy",
            Judge::Grpc => "grpc on both sides, without and with TLS",
            Judge::Browser => "Chromium loads a page with two hundred parts",
        }
    }

    fn try_out(self, court: &Court) -> Result<Report> {
        match self {
            Judge::Conformance => conformance::judge(court),
            Judge::H2spec => h2spec::judge(court),
            Judge::Sslyze => sslyze::judge(court),
            Judge::Testssl => testssl::judge(court),
            Judge::Websocket => websocket::judge(court),
            Judge::Grpc => grpc::judge(court),
            Judge::Browser => browser::judge(court),
        }
    }
}

/// What the options ask for.
struct Plan {
    judges: Vec<Judge>,
    /// A server that runs already, in place of Palisade: shows whether a judge finds something.
    against: Option<String>,
}

impl Plan {
    fn parse(options: &[&str]) -> Result<Plan> {
        let (mut judges, mut against) = (Vec::new(), None);
        let mut rest = options.iter();
        while let Some(&option) = rest.next() {
            match option {
                "--against" => against = Some(rest.next().context("--against needs HOST:PORT")?.to_string()),
                name => {
                    let judge = Judge::ALL.into_iter().find(|judge| judge.name() == name);
                    let names = Judge::ALL.map(Judge::name).join(", ");
                    judges.push(judge.with_context(|| format!("no judge {name}; there are {names}"))?);
                }
            }
        }
        if judges.is_empty() {
            judges = Judge::ALL.to_vec();
        }
        Ok(Plan { judges, against })
    }
}

/// One judge, its numbers and its findings; false when it is not content.
fn print_row(judge: Judge, result: &Result<Report>) -> bool {
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            println!("{:<12} could not judge: {error:#}", judge.name());
            return false;
        }
    };
    let (known, new): (Vec<&Finding>, Vec<&Finding>) = report
        .findings
        .iter()
        .partition(|finding| known::reason(judge, &finding.case, &finding.why).is_some());
    let verdict = if new.is_empty() { "content" } else { "NOT CONTENT" };
    let numbers = (report.cases, new.len(), known.len());
    println!(
        "{:<12} {verdict}: {} cases, {} failed, {} more are known",
        judge.name(),
        numbers.0,
        numbers.1,
        numbers.2
    );
    for Finding { case, why } in new {
        println!("    FAILED {case}: {why}");
    }
    for Finding { case, why } in known {
        println!("    known  {case}: {}", known::reason(judge, case, why).unwrap_or_default());
    }
    result.is_ok() && verdict == "content"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_judges() {
        assert_eq!(Plan::parse(&[]).unwrap().judges, Judge::ALL);
        let plan = Plan::parse(&["grpc", "--against", "127.0.0.1:1"]).unwrap();
        assert_eq!((plan.judges, plan.against.as_deref()), (vec![Judge::Grpc], Some("127.0.0.1:1")));
        assert!(Plan::parse(&["h3"]).is_err());
        assert!(Plan::parse(&["--against"]).is_err());
    }

    #[test]
    fn only_new_findings_count() {
        let finding = |case: &str| Finding { case: case.to_string(), why: String::new() };
        let report = |case| Ok(Report { cases: 2, findings: vec![finding(case)] });
        assert!(print_row(Judge::Websocket, &report("9.3.1")));
        assert!(!print_row(Judge::Websocket, &report("1.1.1")));
        assert!(!print_row(Judge::Grpc, &report("9.3.1")));
        assert!(!print_row(Judge::Grpc, &Err(anyhow::anyhow!("no grpc"))));
    }
}
