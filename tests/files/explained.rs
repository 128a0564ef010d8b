//! What `explain`, `check` and `files` say and do.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use testkit::{Client, temp_dir};

use crate::stage::{BINARY, write};

fn told(args: &[&str]) -> (bool, String) {
    let output = Command::new(BINARY).args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn explain_names_the_file() {
    let dir = temp_dir();
    write(&dir, "www/index.html", "index");
    write(&dir, "www/app.js", "1234567");
    write(&dir, "www/app.js.gz", "gz");
    write(&dir, "www/folder/x", "x");
    write(
        &dir,
        "palisade.toml",
        r#"
        listeners.http.address = "127.0.0.1:8080"
        routes.static = { path = "/static", strip_prefix = true, files = { root = "www", precompressed = true } }
        routes.page = { path = "/page", files = { root = "www", browse = true, spa_fallback = "/index.html" } }
        routes.all.files = { root = "www", browse = true }
        "#,
    );
    let config = dir.join("palisade.toml");
    for (url, expected) in [
        (
            "http://a/static/app.js",
            "answer     200 with app.js: 7 bytes of text/javascript; charset=utf-8, also gzip\n",
        ),
        ("http://a/static/", "200 with index.html: 5 bytes"),
        ("http://a/static", "308 to the same path with a slash"),
        ("http://a/static/missing", "404, no_file"),
        ("http://a/static/.env", "404, no_file"),
        ("http://a/page/missing", "200 with /index.html for whoever takes text/html, 404 for others"),
        ("http://a/folder/", "200 with a list of the folder"),
        ("http://a/folder", "308 to the same path"),
    ] {
        let (fine, text) = told(&["explain", "-c", config.to_str().unwrap(), url]);
        assert!(fine && text.contains(expected), "{url}: {text}");
        assert!(text.contains(&format!("files      {}/www", dir.display())), "{text}");
    }
    let (_, text) = told(&["explain", "-c", config.to_str().unwrap(), "PUT", "http://a/x"]);
    assert!(text.contains("405, files are only read"), "{text}");
    let (fine, text) = told(&["check", "-c", config.to_str().unwrap()]);
    assert!(fine, "{text}");
}

#[test]
fn a_folder_is_served_without_a_file_of_configuration() {
    let dir = temp_dir();
    write(&dir, "a.txt", "hello");
    let folder = dir.to_str().unwrap();
    let mut child = Command::new(BINARY)
        .args(["files", folder, "--listen", "127.0.0.1:0", "--browse"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.into_iter().find_map(|line| {
        line.strip_prefix("palisade: listener http on ").map(|address| address.parse().unwrap())
    });
    let address: std::net::SocketAddr = address.expect("a listener");
    let mut client = Client::connect(address);
    assert_eq!(client.get("/a.txt").text(), "hello");
    assert!(client.get("/").text().contains("href=\"./a.txt\""));
    child.kill().unwrap();
    child.wait().unwrap();

    let (fine, text) = told(&["files", folder, "--print"]);
    assert!(fine && text.contains(&format!("root = \"{folder}\", browse = false")), "{text}");
    let (fine, text) = told(&["files", "/nowhere-at-all", "--print"]);
    assert!(!fine && text.contains("`/nowhere-at-all` is not there"), "{text}");
}
