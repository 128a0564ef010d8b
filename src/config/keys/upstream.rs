//! The keys of `[upstreams.NAME]`.

use super::{Absent, Key, Kind};

pub const UPSTREAM: &[Key] = &[
    Key {
        name: "endpoints",
        kind: Kind::ListOf(&Kind::Either(&[Kind::Text("address"), Kind::Table(ENDPOINT)])),
        absent: Absent::Off,
        doc: "The servers: `\"10.0.0.1:8080\"`, `\"[fd00::1]:8080\"`, `\"app.internal:8080\"`, \
              `\"unix:/run/app.sock\"`, or a table with a weight. Each address of a name is a server of its own. \
              Every upstream has `endpoints`, `endpoints_file` or both.",
    },
    Key {
        name: "endpoints_file",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "A file with more servers, relative to this one, for whatever else knows them: one a line, as in \
              the short form, then `weight=N`, `priority=N` or `backup` if need be; `#` begins a comment. It is \
              looked at every second. While it is missing, empty or wrong, the servers of before stay; so \
              replace it as a whole (write another one and rename it). At most 1 MiB and 10000 servers.",
    },
    Key {
        name: "max_endpoints",
        kind: Kind::Integer { min: 1, max: 10_000 },
        absent: Absent::Means("1000"),
        doc: "Most servers that names and `endpoints_file` may bring; more are not used.",
    },
    Key {
        name: "tls",
        kind: Kind::Either(&[Kind::Boolean, Kind::Table(ORIGIN_TLS)]),
        absent: Absent::Means("false"),
        doc: "The servers speak TLS. Their certificates are verified: by the authorities of the system, for the \
              name by which each server is listed. A table instead of `true` sets more. Files are read again at \
              each reload.",
    },
    Key {
        name: "protocol",
        kind: Kind::OneOf(&["http1", "http2", "auto", "fastcgi"]),
        absent: Absent::Means("\"http1\""),
        doc: "What the servers speak. `http2`: HTTP/2, without TLS by prior knowledge; needed for gRPC. `auto`: \
              with TLS HTTP/2 where a server agrees to it, else HTTP/1. Requests share the connections of \
              HTTP/2, up to 100 each or as many as the server allows. `fastcgi`: FastCGI, for php-fpm and the \
              like; needs the table `fastcgi`.",
    },
    Key {
        name: "fastcgi",
        kind: Kind::Table(FASTCGI),
        absent: Absent::Off,
        doc: "What servers with `protocol = \"fastcgi\"` are told (docs/fastcgi.md).",
    },
    Key {
        name: "balance",
        kind: Kind::OneOf(BALANCES),
        absent: Absent::Means("\"round_robin\""),
        doc: "How the next server is chosen: `round_robin` (in turn, smoothly by weight), `least_connections` \
              (the fewest requests under way per weight), `random`, `p2c` (the less busy of two by chance), \
              `least_time` (of two by chance the one that would answer sooner), `ip_hash` (by the client's \
              address), `consistent_hash` (by `hash_on`).",
    },
    Key {
        name: "hash_on",
        kind: Kind::Either(&[Kind::Text("word"), Kind::Table(HASH_ON)]),
        absent: Absent::Off,
        doc: "What `consistent_hash` looks at: `\"client_ip\"`, `\"path\"`, or a table with one of `header`, \
              `cookie` and `query`. A request without it goes by its client's address.",
    },
    Key {
        name: "hash_bound",
        kind: Kind::Integer { min: 0, max: 1000 },
        absent: Absent::Off,
        doc: "Percent. A server with more than this share of what would be fair passes keys on to their next \
              one; at least 100, or 0, which keeps every key where it belongs. 125 for `consistent_hash` and 0 for `ip_hash` without it.",
    },
    Key {
        name: "sticky",
        kind: Kind::Either(&[Kind::Text("name"), Kind::Table(STICKY)]),
        absent: Absent::Off,
        doc: "A signed cookie keeps a client at its server for as long as that is there. A string is its name.",
    },
    Key {
        name: "slow_start",
        kind: Kind::Duration,
        absent: Absent::Means("\"0s\""),
        doc: "A server that comes back takes a growing share of the requests, its whole share after this.",
    },
    Key {
        name: "min_healthy",
        kind: Kind::Integer { min: 0, max: 100 },
        absent: Absent::Means("50"),
        doc: "Percent. With a smaller share of a priority fit to serve, the next priority takes requests too.",
    },
    Key {
        name: "panic_below",
        kind: Kind::Integer { min: 0, max: 100 },
        absent: Absent::Means("50"),
        doc: "Percent. With a smaller share fit to serve, those that were ejected are used again; those that \
              fail their checks are not.",
    },
    Key {
        name: "retry_budget",
        kind: Kind::Integer { min: 0, max: 100 },
        absent: Absent::Means("20"),
        doc: "Percent of the requests that may be sent again, so that a group in trouble is not stormed. One \
              a second is always allowed. What two seconds bring is saved up, and at least ten, for each worker.",
    },
    Key { name: "pool", kind: Kind::Table(POOL), absent: Absent::Off, doc: "Connections to the servers." },
    Key {
        name: "health",
        kind: Kind::Table(HEALTH),
        absent: Absent::Off,
        doc: "Checks of each server, by one prober whatever the number of workers. An empty table connects \
              every 5 s. Off without it.",
    },
    Key {
        name: "outlier",
        kind: Kind::Either(&[Kind::Boolean, Kind::Table(OUTLIER)]),
        absent: Absent::Off,
        doc: "What requests meet takes a server out for a while; `false` turns it off.",
    },
    Key {
        name: "breaker",
        kind: Kind::Table(BREAKER),
        absent: Absent::Off,
        doc: "Circuit breaker: an upstream in trouble gets fewer requests or none for a while, and clients a \
              503 at once. Off without it.",
    },
];

