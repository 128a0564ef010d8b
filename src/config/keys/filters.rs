//! The keys of filters, for `[routes.NAME]` and `[defaults]`.

use super::route::CONDITION;
use super::{Absent, Key, Kind};

pub const REQUEST_HEADERS: Key = Key {
    name: "request_headers",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(HEADER_EDITS), Kind::ListOf(&Kind::Table(HEADER_EDITS))]),
    absent: Absent::Off,
    doc: "Changes to the header fields of requests on their way to the upstream; a list of them is made in its \
          order. Those of `[defaults]` come first; `false` leaves these out.",
};

pub const RESPONSE_HEADERS: Key = Key {
    name: "response_headers",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(HEADER_EDITS), Kind::ListOf(&Kind::Table(HEADER_EDITS))]),
    absent: Absent::Off,
    doc: "The same for answers on their way to the client, whatever gave them.",
};

pub const HEADER_EDITS: &[Key] = &[
    Key {
        name: "remove",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Off,
        doc: "Fields to take off: `[\"Server\", \"X-Internal-*\"]`. Happens first.",
    },
    Key {
        name: "rewrite",
        kind: Kind::ListOf(&Kind::Table(HEADER_REWRITE)),
        absent: Absent::Off,
        doc: "Values to change: `[{ name = \"Location\", regex = \"^http:\", to = \"https:\" }]`.",
    },
    Key {
        name: "set",
        kind: Kind::MapOf(&Kind::Text("template")),
        absent: Absent::Off,
        doc: "Fields to write, in place of what is there: `{ X-Client = \"{client_ip}\" }`. A value that is empty \
              leaves the field out.",
    },
    Key {
        name: "default",
        kind: Kind::MapOf(&Kind::Text("template")),
        absent: Absent::Off,
        doc: "Fields to write when they are not there.",
    },
    Key {
        name: "add",
        kind: Kind::MapOf(&Kind::Text("template")),
        absent: Absent::Off,
        doc: "Fields to write beside what is there. Happens last.",
    },
    Key {
        name: "when",
        kind: Kind::Table(WHEN),
        absent: Absent::Off,
        doc: "Only then; all that is named here must hold.",
    },
];

pub const HEADER_REWRITE: &[Key] = &[
    Key { name: "name", kind: Kind::Text("header"), absent: Absent::Mistake, doc: "Of the field." },
    Key {
        name: "regex",
        kind: Kind::Text("regex"),
        absent: Absent::Mistake,
        doc: "What it matches is replaced, wherever it does.",
    },
    Key {
        name: "to",
        kind: Kind::Text("replacement"),
        absent: Absent::Mistake,
        doc: "`$1` and `$name` are what groups of the regex caught.",
    },
];

pub const WHEN: &[Key] = &[
    Key {
        name: "methods",
        kind: Kind::ListOf(&Kind::Text("method")),
        absent: Absent::Off,
        doc: "The request has one of these.",
    },
    Key {
        name: "scheme",
        kind: Kind::OneOf(&["http", "https"]),
        absent: Absent::Off,
        doc: "By which the client came.",
    },
    Key {
        name: "path",
        kind: Kind::Text("path"),
        absent: Absent::Off,
        doc: "The client asks for this path or one below it, by whole segments, whatever `strip_prefix` or `rewrite` \
              make of it. Only one of `path`, `path_exact` and `path_regex`.",
    },
    Key {
        name: "path_exact",
        kind: Kind::Text("path"),
        absent: Absent::Off,
        doc: "The client asks for this path and no other.",
    },
    Key {
        name: "path_regex",
        kind: Kind::Text("regex"),
        absent: Absent::Off,
        doc: "The regex is found in the path that the client asks for.",
    },
    Key {
        name: "headers",
        kind: Kind::MapOf(&CONDITION),
        absent: Absent::Off,
        doc: "The request has all of these, as a route's `headers`: `{ X-Version = \"2\" }` is this value, `true` there \
              at all, `false` not there, `{ regex = \"^2\" }` a regex.",
    },
    Key {
        name: "query",
        kind: Kind::MapOf(&CONDITION),
        absent: Absent::Off,
        doc: "The same for parameters of the query that the client sent.",
    },
    Key {
        name: "status",
        kind: Kind::ListOf(&Kind::Text("status")),
        absent: Absent::Off,
        doc: "The answer has one of these: `[\"404\", \"5xx\", \"301-308\"]`. Not for requests.",
    },
    Key {
        name: "content_type",
        kind: Kind::ListOf(&Kind::Text("media type")),
        absent: Absent::Off,
        doc: "The answer is of one of these: `[\"text/html\", \"image/*\"]`. Not for requests.",
    },
];

