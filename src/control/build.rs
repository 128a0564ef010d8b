//! From a configuration to a proxy that is ready to serve.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::mpsc;

use crate::admin::{Admin, Command, Facts, Standing};
use crate::certificates::{Handshakes, HostPolicies, HostRule, HostTlsOptions, Store};
use crate::config::Config;
use crate::connection::ClientLimits;
use crate::listen::{ConnectionLimits, Loads};
use crate::observe::{self, AccessLog, metrics};
use crate::proxy::{Proxy, Route, Target};
use crate::route::{
    FallbackOptions, HostPattern, RedirectTemplate, RouteMatch, RouteOptions, Table, TargetOptions,
};
use crate::upstream::health::StatusSet;
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
    /// Of the listeners with TLS, by name.
    #[expect(dead_code, reason = "the listeners that use it come next")]
    pub handshakes: HashMap<String, Arc<Handshakes>>,
    #[expect(dead_code, reason = "the listeners that use it come next")]
    pub host_policies: Arc<HostPolicies>,
}

/// Builds all of it; nothing can fail, since the configuration was checked.
pub fn build(config: &Config, shared: &Shared, log: Option<Arc<AccessLog>>) -> Built {
    let upstreams: Vec<Arc<Upstream>> = config
        .upstreams
        .iter()
        .map(|options| Arc::new(Upstream::build(options, &shared.groups, shared.space.clone())))
        .collect();
    let routes = config.routes.iter().map(|options| route(options, &upstreams)).collect();
    let public = Proxy::new(Table::build(&config.routes), routes, config.server.trusted_proxies.clone());
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
    let (handshakes, host_policies) = policies(config, &shared.certificates);
    let groups = upstreams.iter().map(|upstream| upstream.group.clone()).collect();
    Built {
        public: Arc::new(public),
        admin: admin(Admin { facts: facts.clone(), commands: None }),
        operator: admin(Admin { facts, commands: Some(shared.commands.clone()) }),
        limits: Arc::new(config.server.clients.clone()),
        log,
        groups,
        handshakes,
        host_policies,
    }
}

/// The same with the authorities for client certificates that are in the store now.
pub fn with_new_policies(built: &Built, config: &Config, store: &Store) -> Built {
    let (handshakes, host_policies) = policies(config, store);
    Built { handshakes, host_policies, ..built.clone() }
}

/// What is asked of clients in handshakes. The store has adopted the material of this configuration.
fn policies(config: &Config, store: &Store) -> (HashMap<String, Arc<Handshakes>>, Arc<HostPolicies>) {
    let rules = config.routes.iter().flat_map(|route| {
        route.matches.hosts.iter().map(|host| {
            let (name, wildcard) = match host {
                HostPattern::Exact(name) => (name.clone(), false),
                HostPattern::Wildcard(name) => (name.clone(), true),
            };
            HostRule { name, wildcard, tls: route.tls.clone() }
        })
    });
    let hosts = Arc::new(HostPolicies::build(&rules.collect::<Vec<_>>(), store));
    let handshakes = config.listeners.iter().filter_map(|listener| {
        let tls = listener.tls.as_ref()?;
        Some((listener.name.clone(), Arc::new(Handshakes::build(tls, &hosts, store))))
    });
    (handshakes.collect(), hosts)
}

fn route(options: &RouteOptions, upstreams: &[Arc<Upstream>]) -> Route {
    let target = match &options.target {
        TargetOptions::Upstream(name) => {
            Target::Upstream(named(upstreams, name), sending(options, upstreams))
        }
        TargetOptions::Split(split) => {
            let shared = split.shares.iter().map(|(name, _)| named(upstreams, name)).collect();
            Target::Split(Split::new(split.clone(), shared), sending(options, upstreams))
        }
        TargetOptions::Redirect(redirect) => {
            let template = RedirectTemplate::compile(redirect).expect("checked with the configuration");
            Target::Redirect(template, redirect.status)
        }
        TargetOptions::Fixed(fixed) => Target::Fixed(fixed.clone()),
    };
    let fallback = match &options.fallback {
        Some(FallbackOptions::Page(page)) => Some(page.clone()),
        Some(FallbackOptions::Upstream(_)) | None => None,
    };
    Route {
        name: options.name.clone(),
        log_member: observe::json::member("route", &options.name),
        series: metrics::series_of(&options.name),
        rewrite: options.rewrite.clone(),
        target,
        fallback,
    }
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
        timeouts: options.timeouts,
        retry,
        fallback: None,
        mirror: None,
        request_body: options.request_body,
        max_body_size: options.max_body_size,
        host: options.upstream_host.clone(),
        forwarded: options.forwarded,
    }
}

/// A proxy whose one route is the admin target.
fn admin(admin: Admin) -> Arc<Proxy> {
    let name = "admin".to_owned();
    let options = RouteOptions {
        name: name.clone(),
        matches: RouteMatch::default(),
        tls: HostTlsOptions::default(),
        // Only the table looks at these options, and it does not look at the target.
        target: TargetOptions::Upstream(name.clone()),
        rewrite: None,
        upstream_host: None,
        forwarded: false,
        timeouts: crate::upstream::Timeouts::default(),
        retry: RetryOptions::default(),
        mirror: None,
        fallback: None,
        request_body: crate::upstream::BodyMode::Buffer,
        max_body_size: 0,
    };
    let route = Route {
        series: metrics::series_of(&name),
        log_member: Vec::new(),
        name,
        rewrite: None,
        target: Target::Admin(admin),
        fallback: None,
    };
    Arc::new(Proxy::new(Table::build(&[options]), vec![route], Vec::new()))
}
