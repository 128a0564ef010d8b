//! `palisade run`: serve in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::control::{self, Start};

/// Run the proxy in the foreground
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; palisade.toml or /etc/palisade/palisade.toml when not given
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(args: &Args) -> ExitCode {
    control::run(Start::File(super::config_path(args.config.as_deref())), |_| {})
}
