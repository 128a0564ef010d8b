//! The keys of `[routes.NAME]` and `[defaults]`.

use super::auth::FORWARD_AUTH;
use super::bodies::{MERGE, MERGE_TIMEOUT, REPLACE, REQUEST_JSON, RESPONSE_JSON};
use super::filters::*;
use super::tls::{
    CLIENT_AUTH, CLIENT_CA, CLIENT_CERTIFICATE, CLIENT_CRL, CLIENT_CRL_UNKNOWN, MIN_TLS_VERSION,
};
use super::upstream::HASH_ON;
use super::{Absent, Key, Kind};

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
    CLIENT_CERTIFICATE,
    CLIENT_CA,
    CLIENT_AUTH,
    CLIENT_CRL,
    CLIENT_CRL_UNKNOWN,
    MIN_TLS_VERSION,
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
        kind: Kind::Either(&[Kind::Text("word"), Kind::Table(HASH_ON)]),
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
    MERGE,
    MERGE_TIMEOUT,
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
    Key {
        name: "files",
        kind: Kind::Either(&[Kind::Text("folder"), Kind::Table(FILES)]),
        absent: Absent::Off,
        doc: "Target: the files below a folder. A string is the `root` of the table.",
    },
    MAINTENANCE,
    TRAILING_SLASH,
    WWW,
    REDIRECTS,
    FORWARD_AUTH,
    STRIP_PREFIX,
    REWRITE,
    REPLACE,
    REQUEST_JSON,
    RESPONSE_JSON,
    ADD_PREFIX,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    SECURITY_HEADERS,
    CORS,
    COOKIES,
    REWRITE_LOCATION,
    GRPC_WEB,
    COMPRESS,
    DECOMPRESS,
    UPSTREAM_HOST,
    FORWARDED,
    FORWARD_CLIENT_CERTIFICATE,
    TIMEOUTS,
    RETRY,
    REQUEST_BODY,
    MAX_BODY_SIZE,
];

pub const DEFAULTS: &[Key] = &[
    MAINTENANCE,
    TRAILING_SLASH,
    WWW,
    REDIRECTS,
    FORWARD_AUTH,
    STRIP_PREFIX,
    REWRITE,
    REPLACE,
    REQUEST_JSON,
    RESPONSE_JSON,
    ADD_PREFIX,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    SECURITY_HEADERS,
    CORS,
    COOKIES,
    REWRITE_LOCATION,
    GRPC_WEB,
    COMPRESS,
    DECOMPRESS,
    UPSTREAM_HOST,
    FORWARDED,
    FORWARD_CLIENT_CERTIFICATE,
    TIMEOUTS,
    RETRY,
    REQUEST_BODY,
    MAX_BODY_SIZE,
];

pub const CONDITION: Kind = Kind::Either(&[Kind::Boolean, Kind::Text("value"), Kind::Table(CONDITION_REGEX)]);

pub const CONDITION_REGEX: &[Key] = &[Key {
    name: "regex",
    kind: Kind::Text("regex"),
    absent: Absent::Mistake,
    doc: "Found anywhere in the value unless anchored with `^` and `$`.",
}];

const GRPC_WEB: Key = Key {
    name: "grpc_web",
    kind: Kind::Boolean,
    absent: Absent::Means("false"),
    doc: "Calls of gRPC-Web (`application/grpc-web`, `application/grpc-web-text`) become calls of gRPC for the \
          upstream, and their answers are translated back. Other requests stay as they are.",
};

const COMPRESS: Key = Key {
    name: "compress",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(COMPRESS_KEYS)]),
    absent: Absent::Means("false"),
    doc: "Answers are compressed for clients that take that (`Accept-Encoding`). A table says what is not as usual, \
          key by key, also over `[defaults]`.",
};

