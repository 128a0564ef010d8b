//! `merge`: one answer of several.

use std::time::Duration;

use testkit::{H2Client, Origin, Palisade, Script, Step};

use super::stage::Stage;

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");
const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

fn users() -> Origin {
    Origin::scripted(|request, _| {
        match request.target.as_str() {
        "/users/7" => Script::answer_with(200, &[JSON, ("Set-Cookie", "a=b")], " {\"name\": 1.10} "),
        "/users/large" => Script::answer_with(200, &[JSON], format!("\"{}\"", "x".repeat(1 << 20))),
        "/users/text" => Script::answer_with(200, &[("Content-Type", "text/plain")], "1"),
        "/users/coded" => Script::answer_with(200, &[JSON, ("Content-Encoding", "gzip")], "1"),
        "/users/broken" => Script::answer_with(200, &[JSON], "{"),
        "/users/empty" => Script::answer_with(204, &[], ""),
        "/users/silent" => Script::new().then(Step::HoldOpen),
        "/users/endless" => Script::new()
            .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n")
            .then(Step::HoldOpen),
        _ => Script::answer_with(404, &[JSON], "{}"),
    }
    })
}

fn config(users: &Origin, orders: &Origin) -> String {
    format!(
        r#"
        server.workers = 1
        log.access = "{{dir}}/access.log"
        [listeners.http]
        address = "127.0.0.1:0"
        http2 = true
        [upstreams.users]
        endpoints = ["{}"]
        [upstreams.orders]
        endpoints = ["{}"]
        [routes.all]
        timeouts = {{ read = "500ms" }}
        request_headers = {{ set = {{ X-Route = "{{route}}" }} }}
        [routes.all.merge]
        user = {{ upstream = "users", path = "/users/{{query.id}}" }}
        "the orders" = {{ upstream = "orders", path = "/orders?user={{query.id}}&all=1", optional = true }}
        "#,
        users.address(),
        orders.address()
    )
}

#[test]
fn several_answers_become_one_object() {
    let (users, mut orders) = (users(), Origin::scripted(|_, _| Script::answer_with(200, &[JSON], "[1,2]")));
    let palisade = Palisade::start(BINARY, &config(&users, &orders));
    let mut client = testkit::Client::connect(palisade.address("http"));
    let fields = [
        ("Host", "shop.test"),
        ("Authorization", "Bearer x"),
        ("Accept-Encoding", "gzip"),
        ("If-None-Match", "\"a\""),
        ("Range", "bytes=0-1"),
    ];
    let answer = client.request("GET", "/me?id=7", &fields, b"");
    let expected = "{\"user\":{\"name\": 1.10},\"the orders\":[1,2]}";
    assert_eq!((answer.status, answer.text()), (200, expected));
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Set-Cookie"), None);
    assert_eq!(answer.header("Cache-Control"), Some("no-store"), "what the origins say of it is not known");
    let (user, order) =
        (users.requests().pop().expect("a request"), orders.requests().pop().expect("a request"));
    assert_eq!((user.method.as_str(), user.target.as_str()), ("GET", "/users/7"));
    assert_eq!((order.method.as_str(), order.target.as_str()), ("GET", "/orders?user=7&all=1"));
    for request in [&user, &order] {
        assert_eq!(request.headers.all("Host"), ["shop.test"]);
        assert_eq!(request.headers.all("Authorization"), ["Bearer x"]);
        assert_eq!(request.headers.all("X-Route"), ["all"]);
        for gone in ["Accept-Encoding", "If-None-Match", "Range", "Content-Length"] {
            assert_eq!(request.headers.all(gone), [""; 0], "{gone}");
        }
    }
    assert_eq!(user.headers.all("X-Request-ID"), order.headers.all("X-Request-ID"));

    let head = client.request("HEAD", "/me?id=7", &[("Host", "a")], b"");
    assert_eq!(head.header("Content-Length"), Some(expected.len().to_string().as_str()));
    assert_eq!(users.requests().pop().expect("a request").method, "GET");
    let refused = client.request("POST", "/me?id=7", &[("Host", "a")], b"x");
    assert_eq!((refused.status, refused.header("Allow")), (405, Some("GET, HEAD")));

    orders.stop();
    let answer = client.request("GET", "/me?id=7", &[("Host", "a")], b"");
    assert_eq!((answer.status, answer.text()), (200, "{\"user\":{\"name\": 1.10},\"the orders\":null}"));
    let answer = H2Client::connect(palisade.address("http")).get("/me?id=7");
    assert_eq!(answer.text(), "{\"user\":{\"name\": 1.10},\"the orders\":null}");
}

