//! The life of the process: load, bind, build, serve; then signals and commands until the end.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::build::{Built, Identity, Shared, build, identity, with_new_policies};
use super::panics::{self, essential};
use super::resources::{raise_descriptor_limit, use_small_pages};
use super::workers::{self, Door, Order, Worker};
use crate::admin::{Command, Standing};
use crate::certificates::Store;
use crate::config::{self, Config, Loaded};
use crate::listen::{BoundListener, ConnectionLimits, ListenAddress, ListenerOptions, Loads, bind};
use crate::message::Http2;
use crate::observe::metrics::PROCESS;
use crate::observe::{AccessLog, notice};
use crate::upstream::health::check_endpoints;
use crate::upstream::verdict::keep_planning;
use crate::upstream::{Discovery, Groups, SpoolSpace, probe_idle_pools};

/// How often the end of the workers is looked for.
const TICK: Duration = Duration::from_millis(20);
/// Workers that were told to cut their connections need no longer than this.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub enum Start {
    File(PathBuf),
    /// Text that a command made; it cannot be reloaded.
    Text(String),
}

impl Start {
    fn load(&self) -> Result<Loaded, config::Report> {
        match self {
            Start::File(path) => config::load(path),
            Start::Text(text) => config::parse("(built in)", text),
        }
    }
}

/// Serves until a signal ends it. `announce` is called once all listeners are bound, with the address of
/// each by name.
pub fn run(start: Start, announce: impl FnOnce(&[(String, String)])) -> ExitCode {
    panics::tell_as_notices();
    let loaded = match start.load() {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{}", report.render(std::io::IsTerminal::is_terminal(&io::stderr())));
            return ExitCode::FAILURE;
        }
    };
    if !loaded.warnings.is_empty() {
        let report = config::Report { diagnostics: loaded.warnings.clone() };
        eprint!("{}", report.render(std::io::IsTerminal::is_terminal(&io::stderr())));
    }
    use_small_pages();
    raise_descriptor_limit(&loaded.config);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            notice(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(async {
        let (control, signals, commands) = Control::start(start, loaded).await?;
        announce(&control.addresses());
        Ok::<_, String>(control.attend(signals, commands).await)
    });
    // Workers that were told to end at once are still in their loops: the process does not wait for them.
    runtime.shutdown_background();
    match served {
        Ok(code) => code,
        Err(error) => {
            notice(&error);
            ExitCode::FAILURE
        }
    }
}

/// The signals that mean something to us.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }
}

/// A listener that is open.
struct Open {
    number: usize,
    name: String,
    bound: String,
    door: Door,
}

struct Control {
    start: Start,
    shared: Arc<Shared>,
    config: Config,
    built: Built,
    workers: Vec<Worker>,
    open: HashMap<Identity, Open>,
    /// Number of the next listener.
    next: usize,
}

impl Control {
    async fn start(
        start: Start,
        loaded: Loaded,
    ) -> Result<(Control, Signals, mpsc::Receiver<Command>), String> {
        let Loaded { config, .. } = loaded;
        let signals = Signals::listen().map_err(|error| format!("cannot listen to signals: {error}"))?;
        let log = open_log(&config)?;
        let count = config.server.workers;
        let (groups, pool_mailboxes) = Groups::new(count);
        let (commands, inbox) = mpsc::channel(16);
        let clients = &config.server.clients;
        let shared = Arc::new(Shared {
            workers: count,
            groups: Arc::new(groups),
            space: Arc::new(SpoolSpace::new(
                clients.body_memory,
                clients.body_disk,
                clients.body_folder.clone(),
            )),
            certificates: Arc::new(Store::default()),
            discovery: Arc::new(Discovery::new(config::read_endpoints)),
            connections: Arc::new(ConnectionLimits::default()),
            admin_connections: Arc::new(ConnectionLimits::default()),
            loads: Arc::new(Loads::new(count)),
            ready: Arc::new(AtomicBool::new(false)),
            standing: Arc::new(Standing::new(count)),
            commands,
        });
        let fresh = bind_missing(&config, &HashMap::new(), count)?;
        shared.certificates.adopt(&config.material);
        let built = build(&config, &shared, log, None);
        let discovery = shared.discovery.clone();
        tokio::spawn(essential("discovering endpoints", async move { discovery.run().await }));
        shared.discovery.watch(&config.dns, &built.groups);
        shared.discovery.settle().await;
        let workers = workers::start(&shared, &built, pool_mailboxes)
            .map_err(|error| format!("cannot start the workers: {error}"))?;
        let groups = || shared.groups.clone();
        tokio::spawn(essential("probing idle pools", probe_idle_pools(groups())));
        tokio::spawn(essential("checking endpoints", check_endpoints(groups())));
        tokio::spawn(essential("planning who is used", keep_planning(groups())));
        tokio::spawn(essential("watching certificates", shared.certificates.clone().keep_current()));
        let mut control = Control { start, shared, config, built, workers, open: HashMap::new(), next: 0 };
        control.open(fresh);
        control.shared.standing.set_listeners(control.addresses());
        control.settle().await;
        control.shared.ready.store(true, Relaxed);
        Ok((control, signals, inbox))
    }

