//! `request_json` and `response_json`.

use testkit::{H2Client, Origin, Script};

use super::stage::Stage;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// An origin that answers JSON with what a test asks for in the path.
fn origin(answer: &'static str) -> Origin {
    Origin::scripted(move |request, _| {
        match request.target.as_str() {
        "/html" => Script::answer_with(200, &[("Content-Type", "text/html")], "{\"secret\":1}"),
        "/coded" => Script::answer_with(200, &[JSON, ("Content-Encoding", "gzip")], "{\"secret\":1}"),
        "/part" => Script::answer_with(206, &[JSON, ("Content-Range", "bytes 0-11/99")], "{\"secret\":1}"),
        "/broken" => Script::answer_with(200, &[JSON], "{\"secret\":1,}"),
        "/twice" => Script::answer_with(200, &[JSON], "{\"secret\":1,\"secret\":2}"),
        "/large" => Script::answer_with(200, &[JSON], format!("{{\"secret\":\"{}\"}}", "x".repeat(2000))),
        "/chunked" => Script::new().send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             8\r\n{\"secret\r\n9\r\n\":1,\"b\":2\r\n1\r\n}\r\n0\r\n\r\n",
        ),
        "/none" => Script::answer_with(204, &[], ""),
        "/empty" => Script::answer_with(200, &[JSON], ""),
        "/empty-chunked" => Script::new().send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        "/known" => Script::new().send("HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\n\r\n"),
        _ => Script::answer_with(
            200,
            &[("Content-Type", "application/problem+json"), ("ETag", "\"one\""), ("Digest", "x")],
            answer,
        ),
    }
    })
}

const ANSWERS: &str = r#"
    [log]
    access = "{dir}/access.log"
    [routes.all]
    upstream = "origin"
    [routes.all.response_json]
    edits = [
      { remove = "/secret" },
      { rename = "/user/name", to = "/user/full_name" },
      { remove = "/items/*/cost" },
      { set = "/source", value = { route = "{route}", status = "{status}", n = 1.50, yes = true, list = ["{query.q}"] } },
      { wrap = "/data" },
    ]
    max_size = 1000
"#;

/// Nothing is no JSON, and there is nothing in it that could slip through.
#[test]
fn an_empty_body_stays_empty_however_it_is_framed() {
    let stage = Stage::new(origin(""), ANSWERS);
    for target in ["/empty", "/empty-chunked"] {
        let answer = stage.get(target, &[("Host", "a")]);
        assert_eq!((answer.status, answer.text()), (200, ""), "{target}");
    }
}

/// A 304 names the tag by which the client knows its answer, also of answers that were left as they are.
#[test]
fn a_304_names_the_tag_that_the_client_has() {
    let replaced = "[routes.replaced]\npath = \"/replaced\"\nupstream = \"origin\"\nstrip_prefix = true\n\
                    replace = { rules = [{ from = \"a\", to = \"b\" }] }";
    let stage = Stage::new(origin(""), &format!("{ANSWERS}{replaced}"));
    for target in ["/known", "/replaced/known"] {
        for tag in ["\"one\"", "W/\"one\""] {
            let answer = stage.get(target, &[("Host", "a"), ("If-None-Match", tag)]);
            assert_eq!((answer.status, answer.header("ETag")), (304, Some(tag)), "{target}");
        }
    }
}