pub const STRIP_PREFIX: Key = Key {
    name: "strip_prefix",
    kind: Kind::Either(&[Kind::Boolean, Kind::Text("path")]),
    absent: Absent::Means("false"),
    doc: "Whole segments taken off the path for the upstream or the files: with `\"/api\"`, `/api/x` becomes `/x`. `true` is \
          the route's own `path`.",
};

pub const REWRITE: Key = Key {
    name: "rewrite",
    kind: Kind::Either(&[Kind::Table(REWRITE_KEYS), Kind::ListOf(&Kind::Table(REWRITE_KEYS))]),
    absent: Absent::Off,
    doc: "Another path for the upstream or the files; instead of `strip_prefix`. Of a list the first rule that matches is used. A \
          path without a match stays as it is.",
};

pub const ADD_PREFIX: Key = Key {
    name: "add_prefix",
    kind: Kind::Text("path"),
    absent: Absent::Off,
    doc: "Put before the path for the upstream or the files, behind what `strip_prefix` or `rewrite` made of it: with `\"/v2\"`, \
          `/x` becomes `/v2/x`. `\"/\"` is nothing.",
};

pub const REWRITE_LOCATION: Key = Key {
    name: "rewrite_location",
    kind: Kind::Either(&[Kind::Boolean, Kind::OneOf(&["all"])]),
    absent: Absent::Means("true"),
    doc: "A redirect of the upstream to its own address (the endpoint's, or `upstream_host`) goes to the one that the \
          client asked at, with the prefix that `strip_prefix` took off. `\"all\"` puts the prefix also before \
          redirects that name no host.",
};

pub const REDIRECTS: Key = Key {
    name: "redirects",
    kind: Kind::ListOf(&Kind::Table(REDIRECT_RULE)),
    absent: Absent::Off,
    doc: "Paths that are elsewhere: the first rule that matches sends the client there, other requests go on.",
};

pub const TRAILING_SLASH: Key = Key {
    name: "trailing_slash",
    kind: Kind::OneOf(&["add", "remove", "keep"]),
    absent: Absent::Means("\"keep\""),
    doc: "Redirects (308) to the path with a slash at its end, unless that looks like a file, or without.",
};

pub const WWW: Key = Key {
    name: "www",
    kind: Kind::OneOf(&["add", "remove", "keep"]),
    absent: Absent::Means("\"keep\""),
    doc: "Redirects (308) to the host with `www.` in front, or without. The route has to have both `hosts`.",
};

pub const MAINTENANCE: Key = Key {
    name: "maintenance",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(MAINTENANCE_KEYS)]),
    absent: Absent::Means("false"),
    doc: "Every request gets a 503, but those of clients that are let in.",
};

pub const MAINTENANCE_KEYS: &[Key] = &[
    Key {
        name: "allow",
        kind: Kind::ListOf(&Kind::Text("network")),
        absent: Absent::Off,
        doc: "Addresses of clients that are served: `[\"10.0.0.0/8\"]`.",
    },
    Key {
        name: "retry_after",
        kind: Kind::Duration,
        absent: Absent::Means("\"5m\""),
        doc: "When clients are told to ask again.",
    },
    Key {
        name: "body",
        kind: Kind::Text("text"),
        absent: Absent::Off,
        doc: "Another page than the proxy's own.",
    },
    Key {
        name: "content_type",
        kind: Kind::Text("media type"),
        absent: Absent::Means("\"text/plain; charset=utf-8\""),
        doc: "Of that page.",
    },
];

pub const CORS: Key = Key {
    name: "cors",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(CORS_KEYS)]),
    absent: Absent::Means("false"),
    doc: "Which pages of other origins may use this. Preflights are answered here, and what the upstream says in \
          `Access-Control-*` is replaced. `true` is any page, without cookies.",
};

pub const CORS_KEYS: &[Key] = &[
    Key {
        name: "origins",
        kind: Kind::ListOf(&Kind::Text("origin")),
        absent: Absent::Means("[\"*\"]"),
        doc: "`[\"https://app.example.com\", \"https://*.example.com\"]`.",
    },
    Key {
        name: "methods",
        kind: Kind::ListOf(&Kind::Text("method")),
        absent: Absent::Means("[\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\"]"),
        doc: "That a page may use.",
    },
    Key {
        name: "headers",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Means("[\"*\"]"),
        doc: "That a page may send, beside the harmless ones.",
    },
    Key {
        name: "expose",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Off,
        doc: "That a page may read, beside the harmless ones.",
    },
    Key {
        name: "credentials",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Whether cookies and the like may be sent along; only for `origins` with names.",
    },
    Key {
        name: "max_age",
        kind: Kind::Duration,
        absent: Absent::Means("\"2h\""),
        doc: "How long a browser may remember the answer to a preflight.",
    },
];

