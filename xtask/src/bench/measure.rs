//! Starts a proxy, loads it, reads a number, stops it. What is here is shared, or of HTTP/1.1 without TLS.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::front::{Certificates, Front};
use super::load::{IdleConnections, Load};
use super::peers::{Peer, Site};
use super::process::{PROXY_CORE, Process, Wrapped, core_time, last_errors};
use super::results::{Calls, Counted, Done, Latency, Saturation};
use super::tools::curl::{self, Speak};
use super::tools::wrk::Wrk;
use super::tools::{callgrind, calls};

/// What all measurements share: where cargo builds, the folder for runs, the origin.
pub struct Lab {
    target: PathBuf,
    origin: Child,
    origin_port: u16,
    certificates: Certificates,
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
        let certificates = Certificates::make(&target.join("bench/certificates"))?;
        Ok(Lab { target: target.to_path_buf(), origin, origin_port, certificates })
    }

    /// Fails unless `peer` speaks what `front` says, adds the five fields and writes its access log.
    pub fn check(&self, peer: Peer, front: Front) -> Result<()> {
        let (site, proxy) = self.start(peer, front)?;
        for &speak in spoken(front) {
            let head = curl::fetch(&site, speak, "/check")
                .with_context(|| format!("{} with {front:?}, {speak:?}", peer.name()))?
                .to_ascii_lowercase();
            let scheme = site.url("").split(':').next().unwrap_or_default().to_string();
            for field in [
                "x-forwarded-for: 127.0.0.1",
                "x-real-ip: 127.0.0.1",
                &format!("x-forwarded-proto: {scheme}"),
                "x-forwarded-host: 127.0.0.1",
                "x-request-id: ",
            ] {
                let found = head.contains(&format!("\r\n{field}"));
                ensure!(found, "{} does not send {field}: {head}", peer.name());
            }
        }
        // Some flush their log on a timer, the others at the end.
        proxy.stop(Wrapped::SameProcess)?;
        let logged = fs::metadata(site.access_log()).map_or(0, |log| log.len());
        ensure!(logged > 0, "{} wrote no access log", peer.name());
        Ok(())
    }

    /// Requests per second and CPU per request while wrk asks for `path` as fast as it is answered.
    pub fn saturate(&self, peer: Peer, path: &str, duration: Duration) -> Result<Saturation> {
        let (site, proxy) = self.start(peer, Front::Http1)?;
        let wrk = Wrk { url: &site.url(path), connections: CONNECTIONS, script: None };
        wrk.run(WARM_UP)?;
        let saturation = observe(&proxy, || wrk.run(duration))?;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(saturation)
    }

    /// Latency at `rate` requests a second over 64 connections.
    pub fn latency(&self, peer: Peer, rate: f64, duration: Duration) -> Result<Latency> {
        let (site, proxy) = self.start(peer, Front::Http1)?;
        let mut load = Load::connect(site.port, "/128", CONNECTIONS)?;
        load.send_at_rate(rate, WARM_UP)?;
        let latencies = load.send_at_rate(rate, duration)?;
        drop(load);
        proxy.stop(Wrapped::SameProcess)?;
        Latency::of(&latencies).context("no requests")
    }

    /// Growth of resident memory in bytes with so many idle connections that have each had one answer.
    pub fn idle_memory(&self, peer: Peer, connections: usize) -> Result<f64> {
        let (site, proxy) = self.start(peer, Front::Http1)?;
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

    /// User instructions and heap allocations per request of HTTP/1.1.
    pub fn instructions(&self, peer: Peer) -> Result<Counted> {
        self.count_instructions(peer, Front::Http1, RUN_LENGTHS, |site, requests| {
            Load::connect(site.port, "/128", CONNECTIONS)?.send(requests)
        })
    }

    /// User instructions and heap allocations for each thing that `load` does as often as it is told: a long run
    /// compared with a short one.
    pub fn count_instructions(
        &self,
        peer: Peer,
        front: Front,
        lengths: [usize; 2],
        load: impl Fn(&Site, usize) -> Result<()>,
    ) -> Result<Counted> {
        let count = |length| {
            let dir = self.fresh_dir(peer)?;
            let (site, proxy) = self.start_wrapped(peer, front, &callgrind::wrapper(&dir), SLOW_START)?;
            load(&site, length)?;
            proxy.stop(Wrapped::SameProcess)?;
            callgrind::totals(&dir)
        };
        let (short, long) = (count(lengths[0])?, count(lengths[1])?);
        callgrind::per_request(short, long, lengths[1] - lengths[0])
    }

    /// System calls per request of HTTP/1.1.
    pub fn calls(&self, peer: Peer) -> Result<Calls> {
        self.count_calls(peer, Front::Http1, RUN_LENGTHS, |site, requests| {
            Load::connect(site.port, "/128", CONNECTIONS)?.send(requests)
        })
    }

    /// System calls for each thing that `load` does, in the same way as instructions, from the log of strace.
    pub fn count_calls(
        &self,
        peer: Peer,
        front: Front,
        lengths: [usize; 2],
        load: impl Fn(&Site, usize) -> Result<()>,
    ) -> Result<Calls> {
        let mut logs = Vec::new();
        for length in lengths {
            let log = self.fresh_dir(peer)?.join("strace.log");
            let wrapper =
                ["strace", "-f", "-y", "-s", "0", "-o", &log.display().to_string()].map(String::from);
            let (site, proxy) = self.start_wrapped(peer, front, &wrapper, SLOW_START)?;
            load(&site, length)?;
            proxy.stop(Wrapped::ChildProcess)?;
            logs.push(fs::read_to_string(&log).context("read the log of strace")?);
        }
        let more = (lengths[1] - lengths[0]) as f64;
        Ok(calls::per_request(&logs[0], &logs[1], more))
    }

    /// Starts `peer` in an empty folder and waits until an answer of the origin comes through it.
    pub fn start(&self, peer: Peer, front: Front) -> Result<(Site, Process)> {
        self.fresh_dir(peer)?;
        self.start_wrapped(peer, front, &[], USUAL_START)
    }

    /// The same inside a tool, which may be told to write to the folder: so that is not made here.
    fn start_wrapped(
        &self,
        peer: Peer,
        front: Front,
        wrapper: &[String],
        patience: Duration,
    ) -> Result<(Site, Process)> {
        let site = Site {
            dir: self.dir(peer),
            port: free_port()?,
            origin: self.origin_port,
            front,
            certificates: self.certificates.clone(),
        };
        let invocation = peer.prepare(&self.target, &site)?;
        let mut proxy = Process::start(&invocation, wrapper, &site)?;
        let end = Instant::now() + patience;
        while let Err(error) = curl::fetch(&site, spoken(front)[0], "/128") {
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

/// What clients of a front can speak.
fn spoken(front: Front) -> &'static [Speak] {
    match front {
        Front::Http1 => &[Speak::Http1],
        Front::Tls(_) => &[Speak::Http1, Speak::Http2],
        Front::Http2 => &[Speak::Http2],
    }
}

/// What `proxy` does and what it costs while `load` runs.
pub fn observe(proxy: &Process, load: impl FnOnce() -> Result<Done>) -> Result<Saturation> {
    let (proxy_before, core_before) = (proxy.cpu_time()?, core_time(PROXY_CORE)?);
    let Done { requests, seconds } = load()?;
    ensure!(requests > 0.0, "nothing was done");
    let cpu = (proxy.cpu_time()? - proxy_before).as_secs_f64();
    let core = (core_time(PROXY_CORE)? - core_before).as_secs_f64();
    Ok(Saturation {
        requests_per_second: requests / seconds,
        cpu_micros: cpu * 1e6 / requests,
        disturbance: ((core - cpu) / seconds).max(0.0),
    })
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

pub const CONNECTIONS: usize = 64;
/// Multiples of the connections, so that each sends the same number.
pub const RUN_LENGTHS: [usize; 2] = [2_048, 12_288];
pub const WARM_UP: Duration = Duration::from_secs(1);
pub const SETTLE: Duration = Duration::from_millis(500);
const USUAL_START: Duration = Duration::from_secs(10);
const SLOW_START: Duration = Duration::from_secs(60);
