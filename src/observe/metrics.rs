//! Counters of each worker, summed when somebody looks. A worker writes only its own, without locks and
//! without read-modify-write instructions; names begin with `palisade_`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::{Line, compression, forward_auth};

/// Upper bounds of the duration histogram in microseconds; the last bucket has none.
const BOUNDS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Requests of one route on one worker.
#[derive(Debug, Default)]
struct Series {
    /// By status class; index 0 for requests without an answer.
    classes: [AtomicU64; 6],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

// Whatever a panic left in these is good enough to be counted on with: poison is passed over.

/// Names of routes by number, and each worker's series of each number. A name keeps its number over
/// reloads, so that its counters go on.
static NAMES: RwLock<Vec<String>> = RwLock::new(Vec::new());
static WORKERS: Mutex<Vec<Vec<Arc<Series>>>> = Mutex::new(Vec::new());
/// Failures by reason: off the path of a request that goes well.
static FAILURES: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// This worker's series; the same that `WORKERS` holds.
    static SERIES: RefCell<Vec<Arc<Series>>> = const { RefCell::new(Vec::new()) };
    static WORKER: RefCell<Option<usize>> = const { RefCell::new(None) };
}

/// Process-wide counters off the path of a request.
#[derive(Debug, Default)]
pub struct Process {
    pub accepted: AtomicU64,
    /// By `max_connections`.
    pub refused: AtomicU64,
    pub refused_per_client: AtomicU64,
    /// They did not say for whom they speak, or may not.
    pub proxies_refused: AtomicU64,
    pub handed_over: AtomicU64,
    pub reloads: AtomicU64,
    pub failed_reloads: AtomicU64,
    pub panics: AtomicU64,
    /// Connections closed for what they asked for.
    pub abusive: AtomicU64,
    pub handshakes: AtomicU64,
    pub handshakes_resumed: AtomicU64,
    pub handshakes_failed: AtomicU64,
    /// By `max_handshakes_per_client`.
    pub handshakes_refused: AtomicU64,
    /// Values for header fields that cannot stand in one.
    pub unsafe_values: AtomicU64,
}

pub static PROCESS: Process = Process {
    accepted: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    refused_per_client: AtomicU64::new(0),
    proxies_refused: AtomicU64::new(0),
    handed_over: AtomicU64::new(0),
    reloads: AtomicU64::new(0),
    failed_reloads: AtomicU64::new(0),
    panics: AtomicU64::new(0),
    abusive: AtomicU64::new(0),
    handshakes: AtomicU64::new(0),
    handshakes_resumed: AtomicU64::new(0),
    handshakes_failed: AtomicU64::new(0),
    handshakes_refused: AtomicU64::new(0),
    unsafe_values: AtomicU64::new(0),
};

/// A value for a header field had a byte that cannot stand in one, so the field was left out.
#[cold]
pub fn note_unsafe_value() {
    PROCESS.unsafe_values.fetch_add(1, Relaxed);
}

/// The number of a route's name; 0 is kept for requests without a route.
pub fn series_of(route: &str) -> usize {
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    if names.is_empty() {
        names.push(String::new());
    }
    if let Some(number) = names.iter().position(|name| name == route) {
        return number;
    }
    names.push(route.to_owned());
    names.len() - 1
}

/// Counts a request that is over.
pub(super) fn count(line: &Line<'_>, duration: Duration) {
    let record = line.record;
    SERIES.with_borrow_mut(|series| {
        if series.len() <= line.series {
            add_series(series, line.series);
        }
        let series = &series[line.series];
        let micros = duration.as_micros() as u64;
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        add(&series.classes[usize::from(record.status / 100).min(5)], 1);
        add(&series.buckets[bucket], 1);
        add(&series.micros, micros);
        add(&series.received, record.received);
        add(&series.sent, record.sent);
    });
    if let Some(failure) = record.failure {
        *FAILURES.lock().unwrap_or_else(PoisonError::into_inner).entry(failure.reason()).or_default() += 1;
    }
}

/// Only this worker writes the counter, so no instruction needs to be atomic as a whole.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

fn add_series(own: &mut Vec<Arc<Series>>, number: usize) {
    let mut workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let index = WORKER.with_borrow_mut(|worker| {
        *worker.get_or_insert_with(|| {
            workers.push(Vec::new());
            workers.len() - 1
        })
    });
    while own.len() <= number {
        let series = Arc::new(Series::default());
        own.push(series.clone());
        workers[index].push(series);
    }
}

