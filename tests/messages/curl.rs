//! The same with a client that somebody else wrote.

use std::fs;
use std::process::Command;

use testkit::{Origin, canary, pattern, temp_dir};

use crate::stage::Stage;

/// What curl writes to standard output; it must succeed.
#[track_caller]
fn curl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(arguments)
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn curl_reads_and_writes() {
    let stage = Stage::new();
    let url = |path: &str| format!("http://{}{path}", stage.front());
    assert_eq!(curl(&[&url("/canary-7")]), b"7");
    assert_eq!(curl(&["--data", "a=b", &url("/echo")]), b"a=b");
    assert_eq!(curl(&["--http1.0", &url("/chunked/5000")]), pattern(5000));
    assert_eq!(
        curl(&["--http1.0", "--header", "Connection: keep-alive", &url("/canary-1"), &url("/canary-2")]),
        b"12"
    );
    assert_eq!(
        curl(&[
            "--head",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %header{content-length}",
            &url("/bytes/77")
        ]),
        b"200 77"
    );
    assert_eq!(
        curl(&[
            "--write-out",
            "%{num_connects}",
            &url("/canary-1"),
            "--next",
            "--silent",
            "--write-out",
            "%{num_connects}",
            &url("/canary-2")
        ]),
        b"1120"
    );
    canary(stage.front(), &stage.origin);
}

#[test]
fn curl_uploads_what_it_was_invited_to_send() {
    let stage = Stage::new();
    let dir = temp_dir();
    let file = dir.join("upload");
    fs::write(&file, pattern(3_000_000)).unwrap();
    let file = file.to_str().unwrap();
    for path in ["/echo", "/stream/echo"] {
        let url = format!("http://{}{path}", stage.front());
        assert!(
            curl(&["--upload-file", file, "--header", "Expect: 100-continue", &url]) == pattern(3_000_000),
            "{path} with a length"
        );
        let chunked = ["--upload-file", file, "--header", "Transfer-Encoding: chunked", &url];
        assert!(curl(&chunked) == pattern(3_000_000), "{path} in chunks");
    }
    let answer = curl(&[
        "--upload-file",
        file,
        "--write-out",
        "%{http_code}",
        &format!("http://{}/small", stage.front()),
    ]);
    assert!(answer.ends_with(b"413"), "{}", answer.escape_ascii());
    canary(stage.front(), &stage.origin);
}

#[test]
fn curl_follows_redirects_and_speaks_over_unix_sockets() {
    let stage = Stage::before(Origin::echo(), r#"routes.old = { path = "/old", redirect = "/canary-new" }"#);
    assert_eq!(curl(&["--location", &format!("http://{}/old", stage.front())]), b"new");
    let socket = stage.palisade.listener("local").to_string();
    let path = socket.strip_prefix("unix:").unwrap();
    assert_eq!(curl(&["--unix-socket", path, "http://anything/canary-8"]), b"8");
    assert_eq!(
        curl(&["--proxy", &format!("http://{}", stage.front()), "http://a.test/canary-9"]),
        b"9",
        "an absolute target"
    );
    canary(stage.front(), &stage.origin);
}
