use std::process::ExitCode;

use clap::Parser;
use palisade::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