/// What is known about one endpoint.
#[derive(Debug, Clone, Default)]
pub struct EndpointFacts {
    pub upstream: String,
    pub endpoint: String,
    pub up: bool,
    pub open: u64,
    pub idle: u64,
    pub waiting: u64,
    /// Event counters: name without prefix and suffix, number.
    pub events: Vec<(&'static str, u64)>,
}

/// What the page shows of one upstream as a whole.
#[derive(Debug, Clone)]
pub struct UpstreamFacts {
    pub upstream: String,
    pub retries_refused: u64,
    pub panic: bool,
    /// 0 closed, 1 half open, 2 open.
    pub breaker: u64,
    pub breaker_opened: u64,
    pub breaker_refused: u64,
    pub fallbacks: u64,
    /// Copies of requests that came here, by outcome.
    pub mirrored: [(&'static str, u64); 3],
}

/// What is known about an entry of an upstream whose endpoints are found while the proxy runs.
#[derive(Debug, Clone, Default)]
pub struct SourceFacts {
    pub upstream: String,
    /// A name or a file.
    pub source: String,
    pub endpoints: u64,
    /// The last look-up failed, or the file is broken: what was known before is used.
    pub failing: bool,
    pub failures: u64,
}

/// What is known about a certificate.
#[derive(Debug, Clone, Default)]
pub struct CertificateFacts {
    pub certificate: String,
    /// Until it ends; negative since it has.
    pub seconds_left: i64,
    /// Its files are broken: what was loaded before is used.
    pub failing: bool,
}

/// What the page shows besides the counters kept here.
#[derive(Debug, Clone, Default)]
pub struct PageFacts {
    pub open_connections: u64,
    pub endpoints: Vec<EndpointFacts>,
    pub upstreams: Vec<UpstreamFacts>,
    pub sources: Vec<SourceFacts>,
    pub certificates: Vec<CertificateFacts>,
    pub dropped_log_lines: u64,
    pub spool_memory: u64,
    pub spool_disk: u64,
}

/// All metrics in the Prometheus text format.
pub fn page(facts: &PageFacts) -> String {
    let mut page = String::with_capacity(8192);
    requests(&mut page);
    process(&mut page, facts);
    failures(&mut page);
    endpoints(&mut page, &facts.endpoints);
    upstreams(&mut page, &facts.upstreams);
    sources(&mut page, &facts.sources);
    certificates(&mut page, &facts.certificates);
    compression::page(&mut page);
    forward_auth::page(&mut page);
    page
}

/// One route's counters, summed over the workers.
struct Sum {
    name: String,
    classes: [u64; 6],
    buckets: [u64; BOUNDS.len() + 1],
    micros: u64,
    received: u64,
    sent: u64,
}

fn sums() -> Vec<Sum> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner).clone();
    let workers = WORKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sums = Vec::with_capacity(names.len());
    for (number, name) in names.into_iter().enumerate() {
        let mut sum =
            Sum { name, classes: [0; 6], buckets: [0; BOUNDS.len() + 1], micros: 0, received: 0, sent: 0 };
        for series in workers.iter().filter_map(|worker| worker.get(number)) {
            for (total, counter) in sum.classes.iter_mut().zip(&series.classes) {
                *total += counter.load(Relaxed);
            }
            for (total, counter) in sum.buckets.iter_mut().zip(&series.buckets) {
                *total += counter.load(Relaxed);
            }
            sum.micros += series.micros.load(Relaxed);
            sum.received += series.received.load(Relaxed);
            sum.sent += series.sent.load(Relaxed);
        }
        sums.push(sum);
    }
    sums
}

fn requests(page: &mut String) {
    let sums = sums();
    head(page, "requests_total", "counter", "Requests by route and status class");
    for sum in &sums {
        for (class, count) in sum.classes.iter().enumerate().filter(|(_, count)| **count > 0) {
            let class = if class == 0 { "none".to_owned() } else { format!("{class}xx") };
            line(page, "requests_total", &[("route", &sum.name), ("status", &class)], *count);
        }
    }
    head(
        page,
        "request_duration_seconds",
        "histogram",
        "From the first byte of a request to the last of its answer",
    );
    for sum in sums.iter().filter(|sum| sum.buckets.iter().any(|count| *count > 0)) {
        let mut total = 0;
        for (index, count) in sum.buckets.iter().enumerate() {
            total += count;
            let bound =
                BOUNDS.get(index).map_or("+Inf".to_owned(), |micros| (*micros as f64 / 1e6).to_string());
            line(page, "request_duration_seconds_bucket", &[("route", &sum.name), ("le", &bound)], total);
        }
        let route = escape(&sum.name);
        let seconds = sum.micros as f64 / 1e6;
        let _ = writeln!(page, "palisade_request_duration_seconds_sum{{route=\"{route}\"}} {seconds}");
        line(page, "request_duration_seconds_count", &[("route", &sum.name)], total);
    }
    for (name, help) in [
        ("received_bytes_total", "Body bytes received from clients"),
        ("sent_bytes_total", "Bytes sent to clients"),
    ] {
        head(page, name, "counter", help);
        for sum in &sums {
            let bytes = if name == "sent_bytes_total" { sum.sent } else { sum.received };
            line(page, name, &[("route", &sum.name)], bytes);
        }
    }
}

fn process(page: &mut String, facts: &PageFacts) {
    let process = &PROCESS;
    let gauges = [
        ("open_connections", "Client connections", facts.open_connections),
        ("spool_memory_bytes", "Memory used by buffered request bodies", facts.spool_memory),
        ("spool_disk_bytes", "Disk used by buffered request bodies", facts.spool_disk),
    ];
    for (name, help, value) in gauges {
        head(page, name, "gauge", help);
        line(page, name, &[], value);
    }
    let counters = [
        ("connections_accepted_total", "Client connections accepted", process.accepted.load(Relaxed)),
        (
            "connections_handed_over_total",
            "Connections given to a less loaded worker",
            process.handed_over.load(Relaxed),
        ),
        ("reloads_total", "Configurations loaded", process.reloads.load(Relaxed)),
        ("failed_reloads_total", "Configurations refused", process.failed_reloads.load(Relaxed)),
        ("panics_total", "Connections ended by a bug", process.panics.load(Relaxed)),
        (
            "connections_abusive_total",
            "HTTP/2 connections closed because of floods or resets",
            process.abusive.load(Relaxed),
        ),
        ("tls_handshakes_total", "TLS handshakes with clients", process.handshakes.load(Relaxed)),
        (
            "tls_handshakes_resumed_total",
            "TLS handshakes that went on with an earlier session",
            process.handshakes_resumed.load(Relaxed),
        ),
        (
            "tls_handshakes_failed_total",
            "TLS handshakes that came to nothing",
            process.handshakes_failed.load(Relaxed),
        ),
        (
            "header_values_dropped_total",
            "Header fields of filters left out since their value had a byte that none may have",
            process.unsafe_values.load(Relaxed),
        ),
        ("log_lines_dropped_total", "Access log lines that were not written", facts.dropped_log_lines),
    ];
    for (name, help, value) in counters {
        head(page, name, "counter", help);
        line(page, name, &[], value);
    }
    let name = "proxy_protocol_refused_total";
    head(page, name, "counter", "Connections without the PROXY header that they had to have");
    line(page, name, &[], process.proxies_refused.load(Relaxed));
    let name = "connections_refused_total";
    head(page, name, "counter", "Client connections refused by a limit");
    line(page, name, &[("limit", "max_connections")], process.refused.load(Relaxed));
    let per_client = process.refused_per_client.load(Relaxed);
    line(page, name, &[("limit", "max_connections_per_client")], per_client);
    let handshakes = process.handshakes_refused.load(Relaxed);
    line(page, name, &[("limit", "max_handshakes_per_client")], handshakes);
}

fn failures(page: &mut String) {
    head(page, "failures_total", "counter", "Requests without a good answer, by reason");
    for (reason, count) in FAILURES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        line(page, "failures_total", &[("reason", reason)], *count);
    }
}

