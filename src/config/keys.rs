//! Every key a user can type: the one description behind the check of unknown keys and of types, the JSON
//! Schema and the reference in docs/configuration.md. A key that is not read fails a test.
//! One file per group of sections.

mod auth;
mod bodies;
mod error_pages;
mod filters;
mod process;
mod route;
mod tls;
mod upstream;

pub use error_pages::*;
pub use process::*;
pub use route::*;
pub use tls::*;
pub use upstream::*;

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
    /// Whatever TOML can say.
    Any,
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
        name: "certificates",
        noun: Some("certificate"),
        doc: "What listeners with `tls` show to clients. A client gets the one for the name that it asks for (SNI): \
              exactly, by a wildcard, or the default; of several one that is valid now, then ECDSA before RSA when \
              the client can verify it, then the newest. An expired one is shown when there is no other. The \
              files are looked at every second, and what is new in them is used from the next handshake on; a \
              broken pair changes nothing.",
        keys: CERTIFICATE,
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
              is needed, and each has exactly one of `upstream`, `split`, `merge`, `redirect`, `respond` and \
              `files`.",
        keys: ROUTE,
    },
    Section {
        name: "defaults",
        noun: None,
        doc: "Options for all routes with an upstream. A route's own option wins; `timeouts` are merged key by key.",
        keys: DEFAULTS,
    },
    Section {
        name: "error_pages",
        noun: Some("error page"),
        doc: "Pages for statuses, in place of the proxy's own. The page of the most specific host wins, then the one \
              for the fewest statuses. Each has exactly one of `file` and `body`. A client that asks for JSON first \
              gets a page only when that is JSON; a call of gRPC gets none.",
        keys: ERROR_PAGE,
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
