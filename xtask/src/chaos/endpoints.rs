//! The three endpoints: processes that can be killed, stopped, slowed, made to fail, and brought back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::fault::Fault;
use super::{leash, origin};

/// One endpoint. It is killed on drop.
pub struct Endpoint {
    pub port: u16,
    pub journal: PathBuf,
    process: Child,
}

impl Endpoint {
    /// A fresh one with an empty journal, on a free port.
    pub fn start(name: &str, folder: &Path) -> Result<Endpoint> {
        let journal = folder.join(format!("journal-{name}"));
        std::fs::write(&journal, "").context("empty the journal")?;
        let (process, port) = start(&journal, 0)?;
        Ok(Endpoint { port, journal, process })
    }

    pub fn begin(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill => {
                self.process.kill().context("kill")?;
                self.process.wait().context("wait for the killed").map(drop)
            }
            Fault::Stop => self.signal(Signal::STOP),
            Fault::Slow => self.set_mood(200, DELAY),
            Fault::Fail => self.set_mood(500, Duration::ZERO),
        }
    }

    /// Brings it back.
    pub fn end(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill => {
                let (process, port) = start(&self.journal, self.port)?;
                ensure!(port == self.port, "came back on another port");
                self.process = process;
                Ok(())
            }
            Fault::Stop => self.signal(Signal::CONT),
            Fault::Slow | Fault::Fail => self.set_mood(200, Duration::ZERO),
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.process), signal).context("signal an endpoint")
    }

    fn set_mood(&self, status: u16, delay: Duration) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("reach an endpoint")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "PUT /mood/{status}/{} HTTP/1.1\r\n\r\n", delay.as_millis())?;
        stream.read_exact(&mut [0]).context("an endpoint does not do as it is told")
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // It may have ended; then both have nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the process and waits until it listens.
fn start(journal: &Path, port: u16) -> Result<(Child, u16)> {
    let program = std::env::current_exe().context("our own path")?;
    let program = program.to_str().context("our own path is text")?;
    let journal = journal.to_str().context("the path of the journal is text")?;
    let mut command = leash::command(program, &[origin::SUBCOMMAND, journal, &port.to_string()])?;
    let mut process =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start an endpoint")?;
    let output = process.stdout.take().context("the endpoint's output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).context("read the endpoint's port")?;
    let port = line.trim().parse().context("the endpoint did not start");
    if port.is_err() {
        let _ = process.kill();
        let _ = process.wait();
    }
    Ok((process, port?))
}

/// How much later a slow endpoint answers.
pub const DELAY: Duration = Duration::from_millis(500);