fn endpoints(page: &mut String, endpoints: &[EndpointFacts]) {
    type Value = fn(&EndpointFacts) -> u64;
    let gauges: [(&str, &str, Value); 4] = [
        ("endpoint_up", "1 when requests may be sent there", |facts| u64::from(facts.up)),
        ("upstream_connections", "Open connections to the endpoint", |facts| facts.open),
        ("upstream_idle_connections", "Idle connections to the endpoint", |facts| facts.idle),
        ("upstream_queue", "Requests that wait for a connection", |facts| facts.waiting),
    ];
    for (name, help, value) in gauges {
        head(page, name, "gauge", help);
        for facts in endpoints {
            let labels = [("upstream", facts.upstream.as_str()), ("endpoint", &facts.endpoint)];
            line(page, name, &labels, value(facts));
        }
    }
    head(page, "upstream_events_total", "counter", "What happened between the proxy and the endpoint");
    for facts in endpoints {
        for (event, count) in &facts.events {
            let labels =
                [("upstream", facts.upstream.as_str()), ("endpoint", &facts.endpoint), ("event", event)];
            line(page, "upstream_events_total", &labels, *count);
        }
    }
}

fn upstreams(page: &mut String, upstreams: &[UpstreamFacts]) {
    type Value = fn(&UpstreamFacts) -> u64;
    let values: [(&str, &str, &str, Value); 6] = [
        (
            "upstream_retries_refused_total",
            "counter",
            "Requests that were not sent again since the retry budget was used up",
            |facts| facts.retries_refused,
        ),
        (
            "upstream_panic",
            "gauge",
            "1 while ejected endpoints are used since too few others are fit",
            |facts| u64::from(facts.panic),
        ),
        ("breaker_state", "gauge", "Circuit breaker: 0 closed, 1 half open, 2 open", |facts| facts.breaker),
        ("breaker_opened_total", "counter", "Times that the circuit breaker opened", |facts| {
            facts.breaker_opened
        }),
        ("breaker_refused_total", "counter", "Requests that the circuit breaker refused", |facts| {
            facts.breaker_refused
        }),
        (
            "upstream_fallbacks_total",
            "counter",
            "Requests that a fallback upstream got since nobody was left here",
            |facts| facts.fallbacks,
        ),
    ];
    for (name, kind, help, value) in values {
        head(page, name, kind, help);
        for facts in upstreams {
            line(page, name, &[("upstream", facts.upstream.as_str())], value(facts));
        }
    }
    head(page, "mirrored_requests_total", "counter", "Copies of requests that came here, by outcome");
    for facts in upstreams {
        for (outcome, count) in facts.mirrored {
            let labels = [("upstream", facts.upstream.as_str()), ("outcome", outcome)];
            line(page, "mirrored_requests_total", &labels, count);
        }
    }
}

