//! Answers of the proxy itself, and forms of requests that are seldom seen.

use testkit::{Origin, Script};

use crate::stage::Stage;

#[test]
fn an_error_page_has_the_form_that_the_client_prefers_and_the_id_of_the_request() {
    let stage = Stage::before(Origin::echo(), r#"routes.old = { path = "/old", redirect = "/new" }"#);
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, content_type, begin) in [
        (browser, "text/html; charset=utf-8", "<!doctype html>"),
        ("application/json", "application/problem+json", "{"),
        ("application/problem+json, text/html", "application/problem+json", "{"),
        ("text/plain", "text/plain; charset=utf-8", "413 Content Too Large\n"),
        ("*/*", "text/plain; charset=utf-8", "413 Content Too Large\n"),
        ("image/png", "text/plain; charset=utf-8", "413 Content Too Large\n"),
    ] {
        let mut client = stage.client();
        let response = client.request("POST", "/small", &[("Accept", accept)], b"more than ten bytes");
        assert_eq!((response.status, response.header("Content-Type")), (413, Some(content_type)), "{accept}");
        assert_eq!(response.header("Cache-Control"), Some("no-store"));
        let text = response.text().to_owned();
        assert!(text.starts_with(begin), "{text}");
        if content_type.ends_with("json") {
            let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&problem["status"], &problem["title"]), (&413.into(), &"Content Too Large".into()));
        }
        // The line of this request is the one that has the id of the page.
        let has_id = |line: &str| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            text.contains(object["request_id"].as_str().unwrap())
        };
        stage.palisade.wait_access_log(1, has_id);
    }
    let mut client = stage.client();
    let head = client.request("HEAD", "/old", &[], b"");
    let get = client.get("/old");
    assert_eq!((head.status, head.header("Content-Length")), (308, get.header("Content-Length")));
    stage.all_is_well(&mut client);
}

#[test]
fn a_request_that_no_route_takes_is_not_found() {
    let only = r#"
        listeners.http.address = "127.0.0.1:0"
        routes.only = { path = "/only", respond = { status = 200, body = "here", content_type = "text/x-here" } }
        "#;
    let palisade = testkit::Palisade::start(env!("CARGO_BIN_EXE_palisade"), only);
    let mut client = testkit::Client::connect(palisade.address("http"));
    let response = client.get("/only/x");
    assert_eq!(
        (response.status, response.text(), response.header("Content-Type")),
        (200, "here", Some("text/x-here"))
    );
    assert_eq!(client.get("/other").status, 404);
    assert_eq!(client.get("/only").status, 200, "the connection lives on");
}

#[test]
fn an_absolute_target_is_the_same_request() {
    let stage = Stage::new();
    let mut client = stage.client();
    for (target, arrives) in [
        ("http://a.test/headers?x=1", "GET /headers?x=1 HTTP/1.1\r\nHost: a.test\r\n"),
        ("HTTP://a.test/x/headers", "GET /x/headers HTTP/1.1\r\nHost: a.test\r\n"),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let head = client.read_response().text().to_owned();
        assert!(head.starts_with(arrives), "{head}");
    }
    client.send("GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_response().text(), "GET /\n");
    client.send("GET http://a.test?x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.read_response().text(), "GET /?x\n");
    stage.all_is_well(&mut client);
}

#[test]
fn options_for_the_whole_server_pass() {
    let stage = Stage::new();
    let mut client = stage.client();
    assert_eq!(client.request("OPTIONS", "*", &[], b"").text(), "OPTIONS *\n");
    client.send("OPTIONS http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.read_response().text(), "OPTIONS *\n", "RFC 9112 section 3.2.4");
    stage.all_is_well(&mut client);
}

#[test]
fn an_answer_has_one_date_and_what_else_the_origin_said() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/dated" => Script::answer_with(
            200,
            &[
                ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("Server", "their/1.0"),
                ("Set-Cookie", "a=1"),
                ("Set-Cookie", "b=2"),
            ],
            "",
        ),
        "/odd" => Script::new().send("HTTP/1.1 299 \r\nContent-Length: 0\r\nX-Empty:\r\n\r\n"),
        _ => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    let response = client.get("/dated");
    assert_eq!(response.headers.all("Date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    assert_eq!(response.headers.all("Server"), ["their/1.0"]);
    assert_eq!(response.headers.all("Set-Cookie"), ["a=1", "b=2"]);
    let response = client.get("/odd");
    assert_eq!((response.status, response.header("X-Empty")), (299, Some("")));
    assert!(response.headers.all("Date")[0].ends_with(" GMT"), "ours where the origin gave none");
    stage.all_is_well(&mut client);
}
