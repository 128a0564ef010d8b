//! A process under measurement: started on one core, watched through /proc, stopped by its own id.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::peers::{Invocation, Site};

/// A running proxy and, when it is wrapped by a tool, the tool around it.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts the proxy on the core of proxies, inside `wrapper` (a tool such as strace, or nothing). What it
    /// prints goes to the access log (standard output) and to `errors.log` in the folder of `site`.
    pub fn start(invocation: &Invocation, wrapper: &[String], site: &Site) -> Result<Process> {
        let mut command = Command::new("taskset");
        command.arg("-c").arg(PROXY_CORE.to_string());
        command.args(wrapper).args(&invocation.arguments);
        command.envs(invocation.environment.iter().map(|(name, value)| (name, value)));
        let output = File::create(site.access_log()).context("create the access log")?;
        let errors = File::create(site.dir.join("errors.log")).context("create errors.log")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().with_context(|| format!("start {}", invocation.arguments[0]))?;
        Ok(Process { child })
    }

    /// The processes of this tree: ours first, then its descendants.
    fn tree(&self) -> Vec<u32> {
        let mut tree = vec![self.child.id()];
        let parents = all_parents();
        let mut next = 0;
        while let Some(&parent) = tree.get(next) {
            tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        tree
    }

    /// CPU time of the whole tree so far, user and system.
    pub fn cpu_time(&self) -> Result<Duration> {
        let ticks: u64 = self.tree().into_iter().filter_map(|pid| parse_cpu_ticks(&stat(pid)?)).sum();
        if ticks == 0 {
            bail!("no CPU time in /proc for process {}", self.child.id());
        }
        Ok(from_ticks(ticks))
    }

    /// Resident memory of the whole tree in bytes; pages that two processes share count twice.
    pub fn resident(&self) -> u64 {
        self.tree().into_iter().filter_map(|pid| memory(pid, "VmRSS:")).sum()
    }

    /// The most that was ever resident, in bytes: the sum of what each process of the tree had at its own peak.
    pub fn peak_resident(&self) -> u64 {
        self.tree().into_iter().filter_map(|pid| memory(pid, "VmHWM:")).sum()
    }

    /// True while the process, or the tool around it, has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks the proxy to end and waits for it; kills it when it does not.
    ///
    /// A tool around it ends after it. The signal goes to the innermost process that is not a child which the
    /// proxy made itself: strace is the parent of the proxy, valgrind is the proxy's own process.
    pub fn stop(mut self, wrapped: Wrapped) -> Result<()> {
        let tree = self.tree();
        let proxy = match wrapped {
            Wrapped::SameProcess => tree[0],
            Wrapped::ChildProcess => *tree.get(1).context("the tool has no child")?,
        };
        signal(proxy, Signal::TERM);
        let end = Instant::now() + Duration::from_secs(20);
        while self.is_running() {
            if Instant::now() > end {
                bail!("process {proxy} does not end");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// How a tool holds the proxy.
#[derive(Clone, Copy)]
pub enum Wrapped {
    SameProcess,
    ChildProcess,
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            // Descendants first: they are ours while their parent lives.
            for pid in self.tree().into_iter().rev() {
                signal(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// For how long `core` has been busy since boot, with whatever.
pub fn core_time(core: usize) -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    parse_busy_ticks(&stat, core).map(from_ticks).with_context(|| format!("no core {core} in /proc/stat"))
}

/// The last lines that a process wrote to its `errors.log`.
pub fn last_errors(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("errors.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

/// It may have ended on its own by now; that is what was wanted.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Every process and its parent.
fn all_parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parse_parent(&stat(pid)?)?))).collect()
}

fn stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// proc(5): the fields after the name, which is in brackets and may hold anything.
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect())
}

fn parse_parent(stat: &str) -> Option<u32> {
    fields(stat).get(1)?.parse().ok()
}

/// Fields 14 and 15 of proc(5): utime and stime.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let fields = fields(stat);
    let (user, system): (u64, u64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    Some(user + system)
}

/// proc(5): user, nice, system, idle, iowait, irq, softirq, steal. Steal is time that another machine had.
fn parse_busy_ticks(stat: &str, core: usize) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} ")))?;
    let ticks: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    Some(ticks.get(..8)?.iter().sum::<u64>() - ticks[3] - ticks[4])
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// proc(5): a line of /proc/PID/status in KiB, as bytes.
fn memory(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

pub const PROXY_CORE: usize = 0;
pub const LOAD_CORE: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_with_a_nasty_name() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_parent(stat), Some(7));
        assert_eq!(parse_cpu_ticks(stat), Some(300));
    }

    #[test]
    fn adds_up_what_kept_a_core_busy() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 1000 2000 4 5 6 0 0\ncpu1 0 0 0 1 1 0 0 0 0 0\n";
        assert_eq!(parse_busy_ticks(stat, 0), Some(21));
        assert_eq!(parse_busy_ticks(stat, 2), None);
    }

    #[test]
    fn finds_ourselves() {
        let pid = std::process::id();
        assert!(all_parents().iter().any(|(child, _)| *child == pid));
        let now = memory(pid, "VmRSS:").unwrap();
        assert!(now > 100 * 1024);
        assert!(memory(pid, "VmHWM:").unwrap() > now / 2);
    }
}
