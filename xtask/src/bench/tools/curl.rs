//! curl: single requests over every kind of front, by a client that verifies the certificate.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::front::Front;
use crate::bench::peers::Site;

/// The protocol that curl is told to speak; it fails when the proxy does not.
#[derive(Clone, Copy, Debug)]
pub enum Speak {
    Http1,
    Http2,
}

/// A request for `path` of `site` that still needs its input and output arranged.
pub fn command(site: &Site, speak: Speak, path: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "120", "--cacert"]);
    command.arg(site.certificates.authority());
    command.arg(match (speak, site.front) {
        (Speak::Http1, _) => "--http1.1",
        (Speak::Http2, Front::Tls(_)) => "--http2",
        (Speak::Http2, Front::Http1 | Front::Http2 | Front::Coded(..)) => "--http2-prior-knowledge",
    });
    command.arg(site.url(path)).stdin(Stdio::null());
    command
}

/// The body of the answer to `GET path`. An error when it was not spoken as asked: with TLS the proxy could
/// have chosen HTTP/1.1 instead.
pub fn fetch(site: &Site, speak: Speak, path: &str) -> Result<String> {
    let output =
        command(site, speak, path).args(["--write-out", "\n%{http_version}"]).output().context("curl")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", errors.trim());
    let text = String::from_utf8_lossy(&output.stdout);
    let (body, version) = text.rsplit_once('\n').context("curl tells no version")?;
    let wanted = match speak {
        Speak::Http1 => "1.1",
        Speak::Http2 => "2",
    };
    ensure!(version == wanted, "spoke HTTP/{version}, not HTTP/{wanted}");
    Ok(body.to_string())
}