pub const FASTCGI: &[Key] = &[
    Key {
        name: "root",
        kind: Kind::Text("folder"),
        absent: Absent::Mistake,
        doc: "The folder of the scripts as the FastCGI server sees it, from `/` on: `DOCUMENT_ROOT`, and what \
              `SCRIPT_FILENAME` begins with.",
    },
    Key {
        name: "split",
        kind: Kind::Either(&[Kind::Text("ending"), Kind::ListOf(&Kind::Text("ending"))]),
        absent: Absent::Means("\".php\""),
        doc: "How the name of a script ends. The first segment of a path that ends so is the script \
              (`SCRIPT_NAME`), and what is behind it is for the script (`PATH_INFO`). Nothing else is ever called \
              as a script.",
    },
    Key {
        name: "index",
        kind: Kind::Text("name"),
        absent: Absent::Off,
        doc: "The script of a path that holds none and ends in a slash; `index.php` without it. Beside `front` it \
              counts only when it is set.",
    },
    Key {
        name: "front",
        kind: Kind::Text("path"),
        absent: Absent::Off,
        doc: "The script of each path that holds none, such as `\"/index.php\"` (a front controller, nginx's \
              `try_files ... /index.php`). Without it such a path is answered with 404.",
    },
    Key {
        name: "path_info",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "A path may go on behind its script: `/a.php/b` is `/a.php` with `PATH_INFO` `/b`. Off, it is answered \
              with 404, for rules about `/b` or `/a.php` alone would not hold for it.",
    },
    Key {
        name: "keep_connections",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Connections serve further requests. A process of php-fpm serves one connection at a time, also one \
              that is idle: needs `pool.max_connections`, below `pm.max_children`.",
    },
    Key {
        name: "params",
        kind: Kind::MapOf(&Kind::Text("template")),
        absent: Absent::Off,
        doc: "More variables, or other values for those that do not follow from the request: `{ APP_ENV = \
              \"prod\", SERVER_NAME = \"shop.example\" }`. Variables such as `{client_ip}` are filled in \
              (docs/shaping.md).",
    },
];

pub const ORIGIN_TLS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text("host"),
        absent: Absent::Off,
        doc: "The name that must be in the certificate, and that is asked for (SNI). Without it it is the host \
              of the server as it is listed or as its SRV record names it, else its IP address; `localhost` for \
              a Unix socket.",
    },
    Key {
        name: "ca",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "PEM: the authorities that may vouch for the servers, instead of those of the system.",
    },
    Key {
        name: "certificate",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "PEM: shown to servers that ask for a certificate (mTLS), with those that lead to its authority.",
    },
    Key { name: "key", kind: Kind::Text("file name"), absent: Absent::Off, doc: "PEM: its private key." },
    Key {
        name: "min_version",
        kind: Kind::OneOf(super::VERSIONS),
        absent: Absent::Means("\"1.2\""),
        doc: "Oldest version of TLS.",
    },
    Key {
        name: "verify",
        kind: Kind::Boolean,
        absent: Absent::Means("true"),
        doc: "`false` takes any certificate: whoever is on the way can read and change everything.",
    },
];

const BALANCES: &[&str] =
    &["round_robin", "least_connections", "random", "p2c", "least_time", "ip_hash", "consistent_hash"];

