//! The keys of `[error_pages.NAME]`.

use super::{Absent, Key, Kind};

pub const ERROR_PAGE: &[Key] = &[
    Key {
        name: "statuses",
        kind: Kind::ListOf(&Kind::Text("status")),
        absent: Absent::Mistake,
        doc: "What it is for: `[\"404\", \"5xx\", \"502-504\"]`; from 400 on.",
    },
    Key {
        name: "hosts",
        kind: Kind::ListOf(&Kind::Text("host")),
        absent: Absent::Off,
        doc: "Requests for one of these, written as in routes: `[\"example.com\", \"*.example.com\"]`. All hosts \
              without it.",
    },
    Key {
        name: "file",
        kind: Kind::Text("file name"),
        absent: Absent::Off,
        doc: "The page, relative to this file: UTF-8, at most 1 MiB. It is read at the start and at a reload.",
    },
    Key {
        name: "body",
        kind: Kind::Text("page"),
        absent: Absent::Off,
        doc: "The page itself, instead of `file`. In both, variables have two braces: `{{status}}`, \
              `{{reason}}`, `{{message}}`, `{{request_id}}`; single braces are text. What a variable has is escaped as \
              the type of the page needs it.",
    },
    Key {
        name: "content_type",
        kind: Kind::Text("media type"),
        absent: Absent::Off,
        doc: "`Content-Type` of the page. Without it, what the name of the file ends in decides (`.html`, `.json`, \
              `.txt`, `.xml`, `.svg`), and else it is `text/html; charset=utf-8`.",
    },
    Key {
        name: "intercept",
        kind: Kind::Boolean,
        absent: Absent::Means("false"),
        doc: "Answers of upstreams with such a status get this page too, in place of their body.",
    },
    Key {
        name: "status",
        kind: Kind::Integer { min: 200, max: 599 },
        absent: Absent::Off,
        doc: "What is answered in place of the status.",
    },
];
