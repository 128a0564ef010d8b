//! From a configuration to a proxy that is ready to serve.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::admin::{Admin, Command, Facts, Standing};
use crate::certificates::{Handshakes, HostPolicies, HostRule, HostTlsOptions, Store};
use crate::config::Config;
use crate::connection::{ClientLimits, Entrance};
use crate::files::{Files, FilesOptions};
use crate::filter::auth::ForwardAuth;
use crate::filter::{Chain, Filter, FilterOptions, Redirect, chain};
use crate::listen::{ConnectionLimits, ListenAddress, Loads};
use crate::merge::Merge;
use crate::message::error_pages::ErrorPages;
use crate::message::{Moment, StatusSet, Template};
use crate::observe::{self, AccessLog, metrics};
use crate::proxy::{Gate, Proxy, Route, Target};
use crate::route::{FallbackOptions, HostPattern, RouteMatch, RouteOptions, Table, TargetOptions};
use crate::upstream::mirror::Mirror;
use crate::upstream::split::Split;
use crate::upstream::{Discovery, Group, Groups, RetryOptions, Sending, SpoolSpace, Upstream};

/// What survives a reload.
#[derive(Debug)]
pub struct Shared {
    pub workers: usize,
    pub groups: Arc<Groups>,
    pub discovery: Arc<Discovery>,
    pub space: Arc<SpoolSpace>,
    pub certificates: Arc<Store>,
    pub connections: Arc<ConnectionLimits>,
    pub admin_connections: Arc<ConnectionLimits>,
    pub loads: Arc<Loads>,
    pub ready: Arc<AtomicBool>,
    pub standing: Arc<Standing>,
    pub commands: mpsc::Sender<Command>,
}

/// One configuration, ready: the proxy itself and the two admin ones.
#[derive(Debug, Clone)]
pub struct Built {
    pub public: Arc<Proxy>,
    pub admin: Arc<Proxy>,
    pub operator: Arc<Proxy>,
    pub limits: Arc<ClientLimits>,
    pub log: Option<Arc<AccessLog>>,
    pub groups: Vec<Arc<Group>>,
    pub entrances: Arc<Entrances>,
}

/// By what a reload knows a listener again: its address, and its name when the system chose the port, as
/// then several may have the same address in the file.
pub type Identity = (ListenAddress, String);

pub type Entrances = HashMap<Identity, Entrance>;

pub fn identity(address: &ListenAddress, name: &str) -> Identity {
    let chosen = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
    (address.clone(), if chosen { name.to_owned() } else { String::new() })
}

/// Builds all of it; nothing can fail, since the configuration was checked. `before` is what it replaces.
pub fn build(
    config: &Config,
    shared: &Shared,
    log: Option<Arc<AccessLog>>,
    before: Option<&Entrances>,
) -> Built {
    let upstreams: Vec<Arc<Upstream>> = config
        .upstreams
        .iter()
        .map(|options| Arc::new(Upstream::build(options, &shared.groups, shared.space.clone())))
        .collect();
    let routes = config.routes.iter().map(|options| route(options, config, &upstreams)).collect();
    let public = Proxy {
        table: Table::build(&config.routes),
        routes,
        unrouted: config.unrouted.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        error_pages: ErrorPages::new(config.error_pages.clone()),
    };
    let facts = Facts {
        upstreams: upstreams.clone(),
        discovery: shared.discovery.clone(),
        ready: shared.ready.clone(),
        log: log.clone(),
        space: shared.space.clone(),
        certificates: shared.certificates.clone(),
        connections: shared.connections.counter(),
        standing: shared.standing.clone(),
    };
    let groups = upstreams.iter().map(|upstream| upstream.group.clone()).collect();
    Built {
        public: Arc::new(public),
        admin: admin(Admin { facts: facts.clone(), commands: None }),
        operator: admin(Admin { facts, commands: Some(shared.commands.clone()) }),
        limits: Arc::new(config.server.clients.clone()),
        log,
        groups,
        entrances: Arc::new(entrances(config, &shared.certificates, before)),
    }
}

