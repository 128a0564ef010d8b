//! Every configuration that we show to users is accepted, by the program and by the JSON Schema; and the
//! reference is the one that the program writes.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use palisade::config::{self, schema};
use testkit::{TempDir, temp_dir, write_example_files};

#[test]
fn every_example_is_accepted() {
    let validate = validator();
    let examples = examples();
    assert!(examples.len() >= 3, "the examples are gone");
    for (name, text) in examples {
        let loaded = config::parse(&name, &text).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(loaded.warnings, [], "{name}");
        validate(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A piece of a configuration in a text shows keys, so it must be valid but need not be complete: what is
/// missing is put in front.
#[test]
fn every_piece_in_the_documents_is_accepted() {
    let validate = validator();
    for (name, text) in pieces() {
        validate(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        config::parse(&name, &completed(&text)).unwrap_or_else(|report| panic!("{name}: {report}"));
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let written = fs::read_to_string("docs/configuration.md").unwrap();
    let hint = "write it with `palisade schema --markdown > docs/configuration.md`";
    assert!(written == schema::markdown(), "{hint}");
}

/// The schema is no rubber stamp, and agrees with the program on unknown keys and wrong kinds.
#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let validate = validator();
    for wrong in [
        "[listeners.a]\nadress = \":80\"",
        "[listeners.a]\naddress = 80",
        "[listeners.a]\naddress = \":80\"\nbacklog = 0",
        "[listeners.\"a b\"]\naddress = \":80\"",
        "[upstreams.a]\nbalance = \"least\"\nendpoints = []",
        "[listeners.a]\nbacklog = 128",
        "[upstreams.a]\nendpoints = [{ address = \"a:80\", weight = 0 }]",
        "[routes.a]\nmax_body_size = \"10m\"",
        "[routes.a]\ntimeouts = { read = \"5\" }",
        "[routes.a]\nheaders = { A = 1 }",
        "[routes.a]\nredirect = { to = \"/\", status = 200 }",
        "[server]\nworkers = \"2\"",
        "[certificates.a]\nkey = \"x\"",
    ] {
        assert!(validate(wrong).is_err(), "{wrong}");
        assert!(config::parse("wrong", wrong).is_err(), "{wrong}");
    }
    validate("[server]\nworkers = \"${WORKERS:-2}\"\nidle_timeout = \"${IDLE}\"").unwrap();
}

fn validator() -> impl Fn(&str) -> Result<(), String> {
    let schema = serde_json::from_str(&schema::json_schema().to_string()).unwrap();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("palisade.json", schema).unwrap();
    let index = compiler.compile("palisade.json", &mut schemas).unwrap();
    move |text| {
        let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
        let value = serde_json::to_value(table).unwrap();
        schemas.validate(&value, index).map_err(|error| error.to_string())
    }
}

fn examples() -> Vec<(String, String)> {
    let paths = fs::read_dir("examples").unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    paths.sort();
    paths.iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

/// The blocks marked `toml` in README.md and docs/*.md.
fn pieces() -> Vec<(String, String)> {
    let docs = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    let documents = docs.chain([Path::new("README.md").to_path_buf()]);
    let mut pieces = Vec::new();
    for path in documents.filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        for (index, block) in text.split("```toml\n").skip(1).enumerate() {
            let block = block.split("```").next().unwrap();
            pieces.push((format!("{}, piece {}", path.display(), index + 1), with_files(block)));
        }
    }
    pieces
}

/// The certificates and folders that are named are others, which are there.
fn with_files(piece: &str) -> String {
    static DIR: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = temp_dir();
        write_example_files(&dir);
        fs::create_dir(dir.join("www")).unwrap();
        fs::write(dir.join("www/index.html"), "").unwrap();
        dir
    });
    let dir = DIR.display().to_string();
    piece.replace("/etc/palisade/tls", &dir).replace("\"/srv/www\"", &format!("\"{dir}/www\""))
}

fn completed(piece: &str) -> String {
    let mut text = piece.to_string();
    let table: toml::Table = piece.parse().unwrap();
    if !table.contains_key("listeners") {
        text.push_str("\n[listeners.completed]\naddress = \"127.0.0.1:0\"\n");
    }
    if !table.contains_key("routes") {
        text.push_str("\n[routes.completed]\npath = \"/completed\"\nrespond = { status = 200 }\n");
    }
    for upstream in referred(&table) {
        if table.get("upstreams").and_then(|all| all.get(&upstream)).is_none() {
            text.push_str(&format!("\n[upstreams.{upstream}]\nendpoints = [\"127.0.0.1:1\"]\n"));
        }
    }
    text
}

fn referred(table: &toml::Table) -> std::collections::BTreeSet<String> {
    let routes = table.get("routes").and_then(|routes| routes.as_table());
    let upstream = |route: &toml::Value| route.get("upstream")?.as_str().map(str::to_string);
    routes.into_iter().flat_map(|routes| routes.values().filter_map(upstream)).collect()
}