#[test]
fn answers_are_changed_and_numbers_stay_as_they_are() {
    let stage = Stage::new(
        origin(
            r#"{ "n": 12345678901234567890.10, "secret": 1, "user": {"name": "é\u0041"}, "items": [{"id":1,"cost":2}] }"#,
        ),
        ANSWERS,
    );
    let fields = [("Host", "a"), ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1")];
    let answer = stage.get("/x?q=\"\\", &fields);
    let expected = r#"{"data":{"n":12345678901234567890.10,"user":{"full_name":"é\u0041"},"items":[{"id":1}],"source":{"route":"all","status":"200","n":1.50,"yes":true,"list":["\"\\"]}}}"#;
    assert_eq!((answer.status, answer.text()), (200, expected));
    assert_eq!(answer.header("Content-Length"), Some(expected.len().to_string().as_str()));
    assert_eq!(answer.header("ETag"), Some("W/\"one\""));
    assert_eq!(answer.header("Digest"), None);
    let arrived = stage.arrived();
    for gone in ["Accept-Encoding", "Range"] {
        assert_eq!(arrived.headers.all(gone), [""; 0], "{gone}");
    }
    let chunked = stage.get("/chunked", &[("Host", "a")]);
    assert!(chunked.text().starts_with("{\"data\":{\"b\":2,\"source\""), "{}", chunked.text());
    let head = stage.client().request("HEAD", "/x", &[("Host", "a")], b"");
    assert_eq!((head.header("Content-Length"), head.header("ETag")), (None, Some("W/\"one\"")));
    assert_eq!(stage.get("/html", &[("Host", "a")]).text(), "{\"secret\":1}", "no JSON by its type");
    assert_eq!(stage.get("/none", &[("Host", "a")]).status, 204);
}

/// What should be removed does not slip through.
#[test]
fn an_answer_that_cannot_be_changed_is_a_failure_unless_it_may_pass() {
    let paths = ["/coded", "/part", "/broken", "/twice", "/large"];
    let stage = Stage::new(origin("{}"), ANSWERS);
    for path in paths {
        let answer = stage.get(path, &[("Host", "a")]);
        assert_eq!(answer.status, 502, "{path}");
        assert!(!answer.text().contains("secret"), "{path}");
    }
    stage.palisade.wait_access_log(paths.len(), |line| {
        line.contains("\"status\":502") && line.contains("upstream_unfit_answer")
    });
    let stage = Stage::new(origin("{}"), &ANSWERS.replace("max_size", "on_error = \"pass\"\nmax_size"));
    for path in paths {
        let answer = stage.get(path, &[("Host", "a")]);
        assert!(answer.status < 300 && answer.text().starts_with("{\"secret\":"), "{path} {answer:?}");
    }
    assert_eq!(stage.get("/large", &[("Host", "a")]).text().len(), 2013, "all of it");
}

#[test]
fn the_failure_of_an_answer_has_the_page_of_the_operator() {
    let stage = Stage::new(
        origin("[1"),
        &format!("{ANSWERS}\n[error_pages.a]\nstatuses = [\"502\"]\nbody = \"own {{{{status}}}}\""),
    );
    assert_eq!(stage.get("/x", &[("Host", "a")]).text(), "own 502");
}

fn requests(mode: &str, more: &str) -> String {
    format!(
        "[log]\naccess = \"{{dir}}/access.log\"\n[routes.all]\nupstream = \"origin\"\nrequest_body = \"{mode}\"\n[routes.all.request_json]\n\
         edits = [{{ keep = [\"/id\", \"/tags/*/name\"] }}, {{ set = \"/by\", value = \"{{client_ip}}\" }}]\n\
         max_size = 100\n{more}"
    )
}

#[test]
fn requests_are_changed_and_have_their_own_length() {
    for mode in ["buffer", "stream"] {
        let stage = Stage::new(Origin::echo(), &requests(mode, ""));
        let body = br#"{"id":1e400,"evil":true,"tags":[{"name":"a","x":1},{"y":2}]}"#;
        let expected = r#"{"id":1e400,"tags":[{"name":"a"}],"by":"127.0.0.1"}"#;
        let answer = stage.client().request("POST", "/", &[("Host", "a"), JSON], body);
        assert_eq!(answer.status, 200);
        let arrived = stage.arrived();
        assert_eq!(String::from_utf8_lossy(&arrived.body), expected, "{mode}");
        assert_eq!(arrived.headers.all("Content-Length"), [expected.len().to_string()], "{mode}");
        assert_eq!(arrived.headers.all("Transfer-Encoding"), [""; 0], "{mode}");
        let mut client = stage.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send("4\r\n{\"id\r\n4\r\n\": 2\r\n1\r\n}\r\n0\r\n\r\n");
        assert_eq!(client.read_response().status, 200);
        assert_eq!(String::from_utf8_lossy(&stage.arrived().body), r#"{"id":2,"by":"127.0.0.1"}"#, "{mode}");
        // What has another type is no business of it.
        client.request("POST", "/", &[("Host", "a"), ("Content-Type", "text/plain")], b"{\"evil\":1}");
        assert_eq!(stage.arrived().body, b"{\"evil\":1}", "{mode}");
        assert_eq!(client.request("GET", "/", &[("Host", "a"), JSON], b"").status, 200);
    }
}

#[test]
fn a_request_that_cannot_be_changed_does_not_arrive() {
    for mode in ["buffer", "stream"] {
        let stage = Stage::new(Origin::echo(), &requests(mode, ""));
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(100));
        let coded = [("Host", "a"), JSON, ("Content-Encoding", "gzip")];
        let plain = [("Host", "a"), JSON];
        for (fields, body, status) in [
            (&coded[..], "{}", 415),
            (&plain, "{\"id\":1,\"id\":2}", 400),
            (&plain, "{\"id\":1", 400),
            (&plain, long.as_str(), 413),
        ] {
            let answer = stage.client().request("POST", "/", fields, body.as_bytes());
            assert_eq!(answer.status, status, "{mode} {body}");
        }
        let mut client = stage.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len()));
        assert_eq!(client.read_response().status, 413, "{mode}");
        assert_eq!(stage.origin.requests().len(), 0, "{mode}");
        stage.palisade.wait_access_log(2, |line| line.contains("request_json.max_size"));
    }
    let stage = Stage::new(Origin::echo(), &requests("buffer", "on_error = \"pass\""));
    let long = format!("{{\"id\":\"{}\"}}", "x".repeat(100_000));
    for body in ["{\"id\":1", long.as_str()] {
        assert_eq!(stage.client().request("POST", "/", &[("Host", "a"), JSON], body.as_bytes()).status, 200);
        assert!(stage.arrived().body == body.as_bytes());
    }
}