const DECOMPRESS: Key = Key {
    name: "decompress",
    kind: Kind::Boolean,
    absent: Absent::Means("false"),
    doc: "Answers in gzip, deflate, Brotli or zstd are decompressed for clients that do not take that. What is not \
          what it says, or becomes more than a hundred times larger, is broken off.",
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

const FORWARD_CLIENT_CERTIFICATE: Key = Key {
    name: "forward_client_certificate",
    kind: Kind::Boolean,
    absent: Absent::Means("false"),
    doc: "Tell the upstream what the client's certificate says: `Client-Cert` (RFC 9440) and \
          `X-Client-Cert-Subject`, `-Issuer`, `-San`, `-Serial`, `-Fingerprint` and `-Spiffe`. What clients send \
          under these names never reaches it.",
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

pub const COMPRESS_KEYS: &[Key] = &[
    Key {
        name: "encodings",
        kind: Kind::ListOf(&Kind::OneOf(&["zstd", "br", "gzip"])),
        absent: Absent::Means("[\"zstd\", \"br\", \"gzip\"]"),
        doc: "What may be used; the first of those that a client takes equally.",
    },
    Key {
        name: "types",
        kind: Kind::ListOf(&Kind::Text("media type")),
        absent: Absent::Off,
        doc: "What is compressed: `\"text/html\"`, `\"text/*\"`, `\"application/*+json\"`. Without it what is text in any form, \
              and WebAssembly, SVG and fonts that are not compressed by themselves.",
    },
    Key {
        name: "min_size",
        kind: Kind::Size { word: None },
        absent: Absent::Means("\"1KiB\""),
        doc: "A body that is known to be shorter stays as it is.",
    },
    Key {
        name: "levels",
        kind: Kind::Table(LEVELS),
        absent: Absent::Off,
        doc: "How hard each encoder tries.",
    },
    Key {
        name: "at_origin",
        kind: Kind::Boolean,
        absent: Absent::Means("true"),
        doc: "The upstream sees `Accept-Encoding` and may compress by itself. `false` takes it off, so that all is \
              compressed here.",
    },
];

pub const LEVELS: &[Key] = &[
    Key {
        name: "zstd",
        kind: Kind::Integer { min: 1, max: 12 },
        absent: Absent::Means("3"),
        doc: "Beyond 12 it takes too long for answers that are made on demand.",
    },
    Key {
        name: "br",
        kind: Kind::Integer { min: 1, max: 9 },
        absent: Absent::Means("4"),
        doc: "Of Brotli. 10 and 11 are for files that are compressed once.",
    },
    Key { name: "gzip", kind: Kind::Integer { min: 1, max: 9 }, absent: Absent::Means("5"), doc: "Of gzip." },
];

pub const REDIRECT: &[Key] = &[
    Key {
        name: "to",
        kind: Kind::Text("template"),
        absent: Absent::Mistake,
        doc: "`{scheme}`, `{host}`, `{path}` (with its slash), `{query}` (with its `?`, or empty) and other variables \
              are filled in; nothing is added by itself: `\"https://{host}{path}{query}\"`.",
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

pub const FILES: &[Key] = &[
    Key {
        name: "root",
        kind: Kind::Text("folder"),
        absent: Absent::Mistake,
        doc: "The folder, relative to this file. It may be a link that is swapped while files are served.",
    },
    Key {
        name: "index",
        kind: Kind::ListOf(&Kind::Text("file name")),
        absent: Absent::Means("[\"index.html\"]"),
        doc: "What answers for a folder: the first that is there.",
    },
    Key {
        name: "precompressed",
        kind: Kind::Either(&[Kind::Boolean, Kind::ListOf(&Kind::OneOf(&["br", "zstd", "gzip"]))]),
        absent: Absent::Means("false"),
        doc: "Files that lie beside others with `.br`, `.zst` or `.gz` behind their names, and are not older, go to \
              clients that take them. `true` is all three, in this order.",
    },
    Key {
        name: "browse",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Folders without index are listed, as a page or as JSON.",
    },
    Key {
        name: "try_files",
        kind: Kind::ListOf(&Kind::Text("path")),
        absent: Absent::Off,
        doc: "What else is looked for when nothing is there, in order; `{path}` is the path: `[\"{path}.html\"]`.",
    },
    Key {
        name: "spa_fallback",
        kind: Kind::Text("path"),
        absent: Absent::Off,
        doc: "The page of an application that knows its paths itself, such as `\"/index.html\"`: where there is no \
              file, whoever asks for HTML gets it with 200, everybody else 404.",
    },
    Key {
        name: "hidden",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Serve names that begin with a dot, too. Without it only `/.well-known` is.",
    },
    Key {
        name: "hide",
        kind: Kind::ListOf(&Kind::Text("pattern")),
        absent: Absent::Off,
        doc: "Names of files and folders that are as good as not there: `[\"*.bak\", \"node_modules\"]`.",
    },
    Key {
        name: "symlinks",
        kind: Kind::OneOf(&["inside", "never", "follow"]),
        absent: Absent::Means("\"inside\""),
        doc: "Symbolic links are followed while they stay below the root, never, or wherever they lead.",
    },
    Key {
        name: "cache_control",
        kind: Kind::Text("value"),
        absent: Absent::Off,
        doc: "`Cache-Control` of every file: `\"public, max-age=3600\"`.",
    },
    Key {
        name: "types",
        kind: Kind::MapOf(&Kind::Text("media type")),
        absent: Absent::Off,
        doc: "Media types by extension, before the ones that are known: `{ \".foo\" = \"text/x-foo\" }`.",
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
