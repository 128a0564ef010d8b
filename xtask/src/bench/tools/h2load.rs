//! h2load: load of HTTP/2, with TLS and with prior knowledge.
//!
//! It is not ours on purpose: nobody can say that the load was made for Palisade. And it takes less time for a
//! request than a client on the `h2` crate, so one core carries it and the origin.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::results::Done;

/// How long to ask.
#[derive(Clone, Copy)]
pub enum Until {
    Time(Duration),
    Requests(usize),
}

/// Asks for `url` over [`CONNECTIONS`] connections with [`STREAMS`] requests under way on each. An answer with
/// another status than 2xx and an error of a connection are errors of the whole run.
pub fn run(url: &str, until: Until) -> Result<Done> {
    let mut command = Command::new("h2load");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-m{STREAMS}")]);
    match until {
        Until::Time(duration) => command.arg(format!("-D{}", duration.as_secs())),
        Until::Requests(requests) => command.arg(format!("-n{requests}")),
    };
    let output = command.arg(url).output().context("h2load")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "h2load ended with {}: {text}", output.status);
    let done = parse(&text)?;
    match until {
        Until::Time(duration) => Ok(Done { seconds: duration.as_secs_f64(), ..done }),
        Until::Requests(requests) => {
            ensure!(done.requests == requests as f64, "h2load made {} of {requests} requests", done.requests);
            Ok(done)
        }
    }
}

fn parse(text: &str) -> Result<Done> {
    // "finished in 2.01s, 70000.50 req/s, 9.83MB/s", or with ms or us
    let finished =
        text.lines().find_map(|line| line.strip_prefix("finished in ")).context("h2load's time")?;
    let seconds = parse_time(finished.split(',').next().unwrap_or_default())?;
    // "requests: 9 total, 10 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout"
    let line = text.lines().find_map(|line| line.strip_prefix("requests: ")).context("h2load's requests")?;
    let count = |name: &str| {
        let of_name = line.split(", ").find_map(|part| part.strip_suffix(name)?.trim().parse::<f64>().ok());
        of_name.with_context(|| format!("h2load tells no number that {name}: {line}"))
    };
    let clean = count("failed")? == 0.0 && count("errored")? == 0.0 && count("timeout")? == 0.0;
    ensure!(clean && count("succeeded")? == count("done")?, "h2load: {line}");
    ensure!(count("succeeded")? > 0.0, "h2load had no answer: {line}");
    Ok(Done { requests: count("succeeded")?, seconds })
}

fn parse_time(text: &str) -> Result<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        _ => f64::NAN,
    };
    let seconds = digits.parse::<f64>().context("h2load's time")? * unit;
    ensure!(seconds.is_finite(), "h2load's time is {text:?}");
    Ok(seconds)
}

pub const CONNECTIONS: usize = 8;
pub const STREAMS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const H2LOAD: &str = "starting benchmark...\nApplication protocol: h2\n\n\
        finished in 26.02ms, 39359.78 req/s, 6.70MB/s\n\
        requests: 1024 total, 1024 started, 1024 done, 1024 succeeded, 0 failed, 0 errored, 0 timeout\n\
        status codes: 1024 2xx, 0 3xx, 0 4xx, 0 5xx\n";

    #[test]
    fn reads_what_h2load_prints() {
        let done = parse(H2LOAD).unwrap();
        assert_eq!(done.requests, 1024.0);
        assert!((done.seconds - 0.02602).abs() < 1e-9);
        assert_eq!(parse_time("2.01s").unwrap(), 2.01);
        assert!(parse_time("2h").is_err());
    }

    #[test]
    fn counts_no_run_in_which_something_failed() {
        for (fine, trouble) in
            [("0 failed", "1 failed"), ("0 errored", "2 errored"), ("1024 succeeded", "1023 succeeded")]
        {
            assert!(parse(&H2LOAD.replace(fine, trouble)).is_err(), "{trouble}");
        }
        assert!(parse(&H2LOAD.replace("1024", "0")).is_err());
    }
}
