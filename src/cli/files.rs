//! `palisade files`: serves a folder without a file of configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use super::check::print_report;
use super::proxy::quoted;
use crate::config;
use crate::control::{self, Start};

/// Serve the files of a folder, without a configuration file
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; this one if not told otherwise
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// List folders that have no index.html
    #[arg(long)]
    browse: bool,
    /// Print the configuration that this stands for, to begin a file with, and end
    #[arg(long)]
    print: bool,
}

pub fn run(args: &Args) -> ExitCode {
    // Whole, so that what is printed means the same folder wherever it is saved.
    let folder = match std::path::absolute(&args.folder) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("palisade files: {}: {error}", args.folder.display());
            return ExitCode::FAILURE;
        }
    };
    let Some(folder) = folder.to_str() else {
        eprintln!("palisade files: the name of {} is not UTF-8", folder.display());
        return ExitCode::FAILURE;
    };
    let text = configuration(&args.listen, folder, args.browse);
    if args.print {
        // What is printed can be used: `check` is asked first.
        if let Err(report) = config::parse("(from the arguments)", &text) {
            print_report(&report);
            return ExitCode::FAILURE;
        }
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    control::run(Start::Text(text), |addresses| {
        if let Some((_, address)) = addresses.iter().find(|(name, _)| name == "http") {
            println!("http://{address}/");
        }
    })
}

fn configuration(listen: &str, folder: &str, browse: bool) -> String {
    format!(
        "[listeners.http]\naddress = {}\n\n\
         [routes.all]\nfiles = {{ root = {}, browse = {browse} }}\n\n[log]\naccess = \"stdout\"\n",
        quoted(listen),
        quoted(folder),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_becomes_a_configuration() {
        let dir = testkit::temp_dir();
        let odd = dir.join("a\"b ${HOME} \\c");
        std::fs::create_dir(&odd).unwrap();
        let text = configuration("127.0.0.1:0", odd.to_str().unwrap(), true);
        assert!(config::parse("test", &text).is_ok(), "{text}");
        let text = configuration("127.0.0.1:0", "/nowhere", false);
        assert!(config::parse("test", &text).is_err(), "{text}");
    }
}
