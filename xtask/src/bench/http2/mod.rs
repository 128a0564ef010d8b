//! HTTP/2 with clients: many small requests, and one huge body. One file measures one of them.

mod requests;
mod transfer;

use self::transfer::Transfer;
use super::front::{Front, Key};
use super::measure::Lab;
use super::plan::Plan;
use super::results::{Calls, Counted, Row, Saturation};
use super::table::{Table, number};
use super::{attempt, saturations};

/// What was measured about one proxy. `None`: could not be measured.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    pub with_tls: Option<Saturation>,
    /// By prior knowledge.
    pub plain: Option<Saturation>,
    /// With TLS.
    pub counted: Option<Counted>,
    /// With TLS.
    pub calls: Option<Calls>,
    /// The highest resident memory in bytes while a client got 1 GiB.
    pub download_peak: Option<f64>,
    /// The same while a client sent 1 GiB.
    pub upload_peak: Option<f64>,
}

impl Numbers {
    pub fn loads(&self) -> impl Iterator<Item = Saturation> {
        [self.with_tls, self.plain].into_iter().flatten()
    }
}

/// All that is timed.
pub fn measure(lab: &Lab, plan: &Plan, rows: &mut [&mut Row]) {
    let rounds = plan.short_rounds;
    for front in FRONTS {
        let numbers = saturations(rounds, rows, &format!("HTTP/2 requests, {front:?}"), |peer| {
            lab.http2_requests(peer, front, rounds.duration)
        });
        for (row, number) in rows.iter_mut().zip(numbers) {
            match front {
                Front::Tls(_) => row.http2.with_tls = number,
                Front::Http1 | Front::Http2 => row.http2.plain = number,
            }
        }
    }
}

/// All that is counted.
pub fn count(lab: &Lab, row: &mut Row) {
    let (peer, name) = (row.peer, row.peer.name());
    let peak =
        |transfer| attempt(&format!("{transfer:?} of 1 GiB through {name}"), || lab.transfer(peer, transfer));
    row.http2.download_peak = peak(Transfer::Download);
    row.http2.upload_peak = peak(Transfer::Upload);
    row.http2.counted = attempt(&format!("instructions of an HTTP/2 request of {name}"), || {
        lab.http2_instructions(peer, FRONTS[0])
    });
    row.http2.calls =
        attempt(&format!("system calls of an HTTP/2 request of {name}"), || lab.http2_calls(peer, FRONTS[0]));
}

/// The part of the page.
pub fn section(rows: &[&Row]) -> String {
    let mut table = Table::new(&[
        "Proxy",
        "With TLS: requests/s",
        "CPU us/request",
        "User instructions/request",
        "Allocations/request",
        "Socket calls/request",
        "Without TLS: requests/s",
        "CPU us/request",
        "1 GiB to the client: peak memory MiB",
        "1 GiB to the server: peak memory MiB",
    ]);
    let mib = |bytes: Option<f64>| number(bytes.map(|bytes| bytes / f64::from(1 << 20)), 1);
    for row in rows {
        let http2 = &row.http2;
        table.line(&[
            row.peer.name().to_string(),
            number(http2.with_tls.map(|load| load.requests_per_second), 0),
            number(http2.with_tls.map(|load| load.cpu_micros), 2),
            number(http2.counted.map(|counted| counted.instructions), 0),
            number(http2.counted.map(|counted| counted.allocations.max(0.0)), 2),
            number(http2.calls.as_ref().map(|calls| calls.socket), 2),
            number(http2.plain.map(|load| load.requests_per_second), 0),
            number(http2.plain.map(|load| load.cpu_micros), 2),
            mib(http2.download_peak),
            mib(http2.upload_peak),
        ]);
    }
    format!(
        "## HTTP/2\n\n{}\nAnswers of 128 bytes, 8 connections with 16 requests at a time; HTTP/1.1 to the server. \
         Peak memory is\nall that was resident, not only what one transfer added.\n",
        table.text()
    )
}

const FRONTS: [Front; 2] = [Front::Tls(Key::EcdsaP256), Front::Http2];
