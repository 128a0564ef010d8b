use std::process::ExitCode;

use allocator::Mimalloc;
use clap::Parser;
use palisade::cli::Cli;

mod allocator;

#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
