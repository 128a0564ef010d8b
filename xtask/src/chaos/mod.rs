//! `cargo xtask chaos`: a load through the real proxy over three endpoints, to which one fault happens after
//! the other; what clients saw of it, as a timeline, a page and a picture.
//!
//! The order of things is in [`run`]; what happens to the endpoints is in `course.rs`.

mod chart;
mod client;
mod course;
mod endpoints;
mod fault;
mod journal;
pub mod leash;
mod load;
pub mod origin;
mod proxy;
mod quantile;
mod report;
mod verdict;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::target_folder;
use course::Stage;
use endpoints::Endpoint;
use fault::NAMES;
use journal::Journal;
use load::{Load, Method};
use proxy::Proxy;
use verdict::Run;

/// Fails when a promise was missed; what was measured is written down all the same.
pub fn run() -> Result<()> {
    println!("chaos: building Palisade");
    let status = Command::new("cargo").args(["build", "--release", "--bin", "palisade"]).status()?;
    ensure!(status.success(), "Palisade does not build");
    let target = target_folder()?;
    let folder = target.join("chaos");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;

    let run = perform(&target.join("release/palisade"), &folder)?;
    let verdicts = verdict::judge(&run);
    println!();
    for verdict in &verdicts {
        println!("{:<7} {}: {}", verdict.word(), verdict.promise, verdict.numbers);
    }
    let page = report::page(&run, &verdicts)?;
    for (path, text) in [("docs/chaos.md", page), ("docs/chaos.svg", chart::svg(&run))] {
        fs::write(path, text).with_context(|| format!("write {path}"))?;
        println!("chaos: wrote {path}");
    }
    match verdicts.iter().filter(|verdict| !verdict.held).count() {
        0 => Ok(()),
        missed => bail!("{missed} of {} promises missed; logs are in {}", verdicts.len(), folder.display()),
    }
}

/// Every process that is started here has ended when it returns.
fn perform(binary: &Path, folder: &Path) -> Result<Run> {
    let endpoints = NAMES.iter().map(|name| Endpoint::start(name, folder)).collect::<Result<Vec<_>>>()?;
    let control = Endpoint::start("control", folder)?;
    let proxy = Proxy::start(binary, folder, &endpoints)?;
    let start = Instant::now();
    let load = Load::start(proxy.port, control.port, start)?;
    let mut stage = Stage { endpoints, proxy, load, start };
    let course = course::run(&mut stage)?;

    let Stage { endpoints, proxy, load, .. } = stage;
    let (control, samples) = load.stop().into_iter().partition(|sample| sample.method == Method::Control);
    let repetitions = proxy.repetitions()?;
    proxy.stop()?;
    let journal = Journal::read(endpoints.iter().map(|endpoint| endpoint.journal.as_path()))?;
    Ok(Run { course, samples, journal, repetitions, control })
}
