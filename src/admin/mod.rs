//! What the proxy says about itself: a target like any other, on listeners of its own.

mod certificates;
mod standing;
mod upstreams;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use http1::{Method, Name};
use tokio::sync::{mpsc, oneshot};

use crate::certificates::Store;
use crate::message::{Request, Response, pages};
use crate::observe::AccessLog;
use crate::observe::metrics::{self, PageFacts};
use crate::upstream::{Discovery, SpoolSpace, Upstream};

pub use standing::Standing;

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
    pub certificates: Arc<Store>,
    /// Open client connections; those of the admin listeners are not among them.
    pub connections: Arc<AtomicUsize>,
    pub standing: Arc<Standing>,
}

const INDEX: &str = "\
GET /ready      200, or 503 while it stops
GET /live       200
GET /metrics    for Prometheus
GET /status     version, listeners, upstreams, endpoints and certificates, for people
GET /upstreams  upstreams and endpoints as JSON
";
const ORDERS: &str = "\
POST /reload    read the configuration again
POST /stop      finish requests and end
POST /endpoints drain, disable, enable or weigh an endpoint
";

const TEXT: &[u8] = b"text/plain; charset=utf-8";
const JSON: &[u8] = b"application/json";
/// Version 0.0.4 is the one that every Prometheus reads.
const METRICS: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";

impl Admin {
    pub async fn answer(&self, request: &Request<'_>) -> Response<'static> {
        let head = &request.head;
        let reads = matches!(head.method, Method::Get | Method::Head);
        let commands = self.commands.as_ref().filter(|_| head.method == Method::Post);
        match (head.path(), commands) {
            (b"/", _) if reads => text(200, TEXT, self.index()),
            (b"/metrics", _) if reads => text(200, METRICS, metrics::page(&self.facts.page())),
            (b"/live", _) if reads => text(200, TEXT, "live\n".to_owned()),
            (b"/ready", _) if reads => self.facts.readiness(),
            (b"/status", _) if reads => text(200, TEXT, self.facts.status()),
            (b"/upstreams", _) if reads => text(200, JSON, upstreams::json(&self.facts.upstreams)),
            (b"/endpoints", Some(_)) => match upstreams::order(&self.facts.upstreams, head.query()) {
                Ok(said) => text(200, TEXT, said),
                Err(wrong) => text(422, TEXT, wrong),
            },
            (b"/reload", Some(commands)) => reload(commands).await,
            (b"/stop", Some(commands)) => match commands.send(Command::Stop).await {
                Ok(()) => text(202, TEXT, "stopping\n".to_owned()),
                Err(_) => text(503, TEXT, "stopping already\n".to_owned()),
            },
            _ => pages::page(404, head, &request.id),
        }
    }

    /// For whoever looks what there is.
    fn index(&self) -> String {
        let mut index = INDEX.to_owned();
        if self.commands.is_some() {
            index.push_str(ORDERS);
        }
        index
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

    fn status(&self) -> String {
        let open = self.connections.load(Relaxed);
        format!(
            "{}connections {open}\n\n{}{}",
            self.standing,
            upstreams::table(&self.upstreams),
            certificates::table(&self.certificates)
        )
    }

    fn page(&self) -> PageFacts {
        let (spool_memory, spool_disk) = self.space.used();
        PageFacts {
            open_connections: self.connections.load(Relaxed) as u64,
            endpoints: upstreams::endpoint_facts(&self.upstreams),
            upstreams: upstreams::facts(&self.upstreams),
            sources: self.discovery.facts(),
            certificates: certificates::facts(&self.certificates),
            dropped_log_lines: self.log.as_ref().map_or(0, |log| log.dropped()),
            spool_memory,
            spool_disk,
        }
    }
}

fn text(status: u16, content_type: &[u8], text: String) -> Response<'static> {
    let mut response = Response::text(status, content_type, text.into_bytes().into());
    response.head.fields.push(Name::CacheControl, b"Cache-Control", b"no-store");
    response
}