    /// Gives new listening sockets to the workers.
    fn open(&mut self, fresh: Vec<(Door, BoundListener)>) {
        for (door, bound) in fresh {
            let number = self.next;
            self.next += 1;
            notice(&format!("listener {} on {}", bound.name, bound.bound));
            let identity = identity(&bound.address, &bound.name);
            for (worker, listening) in self.workers.iter().zip(bound.sockets) {
                let order = Order::Listen { number, door, identity: identity.clone(), listening };
                let _ = worker.orders.send(order);
            }
            self.open.insert(identity, Open { number, name: bound.name, bound: bound.bound, door });
        }
    }

    fn addresses(&self) -> Vec<(String, String)> {
        let mut open: Vec<&Open> = self.open.values().collect();
        open.sort_by_key(|open| open.number);
        open.into_iter().map(|open| (open.name.clone(), open.bound.clone())).collect()
    }

    async fn attend(mut self, mut signals: Signals, mut commands: mpsc::Receiver<Command>) -> ExitCode {
        notice("ready");
        let certificates = self.shared.certificates.clone();
        loop {
            tokio::select! {
                _ = signals.hangup.recv() => match self.reload().await {
                    Ok(said) => notice(said.trim_end()),
                    Err(report) => notice(&format!("reload refused, nothing was changed:\n{report}")),
                },
                _ = signals.user1.recv() => self.reopen_log(),
                () = certificates.policies_changed() => self.renew_policies(),
                command = commands.recv() => match command {
                    Some(Command::Reload(done)) => drop(done.send(self.reload().await)),
                    Some(Command::Stop) | None => break,
                },
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
            }
        }
        self.stop(signals).await
    }

    fn reopen_log(&self) {
        if let Some(log) = &self.built.log {
            log.reopen();
        }
    }

    /// Other authorities for client certificates, or other lists of theirs, are behind the same names.
    fn renew_policies(&mut self) {
        self.built = with_new_policies(&self.built, &self.config, &self.shared.certificates);
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Change(self.built.clone()));
        }
    }

    /// Reads, checks, builds and swaps; what is said of it holds for the next request of every worker. An
    /// error changes nothing.
    async fn reload(&mut self) -> Result<String, String> {
        let outcome = self.try_reload().await;
        self.settle().await;
        let counter = if outcome.is_ok() { &PROCESS.reloads } else { &PROCESS.failed_reloads };
        counter.fetch_add(1, Relaxed);
        outcome
    }

    async fn try_reload(&mut self) -> Result<String, String> {
        let Start::File(path) = self.start.clone() else {
            return Err("this proxy was started without a file, there is nothing to read again\n".to_owned());
        };
        let Loaded { config, warnings, .. } = config::load(&path).map_err(|report| report.render(false))?;
        let fresh = bind_missing(&config, &self.open, self.shared.workers)?;
        let log = if config.log == self.config.log { self.built.log.clone() } else { open_log(&config)? };
        // From here on nothing can fail.
        self.shared.certificates.adopt(&config.material);
        let built = build(&config, &self.shared, log, Some(&self.built.entrances));
        let clients = &config.server.clients;
        self.shared.space.adopt(clients.body_memory, clients.body_disk, clients.body_folder.clone());
        self.shared.groups.keep_only(&built.groups);
        self.shared.discovery.watch(&config.dns, &built.groups);
        self.shared.discovery.settle().await;
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Change(built.clone()));
        }
        // Taken out before the new ones come in: an address may move from one door to another.
        let removed = self.removed(&config);
        let gone: Vec<_> = removed.iter().filter_map(|own| self.open.remove_entry(own)).collect();
        self.open(fresh);
        self.shared.standing.set_listeners(self.addresses());
        for (own, open) in gone {
            notice(&format!("listener {} on {} closed", open.name, open.bound));
            for worker in &self.workers {
                let _ = worker.orders.send(Order::Close { number: open.number });
            }
            if !self.open.contains_key(&own) {
                remove_socket_file(&own.0);
            }
        }
        let mut said = format!("reloaded {}\n", path.display());
        for only in self.restart_only(&config) {
            said.push_str(&format!("{only} changes with a restart only\n"));
        }
        said.push_str(&config::Report { diagnostics: warnings }.render(false));
        (self.config, self.built) = (config, built);
        Ok(said)
    }

    /// Settings that differ and that a running process keeps.
    fn restart_only(&self, config: &Config) -> Vec<String> {
        let mut kept = Vec::new();
        if config.server.workers != self.config.server.workers {
            kept.push("server.workers".to_owned());
        }
        for new in &config.listeners {
            let same = |old: &&ListenerOptions| old.name == new.name && old.address == new.address;
            if self.config.listeners.iter().find(same).is_some_and(|old| old.backlog != new.backlog) {
                kept.push(format!("listeners.{}.backlog", new.name));
            }
        }
        kept
    }

    fn removed(&self, config: &Config) -> Vec<Identity> {
        let wanted = wanted_listeners(config);
        let stays = |own: &Identity, open: &Open| {
            wanted.iter().any(|(door, options)| {
                identity(&options.address, &options.name) == *own && *door == open.door
            })
        };
        let gone = self.open.iter().filter(|(own, open)| !stays(own, open));
        gone.map(|(own, _)| own.clone()).collect()
    }

    /// Waits until every worker has done what it was told so far.
    async fn settle(&self) {
        let (done, mut all_done) = mpsc::channel(1);
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Report(done.clone()));
        }
        drop(done);
        // Nothing is sent: the channel ends when the last worker has dropped its end.
        let _ = tokio::time::timeout(LAST_MOMENT, all_done.recv()).await;
    }

    /// Readiness goes first, then accepting stops, requests in flight finish, and the process ends with 0.
    /// A second signal ends at once.
    async fn stop(self, mut signals: Signals) -> ExitCode {
        let patience = self.config.server.drain_timeout;
        self.shared.ready.store(false, Relaxed);
        notice(&format!("stopping: requests in flight have {} s to finish", patience.as_secs()));
        for (address, _) in self.open.keys() {
            remove_socket_file(address);
        }
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Drain(patience));
        }
        let drained = async {
            while self.workers.iter().any(Worker::is_running) {
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(patience + LAST_MOMENT, drained) => {}
            _ = signals.terminate.recv() => notice("stopped at once"),
            _ = signals.interrupt.recv() => notice("stopped at once"),
        }
        if let Some(log) = &self.built.log {
            log.flush(LAST_MOMENT);
        }
        ExitCode::SUCCESS
    }
}

