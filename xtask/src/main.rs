//! Development commands of Palisade, one file per command. `cargo xtask` lists them.

mod bench;
mod chaos;
mod fuzz;
mod judges;
mod packages;
mod test;

use std::process::ExitCode;
use std::{env, path::PathBuf};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    env::set_current_dir(workspace_root()?).context("enter the workspace")?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.split_first() {
        Some((&"test", [])) => test::run(),
        Some((&"bench", options)) => bench::run(options),
        Some((&"bench-origin", [])) => bench::origin::run(),
        Some((&"chaos", [])) => chaos::run(),
        Some((&chaos::origin::SUBCOMMAND, [journal, port])) => chaos::origin::run(journal, port),
        Some((&chaos::leash::SUBCOMMAND, [program, arguments @ ..])) => chaos::leash::run(program, arguments),
        Some((&"fuzz", options)) => fuzz::run(options),
        Some((&"judges", options)) => judges::run(options),
        None => {
            println!("{USAGE}");
            Ok(())
        }
        Some(_) => bail!("do not know `{}`\n\n{USAGE}", words.join(" ")),
    }
}

/// `cargo xtask` may be called from any folder of the workspace.
fn workspace_root() -> Result<PathBuf> {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").context("call this as `cargo xtask`")?;
    let root = PathBuf::from(xtask).parent().map(PathBuf::from);
    root.context("xtask lies in a folder of the workspace")
}

const USAGE: &str = "\
cargo xtask test                      format, lints and all tests; what CI runs
cargo xtask bench [--quick] [--counts] [--peers all] [--only NAME,...]
                                      compares with other proxies; writes docs/benchmarks.md and .svg;
                                      --counts: only instructions, system calls and memory, not timed;
                                      --only: of proxies (palisade, nginx, haproxy, ...) and of topics
                                      (http1, tls, http2, compression)
cargo xtask chaos                     kills, stops, slows and breaks servers under load, one after the other;
                                      writes docs/chaos.md and .svg
cargo xtask fuzz TARGET [--seconds N] runs a target of fuzz/ with cargo-fuzz
cargo xtask judges [NAME ...] [--against HOST:PORT]
                                      sslyze, testssl.sh, Autobahn, grpc, Chromium and cases of HTTP/2 by section
                                      judge Palisade; --against: another server, that runs already";
