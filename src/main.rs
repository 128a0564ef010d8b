use std::process::ExitCode;

use clap::Parser;
use palisade::cli::Cli;

/// The system's allocator gives memory back late and locks between threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
