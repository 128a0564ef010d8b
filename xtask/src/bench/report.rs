//! The results as text: a page for docs/ that says what was measured, on what, and how to measure it again.

use std::fmt::Write as _;

use super::goals::Goal;
use super::plan::{Rounds, Topic};
use super::results::Row;
use super::table::{NOT_MEASURED, Table, number};
use super::{IDLE_CONNECTIONS, compression, files, http2, tls};

/// What the numbers depend on besides the proxies.
pub struct Setting {
    pub command: String,
    pub date: String,
    pub machine: String,
    pub topics: Vec<Topic>,
    pub rounds: Rounds,
    pub short_rounds: Rounds,
    /// Requests per second at which latency was measured.
    pub rate: Option<f64>,
}

/// The whole page in Markdown.
pub fn page(rows: &[Row], goals: &[Goal], setting: &Setting) -> String {
    let mut page = String::from("# Benchmarks\n\n");
    let _ = write!(page, "{INTRODUCTION}\n\n![CPU per request and per MiB](benchmarks.svg)\n\n");
    for topic in &setting.topics {
        let able: Vec<&Row> = rows.iter().filter(|row| topic.is_for(row.peer)).collect();
        page.push_str(&match topic {
            Topic::Http1 => http1_section(&able, setting),
            Topic::Tls => tls::section(&able),
            Topic::Http2 => http2::section(&able),
            Topic::Compression => compression::section(&able),
            Topic::Files => files::section(&able),
        });
        page.push('\n');
    }
    if !goals.is_empty() {
        let _ = writeln!(page, "## Goals\n\n{}", goals_table(goals));
    }
    page.push_str("## How it was measured\n\n");
    page.push_str(&method(rows, setting));
    page
}

fn http1_section(rows: &[&Row], setting: &Setting) -> String {
    format!(
        "## Small answers\n\n{}\n## Large answers\n\n{}\n## System calls per request\n\n{}",
        small_table(rows, setting),
        large_table(rows),
        calls_table(rows)
    )
}

fn small_table(rows: &[&Row], setting: &Setting) -> String {
    let mut table = Table::new(&[
        "Proxy",
        "Requests/s",
        "CPU us/request",
        "User instructions/request",
        "Allocations/request",
        "p50 us",
        "p99 us",
        "Idle memory MiB",
    ]);
    for row in rows {
        table.line(&[
            row.peer.name().to_string(),
            number(row.small.map(|small| small.requests_per_second), 0),
            number(row.cpu_per_request(), 2),
            number(row.instructions(), 0),
            number(row.allocations(), 2),
            number(row.latency.map(|latency| latency.p50.as_secs_f64() * 1e6), 0),
            number(row.p99_micros(), 0),
            number(row.idle_bytes.map(|bytes| bytes / f64::from(1 << 20)), 1),
        ]);
    }
    let rate = number(setting.rate, 0);
    let idle = number(Some(IDLE_CONNECTIONS as f64), 0);
    format!(
        "{}\nAnswers of 128 bytes. p50 and p99 at {rate} requests/s; idle memory is what {idle} idle keep-alive\n\
        connections add.\n",
        table.text()
    )
}

fn large_table(rows: &[&Row]) -> String {
    let mut table = Table::new(&[
        "Proxy",
        "64 KiB: requests/s",
        "64 KiB: CPU us/MiB",
        "1 MiB: requests/s",
        "1 MiB: CPU us/MiB",
    ]);
    for row in rows {
        table.line(&[
            row.peer.name().to_string(),
            number(row.medium.map(|medium| medium.requests_per_second), 0),
            number(row.medium_per_mib(), 0),
            number(row.large.map(|large| large.requests_per_second), 0),
            number(row.large_per_mib(), 0),
        ]);
    }
    table.text().to_string()
}

fn calls_table(rows: &[&Row]) -> String {
    let mut table = Table::new(&["Proxy", "On sockets", "Others", "Which"]);
    for row in rows {
        let calls = row.calls.as_ref();
        let which = calls.map(|calls| {
            let each = calls.by_name.iter().map(|(name, count)| format!("{name} {count:.2}"));
            each.collect::<Vec<_>>().join(", ")
        });
        table.line(&[
            row.peer.name().to_string(),
            number(calls.map(|calls| calls.socket), 2),
            number(calls.map(|calls| calls.other), 2),
            which.unwrap_or_else(|| NOT_MEASURED.to_string()),
        ]);
    }
    table.text().to_string()
}

pub fn goals_table(goals: &[Goal]) -> String {
    let mut table = Table::new(&["Goal", "Measured", "At most", "Aim", "Verdict"]);
    for goal in goals {
        let with_unit = |value: f64| match goal.unit {
            "" if value >= 100.0 => number(Some(value), 0),
            "" => number(Some(value), 2),
            unit => format!("{value:.2} {unit}"),
        };
        table.line(&[
            goal.what.to_string(),
            goal.measured.map_or(NOT_MEASURED.to_string(), with_unit),
            with_unit(goal.limit),
            goal.aim.map_or(String::new(), with_unit),
            goal.verdict().text().to_string(),
        ]);
    }
    table.text().to_string()
}

fn method(rows: &[Row], setting: &Setting) -> String {
    let versions: Vec<String> =
        rows.iter().map(|row| format!("{} {}", row.peer.name(), row.version)).collect();
    let Setting { command, date, machine, rounds, short_rounds, .. } = setting;
    let disturbance = rows.iter().flat_map(Row::loads).map(|load| load.disturbance).fold(0.0, f64::max);
    format!(
        "    {command}\n\n\
        - Date: {date}\n\
        - Machine: {machine}\n\
        - Versions: {versions}\n\
        - Every number of load is the median of {rounds}; with TLS, HTTP/2 or compression, of {short_rounds}.\n\
        - Meanwhile up to {disturbance} % of the proxies' core went to other work. Above 5 the times mean little.\n\
        \n{METHOD}",
        versions = versions.join(", "),
        disturbance = number(Some(disturbance * 100.0), 0),
    )
}

const INTRODUCTION: &str = "\
Proxies that do the same work, measured in turn on the same machine. The command at the end writes this page,
goals that were missed included.";

const METHOD: &str = include_str!("method.md");

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::goals::Verdict;
    use crate::bench::peers::Peer;

    #[test]
    fn prints_a_missed_goal_as_missed() {
        let goal = Goal { what: "Socket calls", unit: "", measured: Some(5.0), limit: 4.1, aim: None };
        assert_eq!(goal.verdict(), Verdict::Missed);
        assert!(goals_table(&[goal]).contains("| Socket calls | 5.00 | 4.10 |  | **missed** |"));
    }

    #[test]
    fn the_page_has_what_is_needed_to_repeat_it() {
        let setting = Setting {
            command: "cargo xtask bench".into(),
            date: "2026-11-25".into(),
            machine: "a machine".into(),
            topics: Topic::ALL.to_vec(),
            rounds: Rounds { count: 5, duration: Duration::from_secs(4) },
            short_rounds: Rounds { count: 3, duration: Duration::from_secs(1) },
            rate: Some(30_000.0),
        };
        let page = page(&[Row::new(Peer::Nginx, "1.22.1".into())], &[], &setting);
        for part in
            ["cargo xtask bench", "a machine", "nginx 1.22.1", "5 interleaved rounds of 4 s", "30,000"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("## Goals"));
    }
}