pub const HASH_ON: &[Key] = &[
    Key {
        name: "header",
        kind: Kind::Text("name"),
        absent: Absent::Off,
        doc: "The first such header field.",
    },
    Key { name: "cookie", kind: Kind::Text("name"), absent: Absent::Off, doc: "The cookie of this name." },
    Key {
        name: "query",
        kind: Kind::Text("name"),
        absent: Absent::Off,
        doc: "The parameter of this name, as it was sent.",
    },
];

pub const STICKY: &[Key] = &[
    Key { name: "cookie", kind: Kind::Text("name"), absent: Absent::Mistake, doc: "Its name." },
    Key {
        name: "secret",
        kind: Kind::Either(&[Kind::Text("secret"), Kind::ListOf(&Kind::Text("secret"))]),
        absent: Absent::Off,
        doc: "Signs it; at least 16 bytes. Of several the first signs and all are accepted. Without it one is \
              made at each start, so cookies do not outlive a restart and hold on one machine only.",
    },
    Key {
        name: "ttl",
        kind: Kind::Duration,
        absent: Absent::Off,
        doc: "How long a client keeps its server; renewed while it is used. Until the browser closes without it.",
    },
    Key {
        name: "secure",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Browsers send it over TLS only.",
    },
    Key {
        name: "same_site",
        kind: Kind::OneOf(&["strict", "lax", "none"]),
        absent: Absent::Means("\"lax\""),
        doc: "Whether browsers send it with requests from other sites.",
    },
    Key { name: "path", kind: Kind::Text("path"), absent: Absent::Means("\"/\""), doc: "Its `Path`." },
];

pub const ENDPOINT: &[Key] = &[
    Key { name: "address", kind: Kind::Text("address"), absent: Absent::Off, doc: "As in the short form." },
    Key {
        name: "srv",
        kind: Kind::Text("name"),
        absent: Absent::Off,
        doc: "Instead of `address`, and alone: a name whose SRV records tell hosts, ports, weights and \
              priorities: `{ srv = \"_http._tcp.app.internal\" }`.",
    },
    Key {
        name: "weight",
        kind: Kind::Integer { min: 1, max: 65535 },
        absent: Absent::Means("1"),
        doc: "Share of the requests: weights 5, 2, 1 give 5, 2, 1 of every 8.",
    },
    Key {
        name: "backup",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Used when nobody else is left.",
    },
    Key {
        name: "priority",
        kind: Kind::Integer { min: 0, max: 1000 },
        absent: Absent::Means("0"),
        doc: "Servers with the lowest number take the requests; the next ones join when fewer than \
              `min_healthy` of them are fit.",
    },
];

pub const POOL: &[Key] = &[
    Key {
        name: "max_connections",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        absent: Absent::Means("100"),
        doc: "Open connections per endpoint, over all workers. With a `protocol` that shares connections at least one \
              for each worker.",
    },
    Key {
        name: "idle_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"60s\""),
        doc: "A connection unused for this long is closed.",
    },
    Key {
        name: "probe_interval",
        kind: Kind::Duration,
        absent: Absent::Means("\"10s\""),
        doc: "While connections are idle, a TCP connect checks the endpoint this often; `\"0s\"` is never.",
    },
    Key {
        name: "queue_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "How long a request waits when `max_connections` are busy; then it is answered with 503.",
    },
    Key {
        name: "max_queue",
        kind: Kind::Integer { min: 0, max: 10_000_000 },
        absent: Absent::Means("100000"),
        doc: "How many requests may wait for a connection of one endpoint.",
    },
];

pub const HEALTH: &[Key] = &[
    Key {
        name: "path",
        kind: Kind::Text("path"),
        absent: Absent::Off,
        doc: "Asked for with GET. Without it a check only opens a connection. For `protocol = \"fastcgi\"` a \
              path that leads to no script may be one of the server's own: php-fpm's `ping.path`.",
    },
    Key {
        name: "grpc",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("service")]),
        absent: Absent::Off,
        doc: "Instead of `path`: asks `grpc.health.v1.Health` for this service, or with `true` for the server as \
              a whole. `SERVING` passes. Needs `protocol = \"http2\"`, or `\"auto\"` with TLS.",
    },
    Key {
        name: "host",
        kind: Kind::Text("host"),
        absent: Absent::Off,
        doc: "`Host` of the check; the server's address without it.",
    },
    Key {
        name: "headers",
        kind: Kind::MapOf(&Kind::Text("value")),
        absent: Absent::Off,
        doc: "More header fields of the check: `{ Authorization = \"Bearer x\" }`.",
    },
    Key {
        name: "status",
        kind: Kind::ListOf(&Kind::Either(&[Kind::Integer { min: 100, max: 599 }, Kind::Text("statuses")])),
        absent: Absent::Means("[\"2xx\", \"3xx\"]"),
        doc: "Statuses that pass: numbers, `\"2xx\"`, `\"200-204\"`.",
    },
    Key {
        name: "body",
        kind: Kind::Text("text"),
        absent: Absent::Off,
        doc: "Text that must be in the first 256 KiB of the answer.",
    },
    Key {
        name: "port",
        kind: Kind::Integer { min: 1, max: 65535 },
        absent: Absent::Off,
        doc: "Port of the checks; the server's own without it.",
    },
    Key {
        name: "interval",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "Between two checks of a server, give or take a tenth.",
    },
    Key {
        name: "timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"2s\""),
        doc: "A check that takes longer has failed.",
    },
    Key {
        name: "fall",
        kind: Kind::Integer { min: 1, max: 1000 },
        absent: Absent::Means("3"),
        doc: "So many failures in a row take a server out. The very first check decides alone.",
    },
    Key {
        name: "rise",
        kind: Kind::Integer { min: 1, max: 1000 },
        absent: Absent::Means("2"),
        doc: "So many passes in a row bring it back.",
    },
    Key {
        name: "start",
        kind: Kind::OneOf(&["up", "down"]),
        absent: Absent::Means("\"up\""),
        doc: "`down`: no requests before the first check has passed.",
    },
];

