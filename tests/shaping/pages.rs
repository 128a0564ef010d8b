//! `[error_pages.NAME]`.

use std::fs;
use std::time::Duration;

use testkit::{H2Client, Origin, Script, Step};

use super::stage::Stage;

const HANGUP: i32 = 1;
const SOON: Duration = Duration::from_secs(20);

/// One page for every status that the proxy itself answers, and others for one host.
const PAGES: &str = r#"
    [error_pages.any]
    statuses = ["4xx", "5xx"]
    body = "<style>p{color:red}</style>{{status}} {{reason}}|{{message}}|{{path}}|{{request_id}}"
    [error_pages.shop]
    statuses = ["404"]
    hosts = ["shop.test", "*.shop.test"]
    body = '{"shop":{{status}},"query":"{{query.q}}"}'
    content_type = "application/json"
    [error_pages.soft]
    statuses = ["403"]
    body = "soft"
    content_type = "text/plain"
    status = 200
    [error_pages.bad]
    statuses = ["400"]
    body = "bad {{status}} by {{client_ip}}"
    [routes.api]
    path = "/api"
    upstream = "origin"
    [routes.no]
    path = "/no"
    respond = { status = 403, body = "its own" }
"#;

#[test]
fn failures_get_the_page_of_their_host_and_status() {
    let mut stage = Stage::new(Origin::echo(), PAGES);
    let missing = stage.get("/x", &[("Host", "a.test")]);
    assert_eq!((missing.status, missing.header("Content-Type")), (404, Some("text/html; charset=utf-8")));
    let start = "<style>p{color:red}</style>404 Not Found|Nothing is served under this address.|/x|";
    assert!(missing.text().starts_with(start), "{}", missing.text());
    assert_eq!(missing.header("Cache-Control"), Some("no-store"));
    for host in ["shop.test", "a.b.shop.test"] {
        let missing = stage.get("/x?q=\"</script>", &[("Host", host)]);
        assert_eq!(missing.header("Content-Type"), Some("application/json"));
        assert_eq!(missing.text(), "{\"shop\":404,\"query\":\"\\\"</script>\"}");
    }
    stage.origin.stop();
    let failed = stage.get("/api", &[("Host", "shop.test")]);
    assert_eq!(failed.status, 502);
    assert!(failed.text().contains("502 Bad Gateway|The server behind this one gave no valid answer."));
}

#[test]
fn a_value_that_a_client_chose_is_text() {
    let stage = Stage::new(
        Origin::echo(),
        "[error_pages.a]\nstatuses = [\"404\"]\nbody = \"<p>{{target}} {{header.X-In}}\"\n\
         [routes.a]\npath = \"/a\"\nupstream = \"origin\"",
    );
    let page = stage.get("/<script>'x'", &[("Host", "a"), ("X-In", "\"<img onerror=x>&")]);
    let expected = "<p>/&lt;script&gt;&#39;x&#39; &quot;&lt;img onerror=x&gt;&amp;";
    assert_eq!(page.text(), expected);
}

/// Who wants JSON gets JSON, and an answer of the operator is not a failure.
#[test]
fn not_everything_gets_a_page() {
    let stage = Stage::new(Origin::scripted(|_, _| Script::answer(404, "of the origin")), PAGES);
    let json = stage.get("/x", &[("Host", "a.test"), ("Accept", "application/json, */*")]);
    assert_eq!(json.header("Content-Type"), Some("application/problem+json"));
    let json = stage.get("/x", &[("Host", "shop.test"), ("Accept", "application/json")]);
    assert_eq!(json.header("Content-Type"), Some("application/json"));
    assert_eq!(stage.get("/api", &[("Host", "a.test")]).text(), "of the origin");
    let own = stage.get("/no", &[("Host", "a.test")]);
    assert_eq!((own.status, own.text()), (403, "its own"));
    let call = [("Host", "a.test"), ("Content-Type", "application/grpc"), ("TE", "trailers")];
    let call = stage.client().request("POST", "/x", &call, b"");
    assert_eq!((call.status, call.header("grpc-status"), call.text()), (200, Some("12"), ""));
}

