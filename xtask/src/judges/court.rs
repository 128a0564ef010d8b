//! Where judges meet the proxy: certificates, an origin, and the real binary with a configuration.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use testkit::{Authority, CertificateFiles, Launch, Leaf, Palisade, TempDir, temp_dir};

use super::python;
use super::{Finding, Report};

pub struct Court {
    pub target: PathBuf,
    /// `HOST:PORT` of a server that is judged in place of Palisade.
    pub against: Option<String>,
    pub authority: Authority,
    /// The certificate of the authority.
    pub authority_file: PathBuf,
    certificate: CertificateFiles,
    _dir: TempDir,
}

impl Court {
    pub fn open(target: &Path, against: Option<String>) -> Result<Court> {
        let dir = temp_dir();
        let authority = Authority::new("Palisade judges");
        let leaf = Leaf::server(&["localhost", "127.0.0.1"]);
        let certificate = authority.issue(leaf).write_to(&dir, "server");
        let authority_file = authority.write_to(&dir, "authority");
        Ok(Court { target: target.to_path_buf(), against, authority, authority_file, certificate, _dir: dir })
    }

    /// Palisade with this configuration.
    pub fn start(&self, config: &str) -> Result<Palisade> {
        ensure!(self.against.is_none(), "this judge needs Palisade, not another server");
        let binary = self.target.join("debug/palisade");
        let binary = binary.to_str().context("a path that is text")?;
        match Launch::new(binary).try_start(config) {
            Ok(palisade) => Ok(palisade),
            Err(error) => bail!("Palisade {error}"),
        }
    }

    /// Palisade that speaks HTTP/2 without TLS on the listener `plain`, beside HTTP/1.1, and alone on `only`, and both
    /// with TLS on `https`, before one upstream; `upstream` is the rest of that.
    pub fn start_secure(&self, endpoint: &str, upstream: &str) -> Result<Palisade> {
        self.start(&format!(
            r#"
            listeners.plain = {{ address = "127.0.0.1:0", http2 = true }}
            listeners.only = {{ address = "127.0.0.1:0", http2 = "only" }}
            listeners.https = {{ address = "127.0.0.1:0", tls = true }}
            certificates.main = {{ certificate = "{}", key = "{}" }}
            upstreams.origin = {{ endpoints = ["{endpoint}"], {upstream} }}
            routes.all = {{ upstream = "origin", request_body = "stream" }}
            log.access = "{{dir}}/access.log"
            "#,
            self.certificate.certificate.display(),
            self.certificate.key.display(),
        ))
    }
}

/// A server of a Python judge: it prints its port, and ends with its standard input.
pub struct Server {
    pub port: u16,
    process: Child,
    _input: ChildStdin,
}

impl Server {
    pub fn start(court: &Court, script: &str) -> Result<Server> {
        let mut command = python::script(&court.target, script, &["serve"])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("start {script}"))?;
        let input = process.stdin.take().context("a piped standard input")?;
        let mut line = String::new();
        let output = process.stdout.take().context("a piped standard output")?;
        BufReader::new(output).read_line(&mut line).context("the port")?;
        let port = line.trim().parse();
        let mut server = Server { port: 0, process, _input: input };
        server.port = port.with_context(|| format!("{script} gave {line:?} as its port"))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a judge that prints `ok NAME` and `FAILED NAME: why`, and must print something.
pub fn listen(mut command: Command) -> Result<Report> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("start the judge")?;
    ensure!(output.status.success(), "the judge ended with {}", output.status);
    let report = read(&String::from_utf8_lossy(&output.stdout));
    ensure!(report.cases > 0, "the judge tried nothing");
    Ok(report)
}

fn read(text: &str) -> Report {
    let failed = text.lines().filter_map(|line| line.strip_prefix("FAILED "));
    let finding = |line: &str| {
        let (case, why) = line.split_once(": ").unwrap_or((line, ""));
        Finding { case: case.to_string(), why: why.to_string() }
    };
    let findings: Vec<Finding> = failed.map(finding).collect();
    let passed = text.lines().filter(|line| line.starts_with("ok ")).count();
    Report { cases: passed + findings.len(), findings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_judges_print() {
        let report = read("ok one\nnoise\nFAILED two: it: broke\nFAILED three\n");
        assert_eq!(report.cases, 3);
        assert_eq!(report.findings[0], Finding { case: "two".to_string(), why: "it: broke".to_string() });
        assert_eq!(report.findings[1].case, "three");
    }
}
