//! Every key a user can type: the one description behind the check of unknown keys and of types, the JSON
//! Schema and the reference in docs/configuration.md. A key that is not read fails a test.
//! Long, because it is one flat table.

mod upstream;

pub use upstream::UPSTREAM;
#[cfg(test)]
pub use upstream::{BREAKER, ENDPOINT, HEALTH, OUTLIER, POOL, STICKY};

/// `[name]`, or `[name.NAME]` when it has a noun.
pub struct Section {
    pub name: &'static str,
    /// What one `[name.NAME]` is called; `None` for a section that is there once.
    pub noun: Option<&'static str>,
    pub doc: &'static str,
    pub keys: &'static [Key],
}

pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub absent: Absent,
    pub doc: &'static str,
}

/// What it means that the key is not there.
pub enum Absent {
    Mistake,
    /// Nothing, or what the doc says.
    Off,
    /// This value, as a user would write it.
    Means(&'static str),
}

/// What may stand behind the `=`.
pub enum Kind {
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    /// One of these.
    Number(&'static [i64]),
    /// "250ms", "5s", "2m", "1h", "1m30s".
    Duration,
    /// "64KiB" or a number of bytes; `Size { word }` may also be a word such as "unlimited".
    Size {
        word: Option<&'static str>,
    },
    /// "1KiB/s" or a number of bytes per second.
    Rate,
    /// Any string; what it is, for people.
    Text(&'static str),
    OneOf(&'static [&'static str]),
    ListOf(&'static Kind),
    /// Names of the user's choice.
    MapOf(&'static Kind),
    Table(&'static [Key]),
    Either(&'static [Kind]),
}

impl Kind {
    /// The keys of the table that may stand here, also in a list.
    pub fn table_keys(&self) -> Option<&'static [Key]> {
        match self {
            Kind::Table(keys) => Some(keys),
            Kind::ListOf(kind) | Kind::MapOf(kind) => kind.table_keys(),
            Kind::Either(kinds) => kinds.iter().find_map(Kind::table_keys),
            _ => None,
        }
    }
}

pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

/// Outside of all sections.
pub const ROOT: &[Key] = &[Key {
    name: "include",
    kind: Kind::ListOf(&Kind::Text("file name")),
    absent: Absent::Off,
    doc: "More files, relative to this one; `*` and `?` match names: `[\"conf.d/*.toml\"]`. Their tables are \
          merged with the ones here; the same name in two files is an error.",
}];

pub const SECTIONS: &[Section] = &[
    Section {
        name: "listeners",
        noun: Some("listener"),
        doc: "Where clients connect. At least one is needed.",
        keys: LISTENER,
    },
    Section {
        name: "upstreams",
        noun: Some("upstream"),
        doc: "Named groups of servers that requests are sent to.",
        keys: UPSTREAM,
    },
    Section {
        name: "routes",
        noun: Some("route"),
        doc: "Which request is answered by what. A request takes the route whose match is most specific: exact \
              host before wildcard before any; exact path before the longest prefix before regex; then method, \
              then the number of header and query conditions. The order in the file never matters. At least one \
              is needed, and each has exactly one of `upstream`, `split`, `redirect` and `respond`.",
        keys: ROUTE,
    },
    Section {
        name: "defaults",
        noun: None,
        doc: "Options for all routes with an upstream. A route's own option wins; `timeouts` are merged key by key.",
        keys: DEFAULTS,
    },
    Section {
        name: "dns",
        noun: None,
        doc: "How names of servers are looked up. A name is asked for again when the time to live (TTL) of its \
              answer is over. When a look-up fails, or says that there is nothing, what was found before is used \
              on for `keep_stale`, and the next look-ups come ever more slowly, up to one a minute.",
        keys: DNS,
    },
    Section { name: "server", noun: None, doc: "The process, and its patience with clients.", keys: SERVER },
    Section { name: "admin", noun: None, doc: "For operators and machines.", keys: ADMIN },
    Section { name: "log", noun: None, doc: "The access log.", keys: LOG },
];

pub const LISTENER: &[Key] = &[
    Key {
        name: "address",
        kind: Kind::Text("address"),
        absent: Absent::Mistake,
        doc: "`\"0.0.0.0:80\"`, `\"[::]:80\"` (IPv6 and IPv4), `\":80\"` (the same), or a Unix socket \
              `\"unix:/run/palisade.sock\"`. Port 0 takes a free port.",
    },
    Key {
        name: "backlog",
        kind: Kind::Integer { min: 1, max: 65535 },
        absent: Absent::Means("4096"),
        doc: "Connections that the kernel holds until they are accepted.",
    },
];

const CONDITION: Kind = Kind::Either(&[Kind::Boolean, Kind::Text("value"), Kind::Table(CONDITION_REGEX)]);

pub const CONDITION_REGEX: &[Key] = &[Key {
    name: "regex",
    kind: Kind::Text("regex"),
    absent: Absent::Mistake,
    doc: "Found anywhere in the value unless anchored with `^` and `$`.",
}];

pub const ROUTE: &[Key] = &[
    Key {
        name: "host",
        kind: Kind::Text("host"),
        absent: Absent::Off,
        doc: "Host name, without port: `\"example.com\"`, or `\"*.example.com\"` for one or more labels in front. \
              Any host without it.",
    },
    Key {
        name: "hosts",
        kind: Kind::ListOf(&Kind::Text("host")),
        absent: Absent::Off,
        doc: "Several of them, instead of `host`.",
    },
    Key {
        name: "path",
        kind: Kind::Text("path"),
        absent: Absent::Off,
        doc: "Prefix of whole segments: `/api` covers `/api` and `/api/...`, not `/apis`. Only one of `path`, \
              `path_exact` and `path_regex`; any path without them.",
    },
    Key { name: "path_exact", kind: Kind::Text("path"), absent: Absent::Off, doc: "This path and no other." },
    Key {
        name: "path_regex",
        kind: Kind::Text("regex"),
        absent: Absent::Off,
        doc: "Paths in which the regex is found; anchor it with `^` and `$`.",
    },
    Key {
        name: "methods",
        kind: Kind::ListOf(&Kind::Text("method")),
        absent: Absent::Off,
        doc: "Any of these: `[\"GET\", \"HEAD\"]`. All methods without it.",
    },
    Key {
        name: "headers",
        kind: Kind::MapOf(&CONDITION),
        absent: Absent::Off,
        doc: "All of these: `{ X-Version = \"2\" }` is this value, `true` there at all, `false` not there, \
              `{ regex = \"^2\" }` a regex.",
    },
    Key {
        name: "query",
        kind: Kind::MapOf(&CONDITION),
        absent: Absent::Off,
        doc: "The same for parameters of the query.",
    },
    Key {
        name: "clients",
        kind: Kind::ListOf(&Kind::Text("network")),
        absent: Absent::Off,
        doc: "Addresses of clients: `[\"10.0.0.0/8\", \"::1\"]`. All clients without it.",
    },
    Key {
        name: "upstream",
        kind: Kind::Text("upstream"),
        absent: Absent::Off,
        doc: "Target: the name of an upstream.",
    },
    Key {
        name: "split",
        kind: Kind::MapOf(&Kind::Integer { min: 0, max: 1_000_000 }),
        absent: Absent::Off,
        doc: "Target: several upstreams and their shares: `{ stable = 95, canary = 5 }`.",
    },
    Key {
        name: "split_by",
        kind: Kind::Either(&[Kind::Text("word"), Kind::Table(upstream::HASH_ON)]),
        absent: Absent::Off,
        doc: "Keeps a client at its upstream: `\"client_ip\"`, `\"path\"`, `{ cookie = \"session\" }` and so on, \
              as `hash_on`. Who is in a share stays in it when it grows. By turns without it.",
    },
    Key {
        name: "split_override",
        kind: Kind::Table(OVERRIDE),
        absent: Absent::Off,
        doc: "A request can ask for one of them: with `{ header = \"X-Canary\", upstream = \"canary\" }`, \
              `X-Canary: always` goes there and `X-Canary: never` does not.",
    },
    Key {
        name: "mirror",
        kind: Kind::Either(&[Kind::Text("upstream"), Kind::Table(MIRROR)]),
        absent: Absent::Off,
        doc: "Copies of requests for an upstream whose answers nobody sees; they never delay or change the \
              answer. At most 128 at the same time on each worker, with bodies of 16 MiB in all; others are not \
              made, nor of bodies over 1 MiB or that are not buffered.",
    },
    Key {
        name: "fallback",
        kind: Kind::Either(&[Kind::Text("upstream"), Kind::Table(FALLBACK)]),
        absent: Absent::Off,
        doc: "What answers when the upstream has nobody left: another upstream, by name, or a page.",
    },
    Key {
        name: "redirect",
        kind: Kind::Either(&[Kind::Text("template"), Kind::Table(REDIRECT)]),
        absent: Absent::Off,
        doc: "Target: send the client elsewhere. A string is the `to` of the table.",
    },
    Key { name: "respond", kind: Kind::Table(RESPOND), absent: Absent::Off, doc: "Target: a fixed answer." },
    STRIP_PREFIX,
    REWRITE,
    UPSTREAM_HOST,
    FORWARDED,
    TIMEOUTS,
    RETRY,
    REQUEST_BODY,
    MAX_BODY_SIZE,
];

pub const DEFAULTS: &[Key] =
    &[STRIP_PREFIX, REWRITE, UPSTREAM_HOST, FORWARDED, TIMEOUTS, RETRY, REQUEST_BODY, MAX_BODY_SIZE];

const STRIP_PREFIX: Key = Key {
    name: "strip_prefix",
    kind: Kind::Either(&[Kind::Boolean, Kind::Text("path")]),
    absent: Absent::Means("false"),
    doc: "Whole segments taken off the path for the upstream: with `\"/api\"`, `/api/x` becomes `/x`. `true` is \
          the route's own `path`.",
};

const REWRITE: Key = Key {
    name: "rewrite",
    kind: Kind::Table(REWRITE_KEYS),
    absent: Absent::Off,
    doc: "Another path for the upstream; instead of `strip_prefix`. A path without a match stays as it is.",
};

const UPSTREAM_HOST: Key = Key {
    name: "upstream_host",
    kind: Kind::Text("host"),
    absent: Absent::Off,
    doc: "`Host` towards the upstream; the client's without it.",
};

const FORWARDED: Key = Key {
    name: "forwarded",
    kind: Kind::Boolean,
    absent: Absent::Means("false"),
    doc: "Also send the `Forwarded` field (RFC 7239), beside `X-Forwarded-*`.",
};

const TIMEOUTS: Key = Key {
    name: "timeouts",
    kind: Kind::Table(TIMEOUT_KEYS),
    absent: Absent::Off,
    doc: "Patience with the upstream.",
};

const RETRY: Key = Key {
    name: "retry",
    kind: Kind::Table(RETRY_KEYS),
    absent: Absent::Off,
    doc: "When a request is sent again. What may have changed something at the origin is never sent twice.",
};

const REQUEST_BODY: Key = Key {
    name: "request_body",
    kind: Kind::OneOf(&["buffer", "stream"]),
    absent: Absent::Means("\"buffer\""),
    doc: "`buffer` reads the whole body, into memory and then to disk, before an upstream connection is taken; \
          `stream` passes it on as it arrives.",
};

const MAX_BODY_SIZE: Key = Key {
    name: "max_body_size",
    kind: Kind::Size { word: Some("unlimited") },
    absent: Absent::Means("\"1GiB\""),
    doc: "Largest request body; more is answered with 413. 0 allows none.",
};

pub const REDIRECT: &[Key] = &[
    Key {
        name: "to",
        kind: Kind::Text("template"),
        absent: Absent::Mistake,
        doc: "`{scheme}`, `{host}`, `{path}` (with its slash) and `{query}` (with its `?`, or empty) are \
              filled in; nothing is added by itself: `\"https://{host}{path}{query}\"`.",
    },
    Key {
        name: "status",
        kind: Kind::Number(&[301, 302, 303, 307, 308]),
        absent: Absent::Means("308"),
        doc: "301 and 308 are for ever, 302 and 307 for now; 307 and 308 keep the method, 303 makes it GET.",
    },
];

pub const RESPOND: &[Key] = &[
    Key {
        name: "status",
        kind: Kind::Integer { min: 200, max: 599 },
        absent: Absent::Means("200"),
        doc: "Status of the answer.",
    },
    Key { name: "body", kind: Kind::Text("text"), absent: Absent::Means("\"\""), doc: "Body of the answer." },
    Key {
        name: "content_type",
        kind: Kind::Text("media type"),
        absent: Absent::Means("\"text/plain; charset=utf-8\""),
        doc: "`Content-Type` of the answer.",
    },
];

pub const REWRITE_KEYS: &[Key] = &[
    Key {
        name: "regex",
        kind: Kind::Text("regex"),
        absent: Absent::Mistake,
        doc: "Matched against the path.",
    },
    Key {
        name: "to",
        kind: Kind::Text("path"),
        absent: Absent::Mistake,
        doc: "The new path; `$1` is the first group of the regex.",
    },
];

pub const TIMEOUT_KEYS: &[Key] = &[
    Key {
        name: "connect",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "For a new connection.",
    },
    Key {
        name: "send",
        kind: Kind::Duration,
        absent: Absent::Means("\"60s\""),
        doc: "Between two pieces that the upstream takes.",
    },
    Key {
        name: "read",
        kind: Kind::Duration,
        absent: Absent::Means("\"60s\""),
        doc: "Until the head of the answer, then between two pieces of it.",
    },
];

pub const OVERRIDE: &[Key] = &[
    Key { name: "header", kind: Kind::Text("name"), absent: Absent::Off, doc: "Of the header to look at." },
    Key { name: "cookie", kind: Kind::Text("name"), absent: Absent::Off, doc: "Or of the cookie." },
    Key { name: "query", kind: Kind::Text("name"), absent: Absent::Off, doc: "Or of the parameter." },
    Key {
        name: "upstream",
        kind: Kind::Text("upstream"),
        absent: Absent::Mistake,
        doc: "One of the split; its share may be 0.",
    },
];

pub const MIRROR: &[Key] = &[
    Key { name: "upstream", kind: Kind::Text("upstream"), absent: Absent::Mistake, doc: "Its name." },
    Key {
        name: "percent",
        kind: Kind::Integer { min: 1, max: 100 },
        absent: Absent::Means("100"),
        doc: "How many of the requests are copied.",
    },
];

pub const FALLBACK: &[Key] = &[
    Key {
        name: "upstream",
        kind: Kind::Text("upstream"),
        absent: Absent::Off,
        doc: "Another upstream; or a page:",
    },
    Key {
        name: "status",
        kind: Kind::Integer { min: 200, max: 599 },
        absent: Absent::Off,
        doc: "Status of the page; 200 without it.",
    },
    Key { name: "body", kind: Kind::Text("text"), absent: Absent::Off, doc: "Body of the page." },
    Key {
        name: "content_type",
        kind: Kind::Text("media type"),
        absent: Absent::Off,
        doc: "`Content-Type` of the page.",
    },
];

pub const HALF_CLOSES: &[&str] = &["serve", "cancel"];

pub const DNS: &[Key] = &[
    Key {
        name: "servers",
        kind: Kind::ListOf(&Kind::Text("address")),
        absent: Absent::Off,
        doc: "Name servers: `[\"10.0.0.2\", \"[fd00::2]:5353\"]`; the port is 53 without one. They are asked for \
              names as they are written. Without it those of `/etc/resolv.conf`, with its search list; \
              `/etc/hosts` comes first in any case, and changes of both files are noticed.",
    },
    Key {
        name: "min_ttl",
        kind: Kind::Duration,
        absent: Absent::Means("\"1s\""),
        doc: "A name is not asked for again earlier, even when its TTL is 0.",
    },
    Key {
        name: "max_ttl",
        kind: Kind::Duration,
        absent: Absent::Means("\"5m\""),
        doc: "A name is asked for again at the latest after this.",
    },
    Key {
        name: "timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "For one look-up, over all its tries and servers; each try has a third of it.",
    },
    Key {
        name: "keep_stale",
        kind: Kind::Duration,
        absent: Absent::Means("\"24h\""),
        doc: "How long what was found before is used while look-ups fail; `\"0s\"` is not at all. Afterwards \
              the name has no servers until it resolves again.",
    },
    Key {
        name: "addresses",
        kind: Kind::OneOf(FAMILIES),
        absent: Absent::Means("\"all\""),
        doc: "Which addresses of a name are used: `all`; only those of one kind (`v4`, `v6`); or one kind, and \
              the other where there is none of it (`v4_first`, `v6_first`).",
    },
];

pub const FAMILIES: &[&str] = &["all", "v4_first", "v6_first", "v4", "v6"];

pub const RETRY_KEYS: &[Key] = &[
    Key {
        name: "attempts",
        kind: Kind::Integer { min: 0, max: 20 },
        absent: Absent::Means("1"),
        doc: "How often a request may be sent again, to another endpoint when there is one, within the \
              upstream's `retry_budget`. 0 also keeps a request from moving on when an endpoint cannot be \
              connected to.",
    },
    Key {
        name: "on",
        kind: Kind::ListOf(&Kind::Text("condition")),
        absent: Absent::Means("[\"connect\", \"reset\"]"),
        doc: "After what: `connect` (nothing was sent, so any request moves on), `reset` (the connection ended \
              before the answer), `timeout` (no answer in time), or statuses such as `\"503\"` and `\"5xx\"`. \
              All but `connect` hold for idempotent methods only, and for bodies that were buffered.",
    },
    Key {
        name: "try_timeout",
        kind: Kind::Duration,
        absent: Absent::Off,
        doc: "For the head of the answer to one sending; then it counts as a `timeout`. Without it \
              `timeouts.read` alone holds.",
    },
    Key {
        name: "backoff",
        kind: Kind::Duration,
        absent: Absent::Means("\"25ms\""),
        doc: "The wait before a request is sent again is random up to this, and doubles each time.",
    },
    Key {
        name: "hedge",
        kind: Kind::Text("time or quantile"),
        absent: Absent::Off,
        doc: "When an answer is late, another endpoint is asked too, and the first good answer is taken: after \
              `\"50ms\"`, or later than `\"p95\"` of the upstream's answers of late. Only GET, HEAD and OPTIONS \
              without a body, of clients that do not stick to an endpoint, within the `retry_budget`.",
    },
];

pub const SERVER: &[Key] = &[
    Key {
        name: "workers",
        kind: Kind::Integer { min: 1, max: 1024 },
        absent: Absent::Off,
        doc: "Threads that serve requests. One per core without it.",
    },
    Key {
        name: "trusted_proxies",
        kind: Kind::ListOf(&Kind::Text("network")),
        absent: Absent::Means("[]"),
        doc: "Peers whose `X-Forwarded-*` and `X-Request-ID` are believed.",
    },
    Key {
        name: "max_connections",
        kind: Kind::Integer { min: 1, max: 10_000_000 },
        absent: Absent::Means("10000"),
        doc: "Open client connections, over all workers.",
    },
    Key {
        name: "max_connections_per_client",
        kind: Kind::Integer { min: 0, max: 10_000_000 },
        absent: Absent::Means("0"),
        doc: "Of one address (of one /64 for IPv6); 0 is no limit.",
    },
    Key {
        name: "head_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"10s\""),
        doc: "From the first byte of a request head to its last.",
    },
    Key {
        name: "idle_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"60s\""),
        doc: "A client connection without a request is closed after this.",
    },
    Key {
        name: "min_rate",
        kind: Kind::Rate,
        absent: Absent::Means("\"1KiB/s\""),
        doc: "Slowest a client may send a body or read an answer; `\"0\"` is no minimum.",
    },
    Key {
        name: "rate_grace",
        kind: Kind::Duration,
        absent: Absent::Means("\"10s\""),
        doc: "Time before `min_rate` is enforced.",
    },
    Key {
        name: "send_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"60s\""),
        doc: "A client that takes no byte of an answer for this long is cut off.",
    },
    Key {
        name: "tunnel_idle_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"1h\""),
        doc: "A WebSocket or other tunnel without a byte in either direction is closed after this.",
    },
    Key {
        name: "client_half_close",
        kind: Kind::OneOf(HALF_CLOSES),
        absent: Absent::Means("\"serve\""),
        doc: "What it means when a client ends its side of the connection (FIN) while its answer is awaited. \
              `serve`: it has said all, and gets its answer. `cancel`: it is gone, the request to the upstream is \
              broken off, and the log says 499. Over TCP nobody can tell the two apart; a reset is always a 499.",
    },
    Key {
        name: "body_memory",
        kind: Kind::Size { word: None },
        absent: Absent::Means("\"256MiB\""),
        doc: "Memory for buffered request bodies, over all requests.",
    },
    Key {
        name: "body_disk",
        kind: Kind::Size { word: None },
        absent: Absent::Means("\"8GiB\""),
        doc: "Disk for buffered request bodies, over all requests; 0 is memory only.",
    },
    Key {
        name: "body_folder",
        kind: Kind::Text("folder"),
        absent: Absent::Off,
        doc: "Where they are put, in files without a name. The system's folder for temporary files without it.",
    },
    Key {
        name: "drain_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"30s\""),
        doc: "How long requests in flight may take to finish when the process is told to stop.",
    },
];

pub const ADMIN: &[Key] = &[
    Key {
        name: "address",
        kind: Kind::Text("address"),
        absent: Absent::Off,
        doc: "Metrics, readiness and liveness for machines: `\"127.0.0.1:9900\"`. Off without it.",
    },
    Key {
        name: "socket",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "Unix socket (mode 0600) for `palisade reload`, `status` and `stop`. Off without it.",
    },
];

pub const LOG: &[Key] = &[
    Key {
        name: "access",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "`\"stdout\"`, `\"stderr\"` or a file. No access log without it.",
    },
    Key {
        name: "format",
        kind: Kind::OneOf(&["json", "combined"]),
        absent: Absent::Means("\"json\""),
        doc: "One JSON object per line, or Apache's `combined` line.",
    },
];
