//! The configuration: `ConfigFile` as the user wrote it becomes `Config`, which cannot be wrong.
//!
//! The way: `file` reads and merges the trees that `tree` makes of each text; `check` walks the merged tree:
//! `shape` for unknown keys and wrong kinds against the table in `keys`, then one file per section for the
//! values, then what only several sections together show. Every mistake becomes a `Diagnostic`; one run
//! reports them all.

mod address;
mod balance;
mod certificates;
mod check;
mod diagnostic;
mod dns;
mod endpoints_file;
mod environment;
mod error_pages;
mod fastcgi;
mod fields;
mod file;
mod files;
mod filters;
mod glob;
mod grpc;
mod health;
mod host;
mod json;
mod keys;
mod listeners;
mod matches;
mod merge;
mod origin_tls;
mod pattern;
mod render;
mod retry;
mod routes;
pub mod schema;
mod server;
mod settings;
mod shadow;
mod shape;
mod split;
mod suggest;
mod syntax;
mod targets;
mod template;
mod tls;
mod tree;
mod upstreams;
mod values;

pub use diagnostic::{Diagnostic, Place, Report, Severity, Source};
pub use endpoints_file::read as read_endpoints;
pub use json::Json;
pub(crate) use render::counted;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use self::diagnostic::Problems;
use self::file::ConfigFile;
use crate::certificates::Material;
use crate::connection::ClientLimits;
use crate::filter::{CompressionLimits, HeaderEdits};
use crate::listen::ListenerOptions;
use crate::message::error_pages::ErrorPage;
use crate::observe::AccessLogOptions;
use crate::route::{RouteOptions, TargetOptions};
use crate::upstream::{DnsOptions, UpstreamOptions};

/// A sound configuration, and what was noticed on the way to it.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Diagnostic>,
    /// Everything that was read, the first file first.
    pub files: Vec<PathBuf>,
}

/// Reads and checks a file and all it includes.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    finish(|problems| file::read(path, &environment::of_the_process, problems))
}

/// Checks a text; `name` stands for the file in messages.
pub fn parse(name: &str, text: &str) -> Result<Loaded, Report> {
    finish(|problems| file::read_str(name, text, &environment::of_the_process, problems))
}

/// The admin socket that a file names, though all else in it may be wrong; `None` when it cannot be told.
pub fn admin_socket(path: &Path) -> Option<PathBuf> {
    let problems = Problems::default();
    let file = file::read(path, &environment::of_the_process, &problems)?;
    check::admin(&file.root, &problems).socket
}

fn finish(read: impl FnOnce(&Problems) -> Option<ConfigFile>) -> Result<Loaded, Report> {
    let problems = Problems::default();
    let Some(file) = read(&problems) else { return Err(problems.into_report()) };
    let config = check::lower(&file, &problems);
    if problems.has_errors() {
        return Err(problems.into_report());
    }
    Ok(Loaded { config, warnings: problems.into_report().diagnostics, files: file.files })
}

/// A configuration that passed every check. Names that refer to something refer to something that is there.
#[derive(Debug, Clone)]
pub struct Config {
    pub listeners: Vec<ListenerOptions>,
    /// Certificates, authorities and keys, loaded from the files that are named.
    pub material: Material,
    pub upstreams: Vec<Arc<UpstreamOptions>>,
    pub routes: Vec<RouteOptions>,
    pub error_pages: Vec<ErrorPage>,
    /// Changes to answers that no route has given, by `[defaults]`.
    pub unrouted: Vec<HeaderEdits>,
    pub dns: DnsOptions,
    pub server: ServerOptions,
    pub admin: AdminOptions,
    pub log: AccessLogOptions,
}

impl Config {
    /// Whether all servers of a target can get calls of gRPC.
    pub fn reaches_grpc(&self, target: &TargetOptions) -> bool {
        grpc::reaches(target, &self.upstreams)
    }
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Worker threads; one per core when not set.
    pub workers: usize,
    /// Peers whose `X-Forwarded-*` and `X-Request-ID` are believed.
    pub trusted_proxies: Vec<IpNet>,
    pub clients: ClientLimits,
    pub compression: CompressionLimits,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminOptions {
    /// Metrics, readiness and liveness for machines; off when not set.
    pub address: Option<SocketAddr>,
    /// Unix socket (mode 0600) for `palisade reload`, `status` and `stop`; off when not set.
    pub socket: Option<PathBuf>,
}

/// A folder with the files that `every_key.toml` names.
#[cfg(test)]
fn files_of_every_key() -> testkit::TempDir {
    let dir = testkit::temp_dir();
    let tls = dir.join("tls");
    std::fs::create_dir(&tls).expect("a folder");
    testkit::write_example_files(&tls);
    std::fs::create_dir(dir.join("www")).expect("a folder");
    std::fs::write(dir.join("www/app.html"), "").expect("a file");
    std::fs::write(dir.join("endpoints"), include_str!("every_key.endpoints")).expect("a file");
    std::fs::write(dir.join("404.html"), "<p>{{status}}</p>").expect("a file");
    dir
}
