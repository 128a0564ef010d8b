//! TLS: handshakes, large bodies, idle connections. One file measures one of them.

mod bodies;
mod client;
mod handshakes;
mod idle;

use rustls::version::{TLS12, TLS13};

use self::bodies::Direction;
use self::client::Kind;
use self::handshakes::Handshakes;
use super::front::Key;
use super::measure::Lab;
use super::plan::Plan;
use super::results::{Counted, Row, Saturation};
use super::table::{Table, number};
use super::{IDLE_CONNECTIONS, attempt, saturations};

/// What was measured about one proxy. `None`: could not be measured.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// In the order of [`HANDSHAKES`].
    pub handshakes: [Option<Saturation>; HANDSHAKES.len()],
    /// Answers of 1 MiB.
    pub download: Option<Saturation>,
    /// Requests with 1 MiB.
    pub upload: Option<Saturation>,
    /// Of one full handshake.
    pub counted: Option<Counted>,
    /// Growth of resident memory with the idle connections, in bytes.
    pub idle_bytes: Option<f64>,
}

impl Numbers {
    /// CPU microseconds of one handshake; `which`: a place in [`HANDSHAKES`].
    pub fn cpu_per_handshake(&self, which: usize) -> Option<f64> {
        Some((*self.handshakes.get(which)?)?.cpu_micros)
    }

    pub fn loads(&self) -> impl Iterator<Item = Saturation> {
        self.handshakes.into_iter().chain([self.download, self.upload]).flatten()
    }
}

/// All that is timed.
pub fn measure(lab: &Lab, plan: &Plan, rows: &mut [&mut Row]) {
    let rounds = plan.short_rounds;
    for (at, (name, which)) in HANDSHAKES.into_iter().enumerate() {
        let numbers = saturations(rounds, rows, &format!("handshakes, {name}"), |peer| {
            lab.handshakes(peer, which, rounds.duration)
        });
        rows.iter_mut().zip(numbers).for_each(|(row, number)| row.tls.handshakes[at] = number);
    }
    for direction in [Direction::ToClient, Direction::ToOrigin] {
        let numbers = saturations(rounds, rows, &format!("1 MiB with TLS, {direction:?}"), |peer| {
            lab.bodies(peer, direction, rounds.duration)
        });
        for (row, number) in rows.iter_mut().zip(numbers) {
            match direction {
                Direction::ToClient => row.tls.download = number,
                Direction::ToOrigin => row.tls.upload = number,
            }
        }
    }
}

/// All that is counted.
pub fn count(lab: &Lab, row: &mut Row) {
    let (peer, name) = (row.peer, row.peer.name());
    row.tls.idle_bytes = attempt(&format!("memory of idle TLS connections of {name}"), || {
        lab.idle_tls_memory(peer, IDLE_CONNECTIONS)
    });
    row.tls.counted =
        attempt(&format!("instructions of a handshake of {name}"), || lab.handshake_instructions(peer));
}

/// The part of the page.
pub fn section(rows: &[&Row]) -> String {
    let mut titles = vec!["Proxy"];
    titles.extend(HANDSHAKES.map(|(name, _)| name));
    titles.push("User instructions/handshake");
    let mut handshakes = Table::new(&titles);
    let mut bodies = Table::new(&[
        "Proxy",
        "1 MiB answers: requests/s",
        "CPU us/MiB",
        "1 MiB uploads: requests/s",
        "CPU us/MiB",
        "Idle memory MiB",
    ]);
    for row in rows {
        let (name, tls) = (row.peer.name().to_string(), &row.tls);
        let per_second =
            (0..HANDSHAKES.len()).map(|at| number(tls.cpu_per_handshake(at).map(|micros| 1e6 / micros), 0));
        let instructions = number(tls.counted.map(|counted| counted.instructions), 0);
        handshakes.line(&[vec![name.clone()], per_second.collect(), vec![instructions]].concat());
        bodies.line(&[
            name,
            number(tls.download.map(|load| load.requests_per_second), 0),
            number(tls.download.map(|load| load.cpu_micros), 0),
            number(tls.upload.map(|load| load.requests_per_second), 0),
            number(tls.upload.map(|load| load.cpu_micros), 0),
            number(tls.idle_bytes.map(|bytes| bytes / f64::from(1 << 20)), 1),
        ]);
    }
    let idle = number(Some(IDLE_CONNECTIONS as f64), 0);
    format!(
        "## TLS\n\nHandshakes per second of CPU time, each with one small request:\n\n{}\n{}\nBodies over \
         HTTP/1.1; idle memory is what {idle} idle keep-alive connections add.\n",
        handshakes.text(),
        bodies.text()
    )
}

pub const HANDSHAKES: [(&str, Handshakes); 4] = [
    ("TLS 1.3, ECDSA P-256", Handshakes { key: Key::EcdsaP256, version: &TLS13, kind: Kind::Full }),
    ("TLS 1.3, RSA-2048", Handshakes { key: Key::Rsa2048, version: &TLS13, kind: Kind::Full }),
    ("TLS 1.2, ECDSA P-256", Handshakes { key: Key::EcdsaP256, version: &TLS12, kind: Kind::Full }),
    ("TLS 1.3, resumed", Handshakes { key: Key::EcdsaP256, version: &TLS13, kind: Kind::Resumed }),
];
