//! What the system lets the process have.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::observe::notice;
use crate::route::TargetOptions;

/// Raises the limit of file descriptors to what is allowed, and warns when the configuration may need
/// more: a client's connection and one to its origin each take one.
pub fn raise_descriptor_limit(config: &Config) {
    let mut limits = getrlimit(Resource::Nofile);
    if limits.current != limits.maximum {
        limits.current = limits.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limits) {
            notice(&format!("cannot raise the limit of open files: {error}"));
        }
    }
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = descriptors_wanted(config);
    if have < wanted {
        notice(&format!(
            "warning: {have} open files are allowed, but max_connections and the pools may need {wanted}: \
             raise the limit (ulimit -n, LimitNOFILE=) or lower server.max_connections"
        ));
    }
}

/// Memory in pages of 4 KiB only. Huge ones make the process larger by 2 MiB at a time, whether it uses them or
/// not: ten thousand idle connections were seen to take 8.3 MB in one run and 10.4 MB in the next.
pub fn use_small_pages() {
    // Where the system knows no such thing there is nothing to do.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn descriptors_wanted(config: &Config) -> u64 {
    let clients = config.server.clients.max_connections as u64;
    let pools: u64 = config
        .upstreams
        .iter()
        .map(|upstream| upstream.endpoints.len() as u64 * u64::from(upstream.pool.max_connections))
        .sum();
    let has_files = config.routes.iter().any(|route| matches!(route.target, TargetOptions::Files(_)));
    let files = if has_files { config.server.workers * crate::files::MOST_OPEN } else { 0 };
    clients.saturating_add(pools.min(clients)).saturating_add(files as u64).saturating_add(64)
}
