//! The keys of what is changed in bodies: part of `[routes.NAME]` and `[defaults]`.

use super::{Absent, Key, Kind};

pub const REPLACE: Key = Key {
    name: "replace",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(REPLACE_KEYS)]),
    absent: Absent::Off,
    doc: "Text in answers that is replaced while they pass: `{ rules = [{ from = \"http://old\", to = \
          \"https://{host}\" }] }`. The upstream is asked for answers without compression, and for no parts; a \
          compressed one is left alone. `false` leaves out that of `[defaults]`.",
};

const REPLACE_KEYS: &[Key] = &[
    Key {
        name: "rules",
        kind: Kind::ListOf(&Kind::Table(REPLACE_RULE)),
        absent: Absent::Mistake,
        doc: "At most 64. All texts first, in one pass; then the regexes, line by line.",
    },
    Key {
        name: "types",
        kind: Kind::ListOf(&Kind::Text("media type")),
        absent: Absent::Means("[\"text/html\"]"),
        doc: "Answers of one of these types.",
    },
    Key {
        name: "once",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Each rule holds for the first place only.",
    },
];

const REPLACE_RULE: &[Key] = &[
    Key {
        name: "from",
        kind: Kind::Text("text"),
        absent: Absent::Off,
        doc: "This text, letter by letter; at most 1 KiB. At one place the first rule that fits wins.",
    },
    Key {
        name: "regex",
        kind: Kind::Text("regex"),
        absent: Absent::Off,
        doc: "What it matches within a line; of lines over 64 KiB, within pieces of that length.",
    },
    Key {
        name: "to",
        kind: Kind::Text("text"),
        absent: Absent::Mistake,
        doc: "With `from` a template of the answer, whose values are escaped as its type needs it; with `regex`, `$1` \
              and `${name}` are groups.",
    },
];

pub const REQUEST_JSON: Key = Key {
    name: "request_json",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(JSON_KEYS)]),
    absent: Absent::Off,
    doc: "Changes to the JSON of requests (`application/json`, `application/*+json`), whose bodies are read whole for \
          it: `{ edits = [{ remove = \"/debug\" }] }`. A body with a `Content-Encoding` is answered with 415, one that \
          is no JSON with 400. `false` leaves out those of `[defaults]`.",
};

pub const RESPONSE_JSON: Key = Key {
    name: "response_json",
    kind: Kind::Either(&[Kind::Boolean, Kind::Table(JSON_KEYS)]),
    absent: Absent::Off,
    doc: "The same for answers. The upstream is asked for answers without compression, and for no parts; what cannot \
          be changed is answered with 502.",
};

const JSON_KEYS: &[Key] = &[
    Key {
        name: "edits",
        kind: Kind::ListOf(&Kind::Table(JSON_EDIT)),
        absent: Absent::Mistake,
        doc: "What is done, in this order. Places are pointers (RFC 6901): `/user/name`; `*` is each element of an \
              array.",
    },
    Key {
        name: "max_size",
        kind: Kind::Size { word: None },
        absent: Absent::Means("\"1MiB\""),
        doc: "Larger bodies cannot be changed: 413 for a request, 502 for an answer. At most 16 MiB.",
    },
    Key {
        name: "on_error",
        kind: Kind::OneOf(&["fail", "pass"]),
        absent: Absent::Means("\"fail\""),
        doc: "What becomes of a body that cannot be changed: `fail` answers with an error, `pass` lets it go on as it \
              is, with all that should have been removed.",
    },
];

const JSON_EDIT: &[Key] = &[
    Key { name: "remove", kind: Kind::Text("pointer"), absent: Absent::Off, doc: "Takes this off." },
    Key {
        name: "rename",
        kind: Kind::Text("pointer"),
        absent: Absent::Off,
        doc: "Moves this to the place in `to`, in place of what is there.",
    },
    Key {
        name: "to",
        kind: Kind::Text("pointer"),
        absent: Absent::Off,
        doc: "With `rename`: the new place. Up to the last `*` both are the same.",
    },
    Key {
        name: "set",
        kind: Kind::Text("pointer"),
        absent: Absent::Off,
        doc: "Puts `value` there; objects that are missing on the way are made, and `-` is behind the last element.",
    },
    Key {
        name: "value",
        kind: Kind::Any,
        absent: Absent::Off,
        doc: "With `set`: any value; strings in it are templates.",
    },
    Key {
        name: "wrap",
        kind: Kind::Text("pointer"),
        absent: Absent::Off,
        doc: "Puts the whole at this place: with `\"/data\"` it becomes `{\"data\": ...}`.",
    },
    Key {
        name: "unwrap",
        kind: Kind::Text("pointer"),
        absent: Absent::Off,
        doc: "Takes what is there for the whole.",
    },
    Key {
        name: "keep",
        kind: Kind::ListOf(&Kind::Text("pointer")),
        absent: Absent::Off,
        doc: "Takes off all but these.",
    },
];

pub const MERGE: Key = Key {
    name: "merge",
    kind: Kind::MapOf(&Kind::Table(MERGE_KEYS)),
    absent: Absent::Off,
    doc: "Target: one JSON object of the answers of several upstreams, which are asked at the same time: `{ user = { \
          upstream = \"users\", path = \"/users/{query.id}\" } }`. At most 16; only for GET and HEAD.",
};

pub const MERGE_TIMEOUT: Key = Key {
    name: "merge_timeout",
    kind: Kind::Duration,
    absent: Absent::Means("\"60s\""),
    doc: "How long all of `merge` may take, up to the last byte of the last answer. A member that is not there by then \
          has failed; `timeouts` hold for each of its steps.",
};

const MERGE_KEYS: &[Key] = &[
    Key { name: "upstream", kind: Kind::Text("upstream"), absent: Absent::Mistake, doc: "Its name." },
    Key {
        name: "path",
        kind: Kind::Text("template"),
        absent: Absent::Mistake,
        doc: "What is asked for, and maybe a query. What variables have is percent-encoded: it stays within its segment \
              or parameter.",
    },
    Key {
        name: "optional",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "When it fails, the member is `null`. Without it the whole request fails.",
    },
];
