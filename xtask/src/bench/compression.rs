//! Answers of JSON that are compressed on their way: how small they become, and what a byte costs.
//!
//! Two encoders are compared at the level at which one becomes about as small as the other: a level is a name, and
//! each program gives it to another amount of work.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::front::{Codec, Front};
use super::measure::{CONNECTIONS, Lab, WARM_UP, observe};
use super::origin::JSON_PATH;
use super::peers::{Peer, Site};
use super::plan::Plan;
use super::process::Wrapped;
use super::results::{Row, Saturation};
use super::sample::JSON_LENGTH;
use super::table::{Table, number};
use super::tools::curl::{self, Speak};
use super::tools::wrk::Wrk;
use super::{attempt, progress};

/// What was measured about one proxy.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    pub cases: Vec<Case>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    pub codec: Codec,
    pub level: u8,
    /// Bytes of the compressed body; the same every time.
    pub size: f64,
    pub load: Option<Saturation>,
}

impl Case {
    /// CPU microseconds per MiB of body before compression.
    pub fn per_mib(&self) -> Option<f64> {
        self.load.map(|load| load.cpu_micros * f64::from(1 << 20) / JSON_LENGTH as f64)
    }
}

impl Numbers {
    pub fn loads(&self) -> impl Iterator<Item = Saturation> {
        self.cases.iter().filter_map(|case| case.load)
    }

    pub fn of(&self, codec: Codec) -> Option<&Case> {
        self.cases.iter().find(|case| case.codec == codec)
    }
}

/// Finds the levels, then measures all cases in every round.
pub fn measure(lab: &Lab, plan: &Plan, rows: &mut [&mut Row]) {
    for row in rows.iter_mut() {
        let peer = row.peer;
        row.compression.cases = match peer {
            Peer::Palisade => palisade_cases(lab),
            _ => attempt(&format!("size of {}'s gzip", peer.name()), || {
                lab.compressed(peer, Codec::Gzip, NGINX_LEVEL)
            })
            .into_iter()
            .collect(),
        };
    }
    let rounds = plan.short_rounds;
    for row in rows.iter_mut() {
        let name = row.peer.name();
        for case in &row.compression.cases {
            progress(&format!("{name}: {:?} {} makes {} bytes", case.codec, case.level, case.size));
        }
    }
    let mut taken: Vec<Vec<Vec<Saturation>>> =
        rows.iter().map(|row| vec![Vec::new(); row.compression.cases.len()]).collect();
    for round in 1..=rounds.count {
        for (row, taken) in rows.iter().zip(&mut taken) {
            for (case, taken) in row.compression.cases.iter().zip(taken) {
                let what = format!(
                    "{:?} {}, round {round}/{}, {}",
                    case.codec,
                    case.level,
                    rounds.count,
                    row.peer.name()
                );
                taken.extend(attempt(&what, || lab.compress(row.peer, *case, rounds.duration)));
            }
        }
    }
    for (row, taken) in rows.iter_mut().zip(taken) {
        for (case, taken) in row.compression.cases.iter_mut().zip(taken) {
            // With a hole in it a median would flatter.
            let whole = taken.len() == rounds.count;
            case.load = whole.then(|| Saturation::median_of(&taken)).flatten();
        }
    }
}

/// gzip at the lowest level that is at most two percent larger than nginx's, and the usual levels of the others.
fn palisade_cases(lab: &Lab) -> Vec<Case> {
    let size = |codec, level| {
        attempt(&format!("size of {codec:?} {level}"), || lab.compressed(Peer::Palisade, codec, level))
    };
    let nginx = attempt("size of nginx's gzip", || lab.compressed(Peer::Nginx, Codec::Gzip, NGINX_LEVEL));
    let gzip = match nginx {
        Some(nginx) => (1..=9)
            .find_map(|level| size(Codec::Gzip, level).filter(|case| is_comparable(case.size, nginx.size))),
        None => size(Codec::Gzip, USUAL_GZIP),
    };
    let others = [(Codec::Brotli, 4), (Codec::Brotli, 5), (Codec::Zstd, 3)];
    gzip.into_iter().chain(others.into_iter().filter_map(|(codec, level)| size(codec, level))).collect()
}

