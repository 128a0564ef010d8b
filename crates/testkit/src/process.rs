//! What the system knows about a running Palisade: memory, processor time, descriptors.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Palisade, poll_until};

impl Palisade {
    /// Bytes of memory that are resident now (VmRSS).
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("our own child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
        let kibibytes = line.trim().trim_end_matches("kB").trim();
        kibibytes.parse::<u64>().expect("a number of kB") * 1024
    }

    /// Processor time used so far, user and system together, by all threads.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).expect("our own child");
        // The name of the command, in parentheses, may contain spaces; the fields begin behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().expect("a number of clock ticks");
        Duration::from_millis((ticks(USER) + ticks(SYSTEM)) * 1000 / TICKS_PER_SECOND)
    }

    /// What each open descriptor leads to, for example `socket:[123]` or `/tmp/#17 (deleted)`.
    pub fn descriptors(&self) -> Vec<String> {
        let entries = fs::read_dir(self.proc("fd")).expect("our own child");
        // One that was closed between the listing and the look at it is no descriptor any more.
        let targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.map(|target| target.to_string_lossy().into_owned()).collect()
    }

    /// Stops all of its threads (SIGSTOP), and waits until they stand: what happens until
    /// [`Palisade::thaw`] it sees all at once.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(SIGSTOP);
        poll_until(Duration::from_secs(10), "all threads to stand still", || {
            let threads = fs::read_dir(self.proc("task")).expect("our own child");
            // A thread that ended meanwhile has no file any more.
            let mut states = threads.flatten().filter_map(|thread| {
                let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
                stat.rsplit(')').next()?.trim_start().chars().next()
            });
            states.all(|state| state == 'T')
        });
    }

    /// Lets it go on.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal(SIGCONT);
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid()))
    }
}

/// Fields 14 and 15 of proc_pid_stat(5), counted from the one behind the command's name.
const USER: usize = 11;
const SYSTEM: usize = 12;
/// USER_HZ, the same on every Linux that we run on.
const TICKS_PER_SECOND: u64 = 100;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
