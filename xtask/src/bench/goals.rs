//! What Palisade promises to be, next to what was measured. A missed goal is printed as missed.

use super::compression::Case;
use super::front::Codec;
use super::peers::Peer;
use super::plan::Topic;
use super::results::Row;

/// One promise.
#[derive(Debug, PartialEq)]
pub struct Goal {
    pub what: &'static str,
    pub unit: &'static str,
    /// `None`: could not be measured, or there is nothing to compare with.
    pub measured: Option<f64>,
    /// At most this.
    pub limit: f64,
    /// Where we want to be, when that is lower than the limit.
    pub aim: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    AimReached,
    Passed,
    Missed,
    NotMeasured,
}

impl Verdict {
    pub fn text(self) -> &'static str {
        match self {
            Verdict::AimReached => "pass, aim reached",
            Verdict::Passed => "pass",
            Verdict::Missed => "**missed**",
            Verdict::NotMeasured => "not measured",
        }
    }
}

impl Goal {
    pub fn verdict(&self) -> Verdict {
        match (self.measured, self.aim) {
            (None, _) => Verdict::NotMeasured,
            (Some(measured), Some(aim)) if measured <= aim => Verdict::AimReached,
            (Some(measured), _) if measured <= self.limit => Verdict::Passed,
            (Some(_), _) => Verdict::Missed,
        }
    }
}

/// Every goal of `topics`, judged by `rows`. Without a row of Palisade there is nothing to judge.
pub fn judge(rows: &[Row], topics: &[Topic]) -> Vec<Goal> {
    let Some(ours) = rows.iter().find(|row| row.peer == Peer::Palisade) else { return Vec::new() };
    let comparison = Comparison { ours, rows };
    let of_topic = |topic: &Topic| match topic {
        Topic::Http1 => http1(&comparison),
        Topic::Tls => tls(&comparison),
        Topic::Http2 => http2(&comparison),
        Topic::Compression => compression(&comparison),
        Topic::Files => files(&comparison),
    };
    topics.iter().flat_map(of_topic).collect()
}

fn http1(to: &Comparison<'_>) -> Vec<Goal> {
    let cpu = to.better(Row::cpu_per_request);
    let calls = to.ours.calls.as_ref().map(|calls| calls.socket);
    let medium = |peer| to.share(Row::medium_per_mib, peer);
    let large = |peer| to.share(Row::large_per_mib, peer);
    vec![
        goal("CPU per request, of the better of nginx and HAProxy", "x", cpu, 0.85, Some(0.80)),
        goal("User instructions per request", "", to.ours.instructions(), 11_000.0, Some(9_000.0)),
        goal("Socket calls per request", "", calls, 4.1, None),
        goal("Heap allocations per request", "", to.ours.allocations(), 2.0, None),
        goal("CPU per byte at 64 KiB, of nginx", "x", medium(Peer::Nginx), 0.6, None),
        goal("CPU per byte at 64 KiB, of HAProxy", "x", medium(Peer::Haproxy), 0.9, None),
        goal("CPU per byte at 1 MiB, of nginx", "x", large(Peer::Nginx), 0.6, None),
        goal("CPU per byte at 1 MiB, of HAProxy", "x", large(Peer::Haproxy), 0.9, None),
        goal("Memory of 10,000 idle connections", "MiB", mib(to.ours.idle_bytes), 10.0, None),
        goal("p99 at a fixed rate, of nginx", "x", to.share(Row::p99_micros, Peer::Nginx), 1.0, None),
    ]
}

fn tls(to: &Comparison<'_>) -> Vec<Goal> {
    // One and a half times as many handshakes in the same time.
    const OF_THE_TIME: f64 = 1.0 / 1.5;
    let handshake =
        |what, which: fn(&Row) -> Option<f64>| goal(what, "x", to.better(which), OF_THE_TIME, None);
    let download = to.better(|row| row.tls.download.map(|load| load.cpu_micros));
    let idle = to.share(|row| row.tls.idle_bytes, Peer::Nginx);
    vec![
        handshake("CPU per handshake, TLS 1.3 and ECDSA, of the better", |row| row.tls.cpu_per_handshake(0)),
        handshake("CPU per handshake, TLS 1.3 and RSA, of the better", |row| row.tls.cpu_per_handshake(1)),
        handshake("CPU per handshake, TLS 1.2 and ECDSA, of the better", |row| row.tls.cpu_per_handshake(2)),
        goal("CPU per byte at 1 MiB with TLS, of the better", "x", download, 1.0, None),
        goal("Memory of 10,000 idle TLS connections, of nginx", "x", idle, 1.0, None),
    ]
}

fn http2(to: &Comparison<'_>) -> Vec<Goal> {
    let cpu = |peer| to.share(|row| row.http2.with_tls.map(|load| load.cpu_micros), peer);
    let plain = |peer| to.share(|row| row.http2.plain.map(|load| load.cpu_micros), peer);
    let (download, upload) = (mib(to.ours.http2.download_peak), mib(to.ours.http2.upload_peak));
    vec![
        goal("CPU per HTTP/2 request with TLS, of HAProxy", "x", cpu(Peer::Haproxy), 0.75, None),
        goal("CPU per HTTP/2 request with TLS, of nginx", "x", cpu(Peer::Nginx), 0.5, None),
        goal("CPU per HTTP/2 request without TLS, of HAProxy", "x", plain(Peer::Haproxy), 0.75, None),
        goal("CPU per HTTP/2 request without TLS, of nginx", "x", plain(Peer::Nginx), 0.5, None),
        goal("Peak memory, 1 GiB over HTTP/2 to the client", "MiB", download, 64.0, None),
        goal("Peak memory, 1 GiB over HTTP/2 to the server", "MiB", upload, 64.0, None),
    ]
}

