//! The table of keys as JSON Schema (draft 2020-12) and as the reference in docs/configuration.md.

use std::fmt::Write;

use super::json::Json;
use super::keys::{Absent, Key, Kind, ROOT, SECTIONS, Section};

/// For editors: it knows keys and kinds. What needs more than one key to judge is left to `check`.
pub fn json_schema() -> Json {
    let mut properties: Vec<(String, Json)> =
        ROOT.iter().map(|key| (key.name.to_string(), key_schema(key))).collect();
    properties.extend(SECTIONS.iter().map(|section| (section.name.to_string(), section_schema(section))));
    Json::object([
        ("$schema", "https://json-schema.org/draft/2020-12/schema".into()),
        ("title", "Palisade configuration".into()),
        ("type", "object".into()),
        ("properties", Json::Object(properties)),
        ("additionalProperties", false.into()),
    ])
}

fn section_schema(section: &Section) -> Json {
    if section.noun.is_none() {
        return table_schema(section.keys).with("description", section.doc);
    }
    Json::object([
        ("type", "object".into()),
        ("propertyNames", Json::object([("pattern", "^[A-Za-z0-9_.-]{1,100}$".into())])),
        ("additionalProperties", table_schema(section.keys)),
        ("description", section.doc.into()),
    ])
}

fn table_schema(keys: &[Key]) -> Json {
    let properties = keys.iter().map(|key| (key.name.to_string(), key_schema(key))).collect();
    let required: Vec<Json> =
        keys.iter().filter(|key| matches!(key.absent, Absent::Mistake)).map(|key| key.name.into()).collect();
    let schema = Json::object([
        ("type", "object".into()),
        ("properties", Json::Object(properties)),
        ("additionalProperties", false.into()),
    ]);
    if required.is_empty() { schema } else { schema.with("required", required) }
}

fn key_schema(key: &Key) -> Json {
    kind_schema(&key.kind).with("description", key.doc)
}

/// A string with `${NAME}` in it may become anything.
fn kind_schema(kind: &Kind) -> Json {
    match kind {
        Kind::Boolean => one_of(vec![type_of("boolean"), variable()]),
        Kind::Integer { min, max } => {
            one_of(vec![type_of("integer").with("minimum", *min).with("maximum", *max), variable()])
        }
        Kind::Number(numbers) => {
            let numbers = numbers.iter().map(|number| Json::from(*number)).collect();
            one_of(vec![Json::object([("enum", Json::Array(numbers))]), variable()])
        }
        Kind::Duration => text("^([0-9]+(ms|s|m|h))+$"),
        Kind::Size { word } => {
            let word = word.map_or(String::new(), |word| format!("|{word}"));
            one_of(vec![natural(), text(&format!("^([0-9]+(B|[KMGT]iB|[kKMG]B)?{word})$"))])
        }
        Kind::Rate => one_of(vec![natural(), text("^(0|[0-9]+(B|[KMGT]iB|[kKMG]B)?/s)$")]),
        Kind::Text(_) => type_of("string"),
        Kind::Any => Json::Object(Vec::new()),
        Kind::OneOf(words) => {
            let words = words.iter().map(|word| Json::from(*word)).collect();
            one_of(vec![Json::object([("enum", Json::Array(words))]), variable()])
        }
        Kind::ListOf(inner) => type_of("array").with("items", kind_schema(inner)),
        Kind::MapOf(inner) => type_of("object").with("additionalProperties", kind_schema(inner)),
        Kind::Table(keys) => table_schema(keys),
        Kind::Either(kinds) => one_of(kinds.iter().map(kind_schema).collect()),
    }
}

fn type_of(name: &str) -> Json {
    Json::object([("type", name.into())])
}

fn natural() -> Json {
    type_of("integer").with("minimum", 0_i64)
}

fn text(pattern: &str) -> Json {
    type_of("string").with("pattern", format!("{pattern}|\\$\\{{").as_str())
}

fn variable() -> Json {
    type_of("string").with("pattern", "\\$\\{")
}

fn one_of(choices: Vec<Json>) -> Json {
    Json::object([("anyOf", Json::Array(choices))])
}

