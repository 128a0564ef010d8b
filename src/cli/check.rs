//! `palisade check`: all mistakes of a configuration, without starting anything.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use super::config_path;
use crate::config::{self, Config, Report};

/// Check a configuration: all mistakes with line and hint; exit code 1 if there is one
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default: palisade.toml, then /etc/palisade/palisade.toml
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// `json`: one object per line on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args) -> ExitCode {
    let path = config_path(args.config.as_deref());
    let (report, config) = match config::load(&path) {
        Ok(loaded) => (Report { diagnostics: loaded.warnings }, Some(loaded.config)),
        Err(report) => (report, None),
    };
    if args.format == Format::Json {
        let _ = std::io::stdout().write_all(report.to_json_lines().as_bytes());
    } else {
        if !report.diagnostics.is_empty() {
            print_report(&report);
        }
        if let Some(config) = &config {
            let _ = writeln!(std::io::stdout(), "{}", summary(&path, config));
        }
    }
    if config.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// On standard error, with colour if that is a terminal (and https://no-color.org does not forbid it).
pub fn print_report(report: &Report) {
    let stderr = std::io::stderr();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let _ = stderr.lock().write_all(report.render(colour).as_bytes());
}

fn summary(path: &Path, config: &Config) -> String {
    let counted = [
        config::counted(config.listeners.len(), "listener"),
        config::counted(config.routes.len(), "route"),
        config::counted(config.upstreams.len(), "upstream"),
    ];
    format!("{}: ok, {}", path.display(), counted.join(", "))
}
