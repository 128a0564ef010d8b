//! A proxy in front of several origins, each of which can be made to misbehave while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use testkit::{Client, Metrics, Origin, Palisade, Script, poll_until};

pub const SOON: Duration = Duration::from_secs(10);

/// An origin that names itself in its answers, and does what it is told.
pub struct Server {
    pub origin: Origin,
    pub name: &'static str,
    mood: Arc<Mood>,
}

#[derive(Default)]
struct Mood {
    /// Status of the answers; 0 closes without one, 1 is silence.
    status: AtomicU16,
    /// Status of answers to checks, under `/health`.
    health: AtomicU16,
    delay_ms: AtomicUsize,
    checks: AtomicUsize,
}

const CLOSES: u16 = 0;
const SILENT: u16 = 1;

impl Server {
    pub fn start(name: &'static str) -> Server {
        let mood = Arc::new(Mood::default());
        mood.status.store(200, SeqCst);
        mood.health.store(200, SeqCst);
        let origin = Origin::scripted({
            let mood = mood.clone();
            move |request, _| mood.script(name, &request.target)
        });
        Server { origin, name, mood }
    }

    pub fn answers(&self, status: u16) {
        self.mood.status.store(status, SeqCst);
    }

    /// Closes connections without an answer.
    pub fn closes(&self) {
        self.answers(CLOSES);
    }

    /// Takes requests and says nothing.
    pub fn is_silent(&self) {
        self.answers(SILENT);
    }

    pub fn waits(&self, delay: Duration) {
        self.mood.delay_ms.store(delay.as_millis() as usize, SeqCst);
    }

    /// What checks get.
    pub fn is_healthy(&self, healthy: bool) {
        self.mood.health.store(if healthy { 200 } else { 500 }, SeqCst);
    }

    pub fn checks(&self) -> usize {
        self.mood.checks.load(SeqCst)
    }

    /// Requests that were no checks.
    pub fn requests(&self) -> usize {
        self.origin.requests().iter().filter(|request| !request.target.starts_with("/health")).count()
    }

    pub fn address(&self) -> String {
        self.origin.address().to_string()
    }
}

impl Mood {
    fn script(&self, name: &str, target: &str) -> Script {
        if target.starts_with("/health") {
            self.checks.fetch_add(1, SeqCst);
            return Script::answer(self.health.load(SeqCst), "fine, thank you");
        }
        let delay = Duration::from_millis(self.delay_ms.load(SeqCst) as u64);
        match self.status.load(SeqCst) {
            CLOSES => Script::new().pause(delay).close(),
            SILENT => Script::new(),
            status => Script::new().pause(delay).followed_by(Script::answer_with(
                status,
                &[("Served-By", name), ("Asked-For", target)],
                name,
            )),
        }
    }
}

/// A proxy with one upstream over `servers`, `more` in its section, and one worker.
pub fn proxy(servers: &[&Server], more: &str) -> Palisade {
    let endpoints: Vec<String> = servers.iter().map(|server| format!("\"{}\"", server.address())).collect();
    Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(&endpoints.join(", "), more))
}

/// `more` may begin a section of its own.
pub fn config(endpoints: &str, more: &str) -> String {
    format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        admin.address = "127.0.0.1:0"
        admin.socket = "{{dir}}/admin.sock"
        log.access = "stdout"
        server.workers = 1
        routes.all.upstream = "app"
        upstreams.app.endpoints = [{endpoints}]
        {more}
        "#
    )
}

pub fn client_of(palisade: &Palisade) -> Client {
    Client::connect(palisade.address("http"))
}

/// Who answered each of `count` requests in turn; a status where it was none of them.
pub fn served(client: &mut Client, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| {
            let response = client.get(&format!("/{index}"));
            response.header("Served-By").map_or(response.status.to_string(), str::to_owned)
        })
        .collect()
}

pub fn metrics_of(palisade: &Palisade) -> Metrics {
    Metrics::scrape(palisade.address("admin"))
}

pub fn event(palisade: &Palisade, server: &Server, event: &str) -> f64 {
    let labels = [format!("endpoint=\"{}\"", server.address()), format!("event=\"{event}\"")];
    metrics_of(palisade).sum("upstream_events_total", &[&labels[0], &labels[1]])
}

/// Waits until the proxy sends requests to the server, or does not any more.
pub fn wait_up(palisade: &Palisade, server: &Server, up: bool) {
    let label = format!("endpoint=\"{}\"", server.address());
    poll_until(SOON, &format!("{} up: {up}", server.name), || {
        metrics_of(palisade).sum("endpoint_up", &[&label]) == f64::from(u8::from(up))
    });
}

/// The line of the status table about a server.
pub fn status_line(palisade: &Palisade, server: &Server) -> String {
    let page = Client::connect(palisade.address("admin")).get("/status");
    let address = server.address();
    let line = page.text().lines().find(|line| line.contains(&address)).map(str::to_owned);
    line.unwrap_or_else(|| panic!("no {address} in {}", page.text()))
}
