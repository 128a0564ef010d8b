//! `palisade explain` tells what the filters of a route would do.

use std::fs;
use std::process::Command;

fn explain(config: &str, request: &[&str]) -> String {
    let dir = testkit::temp_dir();
    let file = dir.join("palisade.toml");
    fs::write(&file, config).expect("the configuration");
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .args(["explain", "-c"])
        .arg(&file)
        .args(request)
        .output()
        .expect("palisade runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn changes_of_header_fields_are_told() {
    let told = explain(
        r#"
        listeners.http.address = "127.0.0.1:80"
        upstreams.a.endpoints = ["127.0.0.1:81"]
        [routes.all]
        upstream = "a"
        request_headers = { set = { X-A = "{client_ip}" }, default = { X-B = "b" }, add = { X-C = "c" }, remove = ["X-D-*"], rewrite = [{ name = "X-E", regex = "e", to = "f" }] }
        response_headers = { remove = ["Server"], when = { methods = ["GET"], status = ["404", "5xx"], content_type = ["text/*"] } }
        "#,
        &["http://shop.test/"],
    );
    for line in [
        "request    without x-d-*",
        "request    in X-E `e` becomes `f`",
        "request    with X-A: {client_ip}",
        "request    with X-B: b, unless it has one",
        "request    with also X-C: c",
        "answer     without Server, when the method is GET and the status is 404 or 500-599 and it is text/*",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}
