//! "Did you mean ...": by edit distance, and by what other proxies call the same thing.

use super::keys::{Key, ROOT, SECTIONS};

/// What to write instead of the unknown key `word` in a table with these keys.
pub fn hint(context: &str, keys: &[Key], word: &str) -> String {
    first_hint(context, word, || keys.iter().map(|key| key.name))
}

/// The same for an unknown section, or a key outside of all.
pub fn section_hint(word: &str) -> String {
    first_hint("", word, || {
        SECTIONS.iter().map(|section| section.name).chain(ROOT.iter().map(|key| key.name))
    })
}

fn first_hint<N: Iterator<Item = &'static str>>(context: &str, word: &str, names: impl Fn() -> N) -> String {
    if is_planned(context, word) {
        "this is not part of this version".to_string()
    } else if let Some(instead) = alias(context, word) {
        instead.to_string()
    } else if let Some(name) = closest(word, names()) {
        format!("did you mean `{name}`?")
    } else if let Some(home) = home_of(word) {
        format!("it belongs in {home}")
    } else {
        format!("known here: {}", names().collect::<Vec<_>>().join(", "))
    }
}

/// Keys of features that are to come: whoever writes one has made no slip.
fn is_planned(context: &str, word: &str) -> bool {
    PLANNED.iter().any(|(place, words)| *place == context && words.contains(&word))
}

const PLANNED: &[(&str, &[&str])] = &[
    ("", &["acme", "tracing"]),
    ("listeners", &["certificates", "http3"]),
    ("upstreams", &["proxy_protocol"]),
    ("routes", ROUTE_PLANNED),
    ("defaults", ROUTE_PLANNED),
];

const ROUTE_PLANNED: &[&str] = &["auth", "cache", "challenge", "rate_limit", "waf"];

/// The word under which aliases of a table are listed: "routes" for "routes.NAME", "pool" for
/// "upstreams.NAME.pool".
pub fn context(path: &str) -> &str {
    path.trim_end_matches(".NAME").rsplit('.').next().unwrap_or(path)
}

/// The section that has this key, if only one has.
fn home_of(word: &str) -> Option<String> {
    let mut homes = SECTIONS.iter().filter(|section| section.keys.iter().any(|key| key.name == word));
    let home = homes.next()?;
    let only = homes.all(|other| other.name == "defaults");
    let header = match home.noun {
        Some(_) => format!("`[{}.NAME]`", home.name),
        None => format!("`[{}]`", home.name),
    };
    only.then_some(header)
}

/// The most similar of `candidates`, when it is similar enough to be a slip of the fingers.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long word is no slip, and its distance is costly.
    if word.len() > 64 {
        return None;
    }
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let scored = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, c)| c)
}

/// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment), without case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitute.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// What to write here instead of a word from nginx, HAProxy, Caddy, Traefik or Envoy. `section` is the name
/// of the section the word stands in, empty outside of all.
fn alias(section: &str, word: &str) -> Option<&'static str> {
    let word = word.to_lowercase().replace('-', "_");
    let found = ALIASES.iter().find(|(place, words, _)| *place == section && words.contains(&word.as_str()));
    found.map(|(_, _, instead)| *instead)
}

const COMPRESSES: &[&str] = &["gzip", "brotli", "zstd", "compression", "encode", "deflate"];

