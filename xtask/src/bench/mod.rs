//! `cargo xtask bench`: Palisade and other proxies doing the same work in turn, and what it costs them.
//!
//! The order of things is in [`run`]; HTTP/1.1 without TLS is measured from here, one column is one function in
//! `measure.rs`. What has TLS or HTTP/2 has a folder of its own.

mod body;
mod chart;
mod compression;
mod files;
mod front;
mod goals;
mod http2;
pub mod load;
mod measure;
pub mod origin;
mod peers;
mod plan;
mod process;
mod report;
mod results;
mod sample;
mod table;
mod tls;
mod tools;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::packages::{FOR_BENCH, ask, install_missing};
use measure::Lab;
use peers::Peer;
use plan::{Plan, Rounds, Topic};
use process::LOAD_CORE;
use report::Setting;
use results::{Latency, Row, Saturation};

pub fn run(options: &[&str]) -> Result<()> {
    let plan = Plan::parse(options)?;
    install_missing(FOR_BENCH).context("the benchmark needs programs that are missing")?;
    let target = target_folder()?;
    if plan.peers.contains(&Peer::Palisade) {
        build_palisade()?;
    }
    if plan.peers.iter().any(|peer| matches!(peer, Peer::Envoy | Peer::Caddy | Peer::Traefik)) {
        peers::fetch_others(&target)?;
    }
    prepare_ourselves()?;

    let lab = Lab::open(&target)?;
    let mut rows = Vec::new();
    for &peer in &plan.peers {
        progress(&format!("checking that {} does its work", peer.name()));
        for topic in plan.topics.iter().filter(|topic| topic.is_for(peer)) {
            topic.fronts().iter().try_for_each(|front| lab.check(peer, *front))?;
        }
        rows.push(Row::new(peer, peer.version(&target)?));
    }
    if plan.counts_only {
        count(&lab, &plan, &mut rows);
        return Ok(());
    }
    let mut rate = None;
    for topic in &plan.topics {
        match topic {
            Topic::Http1 => {
                measure_saturation(&lab, &plan, &mut rows);
                let rate = *rate.insert(fixed_rate(&rows)?);
                measure_latency(&lab, &plan, rate, &mut rows);
            }
            Topic::Tls => tls::measure(&lab, &plan, &mut able(&mut rows, *topic)),
            Topic::Http2 => http2::measure(&lab, &plan, &mut able(&mut rows, *topic)),
            Topic::Compression => compression::measure(&lab, &plan, &mut able(&mut rows, *topic)),
            Topic::Files => files::measure(&lab, &plan, &mut able(&mut rows, *topic)),
        }
    }
    count(&lab, &plan, &mut rows);

    let goals = goals::judge(&rows, &plan.topics);
    let page = report::page(&rows, &goals, &setting(&plan, rate)?);
    println!("\n{page}");
    write_results(&target, &plan, &page, &chart::svg(&rows))
}

fn setting(plan: &Plan, rate: Option<f64>) -> Result<Setting> {
    Ok(Setting {
        command: plan.command.clone(),
        date: ask(Path::new("date"), &["-u", "+%Y-%m-%d"])?,
        machine: machine(),
        topics: plan.topics.clone(),
        rounds: plan.rounds,
        short_rounds: plan.short_rounds,
        rate,
    })
}

/// The rows of the proxies that we can have measured there.
fn able(rows: &mut [Row], topic: Topic) -> Vec<&mut Row> {
    rows.iter_mut().filter(|row| topic.is_for(row.peer)).collect()
}

/// The three sizes for every proxy.
fn measure_saturation(lab: &Lab, plan: &Plan, rows: &mut [Row]) {
    for (path, column) in SIZES {
        let rows = &mut able(rows, Topic::Http1);
        let numbers = saturations(plan.rounds, rows, &format!("as many {path} as can be"), |peer| {
            lab.saturate(peer, path, plan.rounds.duration)
        });
        rows.iter_mut().zip(numbers).for_each(|(row, number)| *column(row) = number);
    }
}

fn measure_latency(lab: &Lab, plan: &Plan, rate: f64, rows: &mut [Row]) {
    let peers: Vec<Peer> = rows.iter().map(|row| row.peer).collect();
    let rounds = interleave(plan.rounds, &peers, &format!("latency at {rate}/s"), |peer| {
        lab.latency(peer, rate, plan.rounds.duration)
    });
    for (row, rounds) in rows.iter_mut().zip(rounds) {
        row.latency = rounds.and_then(|rounds| Latency::median_of(&rounds));
    }
}

/// The medians of a load, for every row.
fn saturations(
    rounds: Rounds,
    rows: &[&mut Row],
    what: &str,
    measure: impl Fn(Peer) -> Result<Saturation>,
) -> Vec<Option<Saturation>> {
    let peers: Vec<Peer> = rows.iter().map(|row| row.peer).collect();
    let rounds = interleave(rounds, &peers, what, measure).into_iter();
    rounds.map(|rounds| rounds.and_then(|rounds| Saturation::median_of(&rounds))).collect()
}

/// Measures every proxy in every round, so that a slow minute of the machine meets all of them. A proxy that
/// failed in one round has no number: the median of the others would flatter it.
fn interleave<T: Debug>(
    rounds: Rounds,
    peers: &[Peer],
    what: &str,
    measure: impl Fn(Peer) -> Result<T>,
) -> Vec<Option<Vec<T>>> {
    let mut numbers: Vec<Option<Vec<T>>> = peers.iter().map(|_| Some(Vec::new())).collect();
    for round in 1..=rounds.count {
        for (&peer, numbers) in peers.iter().zip(&mut numbers) {
            let what = format!("{what}, round {round}/{}, {}", rounds.count, peer.name());
            let number = attempt(&what, || measure(peer));
            *numbers = numbers.take().zip(number).map(|(mut numbers, number)| {
                numbers.push(number);
                numbers
            });
        }
    }
    numbers
}

