//! What the proxy says about itself: a target like any other, on listeners of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use http1::{Method, Name};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::message::{Request, Response, pages};
use crate::observe::AccessLog;
use crate::observe::metrics::{self, EndpointFacts, PageFacts};
use crate::upstream::{Discovery, Endpoint, SpoolSpace, Upstream};

/// What a command asks of the process.
#[derive(Debug)]
pub enum Command {
    /// Read the configuration again; the answer is what there is to say about it.
    Reload(oneshot::Sender<Result<String, String>>),
    Stop,
}

/// Answers on the admin listeners.
#[derive(Debug, Clone)]
pub struct Admin {
    pub facts: Facts,
    /// Only where the operator is known to be one: on the unix socket.
    pub commands: Option<mpsc::Sender<Command>>,
}

/// What there is to tell.
#[derive(Debug, Clone)]
pub struct Facts {
    pub upstreams: Vec<Arc<Upstream>>,
    pub discovery: Arc<Discovery>,
    pub ready: Arc<AtomicBool>,
    pub log: Option<Arc<AccessLog>>,
    pub space: Arc<SpoolSpace>,
    /// Open client connections; those of the admin listeners are not among them.
    pub connections: Arc<AtomicUsize>,
}

const TEXT: &[u8] = b"text/plain; charset=utf-8";
/// Version 0.0.4 is the one that every Prometheus reads.
const METRICS: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";

impl Admin {
    pub async fn answer(&self, request: &Request<'_>) -> Response<'static> {
        let head = &request.head;
        let reads = matches!(head.method, Method::Get | Method::Head);
        let commands = self.commands.as_ref().filter(|_| head.method == Method::Post);
        match (head.path(), commands) {
            (b"/metrics", _) if reads => text(200, METRICS, metrics::page(&self.facts.page())),
            (b"/live", _) if reads => text(200, TEXT, "live\n".to_owned()),
            (b"/ready", _) if reads => self.facts.readiness(),
            (b"/status", _) if reads => text(200, TEXT, self.facts.status()),
            (b"/reload", Some(commands)) => reload(commands).await,
            (b"/stop", Some(commands)) => match commands.send(Command::Stop).await {
                Ok(()) => text(202, TEXT, "stopping\n".to_owned()),
                Err(_) => text(503, TEXT, "stopping already\n".to_owned()),
            },
            _ => pages::page(404, head, &request.id),
        }
    }
}

async fn reload(commands: &mpsc::Sender<Command>) -> Response<'static> {
    let (done, outcome) = oneshot::channel();
    if commands.send(Command::Reload(done)).await.is_err() {
        return text(503, TEXT, "stopping\n".to_owned());
    }
    match outcome.await {
        Ok(Ok(said)) => text(200, TEXT, said),
        Ok(Err(report)) => text(422, TEXT, report),
        Err(_) => text(503, TEXT, "stopping\n".to_owned()),
    }
}

impl Facts {
    fn readiness(&self) -> Response<'static> {
        if self.ready.load(Relaxed) {
            text(200, TEXT, "ready\n".to_owned())
        } else {
            text(503, TEXT, "draining\n".to_owned())
        }
    }

    fn page(&self) -> PageFacts {
        let (spool_memory, spool_disk) = self.space.used();
        PageFacts {
            open_connections: self.connections.load(Relaxed) as u64,
            endpoints: self
                .endpoints()
                .iter()
                .map(|(upstream, endpoint)| facts_of(upstream, endpoint))
                .collect(),
            sources: self.discovery.facts(),
            dropped_log_lines: self.log.as_ref().map_or(0, |log| log.dropped()),
            spool_memory,
            spool_disk,
        }
    }

    fn endpoints(&self) -> Vec<(&Upstream, Arc<Endpoint>)> {
        let of = |upstream: &'_ Arc<Upstream>| upstream.group.endpoints();
        self.upstreams
            .iter()
            .flat_map(|upstream| of(upstream).into_iter().map(move |endpoint| (&**upstream, endpoint)))
            .collect()
    }

    /// A table for people.
    fn status(&self) -> String {
        let mut table = format!(
            "{:<20} {:<28} {:<9} {:>6} {:>6} {:>8}  {}\n",
            "UPSTREAM", "ENDPOINT", "STATE", "OPEN", "IDLE", "WAITING", "WHY"
        );
        for (upstream, endpoint) in self.endpoints() {
            let (state, why) = upstream.group.told(&endpoint, Instant::now());
            let line = format!(
                "{:<20} {:<28} {:<9} {:>6} {:>6} {:>8}  {why}",
                upstream.name,
                endpoint.label,
                state,
                endpoint.open_connections(),
                endpoint.idle_connections(),
                endpoint.waiting_requests(),
            );
            table.push_str(line.trim_end());
            table.push('\n');
        }
        for upstream in &self.upstreams {
            for (address, trouble) in upstream.group.unresolved() {
                let why = trouble.unwrap_or_else(|| "not resolved yet".to_owned());
                table.push_str(&format!(
                    "{:<20} {:<28} {:<9} {:>6} {:>6} {:>8}  {why}\n",
                    upstream.name, address, "down", 0, 0, 0
                ));
            }
        }
        table
    }
}

fn facts_of(upstream: &Upstream, endpoint: &Endpoint) -> EndpointFacts {
    let counters = &endpoint.counters;
    EndpointFacts {
        upstream: upstream.name.clone(),
        endpoint: endpoint.label.clone(),
        up: upstream.group.takes_requests(endpoint),
        open: u64::from(endpoint.open_connections()),
        idle: u64::from(endpoint.idle_connections()),
        waiting: u64::from(endpoint.waiting_requests()),
        events: vec![
            ("connect", counters.connects.load(Relaxed)),
            ("connect_failure", counters.connect_failures.load(Relaxed)),
            ("queued", counters.queued.load(Relaxed)),
            ("queue_refused", counters.queue_refused.load(Relaxed)),
            ("queue_timeout", counters.queue_timeouts.load(Relaxed)),
            ("taken_over", counters.taken_over.load(Relaxed)),
            ("resend", counters.resends.load(Relaxed)),
            ("retry", counters.retries.load(Relaxed)),
            ("probe_failure", counters.probe_failures.load(Relaxed)),
            ("check_pass", counters.check_passes.load(Relaxed)),
            ("check_failure", counters.check_failures.load(Relaxed)),
            ("ejection", counters.ejections.load(Relaxed)),
        ],
    }
}

fn text(status: u16, content_type: &[u8], text: String) -> Response<'static> {
    let mut response = Response::text(status, content_type, text.into_bytes().into());
    response.head.fields.push(Name::CacheControl, b"Cache-Control", b"no-store");
    response
}