/// A head that is no request has a page too, with what is known of it.
#[test]
fn requests_that_cannot_be_read_get_a_page() {
    let stage = Stage::new(Origin::echo(), PAGES);
    let mut client = stage.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let refused = client.read_response();
    assert_eq!((refused.status, refused.text()), (400, "bad 400 by 127.0.0.1"));
    assert_eq!(stage.get("/%zz", &[("Host", "a")]).text(), "bad 400 by 127.0.0.1");
}

#[test]
fn answers_of_upstreams_get_a_page_where_that_is_wanted() {
    let origin = Origin::scripted(|request, _| {
        let fields = [
            ("Content-Type", "text/plain"),
            ("Content-Encoding", "gzip"),
            ("Cache-Control", "max-age=60"),
            ("ETag", "\"a\""),
            ("Last-Modified", "Thu, 26 Nov 2026 06:00:00 GMT"),
            ("WWW-Authenticate", "Basic"),
            ("Set-Cookie", "a=b"),
        ];
        let status = request.target[1..].parse().unwrap_or(200);
        Script::answer_with(status, &fields, "of the origin".repeat(10_000))
    });
    let stage = Stage::new(
        origin,
        r#"
        [error_pages.any]
        statuses = ["401", "5xx"]
        body = "{{status}} of {{upstream.name}}: {{response.WWW-Authenticate}}"
        intercept = true
        [error_pages.gone]
        statuses = ["404"]
        body = "moved"
        intercept = true
        status = 410
        [error_pages.own]
        statuses = ["403"]
        body = "own"
        [routes.all]
        upstream = "origin"
        response_headers = { set = { X-Status = "{status}" } }
        # About what the origin says, not about pages.
        replace = { rules = [{ from = "of", to = "" }] }
        "#,
    );
    let mut client = stage.client();
    for _ in 0..3 {
        let page = client.get("/401");
        assert_eq!((page.status, page.text()), (401, "401 of origin: Basic"));
        for gone in ["Content-Encoding", "ETag", "Last-Modified"] {
            assert_eq!(page.header(gone), None, "{gone}");
        }
        assert_eq!(page.header("Cache-Control"), Some("no-store"));
        assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("WWW-Authenticate"), Some("Basic"));
        assert_eq!(page.header("Set-Cookie"), Some("a=b"));
        assert_eq!(page.header("X-Status"), Some("401"), "the filters of the route follow");
    }
    let page = client.get("/404");
    assert_eq!((page.status, page.text(), page.header("X-Status")), (410, "moved", Some("410")));
    assert_eq!(client.get("/403").text().len(), 130_000, "only pages of the proxy");
    assert_eq!(client.get("/200").status, 200);
    let head = client.request("HEAD", "/500", &[("Host", "a")], b"");
    assert_eq!((head.status, head.text()), (500, ""));
    assert_eq!(head.header("Content-Length"), Some("20"), "that of the page");
}

