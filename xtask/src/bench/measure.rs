//! One function per column: starts a proxy, loads it, reads a number, stops it.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::load::{IdleConnections, Load, fetch};
use super::peers::{Peer, Site};
use super::process::{PROXY_CORE, Process, Wrapped, core_time, last_errors};
use super::results::{Calls, Counted, Latency, Saturation};

/// What all measurements share: where cargo builds, the folder for runs, the origin.
pub struct Lab {
    target: PathBuf,
    origin: Child,
    origin_port: u16,
}

impl Lab {
    pub fn open(target: &Path) -> Result<Lab> {
        let program = std::env::current_exe().context("our own path")?;
        let mut command = Command::new(program);
        let mut origin =
            command.arg("bench-origin").stdout(Stdio::piped()).spawn().context("start the origin")?;
        let mut line = String::new();
        BufReader::new(origin.stdout.take().context("a piped stdout")?).read_line(&mut line)?;
        let origin_port = line.trim().parse().with_context(|| format!("the origin's port: {line:?}"))?;
        Ok(Lab { target: target.to_path_buf(), origin, origin_port })
    }

    /// Fails unless `peer` adds the five fields and writes its access log.
    pub fn check(&self, peer: Peer) -> Result<()> {
        let (site, proxy) = self.start(peer, &[], USUAL_START)?;
        let head = fetch(site.port, "/check")?.to_ascii_lowercase();
        for field in ["x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host", "x-request-id"]
        {
            ensure!(
                head.contains(&format!("\r\n{field}: ")),
                "{} does not send {field}: {head}",
                peer.name()
            );
        }
        // Some flush their log on a timer, the others at the end.
        proxy.stop(Wrapped::SameProcess)?;
        let logged = fs::metadata(site.access_log()).map_or(0, |log| log.len());
        ensure!(logged > 0, "{} wrote no access log", peer.name());
        Ok(())
    }

    /// Requests per second and CPU per request while wrk asks for `path` as fast as it is answered.
    pub fn saturate(&self, peer: Peer, path: &str, duration: Duration) -> Result<Saturation> {
        let (site, proxy) = self.start(peer, &[], USUAL_START)?;
        wrk(site.port, path, WARM_UP)?;
        let (proxy_before, core_before) = (proxy.cpu_time()?, core_time(PROXY_CORE)?);
        let (requests, seconds) = wrk(site.port, path, duration)?;
        let cpu = (proxy.cpu_time()? - proxy_before).as_secs_f64();
        let core = (core_time(PROXY_CORE)? - core_before).as_secs_f64();
        proxy.stop(Wrapped::SameProcess)?;
        Ok(Saturation {
            requests_per_second: requests / seconds,
            cpu_micros: cpu * 1e6 / requests,
            disturbance: ((core - cpu) / seconds).max(0.0),
        })
    }

    /// Latency at `rate` requests a second over 64 connections.
    pub fn latency(&self, peer: Peer, rate: f64, duration: Duration) -> Result<Latency> {
        let (site, proxy) = self.start(peer, &[], USUAL_START)?;
        let mut load = Load::connect(site.port, "/128", CONNECTIONS)?;
        load.send_at_rate(rate, WARM_UP)?;
        let latencies = load.send_at_rate(rate, duration)?;
        drop(load);
        proxy.stop(Wrapped::SameProcess)?;
        Latency::of(&latencies).context("no requests")
    }

    /// Growth of resident memory in bytes with so many idle connections that have each had one answer.
    pub fn idle_memory(&self, peer: Peer, connections: usize) -> Result<f64> {
        let (site, proxy) = self.start(peer, &[], USUAL_START)?;
        // What is allocated once, at first use, is not the price of a connection.
        Load::connect(site.port, "/128", CONNECTIONS)?.send(10 * CONNECTIONS)?;
        thread::sleep(SETTLE);
        let before = proxy.resident();
        let idle = IdleConnections::open(site.port, connections)?;
        thread::sleep(SETTLE);
        let growth = proxy.resident() as f64 - before as f64;
        drop(idle);
        proxy.stop(Wrapped::SameProcess)?;
        Ok(growth)
    }