/// Every key with its kind, default and meaning.
pub fn markdown() -> String {
    let mut out = String::from(PREFACE);
    out.push_str("## Several files\n\n");
    for key in ROOT {
        let _ = writeln!(out, "`{}`: {}\n", key.name, key.doc);
    }
    for section in SECTIONS {
        let header = match section.noun {
            Some(_) => format!("[{}.NAME]", section.name),
            None => format!("[{}]", section.name),
        };
        let _ = writeln!(out, "## `{header}`\n\n{}\n", section.doc);
        write_keys(&mut out, section.keys);
        if section.name != "defaults" {
            write_tables(&mut out, section.keys);
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

const PREFACE: &str = "\
# Configuration reference

<!-- Written by `palisade schema --markdown`; edit src/config/keys.rs instead. -->

A configuration is TOML. `palisade check` tells all mistakes with line and hint; `palisade schema` prints a JSON
Schema for editors. The folder `examples/` has whole configurations.

- A duration is `\"250ms\"`, `\"5s\"`, `\"2m\"`, `\"1h\"` or several of them: `\"1m30s\"`.
- A size is `\"64KiB\"`, `\"10MiB\"`, `\"1GiB\"` (powers of 1024), `\"10MB\"` (powers of 1000) or a number of bytes.
- A rate is a size per second: `\"1KiB/s\"`.
- `${NAME}` in a string is the environment variable, `${NAME:-default}` has a default, `$${` is a plain `${`. So can
  numbers and `true` or `false` be given: `workers = \"${WORKERS:-2}\"`.
- Names of listeners, upstreams and routes have letters, digits, `-`, `_` and `.`.

";

fn write_keys(out: &mut String, keys: &[Key]) {
    out.push_str("| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
    for key in keys {
        let default = match key.absent {
            Absent::Mistake => "required".to_string(),
            Absent::Off => String::new(),
            Absent::Means(value) => format!("`{value}`"),
        };
        let _ = writeln!(out, "| `{}` | {} | {default} | {} |", key.name, kind_text(&key.kind), key.doc);
    }
    out.push('\n');
}

/// Tables inside the section, each below its own heading.
fn write_tables(out: &mut String, keys: &[Key]) {
    for key in keys {
        if let Some(inner) = key.kind.table_keys() {
            let _ = writeln!(out, "### `{}`\n", key.name);
            write_keys(out, inner);
        }
    }
}

fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Boolean => "`true`, `false`".to_string(),
        Kind::Integer { min, max } => format!("{min} to {max}"),
        Kind::Number(numbers) => numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
        Kind::Duration => "duration".to_string(),
        Kind::Size { word: Some(word) } => format!("size, `\"{word}\"`"),
        Kind::Size { word: None } => "size".to_string(),
        Kind::Rate => "rate".to_string(),
        Kind::Text(what) => (*what).to_string(),
        Kind::Any => "any value".to_string(),
        Kind::OneOf(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Kind::ListOf(inner) => format!("list of {}", kind_text(inner)),
        Kind::MapOf(inner) => format!("table: name = {}", kind_text(inner)),
        Kind::Table(_) => "table".to_string(),
        Kind::Either(kinds) => kinds.iter().map(kind_text).collect::<Vec<_>>().join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::{self, POOL, SERVER, TIMEOUT_KEYS};
    use super::*;

    /// `key = default` for all keys that have one.
    fn written(keys: &[Key]) -> String {
        let line = |key: &Key| match key.absent {
            Absent::Means(value) => Some(format!("{} = {value}\n", key.name)),
            _ => None,
        };
        keys.iter().filter_map(line).collect()
    }

    /// The defaults in the reference are those of the program: writing them all changes nothing.
    #[test]
    fn told_defaults_are_the_real_ones() {
        let short = "[listeners.a]\naddress = \":80\"\n[upstreams.a]\nendpoints = [\"127.0.0.1:1\"]\n\
                     [routes.a]\nupstream = \"a\"\n[routes.b]\npath = \"/b\"\nrespond = {}\n\
                     [routes.c]\npath = \"/c\"\nredirect = { to = \"/\" }\n\
                     [routes.d]\npath = \"/d\"\nmerge = { a = { upstream = \"a\", path = \"/\" } }\n";
        const MERGE_TIMEOUT: &str = "merge_timeout = \"60s\"\n";
        let pairs = |keys| written(keys).trim_end().replace('\n', ", ");
        let long = format!(
            "[listeners.a]\naddress = \":80\"\n{}[upstreams.a]\nendpoints = [{{ address = \"127.0.0.1:1\", {} }}]\n{}\
             [upstreams.a.pool]\n{}[routes.a]\nupstream = \"a\"\n{}[routes.a.timeouts]\n{}\
             [routes.b]\npath = \"/b\"\nrespond = {{ {} }}\n[routes.c]\npath = \"/c\"\nredirect = {{ to = \"/\", {} }}\n\
             [routes.d]\npath = \"/d\"\nmerge = {{ a = {{ upstream = \"a\", path = \"/\" }} }}\n{MERGE_TIMEOUT}[dns]\n{}[server]\n{}[log]\n{}",
            written(keys::LISTENER),
            pairs(keys::ENDPOINT),
            written(keys::UPSTREAM),
            written(POOL),
            // For another target than this route has.
            written(keys::ROUTE).replace(MERGE_TIMEOUT, ""),
            written(TIMEOUT_KEYS),
            pairs(keys::RESPOND),
            pairs(keys::REDIRECT),
            written(keys::DNS),
            written(SERVER),
            written(keys::LOG),
        );
        let certificate = "[certificates.a]\ncertificate = \"tls/app.pem\"\nkey = \"tls/app.key\"\n";
        let short = format!(
            "{short}[listeners.b]\naddress = \":81\"\ntls = true\n{certificate}[upstreams.a.health]\npath = \"/\"\n[upstreams.a.breaker]\n\
             [upstreams.b]\nendpoints = [\"127.0.0.1:2\"]\nsticky = \"c\"\n"
        );
        let long = format!(
            "{long}[listeners.b]\naddress = \":81\"\ntls = {{ {} }}\n{certificate}{}[upstreams.a.health]\npath = \"/\"\n{}[upstreams.a.outlier]\n{}[upstreams.a.breaker]\n{}\
             [routes.a.retry]\n{}[upstreams.b]\nendpoints = [\"127.0.0.1:2\"]\nsticky = {{ cookie = \"c\", {} }}\n",
            pairs(keys::TLS),
            written(keys::CERTIFICATE),
            written(keys::HEALTH),
            written(keys::OUTLIER),
            written(keys::BREAKER),
            written(keys::RETRY_KEYS),
            pairs(keys::STICKY),
        );
        let dir = crate::config::files_of_every_key();
        let name = dir.join("defaults.toml").display().to_string();
        let config = |text: &str| match crate::config::parse(&name, text) {
            Ok(loaded) => format!("{:#?}", loaded.config),
            Err(report) => panic!("{report}\n{text}"),
        };
        assert_eq!(config(&short), config(&long));
    }
}