/// The same with the authorities for client certificates that are in the store now.
pub fn with_new_policies(built: &Built, config: &Config, store: &Store) -> Built {
    Built { entrances: Arc::new(entrances(config, store, Some(&built.entrances))), ..built.clone() }
}

/// What comes before the first request at each listener. The store has adopted the material of this
/// configuration.
fn entrances(config: &Config, store: &Store, before: Option<&Entrances>) -> Entrances {
    let rules = config.routes.iter().flat_map(|route| {
        route.matches.hosts.iter().map(|host| {
            let (name, wildcard) = match host {
                HostPattern::Exact(name) => (name.clone(), false),
                HostPattern::Wildcard(name) => (name.clone(), true),
            };
            HostRule { name, wildcard, tls: route.tls.clone() }
        })
    });
    let policies = Arc::new(HostPolicies::build(&rules.collect::<Vec<_>>(), store));
    let entrances = config.listeners.iter().map(|listener| {
        let tls = listener.tls.as_ref();
        let identity = identity(&listener.address, &listener.name);
        let known = before.and_then(|before| before.get(&identity));
        let entrance = Entrance {
            handshakes: tls.map(|tls| Arc::new(Handshakes::build(tls, &policies, store))),
            handshake_timeout: tls.map_or(Duration::ZERO, |tls| tls.handshake_timeout),
            max_handshakes_per_client: tls.map_or(0, |tls| tls.max_handshakes_per_client),
            // Those that are under way go on, and count.
            shaking: known.map(|known| known.shaking.clone()).unwrap_or_default(),
            proxy_protocol: listener.proxy_protocol,
            http2: listener.http2,
            redirect: listener.redirect_to_https.then(|| to_https(https_port(config))),
            hsts: tls.and_then(|tls| tls.hsts.as_deref()).map(Arc::from),
            host_policies: policies.clone(),
        };
        (identity, entrance)
    });
    entrances.collect()
}

/// Where clients find TLS: the port of the first listener that has it.
fn https_port(config: &Config) -> u16 {
    let ports = config.listeners.iter().filter(|listener| listener.tls.is_some()).filter_map(|listener| {
        match &listener.address {
            ListenAddress::Tcp(address) if address.port() != 0 => Some(address.port()),
            _ => None,
        }
    });
    ports.min_by_key(|port| *port != HTTPS).unwrap_or(HTTPS)
}

const HTTPS: u16 = 443;

fn route(options: &RouteOptions, config: &Config, upstreams: &[Arc<Upstream>]) -> Route {
    let target = match &options.target {
        TargetOptions::Upstream(name) => {
            Target::Upstream(named(upstreams, name), sending(options, upstreams))
        }
        TargetOptions::Split(split) => {
            let shared = split.shares.iter().map(|(name, _)| named(upstreams, name)).collect();
            Target::Split(Split::new(split.clone(), shared), sending(options, upstreams))
        }
        TargetOptions::Merge(merge) => {
            // What is asked in place of a member has its own failures.
            let sending = plain_sending(options, options.retry.clone());
            Target::Merge(Merge::new(merge, &|name| named(upstreams, name), sending))
        }
        TargetOptions::Redirect(redirect) => Target::Redirect(redirect.clone()),
        TargetOptions::Fixed(fixed) => Target::Fixed(fixed.clone()),
        TargetOptions::Files(files) => {
            let strips_prefix = options.filters.rewrite.strip_prefix.is_some();
            Target::Files(Files::new(FilesOptions::clone(files), strips_prefix))
        }
    };
    // Before other servers what calls itself a call is held to the limits of its route.
    let grpc = config.reaches_grpc(&options.target);
    let fallback = match &options.fallback {
        Some(FallbackOptions::Page(page)) => Some(page.clone()),
        Some(FallbackOptions::Upstream(_)) | None => None,
    };
    let (filters, gate) = filters(options, grpc, config, upstreams);
    Route {
        name: options.name.clone(),
        log_member: observe::json::member("route", &options.name),
        series: metrics::series_of(&options.name),
        filters,
        gate,
        request_json: options.filters.request_json.clone(),
        location: options.filters.location.clone(),
        calls: grpc.then_some(config.server.clients.tunnel_idle_timeout),
        target,
        fallback,
    }
}