fn is_comparable(size: f64, other: f64) -> bool {
    size <= other * 1.02
}

impl Lab {
    /// Checks that what comes out decodes to what the origin sent, and tells how long it is.
    fn compressed(&self, peer: Peer, codec: Codec, level: u8) -> Result<Case> {
        let (site, proxy) = self.start(peer, Front::Coded(codec, level))?;
        let plain = fetch(&site, &[])?;
        let header = accepts(codec);
        let raw = fetch(&site, &["--header", &header])?;
        let decoded = fetch(&site, &["--header", &header, "--compressed"])?;
        proxy.stop(Wrapped::SameProcess)?;
        ensure!(plain.len() == JSON_LENGTH, "the origin's answer has {} bytes", plain.len());
        ensure!(decoded == plain, "{} answers something else than the origin", peer.name());
        if raw.len() >= plain.len() {
            bail!("{} does not compress", peer.name());
        }
        Ok(Case { codec, level, size: raw.len() as f64, load: None })
    }

    /// Requests per second and CPU per request while wrk asks for the compressed answer.
    fn compress(&self, peer: Peer, case: Case, duration: Duration) -> Result<Saturation> {
        let (site, proxy) = self.start(peer, Front::Coded(case.codec, case.level))?;
        let header = accepts(case.codec);
        let wrk =
            Wrk { url: &site.url(JSON_PATH), connections: CONNECTIONS, script: None, header: Some(&header) };
        wrk.run(WARM_UP)?;
        let saturation = observe(&proxy, || wrk.run(duration))?;
        proxy.stop(Wrapped::SameProcess)?;
        Ok(saturation)
    }
}

fn accepts(codec: Codec) -> String {
    format!("Accept-Encoding: {}", codec.token())
}

fn fetch(site: &Site, arguments: &[&str]) -> Result<Vec<u8>> {
    let file = site.dir.join("answer");
    let mut command: Command = curl::command(site, Speak::Http1, JSON_PATH);
    let status = command.args(arguments).arg("--output").arg(&file).status().context("curl")?;
    ensure!(status.success(), "curl ended with {status}");
    fs::read(&file).with_context(|| format!("read {}", file.display()))
}

/// The part of the page.
pub fn section(rows: &[&Row]) -> String {
    let mut table =
        Table::new(&["Proxy", "Encoder", "Level", "Bytes", "Of the original", "Requests/s", "CPU us/MiB"]);
    for row in rows {
        for case in &row.compression.cases {
            table.line(&[
                row.peer.name().to_string(),
                case.codec.token().to_string(),
                case.level.to_string(),
                number(Some(case.size), 0),
                format!("{} %", number(Some(case.size * 100.0 / JSON_LENGTH as f64), 1)),
                number(case.load.map(|load| load.requests_per_second), 0),
                number(case.per_mib(), 0),
            ]);
        }
    }
    format!(
        "## Compression\n\n{}\nAnswers of 100 KiB of JSON, a list of records as a shop or a code host gives it. The level of our gzip is \
         the\nlowest that makes it at most 2 % larger than nginx's. CPU is all of the proxy's, per MiB before \
         compression.\n",
        table.text()
    )
}

/// nginx's own default is 1; 6 is what most configurations say, and zlib's default.
const NGINX_LEVEL: u8 = 6;
const USUAL_GZIP: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_each_case() {
        let load = Saturation { requests_per_second: 500.0, cpu_micros: 1000.0, disturbance: 0.0 };
        let mut row = Row::new(Peer::Palisade, String::new());
        row.compression.cases = vec![
            Case { codec: Codec::Gzip, level: 4, size: 10_240.0, load: Some(load) },
            Case { codec: Codec::Brotli, level: 4, size: 9_000.0, load: None },
        ];
        let page = section(&[&row]);
        assert!(page.contains("| Palisade | gzip | 4 | 10,240 | 10.0 % | 500 | 10,240 |"), "{page}");
        assert!(page.contains("| Palisade | br | 4 | 9,000 | 8.8 % | - | - |"), "{page}");
        assert_eq!((is_comparable(102.0, 100.0), is_comparable(102.1, 100.0)), (true, false));
    }
}