/// Half of what nginx can take, or of the slowest proxy when nginx is not among them.
fn fixed_rate(rows: &[Row]) -> Result<f64> {
    let of = |row: &Row| row.small.map(|small| small.requests_per_second);
    let nginx = rows.iter().find(|row| row.peer == Peer::Nginx).and_then(of);
    let most = nginx.or_else(|| rows.iter().filter_map(of).min_by(f64::total_cmp));
    Ok((most.context("no requests per second")? / 2.0).round())
}

/// The columns that count instead of timing: they do not depend on the machine's mood, so once is enough.
fn count(lab: &Lab, plan: &Plan, rows: &mut [Row]) {
    for topic in &plan.topics {
        for row in able(rows, *topic) {
            match topic {
                Topic::Http1 => count_http1(lab, row),
                Topic::Tls => tls::count(lab, row),
                Topic::Http2 => http2::count(lab, row),
                // Nothing of it is counted.
                Topic::Compression => {}
                Topic::Files => files::count(lab, row),
            }
        }
    }
}

fn count_http1(lab: &Lab, row: &mut Row) {
    let (peer, name) = (row.peer, row.peer.name());
    row.idle_bytes = attempt(&format!("idle memory of {name}"), || lab.idle_memory(peer, IDLE_CONNECTIONS));
    row.calls = attempt(&format!("system calls of {name}"), || lab.calls(peer));
    if peer.runs_under_valgrind() {
        row.counted = attempt(&format!("instructions of {name}"), || lab.instructions(peer));
    }
}

/// A number that cannot be had is a hole in the table and a line here, not the end of the run.
fn attempt<T: Debug>(what: &str, measure: impl FnOnce() -> Result<T>) -> Option<T> {
    match measure() {
        Ok(number) => {
            progress(&format!("{what}: {number:?}"));
            Some(number)
        }
        Err(error) => {
            progress(&format!("{what}: NOT MEASURED: {error:#}"));
            None
        }
    }
}

/// docs/ shows whole comparisons only; a run without some usual peer or some topic stays under target/.
fn write_results(target: &Path, plan: &Plan, page: &str, svg: &str) -> Result<()> {
    let folder = if plan.is_whole() { PathBuf::from("docs") } else { target.join("bench") };
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for (name, text) in [("benchmarks.md", page), ("benchmarks.svg", svg)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        progress(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn build_palisade() -> Result<()> {
    progress("building Palisade");
    let status = Command::new("cargo").args(["build", "--release", "--bin", "palisade"]).status()?;
    ensure!(status.success(), "Palisade does not build; measure others with --only nginx,haproxy");
    Ok(())
}

/// The folder in which cargo has built this program: two up from the program itself.
pub fn target_folder() -> Result<PathBuf> {
    let program = env::current_exe().context("our own path")?;
    let target = program.ancestors().nth(2).context("cargo builds into a folder of a folder")?;
    Ok(target.to_path_buf())
}

/// Our core, which the origin and wrk inherit, and enough file descriptors for the idle connections.
fn prepare_ourselves() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::thread::{CpuSet, sched_setaffinity};

    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores >= 2, "the benchmark needs two cores: one for the proxy, one for load and origin");
    let mut load_core = CpuSet::new();
    load_core.set(LOAD_CORE);
    sched_setaffinity(None, &load_core).context("pin ourselves to a core")?;

    // The proxies inherit it. The hard limit stays: raising that needs more than root in a container.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX);
    let needed = IDLE_CONNECTIONS as u64 + 1_000;
    ensure!(
        most >= needed,
        "{most} open files are allowed, {IDLE_CONNECTIONS} idle connections need {needed}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(most.min(OPEN_FILES)), maximum })
        .context("raise the limit of open files")
}

/// Processor, cores, kernel: what a reader needs to compare.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let kernel = kernel.split('-').next().unwrap_or_default();
    format!("{}, {cores} cores, Linux {kernel}", model.trim_start_matches(['\t', ' ', ':']))
}

fn progress(text: &str) {
    println!("bench: {text}");
}

/// A path of the origin and the column of its numbers.
type Size = (&'static str, fn(&mut Row) -> &mut Option<Saturation>);

const SIZES: [Size; 3] =
    [("/128", |row| &mut row.small), ("/64k", |row| &mut row.medium), ("/1m", |row| &mut row.large)];
const IDLE_CONNECTIONS: usize = 10_000;
const OPEN_FILES: u64 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_half_of_nginx_or_of_the_slowest() {
        let row = |peer, requests_per_second| Row {
            small: Some(Saturation { requests_per_second, cpu_micros: 1.0, disturbance: 0.0 }),
            ..Row::new(peer, String::new())
        };
        assert_eq!(fixed_rate(&[row(Peer::Nginx, 60.0), row(Peer::Haproxy, 40.0)]).unwrap(), 30.0);
        assert_eq!(fixed_rate(&[row(Peer::Caddy, 60.0), row(Peer::Haproxy, 40.0)]).unwrap(), 20.0);
        assert!(fixed_rate(&[]).is_err());
    }
}
