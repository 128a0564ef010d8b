//! What a client gets for a file that is there, and for one that is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::stage::{Stage, write};

#[test]
fn a_file_comes_with_all_that_is_known_of_it() {
    let stage = Stage::new(
        r#"cache_control = "max-age=60", types = { ".foo" = "text/x-foo" }"#,
        &[("a.txt", "hello"), ("b.foo", "x"), ("c", "x"), ("empty.css", ""), ("d e/ü.html", "<p>")],
    );
    let answer = stage.get("/a.txt");
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("Content-Length"), Some("5"));
    assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(answer.header("Cache-Control"), Some("max-age=60"));
    assert!(answer.header("Last-Modified").is_some_and(|date| date.ends_with(" GMT")), "{}", answer.head);
    let etag = answer.header("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
    assert_eq!(answer.header("Vary"), None);
    for (target, media_type, text) in [
        ("/b.foo", "text/x-foo", "x"),
        ("/c", "application/octet-stream", "x"),
        ("/empty.css", "text/css; charset=utf-8", ""),
        ("/d%20e/%C3%BC.html", "text/html; charset=utf-8", "<p>"),
        ("/d%20e/../a%2etxt?query=1", "text/plain; charset=utf-8", "hello"),
    ] {
        let answer = stage.get(target);
        assert_eq!((answer.status, answer.text()), (200, text), "{target}");
        assert_eq!(answer.header("Content-Type"), Some(media_type), "{target}");
        assert_eq!(answer.header("Content-Length"), Some(&*text.len().to_string()), "{target}");
    }
}

#[test]
fn head_tells_the_same_without_the_body() {
    let stage = Stage::new("", &[("a.txt", "hello"), ("empty", "")]);
    for target in ["/a.txt", "/empty"] {
        let mut client = stage.client();
        let got = client.get(target);
        let told = client.request("HEAD", target, &[], b"");
        assert_eq!(told.status, 200);
        for name in ["Content-Type", "Content-Length", "ETag", "Last-Modified", "Accept-Ranges"] {
            assert_eq!(told.header(name), got.header(name), "{target} {name}");
        }
        assert_eq!(client.get(target).body, got.body, "the connection goes on");
    }
}

#[test]
fn files_are_only_read() {
    let stage = Stage::new("", &[("a.txt", "hello")]);
    let mut client = stage.client();
    for method in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"] {
        let answer = client.request(method, "/a.txt", &[], b"");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("Allow"), Some("GET, HEAD, OPTIONS"), "{method}");
    }
    let answer = client.request("POST", "/a.txt", &[], b"body");
    assert_eq!(answer.status, 405);
    let answer = client.request("OPTIONS", "/a.txt", &[], b"");
    assert_eq!((answer.status, answer.header("Allow")), (204, Some("GET, HEAD, OPTIONS")));
    assert_eq!(client.get("/a.txt").text(), "hello");
}

#[test]
fn what_goes_wrong_is_told_to_client_and_log() {
    let stage = Stage::with("", "", |www| {
        write(www, "a.txt", "hello");
        write(www, "locked.txt", "no");
        write(www, "locked/a.txt", "no");
        fs::set_permissions(www.join("locked.txt"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(www.join("locked"), Permissions::from_mode(0o000)).unwrap();
    });
    // Nobody can be kept out who is root.
    let denied = if rustix::process::geteuid().is_root() { 200 } else { 403 };
    let mut expected = Vec::new();
    for (target, status, reason) in [
        ("/missing", 404, Some("no_file")),
        ("/a.txt/b", 404, Some("no_file")),
        ("/a.txt/", 404, Some("no_file")),
        ("/locked.txt", denied, Some("file_forbidden")),
        ("/locked/a.txt", denied, Some("file_forbidden")),
        ("/a.txt", 200, None),
    ] {
        let answer = stage.ask(target, &[("Accept", "application/json")]);
        assert_eq!(answer.status, status, "{target}");
        if status != 200 {
            assert_eq!(answer.header("Content-Type"), Some("application/problem+json"), "{target}");
            assert!(!answer.text().contains("www"), "{target}: {}", answer.text());
        }
        expected.push((target, status, reason.filter(|_| status != 200)));
    }
    let lines = stage.palisade.wait_access_log(expected.len(), |_| true);
    for (line, (target, status, reason)) in lines.iter().zip(expected) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["status"], status, "{target}");
        assert_eq!(line.get("reason").and_then(|reason| reason.as_str()), reason, "{target}: {line}");
        assert_eq!(line["route"], "all");
    }
    fs::set_permissions(stage.www().join("locked"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_that_are_hidden_are_not_there() {
    let files = [
        (".env", "secret"),
        (".git/config", "secret"),
        ("a/.htpasswd", "secret"),
        ("x.bak", "secret"),
        ("node_modules/x.js", "secret"),
        (".well-known/security.txt", "open"),
        ("x.js", "open"),
    ];
    let stage = Stage::new(r#"hide = ["*.bak", "node_modules"]"#, &files);
    let open = Stage::new("hidden = true", &files);
    for (name, text) in files {
        let target = format!("/{name}");
        assert_eq!(stage.get(&target).status, if text == "open" { 200 } else { 404 }, "{name}");
        assert_eq!(open.get(&target).text(), text, "{name}");
    }
}
