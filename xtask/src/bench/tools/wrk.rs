//! wrk: load of HTTP/1.1, with and without TLS.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::results::Done;

/// What wrk shall do: so many connections from one thread, asking for one address.
pub struct Wrk<'a> {
    pub url: &'a str,
    pub connections: usize,
    /// A program in Lua that makes something else than GET of the requests.
    pub script: Option<&'a Path>,
    /// A further field of the requests.
    pub header: Option<&'a str>,
}

impl Wrk<'_> {
    /// Runs for `duration` (whole seconds) and returns how many requests were answered with 200, and in how
    /// many seconds. An answer with another status and an error of a socket are errors of the whole run.
    pub fn run(&self, duration: Duration) -> Result<Done> {
        let mut command = Command::new("wrk");
        command.args([
            "-t1",
            "--timeout",
            "30s",
            &format!("-c{}", self.connections),
            &format!("-d{}s", duration.as_secs()),
        ]);
        if let Some(script) = self.script {
            command.arg("-s").arg(script);
        }
        if let Some(header) = self.header {
            command.args(["-H", header]);
        }
        let output = command.arg(self.url).output().context("wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "wrk ended with {}: {text}", output.status);
        parse(&text)
    }
}

fn parse(text: &str) -> Result<Done> {
    for trouble in ["Non-2xx", "Socket errors"] {
        let line = text.lines().find(|line| line.contains(trouble));
        ensure!(line.is_none(), "wrk: {}", line.unwrap_or_default().trim());
    }
    // "  123456 requests in 5.10s, 30.20MB read"
    let line = text.lines().find(|line| line.contains(" requests in ")).context("wrk tells no requests")?;
    let (requests, rest) = line.trim().split_once(" requests in ").context("wrk's line of requests")?;
    let time = rest.split(',').next().unwrap_or_default();
    let seconds = match time.strip_suffix('m') {
        Some(minutes) => minutes.parse::<f64>().context("wrk's time")? * 60.0,
        None => time.trim_end_matches('s').parse().context("wrk's time")?,
    };
    Ok(Done { requests: requests.parse().context("wrk's requests")?, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 2s test @ http://127.0.0.1:1/128\n  1 threads and 64 connections\n\
        \x20 Thread Stats   Avg      Stdev     Max   +/- Stdev\n  150342 requests in 2.10s, 38.71MB read\n\
        Requests/sec:  71591.43\n";

    #[test]
    fn reads_what_wrk_prints() {
        assert_eq!(parse(WRK).unwrap(), Done { requests: 150_342.0, seconds: 2.1 });
        let slow = parse("  7 requests in 1.50m, 1KB read").unwrap();
        assert_eq!(slow, Done { requests: 7.0, seconds: 90.0 });
    }

    #[test]
    fn counts_no_run_in_which_something_failed() {
        for trouble in ["  Non-2xx or 3xx responses: 5\n", "  Socket errors: connect 0, read 1, write 0\n"] {
            assert!(parse(&format!("{WRK}{trouble}")).is_err());
        }
    }
}