pub const COOKIES: Key = Key {
    name: "cookies",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(COOKIES_KEYS)]),
    absent: Absent::Means("false"),
    doc: "Changes to the cookies that the upstream sets. One named `__Host-...` or `__Secure-...` keeps what browsers \
          ask of it for that name.",
};

pub const COOKIES_KEYS: &[Key] = &[
    Key {
        name: "domain",
        kind: Kind::MapOf(&Kind::Text("domain")),
        absent: Absent::Off,
        doc: "`{ \"app.internal\" = \"shop.example.com\" }`; to `\"\"` takes the domain off, so that the cookie is for the \
              host alone.",
    },
    Key {
        name: "path",
        kind: Kind::MapOf(&Kind::Text("path")),
        absent: Absent::Off,
        doc: "Whole segments: `{ \"/app\" = \"/\" }`.",
    },
    Key {
        name: "secure",
        kind: Kind::Either(&[Kind::Boolean, Kind::OneOf(&["auto"])]),
        absent: Absent::Off,
        doc: "Whether the cookie is for HTTPS alone; `\"auto\"` when the client came by it.",
    },
    Key {
        name: "http_only",
        kind: Kind::Boolean,
        absent: Absent::Off,
        doc: "Whether scripts are kept from it.",
    },
    Key {
        name: "same_site",
        kind: Kind::OneOf(&["strict", "lax", "none"]),
        absent: Absent::Off,
        doc: "Whether it is sent with requests that other sites cause.",
    },
];

pub const SECURITY_HEADERS: Key = Key {
    name: "security_headers",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(SECURITY_KEYS)]),
    absent: Absent::Means("false"),
    doc: "Fields that most sites should have, unless the upstream says them itself: `Strict-Transport-Security` (over \
          TLS), `X-Content-Type-Options`, `X-Frame-Options`, `Referrer-Policy`. In a table each has a value, or \
          `false` for none.",
};

pub const SECURITY_KEYS: &[Key] = &[
    Key {
        name: "hsts",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("value")]),
        absent: Absent::Means("\"max-age=63072000\""),
        doc: "`Strict-Transport-Security`, over TLS alone.",
    },
    Key {
        name: "content_type_options",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("value")]),
        absent: Absent::Means("\"nosniff\""),
        doc: "`X-Content-Type-Options`.",
    },
    Key {
        name: "frame_options",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("value")]),
        absent: Absent::Means("\"SAMEORIGIN\""),
        doc: "`X-Frame-Options`.",
    },
    Key {
        name: "referrer_policy",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("value")]),
        absent: Absent::Means("\"strict-origin-when-cross-origin\""),
        doc: "`Referrer-Policy`.",
    },
    Key {
        name: "csp",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("template")]),
        absent: Absent::Off,
        doc: "`Content-Security-Policy`.",
    },
    Key {
        name: "permissions_policy",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("template")]),
        absent: Absent::Off,
        doc: "`Permissions-Policy`.",
    },
    Key {
        name: "cross_origin_opener_policy",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("value")]),
        absent: Absent::Off,
        doc: "`Cross-Origin-Opener-Policy`.",
    },
    Key {
        name: "cross_origin_resource_policy",
        kind: Kind::Either(&[Kind::Boolean, Kind::Text("value")]),
        absent: Absent::Off,
        doc: "`Cross-Origin-Resource-Policy`.",
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

pub const REDIRECT_RULE: &[Key] = &[
    Key {
        name: "regex",
        kind: Kind::Text("regex"),
        absent: Absent::Mistake,
        doc: "Of the path; anchor it with `^` and `$`.",
    },
    Key {
        name: "to",
        kind: Kind::Text("template"),
        absent: Absent::Mistake,
        doc: "As of `redirect`; `$1` and `$name` are what groups of the regex caught.",
    },
    Key {
        name: "status",
        kind: Kind::Number(&[301, 302, 303, 307, 308]),
        absent: Absent::Means("308"),
        doc: "As of `redirect`.",
    },
];
