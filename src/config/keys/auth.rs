//! The keys of authentication: part of `[routes.NAME]` and `[defaults]`.

use super::{Absent, Key, Kind};

pub const FORWARD_AUTH: Key = Key {
    name: "forward_auth",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(FORWARD_AUTH_KEYS)]),
    absent: Absent::Off,
    doc: "Another server is asked before each request goes on: `{ upstream = \"auth\", path = \"/verify\" }`. A \
          complete answer of 2xx lets it pass; one of 3xx or 4xx goes to the client as it is; everything else is 502 \
          or 503, and the target never hears of the request. `false` leaves out that of `[defaults]`.",
};

const FORWARD_AUTH_KEYS: &[Key] = &[
    Key { name: "upstream", kind: Kind::Text("upstream"), absent: Absent::Mistake, doc: "Who is asked." },
    Key {
        name: "path",
        kind: Kind::Text("template"),
        absent: Absent::Mistake,
        doc: "What is asked for, and maybe a query. What variables have is percent-encoded. Which request it is about \
              stand in `X-Forwarded-Method`, `-Host`, `-Uri`, `-Proto` and `-For`.",
    },
    Key {
        name: "method",
        kind: Kind::OneOf(&["GET", "same"]),
        absent: Absent::Means("\"GET\""),
        doc: "Of the question, which never has a body; `same` is the client's.",
    },
    Key {
        name: "timeout",
        kind: Kind::Duration,
        absent: Absent::Means("\"5s\""),
        doc: "For the whole answer; then 503.",
    },
    Key {
        name: "upstream_host",
        kind: Kind::Text("host"),
        absent: Absent::Off,
        doc: "`Host` of the question; the client's without it.",
    },
    Key {
        name: "request_headers",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Off,
        doc: "Only these fields of the client are told: `[\"Cookie\", \"Authorization\"]`. Without it all but those \
              that are about the body, the connection, or a part or version of the answer.",
    },
    Key {
        name: "identity",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Off,
        doc: "Fields of an answer that lets pass, for the target: `[\"X-Auth-User\"]`. What the client sends under \
              these names, or any that look alike to some servers, never reaches the target. The first one is the \
              user in the access log.",
    },
    Key {
        name: "require_identity",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Off,
        doc: "Of these, those without which an answer of 2xx does not let pass: 502.",
    },
    Key {
        name: "response_headers",
        kind: Kind::ListOf(&Kind::Text("header")),
        absent: Absent::Off,
        doc: "Fields of an answer that lets pass, for the client, in place of the target's own; `Set-Cookie` beside \
              them.",
    },
];
