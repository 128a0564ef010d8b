//! Processes that do not outlive the command, whatever ends it: Ctrl-C, a kill, a panic. The kernel sends
//! them SIGKILL when the thread that started them is gone, which ends a stopped process too.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, iter};

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};

/// `PROGRAM ARGUMENT...` as a process on the leash; to be started from the main thread.
pub fn command(program: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("our own path")?);
    command.args(iter::once(SUBCOMMAND).chain(iter::once(program)).chain(arguments.iter().copied()));
    Ok(command)
}

/// The subcommand behind [`command`]: puts itself on the leash and becomes the program, with the same id.
pub fn run(program: &str, arguments: &[&str]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("a signal for the death of the parent")?;
    Err(Command::new(program).args(arguments).exec()).with_context(|| format!("become {program}"))
}

/// Not for users; see `main.rs`.
pub const SUBCOMMAND: &str = "chaos-leash";
