//! `palisade proxy`: a proxy without a file.

use std::process::ExitCode;

use super::check::print_report;
use crate::config;
use crate::control::{self, Start};

/// Run a proxy without a configuration file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where to send requests; several share them
    #[arg(long, value_name = "ADDRESS", required = true)]
    to: Vec<String>,
    /// Print the configuration that this stands for, to begin a file with, and end
    #[arg(long)]
    print: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let text = configuration(&args.listen, &args.to);
    if args.print {
        // What is printed can be used: `check` is asked first.
        if let Err(report) = config::parse("(from the arguments)", &text) {
            print_report(&report);
            return ExitCode::FAILURE;
        }
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    control::run(Start::Text(text), |_| {})
}

fn configuration(listen: &str, to: &[String]) -> String {
    let endpoints: Vec<String> = to.iter().map(|address| quoted(&endpoint(address))).collect();
    format!(
        "[listeners.http]\naddress = {}\n\n[upstreams.backend]\nendpoints = [{}]\n\n\
         [routes.all]\nupstream = \"backend\"\n\n[log]\naccess = \"stdout\"\n",
        quoted(listen),
        endpoints.join(", ")
    )
}

/// People paste URLs: `http://app:3000/` is `app:3000`. What is more than an address is left for the check
/// to refuse.
fn endpoint(typed: &str) -> String {
    let Some(rest) = typed.strip_prefix("http://") else { return typed.to_owned() };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let has_port = rest.rsplit(']').next().unwrap_or(rest).contains(':');
    if has_port { rest.to_owned() } else { format!("{rest}:80") }
}

/// A TOML string; `$` is doubled, since `${...}` would be read as a variable.
pub(super) fn quoted(text: &str) -> String {
    let escaped: String = text
        .replace("${", "$${")
        .chars()
        .flat_map(|character| match character {
            '"' | '\\' => vec!['\\', character],
            character if character.is_control() => {
                format!("\\u{:04X}", u32::from(character)).chars().collect()
            }
            character => vec![character],
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_as_addresses() {
        for (typed, meant) in [
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("http://127.0.0.1:3000", "127.0.0.1:3000"),
            ("http://app/", "app:80"),
            ("http://[::1]", "[::1]:80"),
            ("http://[::1]:3000/", "[::1]:3000"),
            ("https://app", "https://app"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(endpoint(typed), meant);
        }
    }

    #[test]
    fn whatever_is_typed_becomes_a_configuration_or_a_clear_error() {
        let good =
            configuration("127.0.0.1:0", &["127.0.0.1:3000".to_owned(), "unix:/run/a.sock".to_owned()]);
        assert!(crate::config::parse("test", &good).is_ok(), "{good}");
        let hostile = configuration("x\"\n[server]\nworkers=1", &["a\\b${HOME}".to_owned()]);
        let report = crate::config::parse("test", &hostile).expect_err("no addresses");
        assert!(!report.render(false).contains("syntax"), "{}", report.render(false));
    }
}
