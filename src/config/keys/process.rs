//! The keys of `[listeners.NAME]`, `[dns]`, `[server]`, `[admin]` and `[log]`.

use super::tls::{
    CLIENT_AUTH, CLIENT_CA, CLIENT_CRL, CLIENT_CRL_UNKNOWN, HTTP2, LISTENER_TLS, REDIRECT_TO_HTTPS,
};
use super::{Absent, Key, Kind};

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
    Key {
        name: "proxy_protocol",
        kind: Kind::Either(&[Kind::Boolean, Kind::OneOf(&["v1", "v2"])]),
        absent: Absent::Means("false"),
        doc: "Who connects is a proxy in `trusted_proxies` and begins with a header of the PROXY protocol, of either \
              version or of the one that is named. Its client is the client then. Without a header, or from anybody \
              else, the connection is closed.",
    },
    LISTENER_TLS,
    HTTP2,
    REDIRECT_TO_HTTPS,
    CLIENT_CA,
    CLIENT_AUTH,
    CLIENT_CRL,
    CLIENT_CRL_UNKNOWN,
];

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
        name: "compression_guard",
        kind: Kind::Boolean,
        absent: Absent::Means("true"),
        doc: "A worker that is busy for 70 % of the time compresses with the fastest levels, and from 90 % on not at \
              all, until it is less busy again.",
    },
    Key {
        name: "compression_memory",
        kind: Kind::Size { word: None },
        absent: Absent::Means("\"128MiB\""),
        doc: "What encoders and decoders of each worker may hold. An answer that finds no room is sent as it is.",
    },
    Key {
        name: "drain_timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"30s\""),
        doc: "How long requests in flight may take to finish when the process is told to stop.",
    },
];

pub const HALF_CLOSES: &[&str] = &["serve", "cancel"];

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