/// Those that nobody is asked before, and the gate with the others behind it.
fn filters(
    options: &RouteOptions,
    grpc: bool,
    config: &Config,
    upstreams: &[Arc<Upstream>],
) -> (Vec<Filter>, Option<Box<Gate>>) {
    let filters = FilterOptions { grpc_web: options.filters.grpc_web && grpc, ..options.filters.clone() };
    let Chain { mut open, guarded } = chain(&filters, config.server.compression);
    let Some(auth) = filters.forward_auth else {
        open.extend(guarded);
        return (open, None);
    };
    let sending = plain_sending(options, RetryOptions::default());
    let auth = ForwardAuth::new(auth.clone(), named(upstreams, &auth.upstream), sending);
    (open, Some(Box::new(Gate { auth, filters: guarded })))
}

fn named(upstreams: &[Arc<Upstream>], name: &str) -> Arc<Upstream> {
    let upstream = upstreams.iter().find(|upstream| upstream.name == name);
    upstream.expect("a checked configuration names upstreams that exist").clone()
}

fn sending(options: &RouteOptions, upstreams: &[Arc<Upstream>]) -> Sending {
    let fallback = match &options.fallback {
        Some(FallbackOptions::Upstream(name)) => Some(named(upstreams, name)),
        Some(FallbackOptions::Page(_)) | None => None,
    };
    let mirror = options.mirror.as_ref().map(|mirror| {
        // A copy that fails has failed, and one that is late is late.
        let retry = options.retry.clone();
        let once = RetryOptions { attempts: 0, on_status: StatusSet(Vec::new()), hedge: None, ..retry };
        Mirror::new(mirror, named(upstreams, &mirror.upstream), plain_sending(options, once))
    });
    Sending { fallback, mirror, ..plain_sending(options, options.retry.clone()) }
}

/// Without what needs other upstreams.
fn plain_sending(options: &RouteOptions, retry: RetryOptions) -> Sending {
    Sending {
        route: options.name.clone(),
        timeouts: options.timeouts,
        retry,
        fallback: None,
        mirror: None,
        request_body: options.request_body,
        max_body_size: options.max_body_size,
        host: options.upstream_host.clone(),
        forwarded: options.forwarded,
        forward_client_certificate: options.forward_client_certificate,
    }
}

/// A proxy that sends everybody to the same address with TLS.
fn to_https(port: u16) -> Arc<Proxy> {
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    // Whatever the method, the client repeats it there.
    let to = Template::compile(&format!("https://{{host}}{port}{{path}}{{query}}"), Moment::Request);
    let to = to.expect("a template of our own");
    single("redirect_to_https", Target::Redirect(Redirect { to, status: 308 }))
}

/// A proxy whose one route is the admin target.
fn admin(admin: Admin) -> Arc<Proxy> {
    single("admin", Target::Admin(admin))
}

fn single(name: &str, target: Target) -> Arc<Proxy> {
    let name = name.to_owned();
    let options = RouteOptions {
        name: name.clone(),
        matches: RouteMatch::default(),
        tls: HostTlsOptions::default(),
        // Only the table looks at these options, and it does not look at the target.
        target: TargetOptions::Upstream(name.clone()),
        filters: FilterOptions::default(),
        upstream_host: None,
        forwarded: false,
        forward_client_certificate: false,
        timeouts: crate::upstream::Timeouts::default(),
        retry: RetryOptions::default(),
        mirror: None,
        fallback: None,
        request_body: crate::upstream::BodyMode::Buffer,
        max_body_size: 0,
    };
    let route = Route {
        series: metrics::series_of(&name),
        log_member: observe::json::member("route", &name),
        name,
        filters: Vec::new(),
        gate: None,
        request_json: None,
        location: None,
        calls: None,
        target,
        fallback: None,
    };
    let (table, routes) = (Table::build(&[options]), vec![route]);
    Arc::new(Proxy {
        table,
        routes,
        unrouted: Vec::new(),
        trusted_proxies: Vec::new(),
        error_pages: ErrorPages::default(),
    })
}
