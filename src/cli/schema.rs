//! `palisade schema`: what a configuration may say, for editors and for people.

use std::io::Write;
use std::process::ExitCode;

use crate::config::schema;

/// Print the JSON Schema of the configuration, for editors
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The reference for people instead, as in docs/configuration.md
    #[arg(long)]
    markdown: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let text = if args.markdown { schema::markdown() } else { schema::json_schema().pretty() };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
