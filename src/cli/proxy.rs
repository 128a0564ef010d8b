//! `palisade proxy`: a proxy without a file.

use std::process::ExitCode;

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
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    control::run(Start::Text(text), |_| {})
}

fn configuration(listen: &str, to: &[String]) -> String {
    let endpoints: Vec<String> = to.iter().map(|address| quoted(address)).collect();
    format!(
        "[listeners.http]\naddress = {}\n\n[upstreams.backend]\nendpoints = [{}]\n\n\
         [routes.all]\nupstream = \"backend\"\n\n[log]\naccess = \"stdout\"\n",
        quoted(listen),
        endpoints.join(", ")
    )
}

/// A TOML string; `$` is doubled, since `${...}` would be read as a variable.
fn quoted(text: &str) -> String {
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
    fn whatever_is_typed_becomes_a_configuration_or_a_clear_error() {
        let good =
            configuration("127.0.0.1:0", &["127.0.0.1:3000".to_owned(), "unix:/run/a.sock".to_owned()]);
        assert!(crate::config::parse("test", &good).is_ok(), "{good}");
        let hostile = configuration("x\"\n[server]\nworkers=1", &["a\\b${HOME}".to_owned()]);
        let report = crate::config::parse("test", &hostile).expect_err("no addresses");
        assert!(!report.render(false).contains("syntax"), "{}", report.render(false));
    }
}
