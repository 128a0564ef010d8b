//! The page docs/chaos.md.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::endpoints::DELAY;
use super::load::CROWDS;
use super::proxy::{HEALTH_INTERVAL, upstream};
use super::verdict::{Consequence, Run, TOLERANCE, Verdict};
use crate::bench::machine;
use crate::packages::ask;

pub fn page(run: &Run, verdicts: &[Verdict]) -> Result<String> {
    let mut page = String::from(INTRODUCTION);
    page.push_str("\n## Promises\n\n| Promise | Measured | Verdict |\n| --- | --- | --- |\n");
    for verdict in verdicts {
        let _ = writeln!(page, "| {} | {} | {} |", verdict.promise, verdict.numbers, verdict.word());
    }
    page.push_str(POSTS);
    page.push_str(FAULTS);
    for consequence in run.consequences() {
        page.push_str(&row(&consequence));
    }
    let _ = write!(page, "{COLUMNS}\n## How it was measured\n\n    cargo xtask chaos\n\n{}", setting(run)?);
    let _ = write!(page, "\nThe upstream and its routes:\n\n```toml\n{}```\n", upstream(ENDPOINTS));
    Ok(page)
}

fn row(consequence: &Consequence) -> String {
    let Consequence { trouble, requests, get_errors, post_errors, slowest, recovered, healed, amplification } =
        consequence;
    format!(
        "| {} | {:.1} | {requests} | {get_errors} | {post_errors} | {} | {} | {} | {amplification:.3} |\n",
        trouble.name(),
        trouble.begin.as_secs_f64(),
        slowest.as_millis(),
        seconds(*recovered),
        seconds(*healed)
    )
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("never".to_string(), |time| format!("{:.1}", time.as_secs_f64()))
}

fn setting(run: &Run) -> Result<String> {
    let date = ask(Path::new("date"), &["-u", "+%Y-%m-%d"])?;
    let [gets, posts, control] = CROWDS;
    Ok(format!(
        "- Date: {date}\n- Machine: {}, everything on it\n- Palisade {}, release build; {:.0} s, {} requests, of \
         which the proxy sent {} again\n- Load: {} clients with {} GETs a second and {} with {} POSTs, keep-alive, each request with an id of its own\n\
         - Control: {} clients ask another server past the proxy, {} times a second.\n\
         - \"As before\" is a p99 of at most {} ms more than in the calm start ({:.1} ms), or than what the control has\n  \
         at the same time: then the machine is slow. The health interval is {} s, a slow\n  endpoint is {} ms late.\n",
        machine(),
        env!("CARGO_PKG_VERSION"),
        run.course.end.as_secs_f64(),
        run.samples.len(),
        run.repetitions,
        gets.clients,
        gets.rate,
        posts.clients,
        posts.rate,
        control.clients,
        control.rate,
        TOLERANCE.as_millis(),
        run.calm_p99().as_secs_f64() * 1000.0,
        HEALTH_INTERVAL.as_secs(),
        DELAY.as_millis()
    ))
}

/// They have other ports each time.
const ENDPOINTS: &str = r#""127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003""#;

const INTRODUCTION: &str = "\
# What clients see when servers fail

Three servers behind one Palisade, under load: each of them is killed (SIGKILL), stopped (SIGSTOP), made slow and made
to answer 500, and brought back, one after the other. The command at the end writes this page, promises that were
missed included.

![Latency, errors and the state of each endpoint over time](chaos.svg)
";

const POSTS: &str = "
A POST that was under way to an endpoint when that was killed or stopped ends in an error: it may have been executed,
so it is not sent again, although the route names every condition. One that an endpoint answers with 500 is executed
and has this answer.
";

const FAULTS: &str = "
## Faults

| Fault | At s | Requests | GET errors | POST errors | Slowest GET ms | p99 as before after s | Back: after s | Requests upstream for each |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

const COLUMNS: &str = "
Requests are those that started during the fault, errors also those until the next one. \"Back\" is the same time after
the endpoint was brought back. Requests upstream are what the endpoints wrote down of the requests of the fault, each
by its id, also when they got to it only later.
";
