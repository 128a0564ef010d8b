//! gRPC by its own library on both sides of the proxy, without TLS and with it.

use anyhow::{Context, Result};

use super::Report;
use super::court::{Court, Server, listen};
use super::python::script;

pub fn judge(court: &Court) -> Result<Report> {
    let ask = |arguments: &[&str]| listen(script(&court.target, SCRIPT, &[&["ask"], arguments].concat())?);
    if let Some(other) = &court.against {
        return ask(&[other]);
    }
    let server = Server::start(court, SCRIPT)?;
    let palisade = court.start_secure(&format!("127.0.0.1:{}", server.port), r#"protocol = "http2""#)?;
    let mut report = ask(&[&palisade.address("plain").to_string()])?;
    let authority = court.authority_file.to_str().context("a path that is text")?;
    let secure = format!("localhost:{}", palisade.address("https").port());
    let mut with_tls = ask(&[&secure, authority])?;
    with_tls.findings.iter_mut().for_each(|finding| finding.case.insert_str(0, "with TLS, "));
    report.cases += with_tls.cases;
    report.findings.extend(with_tls.findings);
    Ok(report)
}

const SCRIPT: &str = "ask_grpc.py";