#[test]
fn a_member_that_is_needed_and_fails_fails_the_request() {
    let (mut users, orders) = (users(), Origin::scripted(|_, _| Script::answer_with(200, &[JSON], "[1,2]")));
    let palisade = Palisade::start(BINARY, &config(&users, &orders));
    let mut client = testkit::Client::connect(palisade.address("http"));
    client.set_deadline(Duration::from_secs(20));
    for (id, status, reason) in [
        ("8", 502, "upstream_unfit_answer"),
        ("text", 502, "upstream_unfit_answer"),
        ("coded", 502, "upstream_unfit_answer"),
        ("broken", 502, "upstream_unfit_answer"),
        ("empty", 502, "upstream_unfit_answer"),
        ("large", 502, "upstream_unfit_answer"),
        ("silent", 504, "upstream_read_timeout"),
        ("endless", 504, "upstream_read_timeout"),
        ("..", 400, "path_"),
        ("%2e%2e", 400, "path_"),
        ("", 400, "path_merged"),
        ("7%2f..%2fadmin", 400, "path_encoded_slash"),
    ] {
        let before = users.requests().len();
        let answer = testkit::Client::connect(palisade.address("http")).request(
            "GET",
            &format!("/me?id={id}"),
            &[("Host", "a")],
            b"",
        );
        assert_eq!(answer.status, status, "{id}");
        palisade.wait_access_log(1, |line| {
            line.contains(&format!("id={id}\""))
                && line.contains(reason)
                && line.contains("\"route\":\"all\"")
        });
        assert_eq!(users.requests().len() - before, usize::from(status != 400), "{id}");
    }
    users.stop();
    let answer = client.request("GET", "/me?id=7", &[("Host", "a")], b"");
    assert_eq!(answer.status, 502);
}

/// The answers are asked for at the same time: neither origin answers before the other was asked.
#[test]
fn members_are_asked_at_the_same_time() {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(2));
    let origin = || {
        let barrier = barrier.clone();
        Origin::scripted(move |_, _| {
            barrier.wait();
            Script::answer_with(200, &[JSON], "1")
        })
    };
    let (users, orders) = (origin(), origin());
    let palisade = Palisade::start(BINARY, &config(&users, &orders).replace("500ms", "20s"));
    let answer = testkit::Client::connect(palisade.address("http")).get("/me?id=7");
    assert_eq!(answer.text(), "{\"user\":1,\"the orders\":1}");
}

/// What is made of several answers is changed like any other.
#[test]
fn a_merged_answer_meets_the_filters_of_its_route() {
    let stage = Stage::new(
        Origin::scripted(|_, _| Script::answer_with(200, &[JSON], "{\"id\":1,\"secret\":2}")),
        r#"
        [routes.all]
        merge = { a = { upstream = "origin", path = "/a" }, b = { upstream = "origin", path = "/b" } }
        response_json = { edits = [{ remove = "/a/secret" }] }
        response_headers = { set = { X-Status = "{status}" } }
        "#,
    );
    let answer = stage.get("/", &[("Host", "a")]);
    assert_eq!(answer.text(), "{\"a\":{\"id\":1},\"b\":{\"id\":1,\"secret\":2}}");
    assert_eq!(answer.header("X-Status"), Some("200"));
}

/// Every byte is in time, and the whole would take ten minutes.
#[test]
fn an_answer_that_drips_has_an_end() {
    let origin = Origin::scripted(|request, _| {
        if request.target == "/whole" {
            return Script::answer_with(200, &[JSON], "1");
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let drop = Script::new().send("1\r\n \r\n").pause(Duration::from_millis(20));
        let drops = std::iter::repeat_n(drop, 30_000);
        drops.fold(Script::new().send(head), Script::followed_by)
    });
    let stage = Stage::new(
        origin,
        r#"
        [log]
        access = "{dir}/access.log"
        [defaults]
        timeouts = { read = "20s" }
        [routes.needed]
        path = "/needed"
        merge = { a = { upstream = "origin", path = "/whole" }, b = { upstream = "origin", path = "/drip" } }
        merge_timeout = "300ms"
        [routes.optional]
        path = "/optional"
        merge = { a = { upstream = "origin", path = "/whole" }, b = { upstream = "origin", path = "/drip", optional = true } }
        merge_timeout = "300ms"
        "#,
    );
    let get = |target: &str| {
        let mut client = stage.client();
        client.set_deadline(Duration::from_secs(20));
        client.request("GET", target, &[("Host", "a")], b"")
    };
    assert_eq!(get("/needed").status, 504);
    let endpoint = format!("\"endpoint\":\"{}\"", stage.origin.address());
    stage.palisade.wait_access_log(1, |line| {
        line.contains("/needed") && line.contains("upstream_read_timeout") && line.contains(&endpoint)
    });
    let answer = get("/optional");
    assert_eq!((answer.status, answer.text()), (200, "{\"a\":1,\"b\":null}"));
}