#[test]
fn a_page_of_a_file_is_read_at_a_reload() {
    let dir = testkit::temp_dir();
    let page = dir.join("404.txt");
    fs::write(&page, "\u{feff}one {{status}}").expect("the page");
    let config = format!(
        "[error_pages.a]\nstatuses = [\"404\"]\nfile = \"{}\"\n\
         [routes.a]\npath = \"/a\"\nupstream = \"origin\"",
        page.display()
    );
    let stage = Stage::new(Origin::echo(), &config);
    let missing = || stage.get("/x", &[("Host", "a")]);
    assert_eq!(missing().header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(missing().text(), "one 404");
    fs::write(&page, "two\n{{statsu}}").expect("the page");
    stage.palisade.signal(HANGUP);
    stage.palisade.wait_stderr("line 2: unknown variable `{{statsu}}`", SOON);
    assert_eq!(missing().text(), "one 404", "as it was");
    fs::write(&page, "two {{status}}").expect("the page");
    stage.palisade.signal(HANGUP);
    stage.palisade.wait_stderr("reloaded", SOON);
    assert_eq!(missing().text(), "two 404");
}

#[test]
fn http2_clients_get_pages() {
    let stage = Stage::new(
        Origin::scripted(|_, _| Script::answer(503, "of the origin")),
        r#"
        [listeners.h2]
        address = "127.0.0.1:0"
        http2 = true
        [error_pages.a]
        statuses = ["404", "503"]
        body = "{{status}} {{protocol}}"
        intercept = true
        [routes.a]
        path = "/a"
        upstream = "origin"
        "#,
    );
    let mut client = H2Client::connect(stage.palisade.address("h2"));
    assert_eq!(client.get("/x").text(), "404 HTTP/2");
    assert_eq!(client.get("/a").text(), "503 HTTP/2");
}

/// What the origin said in place of which there is a page is read to its end, when that is near: its connection
/// serves the next request.
#[test]
fn a_page_does_not_cost_the_connection_to_the_origin() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/whole" => Script::answer(503, "of the origin"),
        "/long" => Script::answer(503, "x".repeat(60_000)),
        "/chunked" => Script::new().send(
            "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        "/endless" => Script::new()
            .send("HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .then(Step::HoldOpen),
        "/huge" => Script::answer(503, "x".repeat(1 << 20)),
        _ => Script::answer(200, "well"),
    });
    let stage = Stage::new(
        origin,
        r#"
        [error_pages.a]
        statuses = ["503"]
        body = "page"
        intercept = true
        [routes.a]
        upstream = "origin"
        "#,
    );
    let mut client = stage.client();
    let mut connections = |target: &str| {
        for _ in 0..3 {
            let page = client.get(target);
            assert_eq!((page.status, page.text()), (503, "page"), "{target}");
            assert_eq!(client.get("/well").text(), "well");
        }
        let metrics = stage.palisade.metrics();
        metrics.sum("upstream_events_total", &["event=\"connect\""])
    };
    assert_eq!(connections("/whole"), 1.0);
    assert_eq!(connections("/long"), 1.0);
    assert_eq!(connections("/chunked"), 1.0);
    // Nobody waits for what may never come, or reads very much for nothing.
    assert_eq!(connections("/endless"), 4.0);
    assert_eq!(connections("/huge"), 7.0);
}

/// A page without variables is the same for all; it comes whole all the same, in any form.
#[test]
fn a_large_page_comes_whole() {
    let dir = testkit::temp_dir();
    let text = "0123456789abcdef".repeat(50_000);
    fs::write(dir.join("404.html"), &text).expect("the page");
    let config = format!(
        "[listeners.h2]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n\
         [error_pages.a]\nstatuses = [\"404\"]\nfile = \"{}/404.html\"\n\
         [routes.a]\npath = \"/a\"\nfiles = \"{0}\"\ncompress = true",
        dir.display()
    );
    let stage = Stage::new(Origin::echo(), &config);
    let length = text.len().to_string();
    for _ in 0..3 {
        let page = stage.get("/x", &[("Host", "a")]);
        assert_eq!((page.status, page.header("Content-Length")), (404, Some(length.as_str())));
        assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
        assert!(page.text() == text);
        let head = stage.client().request("HEAD", "/x", &[("Host", "a")], b"");
        assert_eq!(
            (head.status, head.header("Content-Length"), head.text()),
            (404, Some(length.as_str()), "")
        );
        let packed = stage.get("/a/x", &[("Host", "a"), ("Accept-Encoding", "gzip")]);
        assert_eq!((packed.status, packed.header("Content-Encoding")), (404, Some("gzip")));
        assert!(packed.body.len() < text.len() / 2);
        assert!(H2Client::connect(stage.palisade.address("h2")).get("/x").text() == text);
    }
}