    /// User instructions and heap allocations per request: callgrind's counts of a long run minus those of
    /// a short one. Start and end of the process cancel out.
    pub fn instructions(&self, peer: Peer) -> Result<Counted> {
        let mut counts = Vec::new();
        for requests in RUN_LENGTHS {
            let dir = self.fresh_dir(peer)?;
            let out = format!("--callgrind-out-file={}/callgrind.%p", dir.display());
            let wrapper = ["valgrind", "--tool=callgrind", "--quiet", &out].map(String::from);
            self.run_fixed(peer, &wrapper, Wrapped::SameProcess, requests)?;
            counts.push(callgrind_counts(&dir)?);
        }
        let more = (RUN_LENGTHS[1] - RUN_LENGTHS[0]) as f64;
        let per_request = |of: fn(&Counted) -> f64| (of(&counts[1]) - of(&counts[0])) / more;
        let counted = Counted {
            instructions: per_request(|counted| counted.instructions),
            allocations: per_request(|counted| counted.allocations),
        };
        ensure!(counted.instructions > 0.0, "a longer run counts less: {counts:?}");
        Ok(counted)
    }

    /// System calls per request, in the same way, from the log of strace.
    pub fn calls(&self, peer: Peer) -> Result<Calls> {
        let mut logs = Vec::new();
        for requests in RUN_LENGTHS {
            let log = self.fresh_dir(peer)?.join("strace.log");
            let wrapper =
                ["strace", "-f", "-y", "-s", "0", "-o", &log.display().to_string()].map(String::from);
            self.run_fixed(peer, &wrapper, Wrapped::ChildProcess, requests)?;
            logs.push(fs::read_to_string(&log).context("read the log of strace")?);
        }
        let more = (RUN_LENGTHS[1] - RUN_LENGTHS[0]) as f64;
        Ok(super::calls::per_request(&logs[0], &logs[1], more))
    }

    fn run_fixed(&self, peer: Peer, wrapper: &[String], wrapped: Wrapped, requests: usize) -> Result<()> {
        let (site, proxy) = self.start_in(peer, self.dir(peer), wrapper, SLOW_START)?;
        Load::connect(site.port, "/128", CONNECTIONS)?.send(requests)?;
        proxy.stop(wrapped)
    }

    fn start(&self, peer: Peer, wrapper: &[String], patience: Duration) -> Result<(Site, Process)> {
        self.start_in(peer, self.fresh_dir(peer)?, wrapper, patience)
    }

    /// Starts `peer` and waits until an answer of the origin comes through it.
    fn start_in(
        &self,
        peer: Peer,
        dir: PathBuf,
        wrapper: &[String],
        patience: Duration,
    ) -> Result<(Site, Process)> {
        let site = Site { dir, port: free_port()?, origin: self.origin_port };
        let invocation = peer.prepare(&self.target, &site)?;
        let mut proxy = Process::start(&invocation, wrapper, &site)?;
        let end = Instant::now() + patience;
        while let Err(error) = fetch(site.port, "/128") {
            let gone = !proxy.is_running();
            if gone || Instant::now() > end {
                let state = if gone { "ended at its start" } else { "does not answer" };
                bail!("{} {state} ({error:#}); it wrote:\n{}", peer.name(), last_errors(&site.dir));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok((site, proxy))
    }

    fn dir(&self, peer: Peer) -> PathBuf {
        self.target.join("bench/run").join(peer.name().to_lowercase())
    }

    /// An empty folder; the one of the last run stays for a look when something fails.
    fn fresh_dir(&self, peer: Peer) -> Result<PathBuf> {
        let dir = self.dir(peer);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(dir)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.origin.kill();
        let _ = self.origin.wait();
    }
}

/// Runs wrk and returns how many requests were answered with 200, and in how many seconds.
fn wrk(port: u16, path: &str, duration: Duration) -> Result<(f64, f64)> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{}s", duration.as_secs())]);
    let output = command.arg(format!("http://127.0.0.1:{port}{path}")).output().context("wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk ended with {}: {text}", output.status);
    parse_wrk(&text)
}

fn parse_wrk(text: &str) -> Result<(f64, f64)> {
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
    Ok((requests.parse().context("wrk's requests")?, seconds))
}

/// The sum of all processes that were traced: callgrind writes one file for each.
fn callgrind_counts(dir: &Path) -> Result<Counted> {
    let mut sum = Counted { instructions: 0.0, allocations: 0.0 };
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind.")) {
            let text = fs::read_to_string(&path)?;
            let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
            let totals = totals.with_context(|| format!("no totals in {}", path.display()))?;
            sum.instructions += totals.trim().parse::<f64>().context("callgrind's totals")?;
            sum.allocations += allocations(&text);
        }
    }
    Ok(sum)
}