/// Every listener that a configuration asks for, the admin ones among them.
fn wanted_listeners(config: &Config) -> Vec<(Door, ListenerOptions)> {
    let mut wanted: Vec<_> = config.listeners.iter().map(|options| (Door::Public, options.clone())).collect();
    let own = |name: &str, address| ListenerOptions {
        name: name.to_owned(),
        address,
        backlog: 128,
        proxy_protocol: None,
        tls: None,
        http2: Http2::Off,
        redirect_to_https: false,
    };
    if let Some(address) = config.admin.address {
        wanted.push((Door::Admin, own("admin", ListenAddress::Tcp(address))));
    }
    if let Some(path) = &config.admin.socket {
        wanted.push((Door::Operator, own("admin-socket", ListenAddress::Unix(path.clone()))));
    }
    wanted
}

/// Binds what is wanted and not open. Nothing is left bound when one of them cannot be.
fn bind_missing(
    config: &Config,
    open: &HashMap<Identity, Open>,
    workers: usize,
) -> Result<Vec<(Door, BoundListener)>, String> {
    let mut fresh = Vec::new();
    for (door, options) in wanted_listeners(config) {
        if open.get(&identity(&options.address, &options.name)).is_some_and(|open| open.door == door) {
            continue;
        }
        let sockets = if door == Door::Public { workers } else { 1 };
        let bound = bind(&options, sockets).map_err(|error| {
            forget(&fresh);
            format!("listener {} cannot be bound to {}: {error}", options.name, shown(&options.address))
        })?;
        if door == Door::Operator {
            protect(&options.address).map_err(|error| format!("admin socket: {error}"))?;
        }
        fresh.push((door, bound));
    }
    Ok(fresh)
}

/// The files of sockets that were bound in vain.
fn forget(fresh: &[(Door, BoundListener)]) {
    for (_, bound) in fresh {
        remove_socket_file(&bound.address);
    }
}

/// Who can open the socket can stop the proxy.
fn protect(address: &ListenAddress) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match address {
        ListenAddress::Unix(path) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)),
        ListenAddress::Tcp(_) => Ok(()),
    }
}

fn remove_socket_file(address: &ListenAddress) {
    if let ListenAddress::Unix(path) = address {
        let _ = std::fs::remove_file(path as &Path);
    }
}

fn shown(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn open_log(config: &Config) -> Result<Option<Arc<AccessLog>>, String> {
    AccessLog::open(&config.log).map_err(|error| format!("access log {:?}: {error}", config.log.access))
}
