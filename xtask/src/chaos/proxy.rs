//! The proxy before the endpoints: its configuration, its process, and what it says of the endpoints.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::endpoints::Endpoint;
use super::leash;
use crate::bench::load::fetch;

/// A running Palisade. It is killed on drop, unless it was stopped.
pub struct Proxy {
    pub port: u16,
    admin: u16,
    errors: PathBuf,
    process: Child,
}

impl Proxy {
    /// Starts it and waits until it is ready.
    pub fn start(binary: &Path, folder: &Path, endpoints: &[Endpoint]) -> Result<Proxy> {
        let config = folder.join("palisade.toml");
        fs::write(&config, configuration(endpoints, folder)).context("write the configuration")?;
        let errors = folder.join("errors.log");
        let output = File::create(&errors).context("create errors.log")?;
        let words = (binary.to_str().context("a path that is text")?, config.to_str().context("the same")?);
        let mut command = leash::command(words.0, &["run", "-c", words.1])?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let process = command.spawn().context("start Palisade")?;
        let mut proxy = Proxy { port: 0, admin: 0, errors, process };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let said = proxy.said();
            if said.lines().any(|line| line == "palisade: ready") {
                proxy.port = listener(&said, "http").context("no listener `http`")?;
                proxy.admin = listener(&said, "admin").context("no listener `admin`")?;
                return Ok(proxy);
            }
            if Instant::now() > deadline || proxy.process.try_wait()?.is_some() {
                bail!("Palisade did not start:\n{said}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The state of each endpoint, in their order.
    pub fn states(&self, endpoints: &[Endpoint]) -> Result<Vec<State>> {
        let list = fetch(self.admin, "/upstreams").context("ask the proxy for its endpoints")?;
        let find = |endpoint: &Endpoint| {
            state_of(&list, endpoint.port).with_context(|| format!("no port {} in {list}", endpoint.port))
        };
        endpoints.iter().map(find).collect()
    }

    /// What it has written to standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// How often it sent a request again, over all endpoints.
    pub fn repetitions(&self) -> Result<u64> {
        let page = fetch(self.admin, "/metrics").context("ask the proxy for its metrics")?;
        let events = page.lines().filter(|line| line.starts_with("palisade_upstream_events_total{"));
        let repeated = events.filter(|line| ["\"retry\"", "\"resend\""].iter().any(|of| line.contains(of)));
        let counts = repeated.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }

    /// Asks it to end and waits for it.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM).context("stop Palisade")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.process.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("Palisade does not end");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the proxy thinks of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    /// Taken out by what requests met.
    Ejected,
    /// Failed its checks.
    Down,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Ejected => "ejected",
            State::Down => "down",
        }
    }
}

/// A line of `/upstreams`: `{"upstream":"app","endpoint":"127.0.0.1:3000","state":"up",...}`.
fn state_of(list: &str, port: u16) -> Option<State> {
    let line = list.lines().find(|line| line.contains(&format!("\"endpoint\":\"127.0.0.1:{port}\"")))?;
    match line.split_once("\"state\":\"")?.1.split('"').next()? {
        "up" => Some(State::Up),
        "ejected" => Some(State::Ejected),
        _ => Some(State::Down),
    }
}

fn listener(said: &str, name: &str) -> Option<u16> {
    let start = format!("palisade: listener {name} on 127.0.0.1:");
    said.lines().find_map(|line| line.strip_prefix(&start))?.parse().ok()
}

fn configuration(endpoints: &[Endpoint], folder: &Path) -> String {
    let addresses: Vec<String> =
        endpoints.iter().map(|endpoint| format!("\"127.0.0.1:{}\"", endpoint.port)).collect();
    format!(
        r#"listeners.http.address = "127.0.0.1:0"
admin.address = "127.0.0.1:0"
log.access = "{}/access.log"
server.drain_timeout = "2s"

{}"#,
        folder.display(),
        upstream(&addresses.join(", "))
    )
}

/// The part of the configuration that matters.
pub fn upstream(endpoints: &str) -> String {
    format!("[upstreams.app]\nendpoints = [{endpoints}]\n{OPTIONS}")
}

const OPTIONS: &str = r#"pool.max_connections = 1000
health = { path = "/health", interval = "1s", timeout = "400ms", fall = 2, rise = 2 }

[upstreams.app.outlier]
failures = 5
server_errors = 5
slow_factor = 5
interval = "200ms"

[defaults]
timeouts = { connect = "500ms", read = "2s" }

[routes.reads]
methods = ["GET"]
upstream = "app"
retry = { attempts = 2, on = ["connect", "reset", "timeout", "500"], try_timeout = "600ms" }

[routes.writes]
methods = ["POST"]
upstream = "app"
retry = { attempts = 2, on = ["connect", "reset", "timeout", "500"] }
"#;

/// `interval` above.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_proxy_says() {
        let list = "[\n{\"upstream\":\"app\",\"endpoint\":\"127.0.0.1:30\",\"state\":\"ejected\"},\n\
                    {\"upstream\":\"app\",\"endpoint\":\"127.0.0.1:3\",\"state\":\"up\",\"why\":\"\"}\n]\n";
        assert_eq!(state_of(list, 3), Some(State::Up));
        assert_eq!(state_of(list, 30), Some(State::Ejected));
        assert_eq!(state_of(list, 4), None);
        let said = "palisade: listener admin on 127.0.0.1:99\npalisade: listener http on 127.0.0.1:80\n";
        assert_eq!((listener(said, "http"), listener(said, "https")), (Some(80), None));
    }
}