/// Calls of the allocator in a file of callgrind: "fn=" names the caller, "cfn=" the callee of the
/// "calls=" line behind it; a name is written once, and is its number "(12)" from then on.
fn allocations(text: &str) -> f64 {
    let mut names = HashMap::new();
    let (mut caller_allocates, mut callee_allocates, mut calls) = (false, false, 0.0);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            caller_allocates = is_allocator(name, &mut names);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee_allocates = is_allocator(name, &mut names);
        } else if let Some(count) = line.strip_prefix("calls=")
            && callee_allocates
            && !caller_allocates
        {
            calls += count.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0.0);
        }
    }
    calls
}

/// True for the functions of the C library and of mimalloc that give memory.
fn is_allocator<'t>(name: &'t str, names: &mut HashMap<&'t str, bool>) -> bool {
    let (number, name) = name.split_once(' ').map_or((name, None), |(number, name)| (number, Some(name)));
    match name {
        Some(name) => {
            let plain = name.trim_start_matches("_").trim_start_matches("mi_").trim_start_matches("theap_");
            let gives =
                ["malloc", "calloc", "zalloc", "realloc", "memalign", "posix_memalign", "aligned_alloc"];
            let found = gives.iter().any(|start| plain.starts_with(start));
            names.insert(number, found);
            found
        }
        None => names.get(number).copied().unwrap_or(false),
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub const CONNECTIONS: usize = 64;
/// Multiples of the connections, so that each sends the same number.
pub const RUN_LENGTHS: [usize; 2] = [2_048, 12_288];
const WARM_UP: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_millis(500);
const USUAL_START: Duration = Duration::from_secs(10);
const SLOW_START: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 2s test @ http://127.0.0.1:1/128\n  1 threads and 64 connections\n\
        \x20 Thread Stats   Avg      Stdev     Max   +/- Stdev\n  150342 requests in 2.10s, 38.71MB read\n\
        Requests/sec:  71591.43\n";

    #[test]
    fn reads_what_wrk_prints() {
        assert_eq!(parse_wrk(WRK).unwrap(), (150_342.0, 2.1));
        assert_eq!(parse_wrk("  7 requests in 1.50m, 1KB read").unwrap(), (7.0, 90.0));
    }

    #[test]
    fn counts_calls_of_the_allocator_from_outside_of_it() {
        let text = "fn=(1) work\ncfn=(2) mi_malloc_aligned\ncalls=3 0\n+1 9\ncfn=(3) send\ncalls=5 0\n+1 9\n\
            fn=(2)\ncfn=(4) _mi_theap_malloc_zero\ncalls=3 0\n+1 9\nfn=(5) more\ncfn=(2)\ncalls=4 0\n* 9\n";
        assert_eq!(allocations(text), 7.0);
    }

    #[test]
    fn counts_no_run_in_which_something_failed() {
        for trouble in ["  Non-2xx or 3xx responses: 5\n", "  Socket errors: connect 0, read 1, write 0\n"] {
            assert!(parse_wrk(&format!("{WRK}{trouble}")).is_err());
        }
    }
}
