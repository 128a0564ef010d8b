//! `cargo xtask bench`: Palisade and other proxies doing the same work in turn, and what it costs them.
//!
//! The order of things is in [`run`]; one column is one function in `measure.rs`.

mod calls;
mod chart;
mod goals;
pub mod load;
mod measure;
pub mod origin;
mod peers;
mod process;
mod report;
mod results;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::packages::{FOR_BENCH, ask, install_missing};
use measure::Lab;
use peers::Peer;
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
        lab.check(peer)?;
        rows.push(Row::new(peer, peer.version(&target)?));
    }
    if plan.counts_only {
        rows.iter_mut().for_each(|row| measure_costs(&lab, row));
        return Ok(());
    }
    measure_saturation(&lab, &plan, &mut rows);
    let rate = fixed_rate(&rows)?;
    measure_latency(&lab, &plan, rate, &mut rows);
    for row in &mut rows {
        measure_costs(&lab, row);
    }

    let goals = goals::judge(&rows);
    let page = report::page(&rows, &goals, &plan.setting(rate)?);
    println!("\n{page}");
    write_results(&target, &plan, &page, &chart::svg(&rows))
}

/// What the options ask for.
struct Plan {
    peers: Vec<Peer>,
    /// Only what is counted, not timed: it needs no quiet machine. Printed, not written down.
    counts_only: bool,
    rounds: usize,
    duration: Duration,
    command: String,
}

impl Plan {
    fn parse(options: &[&str]) -> Result<Plan> {
        let (mut all, mut quick, mut counts_only, mut only) = (false, false, false, None);
        let mut rest = options.iter();
        while let Some(&option) = rest.next() {
            match option {
                "--quick" => quick = true,
                "--counts" => counts_only = true,
                "--peers" => match rest.next() {
                    Some(&"all") => all = true,
                    other => bail!("--peers all, not {other:?}"),
                },
                "--only" => only = Some(*rest.next().context("--only needs names")?),
                _ => bail!("no option {option}; see `cargo xtask`"),
            }
        }
        Ok(Plan {
            peers: peers::select(all, only)?,
            counts_only,
            rounds: if quick { 3 } else { 7 },
            duration: Duration::from_secs(if quick { 2 } else { 4 }),
            command: [&["cargo xtask bench"], options].concat().join(" "),
        })
    }

    fn setting(&self, rate: f64) -> Result<Setting> {
        Ok(Setting {
            command: self.command.clone(),
            date: ask(Path::new("date"), &["-u", "+%Y-%m-%d"])?,
            machine: machine(),
            rounds: self.rounds,
            seconds: self.duration.as_secs(),
            rate,
            idle_connections: IDLE_CONNECTIONS,
        })
    }
}

/// The three sizes for every proxy.
fn measure_saturation(lab: &Lab, plan: &Plan, rows: &mut [Row]) {
    for (path, column) in SIZES {
        let rounds = interleave(plan, rows, &format!("as many {path} as can be"), |peer| {
            lab.saturate(peer, path, plan.duration)
        });
        for (row, rounds) in rows.iter_mut().zip(rounds) {
            *column(row) = rounds.and_then(|rounds| Saturation::median_of(&rounds));
        }
    }
}

fn measure_latency(lab: &Lab, plan: &Plan, rate: f64, rows: &mut [Row]) {
    let rounds = interleave(plan, rows, &format!("latency at {rate}/s"), |peer| {
        lab.latency(peer, rate, plan.duration)
    });
    for (row, rounds) in rows.iter_mut().zip(rounds) {
        row.latency = rounds.and_then(|rounds| Latency::median_of(&rounds));
    }
}

/// Measures every proxy in every round, so that a slow minute of the machine meets all of them. A proxy that
/// failed in one round has no number: the median of the others would flatter it.
fn interleave<T: Debug>(
    plan: &Plan,
    rows: &[Row],
    what: &str,
    measure: impl Fn(Peer) -> Result<T>,
) -> Vec<Option<Vec<T>>> {
    let mut rounds: Vec<Option<Vec<T>>> = rows.iter().map(|_| Some(Vec::new())).collect();
    for round in 1..=plan.rounds {
        for (row, numbers) in rows.iter().zip(&mut rounds) {
            let what = format!("{what}, round {round}/{}, {}", plan.rounds, row.peer.name());
            let number = attempt(&what, || measure(row.peer));
            *numbers = numbers.take().zip(number).map(|(mut numbers, number)| {
                numbers.push(number);
                numbers
            });
        }
    }
    rounds
}

/// Half of what nginx can take, or of the slowest proxy when nginx is not among them.
fn fixed_rate(rows: &[Row]) -> Result<f64> {
    let of = |row: &Row| row.small.map(|small| small.requests_per_second);
    let nginx = rows.iter().find(|row| row.peer == Peer::Nginx).and_then(of);
    let most = nginx.or_else(|| rows.iter().filter_map(of).min_by(f64::total_cmp));
    Ok((most.context("no requests per second")? / 2.0).round())
}

/// The columns that count instead of timing: they do not depend on the machine's mood, so once is enough.
fn measure_costs(lab: &Lab, row: &mut Row) {
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

/// docs/ shows whole comparisons only; a run without Palisade or some usual peer stays under target/.
fn write_results(target: &Path, plan: &Plan, page: &str, svg: &str) -> Result<()> {
    let whole = Peer::USUAL.iter().all(|peer| plan.peers.contains(peer));
    let folder = if whole { PathBuf::from("docs") } else { target.join("bench") };
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
    fn options_make_a_plan_that_can_be_repeated() {
        let plan = Plan::parse(&["--quick", "--only", "nginx,haproxy"]).unwrap();
        assert_eq!(plan.peers, [Peer::Nginx, Peer::Haproxy]);
        assert_eq!(plan.command, "cargo xtask bench --quick --only nginx,haproxy");
        assert!(Plan::parse(&["--fast"]).is_err());
        assert!(Plan::parse(&["--peers", "some"]).is_err());
    }

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