fn compression(to: &Comparison<'_>) -> Vec<Goal> {
    let gzip = |row: &Row| row.compression.of(Codec::Gzip).copied();
    let theirs = to.rows.iter().find(|row| row.peer == Peer::Nginx).and_then(gzip);
    let share = |codec: Codec, of: fn(&Case) -> Option<f64>| {
        Some(of(to.ours.compression.of(codec)?)? / of(theirs.as_ref()?)?)
    };
    let size: fn(&Case) -> Option<f64> = |case| Some(case.size);
    vec![
        goal(
            "CPU per byte of gzip at a comparable size, of nginx",
            "x",
            share(Codec::Gzip, Case::per_mib),
            0.6,
            None,
        ),
        goal(
            "CPU per byte of Brotli 4, of nginx's gzip 6",
            "x",
            share(Codec::Brotli, Case::per_mib),
            1.0,
            None,
        ),
        goal("Size with Brotli 4, of nginx's gzip 6", "x", share(Codec::Brotli, size), 1.0, None),
    ]
}

fn files(to: &Comparison<'_>) -> Vec<Goal> {
    let small = to.share(|row| row.files.small.map(|load| load.cpu_micros), Peer::Nginx);
    let medium = to.share(|row| row.files.medium.map(|load| load.cpu_micros), Peer::Nginx);
    let large = to.share(|row| row.files.large.map(|load| load.cpu_micros), Peer::Nginx);
    vec![
        goal("CPU per file of 1 KiB, of nginx", "x", small, 1.0, None),
        goal("CPU per file of 100 KiB, of nginx", "x", medium, 1.0, None),
        goal("CPU per file of 100 MiB, of nginx", "x", large, 1.0, None),
    ]
}

/// Palisade's numbers next to those of others.
struct Comparison<'a> {
    ours: &'a Row,
    rows: &'a [Row],
}

impl Comparison<'_> {
    /// Palisade's number as a share of a peer's.
    fn share(&self, of: fn(&Row) -> Option<f64>, peer: Peer) -> Option<f64> {
        let theirs = self.rows.iter().find(|row| row.peer == peer)?;
        Some(of(self.ours)? / of(theirs)?)
    }

    /// Palisade's number as a share of the lower one of nginx and HAProxy: the larger share.
    fn better(&self, of: fn(&Row) -> Option<f64>) -> Option<f64> {
        Some(self.share(of, Peer::Nginx)?.max(self.share(of, Peer::Haproxy)?))
    }
}

fn goal(what: &'static str, unit: &'static str, measured: Option<f64>, limit: f64, aim: Option<f64>) -> Goal {
    Goal { what, unit, measured, limit, aim }
}

fn mib(bytes: Option<f64>) -> Option<f64> {
    Some(bytes? / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Saturation;

    fn row(peer: Peer, cpu_micros: f64) -> Row {
        let saturation = Saturation { requests_per_second: 1.0, cpu_micros, disturbance: 0.0 };
        Row {
            small: Some(saturation),
            medium: Some(saturation),
            large: Some(saturation),
            ..Row::new(peer, String::new())
        }
    }

    #[test]
    fn compares_with_the_better_peer() {
        let rows = [row(Peer::Palisade, 8.2), row(Peer::Nginx, 10.0), row(Peer::Haproxy, 12.0)];
        let goals = judge(&rows, Topic::ALL);
        assert_eq!(goals[0].measured, Some(0.82));
        assert_eq!(goals[0].verdict(), Verdict::Passed);
        assert_eq!(goals[1].verdict(), Verdict::NotMeasured);
        assert_eq!(goals[4].verdict(), Verdict::Missed, "0.82 of nginx per byte");
        assert_eq!(goals[5].verdict(), Verdict::Passed, "0.68 of HAProxy per byte");
    }

    #[test]
    fn a_limit_is_met_exactly_and_an_aim_is_more() {
        let goal = |measured| Goal { what: "", unit: "", measured, limit: 11.0, aim: Some(9.0) };
        assert_eq!(goal(Some(11.0)).verdict(), Verdict::Passed);
        assert_eq!(goal(Some(11.01)).verdict(), Verdict::Missed);
        assert_eq!(goal(Some(9.0)).verdict(), Verdict::AimReached);
        assert_eq!(goal(None).verdict(), Verdict::NotMeasured);
    }

    #[test]
    fn judges_nothing_without_palisade_or_peers() {
        assert!(judge(&[row(Peer::Nginx, 1.0)], Topic::ALL).is_empty());
        assert_eq!(judge(&[row(Peer::Palisade, 1.0)], &[Topic::Http1])[0].verdict(), Verdict::NotMeasured);
    }
}