pub const OUTLIER: &[Key] = &[
    Key {
        name: "failures",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        absent: Absent::Means("5"),
        doc: "So many failures in a row (connect, reset, time-out, malformed answer) eject a server; 0 is never.",
    },
    Key {
        name: "server_errors",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        absent: Absent::Means("0"),
        doc: "So many answers 500 to 599 in a row do; 0 is never, since a client may know how to cause them.",
    },
    Key {
        name: "success_rate",
        kind: Kind::Integer { min: 0, max: 100 },
        absent: Absent::Means("0"),
        doc: "Percent. A server of whose requests in an interval a smaller share went well is ejected; 0 is never.",
    },
    Key {
        name: "slow_factor",
        kind: Kind::Integer { min: 0, max: 1000 },
        absent: Absent::Means("0"),
        doc: "A server that takes more than this many times what the others take is ejected; 0 is never.",
    },
    Key {
        name: "slow_min",
        kind: Kind::Duration,
        absent: Absent::Means("\"100ms\""),
        doc: "A mean below this is never slow.",
    },
    Key {
        name: "interval",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "How often `success_rate` and `slow_factor` are looked at, over the requests since the last look.",
    },
    Key {
        name: "min_requests",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        absent: Absent::Means("20"),
        doc: "A server with fewer requests in an interval is not judged by it.",
    },
    Key {
        name: "ejection_time",
        kind: Kind::Duration,
        absent: Absent::Means("\"10s\""),
        doc: "The first ejection lasts so long, the second twice as long, and so on.",
    },
    Key {
        name: "max_ejection_time",
        kind: Kind::Duration,
        absent: Absent::Means("\"5m\""),
        doc: "But never longer than this.",
    },
    Key {
        name: "max_ejected",
        kind: Kind::Integer { min: 0, max: 100 },
        absent: Absent::Means("50"),
        doc: "Percent of the servers that may be ejected at the same time, one of two or more always.",
    },
];

pub const BREAKER: &[Key] = &[
    Key {
        name: "max_requests",
        kind: Kind::Integer { min: 1, max: 10_000_000 },
        absent: Absent::Off,
        doc: "Requests under way over all servers, the waiting ones among them. No limit without it.",
    },
    Key {
        name: "max_pending",
        kind: Kind::Integer { min: 1, max: 10_000_000 },
        absent: Absent::Off,
        doc: "Requests that wait for a connection, over all servers. No limit without it.",
    },
    Key {
        name: "max_connections",
        kind: Kind::Integer { min: 1, max: 10_000_000 },
        absent: Absent::Off,
        doc: "Open connections over all servers. No limit without it.",
    },
    Key {
        name: "error_rate",
        kind: Kind::Integer { min: 0, max: 100 },
        absent: Absent::Means("50"),
        doc: "Percent of failures and answers 500 to 599 at which it opens; 0 is never.",
    },
    Key {
        name: "window",
        kind: Kind::Duration,
        absent: Absent::Means("\"10s\""),
        doc: "The requests of so long are looked at.",
    },
    Key {
        name: "min_requests",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        absent: Absent::Means("20"),
        doc: "Fewer requests in a window are no reason to open.",
    },
    Key {
        name: "open_time",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "It stays open so long, then lets a few requests through.",
    },
    Key {
        name: "trickle",
        kind: Kind::Integer { min: 1, max: 10_000 },
        absent: Absent::Means("3"),
        doc: "How many; when all of them go well it closes, when one does not it opens again.",
    },
];