type Alias = (&'static str, &'static [&'static str], &'static str);

const ALIASES: &[Alias] = &[
    (
        "",
        &["listen", "listener", "bind", "frontend", "frontends", "entrypoints", "port"],
        "write a section `[listeners.NAME]` with `address = \":80\"`",
    ),
    (
        "",
        &[
            "upstream",
            "backend",
            "backends",
            "cluster",
            "clusters",
            "service",
            "services",
            "proxy_pass",
            "reverse_proxy",
        ],
        "write a section `[upstreams.NAME]` with `endpoints = [\"10.0.0.1:8080\"]`",
    ),
    (
        "",
        &[
            "route",
            "router",
            "routers",
            "location",
            "locations",
            "site",
            "sites",
            "host",
            "hosts",
            "virtual_hosts",
            "vhosts",
        ],
        "write a section `[routes.NAME]`",
    ),
    (
        "",
        &["global", "main", "servers", "worker_processes", "workers", "threads"],
        "write a section `[server]`",
    ),
    ("", &["default"], "write a section `[defaults]`"),
    ("", &["stats", "metrics", "api"], "write a section `[admin]` with `address = \"127.0.0.1:9900\"`"),
    (
        "",
        &["access_log", "logs", "logging", "accesslog"],
        "write a section `[log]` with `access = \"stdout\"`",
    ),
    (
        "",
        &["resolver", "resolvers", "nameserver", "nameservers"],
        "write a section `[dns]` with `servers = [\"10.0.0.2\"]`",
    ),
    ("", &["includes", "import"], "write `include = [\"conf.d/*.toml\"]`"),
    (
        "listeners",
        &["listen", "bind", "addr", "port", "host", "socket_address", "on"],
        "write `address = \":80\"`",
    ),
    (
        "listeners",
        &["server_name", "routes", "location", "upstream", "proxy_pass", "path"],
        "a listener only listens: hosts, paths and upstreams belong in `[routes.NAME]`",
    ),
    (
        "",
        &["tls", "ssl", "certificate", "certs"],
        "write a section `[certificates.NAME]`, and `tls = true` in `[listeners.NAME]`",
    ),
    (
        "listeners",
        &["ssl", "ssl_certificate", "certificate", "cert", "crt", "tls_cert", "key", "ssl_certificate_key"],
        "write `tls = true`; the files belong in `[certificates.NAME]`",
    ),
    (
        "listeners",
        &["ssl_client_certificate", "ca_file", "ca", "trusted_ca"],
        "write `client_ca = \"clients.pem\"`",
    ),
    ("listeners", &["ssl_verify_client", "verify"], "write `client_auth = \"required\"`"),
    ("listeners", &["ssl_crl", "crl", "crl_file"], "write `client_crl = \"revoked.pem\"`"),
    ("listeners", &["h2", "alpn"], "write `http2 = true`"),
    ("tls", &["ssl_protocols", "protocols", "version", "min_tls_version"], "write `min_version = \"1.3\"`"),
    (
        "tls",
        &["ciphers", "cipher_suites", "curves", "ssl_ciphers"],
        "they cannot be chosen: all that there are have forward secrecy and authenticated encryption",
    ),
    ("tls", &["ssl_session_ticket_key", "session_ticket_key"], "write `ticket_keys = \"tickets\"`"),
    ("tls", &["certificate", "key", "cert"], "the files belong in `[certificates.NAME]`"),
    (
        "certificates",
        &["cert", "crt", "cert_file", "certfile", "ssl_certificate", "chain", "fullchain", "pem"],
        "write `certificate = \"fullchain.pem\"`",
    ),
    (
        "certificates",
        &["private_key", "key_file", "keyfile", "ssl_certificate_key"],
        "write `key = \"privkey.pem\"`",
    ),
    (
        "certificates",
        &["names", "hosts", "host", "domains", "server_name"],
        "leave it out: the names are read from the certificate",
    ),
    (
        "upstreams",
        &[
            "server",
            "servers",
            "backend",
            "backends",
            "endpoint",
            "hosts",
            "host",
            "targets",
            "target",
            "url",
            "urls",
            "address",
            "addresses",
            "to",
            "load_assignment",
        ],
        "write `endpoints = [\"10.0.0.1:8080\"]`",
    ),
    (
        "upstreams",
        &["ssl", "https", "proxy_ssl_verify", "ssl_verify", "transport_socket", "tls_insecure_skip_verify"],
        "write `tls = true`, or `tls = { ca = \"internal-ca.pem\", name = \"app.internal\" }`",
    ),
    (
        "upstreams",
        &["http2", "h2", "h2c", "grpc", "alpn", "proto", "http_version", "proxy_http_version"],
        "write `protocol = \"http2\"`, or `\"auto\"` to let servers choose",
    ),
    (
        "upstreams",
        &["lb_policy", "algorithm", "policy", "strategy", "load_balancing", "load_balancer", "method", "lb"],
        "write `balance = \"round_robin\"`",
    ),
    (
        "upstreams",
        &[
            "keepalive",
            "max_conns",
            "maxconn",
            "max_connections",
            "idle_timeout",
            "queue_timeout",
            "max_queue",
            "probe_interval",
        ],
        "it belongs in the pool: `pool = { max_connections = 100, idle_timeout = \"60s\" }`",
    ),
    (
        "upstreams",
        &[
            "health_check",
            "healthcheck",
            "health_checks",
            "health_uri",
            "check",
            "option_httpchk",
            "active_health",
        ],
        "write `health = { path = \"/health\", interval = \"5s\" }`",
    ),
    (
        "upstreams",
        &["max_fails", "fail_timeout", "outlier_detection", "passive_health", "fail_duration", "observe"],
        "write `outlier = { failures = 5, ejection_time = \"10s\" }`",
    ),
    (
        "upstreams",
        &["circuit_breaker", "circuit_breakers", "circuitbreaker"],
        "write `breaker = { error_rate = 50, open_time = \"5s\" }`",
    ),
    (
        "upstreams",
        &["sticky_cookie", "sticky_session", "sticky_sessions", "stickiness", "cookie", "session_affinity"],
        "write `sticky = { cookie = \"name\" }`",
    ),
    (
        "upstreams",
        &["hash", "hash_policy", "hash_key", "hash_balance_factor"],
        "write `balance = \"consistent_hash\"` and `hash_on = { cookie = \"session\" }`",
    ),
    (
        "upstreams",
        &["retry", "retries", "retry_policy", "proxy_next_upstream"],
        "it belongs to the route: `retry = { attempts = 1 }` in `[routes.NAME]`",
    ),
    (
        "upstreams",
        &["timeout", "timeouts", "connect_timeout", "read_timeout", "send_timeout"],
        "it belongs to the route: `timeouts = { connect = \"5s\", read = \"60s\" }` in `[routes.NAME]`",
    ),
    (
        "upstreams",
        &["fcgi", "php", "php_fastcgi", "fastcgi_pass", "fastcgi_params"],
        "write `protocol = \"fastcgi\"` and `fastcgi = { root = \"/srv/www\" }`",
    ),
    (
        "upstreams",
        &["root", "docroot", "document_root", "split", "front", "params"],
        "it belongs in `fastcgi = { root = \"/srv/www\" }`",
    ),
    (
        "fastcgi",
        &["docroot", "document_root", "script_filename", "folder", "path"],
        "write `root = \"/srv/www\"`",
    ),
    (
        "fastcgi",
        &["param", "fastcgi_param", "env", "environment", "set_param"],
        "write `params = { APP_ENV = \"prod\" }`",
    ),
    ("fastcgi", &["fastcgi_index", "directory_index"], "write `index = \"index.php\"`"),
    (
        "fastcgi",
        &["fastcgi_split_path_info", "split_path", "extensions"],
        "write `split = \".php\"`, and `path_info = true` where paths go on behind a script",
    ),
    ("fastcgi", &["try_files", "front_controller", "fallback_resource"], "write `front = \"/index.php\"`"),
    (
        "fastcgi",
        &["keep_conn", "fastcgi_keep_conn", "keepalive", "keep_alive"],
        "write `keep_connections = true`",
    ),
    (
        "routes",
        &["fastcgi_pass", "php_fastcgi", "fastcgi"],
        "write `upstream = \"NAME\"`, and in `[upstreams.NAME]` `protocol = \"fastcgi\"`",
    ),
    (
        "dns",
        &["server", "nameserver", "nameservers", "resolver", "resolvers", "address"],
        "write `servers = [\"10.0.0.2\"]`",
    ),
    ("dns", &["ttl", "valid", "refresh", "interval"], "write `min_ttl = \"1s\"` and `max_ttl = \"5m\"`"),
    ("dns", &["hold", "stale", "serve_stale"], "write `keep_stale = \"24h\"`"),
    ("dns", &["family", "families", "ipv4", "ipv6", "prefer"], "write `addresses = \"v4_first\"`"),
    ("pool", &["max_conns", "maxconn", "size", "limit", "max"], "write `max_connections = 100`"),
    ("pool", &["timeout", "keepalive_timeout", "idle"], "write `idle_timeout = \"60s\"`"),
    (
        "routes",
        &["auth_request", "forwardauth", "ext_authz", "external_auth", "auth_url", "authz"],
        "write `forward_auth = { upstream = \"auth\", path = \"/verify\" }`",
    ),
    (
        "forward_auth",
        &["address", "url", "uri", "auth_url", "endpoint", "server"],
        "write `upstream = \"auth\"` and `path = \"/verify\"`; addresses belong in `[upstreams.NAME]`",
    ),
    (
        "forward_auth",
        &["copy_headers", "auth_response_headers", "authresponseheaders", "auth_request_set", "headers"],
        "write `identity = [\"X-Auth-User\"]` for what the target gets",
    ),
    (
        "forward_auth",
        &["auth_request_headers", "authrequestheaders", "allowed_headers"],
        "write `request_headers = [\"Cookie\"]`",
    ),
    (
        "routes",
        &["retries", "retry_policy", "proxy_next_upstream", "num_retries", "retry_on"],
        "write `retry = { attempts = 1, on = [\"connect\", \"503\"] }`",
    ),
    (
        "routes",
        &["weighted", "weighted_clusters", "traffic_split", "split_clients", "canary"],
        "write `split = { stable = 95, canary = 5 }`",
    ),
    (
        "routes",
        &["shadow", "mirroring", "request_mirror_policies", "mirror_request_body"],
        "write `mirror = { upstream = \"shadow\", percent = 10 }`",
    ),
    ("routes", &["hedge", "hedge_policy"], "it belongs in `retry = { hedge = \"p95\" }`"),
    (
        "routes",
        &[
            "proxy_pass",
            "backend",
            "backends",
            "service",
            "server",
            "servers",
            "reverse_proxy",
            "use_backend",
            "cluster",
            "upstreams",
            "to",
            "target",
            "proxy",
            "endpoints",
        ],
        "write `upstream = \"NAME\"`, the name of an `[upstreams.NAME]`",
    ),
    (
        "routes",
        &["client_max_body_size", "body_limit", "max_body", "max_request_size"],
        "write `max_body_size = \"10MiB\"`",
    ),
    (
        "routes",
        &[
            "timeout",
            "proxy_read_timeout",
            "proxy_send_timeout",
            "proxy_connect_timeout",
            "read_timeout",
            "connect_timeout",
            "send_timeout",
            "connect",
            "send",
            "read",
        ],
        "write `timeouts = { connect = \"5s\", send = \"60s\", read = \"60s\" }`",
    ),
    (
        "routes",
        &["server_name", "hostname", "domain", "domains", "server_names"],
        "write `host = \"example.com\"`",
    ),
    (
        "routes",
        &["location", "path_prefix", "prefix", "uri", "url", "paths", "match"],
        "write `path = \"/api\"`",
    ),
    ("routes", &["regex", "path_regexp"], "write `path_regex = \"^/u/[0-9]+$\"`"),
    (
        "routes",
        &["return", "answer", "fixed", "status", "body", "deny"],
        "write `respond = { status = 403, body = \"no\" }`",
    ),
    (
        "routes",
        &["root", "alias", "file_server", "static", "folder", "directory", "file", "serve", "webroot"],
        "write `files = \"/srv/www\"`",
    ),
    ("files", &["path", "folder", "dir", "directory", "alias"], "write `root = \"/srv/www\"`"),
    ("files", &["autoindex", "listing", "list", "directory_listing"], "write `browse = true`"),
    ("files", &["gzip_static", "brotli_static", "compressed"], "write `precompressed = true`"),
    ("files", &["follow_symlinks", "disable_symlinks"], "write `symlinks = \"never\"`"),
    ("files", &["dotfiles", "dot_files"], "write `hidden = true`"),
    ("files", &["fallback", "spa"], "write `spa_fallback = \"/index.html\"`"),
    ("files", &["expires", "max_age"], "write `cache_control = \"max-age=3600\"`"),
    ("files", &["mime_types", "mime"], "write `types = { \".foo\" = \"text/x-foo\" }`"),
    ("routes", &["redir", "redirects"], "write `redirect = \"https://{host}{path}{query}\"`"),
    ("routes", &["method"], "write `methods = [\"GET\"]`"),
    ("routes", &["header"], "write `headers = { X-Version = \"2\" }`"),
    ("merge", &["timeout"], "write `merge_timeout = \"10s\"` beside `merge`"),
    ("when", &["header", "header_regexp"], "write `headers = { X-Version = \"2\" }`"),
    ("when", &["param", "params", "args", "arg", "query_string"], "write `query = { page = \"2\" }`"),
    ("when", &["uri", "location", "prefix", "path_prefix"], "write `path = \"/api\"`"),
    ("when", &["host", "hosts", "clients"], "it belongs to the match of a route"),
    (
        "routes",
        &["allow", "source_ip", "remote_ip", "client_ip", "client", "from"],
        "write `clients = [\"10.0.0.0/8\"]`",
    ),
    (
        "routes",
        &["proxy_request_buffering", "buffering", "buffer"],
        "write `request_body = \"buffer\"` or `\"stream\"`",
    ),
    ("routes", &["stripprefix", "handle_path", "strip"], "write `strip_prefix = \"/api\"`"),
    (
        "routes",
        &["host_header", "preserve_host"],
        "for the `Host` field write `upstream_host = \"app.internal\"`",
    ),
    (
        "routes",
        &["proxy_set_header", "header_up", "request_header", "headers_up", "http_request"],
        "write `request_headers = { set = { X-Client = \"{client_ip}\" } }`; for `Host` `upstream_host`",
    ),
    (
        "routes",
        &["add_header", "header_down", "response_header", "http_response", "proxy_hide_header"],
        "write `response_headers = { set = { Cache-Control = \"no-store\" }, remove = [\"Server\"] }`",
    ),
    ("routes", COMPRESSES, "write `compress = true`"),
    ("defaults", COMPRESSES, "write `compress = true`"),
    ("routes", &["gunzip"], "write `decompress = true`"),
    (
        "compress",
        &["algorithms", "algo", "encoders", "encoding", "codecs"],
        "write `encodings = [\"br\", \"gzip\"]`",
    ),
    ("compress", &["level", "quality", "gzip_comp_level"], "write `levels = { zstd = 3, br = 4, gzip = 5 }`"),
    (
        "compress",
        &["min_length", "minimum_length", "gzip_min_length", "min_bytes", "threshold"],
        "write `min_size = \"1KiB\"`",
    ),
    (
        "compress",
        &["gzip_types", "mime_types", "content_types", "content_type"],
        "write `types = [\"text/*\"]`",
    ),
    ("levels", &["brotli"], "write `br = 4`"),
    ("timeouts", &["response", "header", "server", "proxy_read_timeout"], "write `read = \"60s\"`"),
    ("timeouts", &["write", "client", "request"], "write `send = \"60s\"`"),
    ("timeouts", &["dial"], "write `connect = \"5s\"`"),
    ("redirect", &["url", "location", "target"], "write `to = \"https://{host}{path}{query}\"`"),
    ("edits", &["delete", "drop", "unset"], "write `remove = \"/secret\"`"),
    ("edits", &["move", "from"], "write `rename = \"/name\", to = \"/full_name\"`"),
    ("edits", &["add", "replace", "test", "op"], "write `set = \"/source\", value = \"{route}\"`"),
    ("edits", &["pick", "only", "include"], "write `keep = [\"/id\"]`"),
    ("redirect", &["code", "permanent"], "write `status = 308`"),
    ("respond", &["code"], "write `status = 403`"),
    ("respond", &["text", "content"], "write `body = \"text\"`"),
    ("respond", &["type"], "write `content_type = \"text/plain\"`"),
    ("rewrite", &["from", "pattern", "match"], "write `regex = \"^/old/(.*)$\"`"),
    ("rewrite", &["replacement", "with"], "write `to = \"/new/$1\"`"),
    (
        "endpoints",
        &["max_fails", "fail_timeout", "slow_start", "outlier", "health"],
        "it holds for all servers of the upstream: see `outlier`, `health` and `slow_start` there",
    ),
    ("endpoints", &["down", "drain", "disabled"], "take it off the list, or use `palisade endpoint disable`"),
    ("health", &["uri", "url", "endpoint", "http_path", "target"], "write `path = \"/health\"`"),
    (
        "tls",
        &["sni", "server_name", "ssl_name", "proxy_ssl_name", "hostname"],
        "write `name = \"app.internal\"`",
    ),
    (
        "tls",
        &["ca_file", "cafile", "trusted_certificate", "roots", "client_ca_file"],
        "write `ca = \"internal-ca.pem\"`",
    ),
    (
        "tls",
        &["cert", "crt", "certificate_file", "client_certificate", "key_file", "certificate_key"],
        "write `certificate = \"client.pem\", key = \"client.key\"`",
    ),
    (
        "tls",
        &["insecure", "insecure_skip_verify", "skip_verify", "ssl_verify"],
        "name the authority of the servers: `ca = \"internal-ca.pem\"`",
    ),
    ("health", &["unhealthy_threshold", "fails", "max_fails", "failures"], "write `fall = 3`"),
    ("health", &["healthy_threshold", "passes", "min_successes", "successes"], "write `rise = 2`"),
    ("health", &["expected_statuses", "expect_status", "match", "codes"], "write `status = [\"2xx\"]`"),
    ("health", &["expect_body", "expect_string", "send_expect", "text"], "write `body = \"ok\"`"),
    ("retry", &["tries", "num_retries", "count", "max"], "write `attempts = 1`: how often it is sent again"),
    ("retry", &["per_try_timeout", "timeout"], "write `try_timeout = \"2s\"`"),
    ("retry", &["retry_on", "conditions", "status", "statuses"], "write `on = [\"connect\", \"503\"]`"),
    ("endpoints", &["server", "url", "host", "port"], "write `address = \"10.0.0.1:8080\"`"),
    ("server", &["worker_processes", "threads", "nbthread", "worker"], "write `workers = 2`"),
    ("server", &["worker_connections", "maxconn", "max_conns"], "write `max_connections = 10000`"),
    ("server", &["keepalive_timeout", "timeout"], "write `idle_timeout = \"60s\"`"),
    (
        "server",
        &["client_header_timeout", "header_timeout", "read_timeout"],
        "write `head_timeout = \"10s\"`",
    ),
    ("server", &["write_timeout", "client_send_timeout"], "write `send_timeout = \"60s\"`"),
    ("server", &["set_real_ip_from", "trusted_ips", "real_ip"], "write `trusted_proxies = [\"10.0.0.0/8\"]`"),
    (
        "server",
        &["shutdown_timeout", "grace_timeout", "grace_period", "worker_shutdown_timeout"],
        "write `drain_timeout = \"30s\"`",
    ),
    (
        "server",
        &["listen", "bind", "port", "address"],
        "write a section `[listeners.NAME]` with `address = \":80\"`",
    ),
    (
        "server",
        &["server_name", "location", "root", "proxy_pass"],
        "hosts and paths belong in `[routes.NAME]`",
    ),
    (
        "server",
        &["client_max_body_size"],
        "write `max_body_size = \"10MiB\"` in `[routes.NAME]` or `[defaults]`",
    ),
    ("defaults", &["timeout", "proxy_read_timeout", "read_timeout"], "write `timeouts = { read = \"60s\" }`"),
    ("defaults", &["client_max_body_size", "body_limit"], "write `max_body_size = \"10MiB\"`"),
    ("defaults", &["upstream", "redirect", "respond"], "a target belongs to each `[routes.NAME]`"),
    (
        "defaults",
        &["host", "hosts", "path", "path_exact", "path_regex", "methods", "headers", "query", "clients"],
        "what a route matches belongs to each `[routes.NAME]`",
    ),
    ("admin", &["listen", "bind", "port", "addr"], "write `address = \"127.0.0.1:9900\"`"),
    ("admin", &["unix", "socket_path"], "write `socket = \"/run/palisade/admin.sock\"`"),
    ("log", &["access_log", "file", "path", "output"], "write `access = \"stdout\"`"),
    ("log", &["log_format", "encoding"], "write `format = \"json\"`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_is_not_there_yet() {
        for (place, words) in PLANNED {
            for word in *words {
                let exists = match SECTIONS.iter().find(|section| section.name == *place) {
                    Some(section) => section.keys.iter().any(|key| key.name == *word),
                    None => SECTIONS.iter().any(|section| section.name == *word),
                };
                assert!(!exists, "`{word}` in `{place}` is there: take it off the list");
            }
        }
        let keys = super::super::keys::section("listeners").unwrap().keys;
        assert_eq!(hint("listeners", keys, "http3"), "this is not part of this version");
    }

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let keys = ["address", "backlog", "max_body_size"];
        assert_eq!(closest("adress", keys), Some("address"));
        assert_eq!(closest("bakclog", keys), Some("backlog"));
        assert_eq!(closest("max-body-size", keys), Some("max_body_size"));
        assert_eq!(closest("tls", keys), None);
        assert_eq!(closest("", keys), None);
    }
}
