//! Chromium loads a page and its two hundred parts, and sends a body; the page itself tells what became of it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::{Behaviour, Origin, Script, temp_dir};

use super::court::Court;
use super::{Finding, Report};

pub fn judge(court: &Court) -> Result<Report> {
    if let Some(other) = &court.against {
        return visit(other);
    }
    let origin = Origin::serve(
        testkit::Address::Tcp(([127, 0, 0, 1], 0).into()),
        Behaviour::Scripted(Box::new(|request, _| match request.target.as_str() {
            "/" => Script::answer_with(200, &[("Content-Type", "text/html")], page()),
            part if part.starts_with("/part/") => {
                Script::answer_with(200, &[("Content-Type", "text/javascript")], "parts += 1;")
            }
            _ => Script::echo(request),
        })),
    );
    let palisade = court.start_secure(&origin.address().to_string(), "")?;
    visit(&format!("localhost:{}", palisade.address("https").port()))
}

fn visit(host: &str) -> Result<Report> {
    let dir = temp_dir();
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    // The authority is the court's own; who shows what to whom is the business of other judges.
    chromium
        .args(["--ignore-certificate-errors", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.display()));
    let output = chromium.arg(format!("https://{host}/")).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.context("chromium")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next());
    let told = told.with_context(|| format!("the page did not tell ({}):\n{text}", output.status))?;
    ensure!(told.lines().count() == EXPECTED.len(), "the page told {told:?}");
    let lines = told.lines().zip(EXPECTED);
    let wrong = lines.filter(|(told, expected)| told != expected);
    let findings = wrong.map(|(told, expected)| Finding {
        case: expected.split(':').next().unwrap_or_default().to_string(),
        why: format!("{told:?}, not {expected:?}"),
    });
    Ok(Report { cases: EXPECTED.len(), findings: findings.collect() })
}

/// The page counts its parts, sends a body, and writes down the protocols of everything.
fn page() -> String {
    let parts: String =
        (0..PARTS).map(|number| format!("<script src=\"/part/{number}.js\"></script>\n")).collect();
    format!(
        r#"<!DOCTYPE html><title>judge</title><script>var parts = 0;</script>
{parts}<pre></pre><script>
var request = new XMLHttpRequest();
request.open("POST", "/echo", false);
request.send("x".repeat(200000));
var seen = performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"));
var protocols = Array.from(new Set(seen.map(entry => entry.nextHopProtocol))).join(" ");
document.querySelector("pre").textContent =
    ["parts: " + parts, "body: " + request.responseText.length, "protocols: " + protocols].join("\n");
</script>"#
    )
}

const PARTS: usize = 200;
const EXPECTED: [&str; 3] = ["parts: 200", "body: 200000", "protocols: h2"];
