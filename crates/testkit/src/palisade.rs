//! Starts the real binary on a configuration of the test and watches what it says.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Address, TempDir, poll_until, temp_dir};

/// A running Palisade. It is killed and its folder removed on drop; when the test is failing then, what the
/// process wrote to standard error is printed.
pub struct Palisade {
    child: Child,
    dir: TempDir,
    stdout: Output,
    stderr: Output,
}

/// How to start the binary when a configuration alone is not enough.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    open_files: Option<u64>,
    deadline: Duration,
}

/// The process ended, or the deadline passed, before it was ready.
#[derive(Debug)]
pub struct NotReady {
    /// `None`: it was still running and has been killed.
    pub status: Option<ExitStatus>,
    pub stderr: String,
}

impl fmt::Display for NotReady {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(out, "ended before it was ready ({status})")?,
            None => write!(out, "was not ready in time")?,
        }
        write!(out, "; it wrote:\n{}", self.stderr)
    }
}

impl Launch {
    pub fn new(binary: impl Into<String>) -> Launch {
        Launch {
            binary: binary.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            open_files: None,
            deadline: Duration::from_secs(10),
        }
    }

    /// A further argument, after `run -c FILE`.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Launch {
        self.arguments.push(argument.into());
        self
    }

    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Launch {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The limit of open file descriptors (RLIMIT_NOFILE, soft and hard).
    pub fn open_files(mut self, limit: u64) -> Launch {
        self.open_files = Some(limit);
        self
    }

    /// How long it may take until the process is ready.
    pub fn deadline(mut self, deadline: Duration) -> Launch {
        self.deadline = deadline;
        self
    }

    /// Starts and waits until ready; panics with what the process wrote when it is not.
    #[track_caller]
    pub fn start(&self, config: &str) -> Palisade {
        self.try_start(config).unwrap_or_else(|error| panic!("{} {error}", self.binary))
    }

    /// Starts with `config`, in which `{dir}` stands for the folder of this process, and waits for the line
    /// `palisade: ready` on standard error.
    pub fn try_start(&self, config: &str) -> Result<Palisade, NotReady> {
        let dir = temp_dir();
        write_config(&dir, config);
        let mut child = self.command(&dir).spawn().unwrap_or_else(|error| panic!("{}: {error}", self.binary));
        let stdout = Output::capture(child.stdout.take().expect("a piped stdout"));
        let stderr = Output::capture(child.stderr.take().expect("a piped stderr"));
        let mut palisade = Palisade { child, dir, stdout, stderr };

        if palisade.stderr.wait(self.deadline, |text| text.lines().any(|line| line == READY)) {
            return Ok(palisade);
        }
        // The end of its stderr comes a moment before the end of the process.
        let patience = if palisade.stderr.has_ended() { Duration::from_secs(1) } else { Duration::ZERO };
        let status = palisade.exit_within(patience);
        Err(NotReady { status, stderr: palisade.stderr() })
    }

    fn command(&self, dir: &Path) -> Command {
        let mut command = match self.open_files {
            // prlimit(1) replaces itself by the binary, so the process keeps its id.
            Some(limit) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={limit}")).arg("--").arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command.arg("run").arg("-c").arg(dir.join(CONFIG)).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Palisade {
    /// Starts `binary run -c FILE` with `config` and waits until it is ready; panics when it is not.
    /// `{dir}` in `config` stands for the folder of this process.
    #[track_caller]
    pub fn start(binary: &str, config: &str) -> Palisade {
        Launch::new(binary).start(config)
    }

    /// The TCP address of the listener `name`, with the port that the kernel chose.
    #[track_caller]
    pub fn address(&self, name: &str) -> SocketAddr {
        self.listener(name).tcp()
    }

    /// The address of the listener `name`, as last reported on standard error.
    #[track_caller]
    pub fn listener(&self, name: &str) -> Address {
        let mut listeners = self.listeners();
        let known = listeners.keys().cloned().collect::<Vec<_>>();
        listeners.remove(name).unwrap_or_else(|| panic!("no listener {name:?}, only {known:?}"))
    }

    /// All of them by name.
    pub fn listeners(&self) -> HashMap<String, Address> {
        parse_listeners(&self.stderr())
    }

    /// What the process has written to standard error.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What the process has written to standard output.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits until `needle` is on standard error; panics with what is there instead.
    #[track_caller]
    pub fn wait_stderr(&self, needle: &str, deadline: Duration) {
        let found = self.stderr.wait(deadline, |text| text.contains(needle));
        assert!(found, "no {needle:?} on standard error, only:\n{}", self.stderr());
    }

    /// Waits until `needle` is on standard output; panics with what is there instead.
    #[track_caller]
    pub fn wait_stdout(&self, needle: &str, deadline: Duration) {
        let found = self.stdout.wait(deadline, |text| text.contains(needle));
        assert!(found, "no {needle:?} on standard output, only:\n{}", self.stdout());
    }

    /// The lines of `{dir}/access.log`, once there are `count` of them for which `counts` holds; only those.
    #[track_caller]
    pub fn wait_access_log(&self, count: usize, counts: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        poll_until(ACCESS_LOG_DEADLINE, &format!("{count} lines in the access log"), || {
            let text = fs::read_to_string(self.dir.join("access.log")).unwrap_or_default();
            lines = text.lines().filter(|line| counts(line)).map(str::to_string).collect();
            lines.len() >= count && text.ends_with('\n')
        });
        lines
    }

    /// Sends a signal by its number, for example 15 for SIGTERM.
    #[track_caller]
    pub fn signal(&self, number: i32) {
        let signal = Signal::from_named_raw(number).unwrap_or_else(|| panic!("no signal {number}"));
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal {number} to {pid:?}: {error}"));
    }

    /// Waits until the process has ended; panics when it is still running after `deadline`.
    #[track_caller]
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let status = self.exit_within(deadline);
        status.unwrap_or_else(|| panic!("still running after {deadline:?}; it wrote:\n{}", self.stderr()))
    }

    /// True while the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder of this process, which holds its configuration.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Replaces the configuration file, with the same meaning of `{dir}`. The process is not told.
    pub fn rewrite_config(&self, config: &str) {
        write_config(&self.dir, config);
    }

    fn exit_within(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            let status = self.child.try_wait().expect("our own child");
            if status.is_some() || Instant::now() >= end {
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Palisade {
    fn drop(&mut self) {
        // Both fail when it has ended already. `kill` goes to our child's id, which is ours until `wait`.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- standard error of palisade ---\n{}---", self.stderr());
        }
    }
}

/// The text that a thread collects from a pipe.
struct Output {
    shared: Arc<(Mutex<Collected>, Condvar)>,
}

#[derive(Default)]
struct Collected {
    text: String,
    ended: bool,
}

impl Output {
    fn capture(pipe: impl Read + Send + 'static) -> Output {
        let shared = Arc::<(Mutex<Collected>, Condvar)>::default();
        let output = Output { shared: shared.clone() };
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            // A read error means what the end means: nothing more will come.
            while matches!(lines.read_until(b'\n', &mut line), Ok(count) if count > 0) {
                lock(&shared.0).text.push_str(&String::from_utf8_lossy(&line));
                shared.1.notify_all();
                line.clear();
            }
            lock(&shared.0).ended = true;
            shared.1.notify_all();
        });
        output
    }

    fn text(&self) -> String {
        lock(&self.shared.0).text.clone()
    }

    fn has_ended(&self) -> bool {
        lock(&self.shared.0).ended
    }

    /// Waits until `found` holds for the text so far; false at the deadline or when the pipe ends before.
    fn wait(&self, deadline: Duration, found: impl Fn(&str) -> bool) -> bool {
        let collected = lock(&self.shared.0);
        let waiting = |collected: &mut Collected| !collected.ended && !found(&collected.text);
        let result = self.shared.1.wait_timeout_while(collected, deadline, waiting);
        let (collected, _) = result.unwrap_or_else(PoisonError::into_inner);
        found(&collected.text)
    }
}

fn lock(collected: &Mutex<Collected>) -> MutexGuard<'_, Collected> {
    collected.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines `palisade: listener NAME on ADDRESS`; after a reload the later line counts.
fn parse_listeners(stderr: &str) -> HashMap<String, Address> {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("palisade: listener "));
    let named = lines.filter_map(|line| line.split_once(" on "));
    named.filter_map(|(name, address)| Some((name.to_string(), address.parse().ok()?))).collect()
}

/// Written beside and renamed, so that a process that watches the file never reads half of it.
fn write_config(dir: &Path, config: &str) {
    let text = config.replace("{dir}", dir.to_str().expect("a temporary folder with a plain name"));
    let draft = dir.join("palisade.toml.draft");
    fs::write(&draft, text).expect("write the configuration");
    fs::rename(&draft, dir.join(CONFIG)).expect("rename the configuration");
}

/// The proxy writes its lines a moment after the answers.
const ACCESS_LOG_DEADLINE: Duration = Duration::from_secs(10);
const CONFIG: &str = "palisade.toml";
const READY: &str = "palisade: ready";

#[cfg(test)]
mod tests;
