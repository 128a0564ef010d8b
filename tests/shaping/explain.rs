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
        response_headers = [{ remove = ["Server"], when = { methods = ["GET"], status = ["404", "5xx"], content_type = ["text/*"] } }, { remove = ["Age"], when = { path = "/a", headers = { X-A = true, X-B = false }, query = { c = "1", d = { regex = "^2" } } } }]
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
        "answer     without Age, when the path is under /a and the header x-a is there and the header x-b is not there \
         and the query parameter c is `1` and the query parameter d matches `^2`",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}

#[test]
fn a_method_that_is_never_served_is_told() {
    let config = "listeners.http.address = \"127.0.0.1:80\"\nroutes.all.respond = { status = 200 }";
    let told = explain(config, &["TRACE", "http://shop.test/"]);
    assert!(told.contains("answer     405, TRACE is never served"), "{told}");
}

#[test]
fn changes_of_bodies_and_pages_are_told() {
    let told = explain(
        r#"
        listeners.http.address = "127.0.0.1:80"
        upstreams.a.endpoints = ["127.0.0.1:81"]
        [error_pages.missing]
        statuses = ["404", "5xx"]
        hosts = ["*.test"]
        body = "{{status}}"
        intercept = true
        status = 410
        [error_pages.elsewhere]
        statuses = ["404"]
        hosts = ["other.test"]
        body = "x"
        [routes.all]
        upstream = "a"
        replace = { rules = [{ from = "old", to = "{host}" }, { regex = "v(.)", to = "$1" }], once = true }
        request_json = { edits = [{ remove = "/a" }, { keep = ["/b", "/c"] }] }
        response_json = { edits = [{ rename = "/a", to = "/b" }, { set = "/c", value = 1 }, { wrap = "/d" }, { unwrap = "/e" }] }
        "#,
        &["http://shop.test/"],
    );
    for line in [
        "request    JSON without /a",
        "request    of JSON only /b and /c",
        "answer     JSON with /a at /b",
        "answer     JSON with a value at /c",
        "answer     JSON as a whole at /d",
        "answer     of JSON what is at /e",
        "answer     `old` becomes `{host}` in text/html, once",
        "answer     regex `v(.)` becomes `$1` in text/html, once",
        "page       missing for 404 or 500-599, answered as 410, also in place of what upstreams answer",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains("elsewhere"), "{told}");
    let told = explain(
        "listeners.http.address = \"127.0.0.1:80\"\nupstreams.a.endpoints = [\"127.0.0.1:81\"]\n\
         [routes.all]\nmerge = { user = { upstream = \"a\", path = \"/u/{query.id}\", optional = true } }",
        &["http://shop.test/"],
    );
    assert!(told.contains("merge      user is GET /u/{query.id} of a, or null"), "{told}");
    assert!(told.contains("merge      all within 60s"), "{told}");
}