/// What holds for all upstreams is no business of a route that answers itself.
#[test]
fn defaults_leave_other_targets_alone() {
    let stage = Stage::new(
        origin("{}"),
        r#"
        [defaults]
        request_json = { edits = [{ keep = ["/id"] }] }
        response_json = { edits = [{ wrap = "/data" }] }
        replace = { rules = [{ from = "no", to = "yes" }], types = ["*/*"] }
        [routes.all]
        upstream = "origin"
        [routes.bare]
        path = "/bare"
        upstream = "origin"
        request_json = false
        response_json = false
        replace = false
        [routes.fixed]
        path = "/fixed"
        respond = { status = 200, body = '{"no":1}', content_type = "application/json" }
        [routes.merged]
        path = "/merged"
        merge = { a = { upstream = "origin", path = "/a" } }
        "#,
    );
    let post = |path: &str| stage.client().request("POST", path, &[("Host", "a"), JSON], b"{no json");
    assert_eq!((post("/fixed").status, post("/fixed").text()), (200, "{\"no\":1}"));
    assert_eq!(post("/").status, 400);
    assert_eq!((post("/bare").status, post("/bare").text()), (200, "{}"));
    assert_eq!(stage.get("/merged", &[("Host", "a")]).text(), "{\"data\":{\"a\":{}}}");
}

#[test]
fn http2_clients_get_the_same() {
    let edits = "request_json = { edits = [{ remove = \"/a\" }] }\n[routes.all.response_json]";
    let routes = ANSWERS.replace("[routes.all.response_json]", edits);
    let stage = Stage::new(
        origin("{\"secret\":1}"),
        &format!("[listeners.h2]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n{routes}"),
    );
    let mut client = H2Client::connect(stage.palisade.address("h2"));
    let answer = client.request("POST", "/x", &[("content-type", "application/json")], b"{\"a\":1,\"b\":2}");
    assert!(answer.text().starts_with("{\"data\":{\"source\":"), "{}", answer.text());
    assert_eq!(String::from_utf8_lossy(&stage.arrived().body), "{\"b\":2}");
}
