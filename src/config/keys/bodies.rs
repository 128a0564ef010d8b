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
