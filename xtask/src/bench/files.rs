//! Files of three sizes, served by those that can: Palisade and nginx, which has `sendfile` and its cache of open files
//! switched on. HTTP/1.1 without TLS.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::body::block;
use super::load::Load;
use super::measure::{CONNECTIONS, Lab, RUN_LENGTHS, Serves, WARM_UP, observe};
use super::peers::Peer;
use super::plan::{Plan, Rounds};
use super::process::Wrapped;
use super::results::{Calls, Counted, Row, Saturation};
use super::table::{NOT_MEASURED, Table, number};
use super::tools::wrk::Wrk;
use super::{attempt, saturations};

/// What there is to know of files.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    pub small: Option<Saturation>,
    pub medium: Option<Saturation>,
    pub large: Option<Saturation>,
    /// With the small one.
    pub counted: Option<Counted>,
    /// With the small one and the medium one.
    pub calls: [Option<Calls>; 2],
}

impl Numbers {
    pub fn loads(&self) -> impl Iterator<Item = Saturation> + use<> {
        [self.small, self.medium, self.large].into_iter().flatten()
    }
}

/// Name and size in bytes.
#[derive(Clone, Copy)]
pub struct Sample {
    name: &'static str,
    len: usize,
    /// So many at the same time: a few of the large ones keep a core busy.
    connections: usize,
}

const SMALL: Sample = Sample { name: "1k", len: 1 << 10, connections: CONNECTIONS };
const MEDIUM: Sample = Sample { name: "100k", len: 100 << 10, connections: CONNECTIONS };
const LARGE: Sample = Sample { name: "100m", len: 100 << 20, connections: 4 };
/// What shows that a proxy has started.
const FIRST: Sample = Sample { name: "128", len: 128, connections: 1 };

/// Writes the files into `folder`, where they are not there yet.
pub fn write_samples(folder: &Path) -> Result<PathBuf> {
    let www = folder.join("www");
    fs::create_dir_all(&www).with_context(|| format!("create {}", www.display()))?;
    let block = block();
    for sample in [FIRST, SMALL, MEDIUM, LARGE] {
        let path = www.join(sample.name);
        if fs::metadata(&path).map_or(0, |file| file.len()) != sample.len as u64 {
            let bytes: Vec<u8> = block.iter().copied().cycle().take(sample.len).collect();
            fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(www)
}

pub fn measure(lab: &Lab, plan: &Plan, rows: &mut [&mut Row]) {
    type Column = fn(&mut Numbers) -> &mut Option<Saturation>;
    let columns: [(Sample, Column); 3] = [
        (SMALL, |numbers| &mut numbers.small),
        (MEDIUM, |numbers| &mut numbers.medium),
        (LARGE, |numbers| &mut numbers.large),
    ];
    for (sample, column) in columns {
        let what = format!("as many files of {} as can be", sample.name);
        let numbers =
            saturations(plan.rounds, rows, &what, |peer| lab.saturate_files(peer, sample, plan.rounds));
        rows.iter_mut().zip(numbers).for_each(|(row, number)| *column(&mut row.files) = number);
    }
}

pub fn count(lab: &Lab, row: &mut Row) {
    let (peer, name) = (row.peer, row.peer.name());
    for (calls, sample) in row.files.calls.iter_mut().zip([SMALL, MEDIUM]) {
        *calls = attempt(&format!("system calls of {name} for a file of {}", sample.name), || {
            lab.calls_of_files(peer, sample)
        });
    }
    row.files.counted =
        attempt(&format!("instructions of {name} for a file"), || lab.instructions_of_files(peer, SMALL));
}

impl Lab {
    fn saturate_files(&self, peer: Peer, sample: Sample, rounds: Rounds) -> Result<Saturation> {
        let (site, proxy) = self.start_with_files(peer)?;
        let path = format!("/{}", sample.name);
        let wrk = Wrk { url: &site.url(&path), connections: sample.connections, script: None, header: None };
        wrk.run(WARM_UP)?;
        let saturation = observe(&proxy, || wrk.run(rounds.duration))?;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(saturation)
    }

    fn calls_of_files(&self, peer: Peer, sample: Sample) -> Result<Calls> {
        self.count_calls(peer, Serves::Files, RUN_LENGTHS, |site, requests| {
            Load::connect(site.port, &format!("/{}", sample.name), CONNECTIONS)?.send(requests)
        })
    }

    fn instructions_of_files(&self, peer: Peer, sample: Sample) -> Result<Counted> {
        self.count_instructions_of_files(peer, RUN_LENGTHS, |site, requests| {
            Load::connect(site.port, &format!("/{}", sample.name), CONNECTIONS)?.send(requests)
        })
    }
}

pub fn section(rows: &[&Row]) -> String {
    let mut table = Table::new(&[
        "Server",
        "1 KiB: requests/s",
        "1 KiB: CPU us",
        "100 KiB: requests/s",
        "100 KiB: CPU us",
        "100 MiB: CPU us/MiB",
        "Instructions at 1 KiB",
    ]);
    let mut calls = Table::new(&["Server", "File", "Calls", "Which"]);
    for row in rows {
        let files = &row.files;
        let rate = |load: Option<Saturation>| number(load.map(|load| load.requests_per_second), 0);
        let cpu = |load: Option<Saturation>| number(load.map(|load| load.cpu_micros), 2);
        table.line(&[
            row.peer.name().to_string(),
            rate(files.small),
            cpu(files.small),
            rate(files.medium),
            cpu(files.medium),
            number(files.large.map(|load| load.cpu_micros / 100.0), 1),
            number(files.counted.map(|counted| counted.instructions), 0),
        ]);
        for (counted, size) in files.calls.iter().zip(["1 KiB", "100 KiB"]) {
            let which = counted.as_ref().map(|calls| {
                let each = calls.by_name.iter().map(|(name, count)| format!("{name} {count:.2}"));
                each.collect::<Vec<_>>().join(", ")
            });
            calls.line(&[
                row.peer.name().to_string(),
                size.to_string(),
                number(counted.as_ref().map(|calls| calls.socket + calls.other), 2),
                which.unwrap_or_else(|| NOT_MEASURED.to_string()),
            ]);
        }
    }
    format!(
        "## Files\n\n{}\nCPU is per request, but for 100 MiB per MiB. nginx has `sendfile`, `tcp_nopush` and \
         `open_file_cache` on.\n\n{}",
        table.text(),
        calls.text()
    )
}
