//! The commands: one file each.

mod check;
mod demo;
mod explain;
mod files;
mod operate;
mod proxy;
mod run;
mod schema;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use operate::Question;

/// A reverse proxy: strict, cheap per request, clear.
#[derive(Debug, Parser)]
#[command(name = "palisade", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Proxy(proxy::Args),
    Files(files::Args),
    Demo(demo::Args),
    Check(check::Args),
    Explain(explain::Args),
    /// Have the running proxy read its configuration again; a wrong one changes nothing
    Reload(operate::Args),
    /// Show upstreams and endpoints of the running proxy
    Status(operate::Args),
    /// Let the running proxy finish its requests and end
    Stop(operate::Args),
    Endpoint(operate::EndpointArgs),
    Schema(schema::Args),
}

impl Cli {
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Proxy(args) => proxy::run(&args),
            Command::Files(args) => files::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Reload(args) => operate::run(&Question::Reload, &args),
            Command::Status(args) => operate::run(&Question::Status, &args),
            Command::Stop(args) => operate::run(&Question::Stop, &args),
            Command::Endpoint(args) => operate::endpoint(args),
            Command::Check(args) => check::run(&args),
            Command::Schema(args) => schema::run(&args),
        }
    }
}

const CONFIG_PATHS: [&str; 2] = ["palisade.toml", "/etc/palisade/palisade.toml"];

/// The file that was asked for, or the first of the usual ones that is there.
pub fn config_path(asked: Option<&Path>) -> PathBuf {
    let usual = || CONFIG_PATHS.iter().map(Path::new).find(|path| path.exists());
    asked.or_else(usual).unwrap_or(Path::new(CONFIG_PATHS[0])).to_path_buf()
}
