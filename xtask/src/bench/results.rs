//! What was measured, without how.

use std::time::Duration;

use super::peers::Peer;
use super::{compression, files, http2, tls};

/// Everything about one proxy: of HTTP/1.1 without TLS here, of the rest in their own structs. `None`: could not
/// be measured.
#[derive(Clone, Debug)]
pub struct Row {
    pub peer: Peer,
    pub version: String,
    pub small: Option<Saturation>,
    pub medium: Option<Saturation>,
    pub large: Option<Saturation>,
    pub counted: Option<Counted>,
    pub calls: Option<Calls>,
    pub latency: Option<Latency>,
    /// Growth of resident memory with the idle connections, in bytes.
    pub idle_bytes: Option<f64>,
    pub tls: tls::Numbers,
    pub http2: http2::Numbers,
    pub compression: compression::Numbers,
    pub files: files::Numbers,
}

impl Row {
    pub fn new(peer: Peer, version: String) -> Row {
        Row {
            peer,
            version,
            small: None,
            medium: None,
            large: None,
            counted: None,
            calls: None,
            latency: None,
            idle_bytes: None,
            tls: tls::Numbers::default(),
            http2: http2::Numbers::default(),
            compression: compression::Numbers::default(),
            files: files::Numbers::default(),
        }
    }

    /// Every number that was taken under load.
    pub fn loads(&self) -> impl Iterator<Item = Saturation> {
        let http1 = [self.small, self.medium, self.large].into_iter().flatten();
        let coded = self.compression.loads().chain(self.files.loads());
        http1.chain(self.tls.loads()).chain(self.http2.loads()).chain(coded)
    }

    pub fn cpu_per_request(&self) -> Option<f64> {
        self.small.map(|small| small.cpu_micros)
    }

    /// CPU microseconds per MiB of body with answers of 64 KiB.
    pub fn medium_per_mib(&self) -> Option<f64> {
        self.medium.map(|medium| medium.cpu_micros * 16.0)
    }

    /// CPU microseconds per MiB of body with answers of 1 MiB.
    pub fn large_per_mib(&self) -> Option<f64> {
        self.large.map(|large| large.cpu_micros)
    }

    pub fn instructions(&self) -> Option<f64> {
        self.counted.map(|counted| counted.instructions)
    }

    pub fn allocations(&self) -> Option<f64> {
        // Not below zero, where the two runs differ by a few at start and end.
        self.counted.map(|counted| counted.allocations.max(0.0))
    }

    pub fn p99_micros(&self) -> Option<f64> {
        self.latency.map(|latency| latency.p99.as_secs_f64() * 1e6)
    }
}

/// What a load did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// Or handshakes, where these are what is measured.
    pub requests: f64,
    pub seconds: f64,
}

/// What callgrind counts, per request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// In user mode.
    pub instructions: f64,
    /// Calls of the heap allocator.
    pub allocations: f64,
}

/// As many requests as the proxy can take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saturation {
    pub requests_per_second: f64,
    /// CPU microseconds of the proxy per request, user and system.
    pub cpu_micros: f64,
    /// Share of the proxy's core that went to anything but the proxy; near 0 on a quiet machine.
    pub disturbance: f64,
}

impl Saturation {
    /// Each number's own median over the rounds.
    pub fn median_of(rounds: &[Saturation]) -> Option<Saturation> {
        Some(Saturation {
            requests_per_second: median(rounds.iter().map(|round| round.requests_per_second))?,
            cpu_micros: median(rounds.iter().map(|round| round.cpu_micros))?,
            disturbance: median(rounds.iter().map(|round| round.disturbance))?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

impl Latency {
    /// `sorted`: the time of every request.
    pub fn of(sorted: &[Duration]) -> Option<Latency> {
        let at =
            |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().max(1) - 1));
        Some(Latency { p50: *at(0.50)?, p99: *at(0.99)? })
    }

    pub fn median_of(rounds: &[Latency]) -> Option<Latency> {
        let p50 = median(rounds.iter().map(|round| round.p50.as_secs_f64()))?;
        let p99 = median(rounds.iter().map(|round| round.p99.as_secs_f64()))?;
        Some(Latency { p50: Duration::from_secs_f64(p50), p99: Duration::from_secs_f64(p99) })
    }
}

/// System calls per request.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// Reads and writes of every kind on sockets.
    pub socket: f64,
    /// All others: waiting, timers, the access log.
    pub other: f64,
    /// By name, most frequent first; `write` to a file is `write (file)`.
    pub by_name: Vec<(String, f64)>,
}

pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn percentiles_of_a_thousand() {
        let sorted: Vec<Duration> = (1..=1000).map(Duration::from_micros).collect();
        let latency = Latency::of(&sorted).unwrap();
        assert_eq!((latency.p50, latency.p99), (Duration::from_micros(501), Duration::from_micros(991)));
        assert_eq!(Latency::of(&[]), None);
    }
}