fn sources(page: &mut String, sources: &[SourceFacts]) {
    type Value = fn(&SourceFacts) -> u64;
    let series: [(&str, &str, &str, Value); 3] = [
        ("discovery_endpoints", "gauge", "Endpoints that the name or file brings", |facts| facts.endpoints),
        ("discovery_failing", "gauge", "1 while look-ups fail or the file is broken", |facts| {
            u64::from(facts.failing)
        }),
        ("discovery_failures_total", "counter", "Look-ups that failed", |facts| facts.failures),
    ];
    for (name, kind, help, value) in series {
        head(page, name, kind, help);
        for facts in sources {
            let labels = [("upstream", facts.upstream.as_str()), ("source", &facts.source)];
            line(page, name, &labels, value(facts));
        }
    }
}

fn certificates(page: &mut String, certificates: &[CertificateFacts]) {
    head(page, "certificate_expiry_seconds", "gauge", "Until the certificate ends; negative since it has");
    for facts in certificates {
        line(page, "certificate_expiry_seconds", &[("certificate", &facts.certificate)], facts.seconds_left);
    }
    let help = "1 while the files are broken and what was loaded before is used";
    head(page, "certificate_failing", "gauge", help);
    for facts in certificates {
        let failing = u64::from(facts.failing);
        line(page, "certificate_failing", &[("certificate", &facts.certificate)], failing);
    }
}

pub(super) fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(page, "# HELP palisade_{name} {help}.\n# TYPE palisade_{name} {kind}");
}

pub(super) fn line(page: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    let _ = write!(page, "palisade_{name}");
    for (index, (label, text)) in labels.iter().enumerate() {
        let opening = if index == 0 { '{' } else { ',' };
        let _ = write!(page, "{opening}{label}=\"{}\"", escape(text));
    }
    let _ = writeln!(page, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
