//! Row 35: whatever becomes of the question, no byte of the request reaches the origin unless the answer was a yes.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use testkit::{Client, Metrics, Origin, SOON, Script, Step, canary, poll_until};

use crate::stage::{APP, Stage, alice};

const USER: &str = "X-Auth-User: alice\r\n";

/// By the last word of the path that the question is about.
fn broken(uri: &str) -> Script {
    let raw = |bytes: &str| Script::new().send(bytes);
    match uri.trim_start_matches("/app/") {
        "100-and-close" => raw("HTTP/1.1 100 Continue\r\n\r\n").close(),
        "closed" => Script::new().close(),
        "reset" => Script::new().reset(),
        "half-a-head" => raw(&format!("HTTP/1.1 200 OK\r\n{USER}Content-Le")).close(),
        "half-a-body" => raw(&format!("HTTP/1.1 200 OK\r\n{USER}Content-Length: 10\r\n\r\nabc")).close(),
        "half-a-chunk" => {
            raw(&format!("HTTP/1.1 200 OK\r\n{USER}Transfer-Encoding: chunked\r\n\r\n5\r\nabc")).close()
        }
        "half-a-refusal" => raw("HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nabc").close(),
        "no-http" => raw("hello\r\n\r\n").close(),
        "two-lengths" => {
            raw(&format!("HTTP/1.1 200 OK\r\n{USER}Content-Length: 0\r\nContent-Length: 5\r\n\r\n")).close()
        }
        "control-byte" => raw("HTTP/1.1 200 OK\r\nX-Auth-User: a\x01b\r\nContent-Length: 0\r\n\r\n").close(),
        "huge-head" => {
            raw(&format!("HTTP/1.1 200 OK\r\n{USER}X-Large: {}\r\n\r\n", "x".repeat(1 << 20))).close()
        }
        "huge-body" => Script::answer_with(200, &[("X-Auth-User", "alice")], "x".repeat((1 << 20) + 1)),
        "huge-refusal" => Script::answer(403, "x".repeat((1 << 20) + 1)),
        "101" => raw(&format!(
            "HTTP/1.1 101 Switching Protocols\r\n{USER}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )),
        "many-100" => raw(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)).close(),
        "304" => Script::answer_with(304, &[("X-Auth-User", "alice")], ""),
        "500" => Script::answer_with(500, &[("X-Auth-User", "alice")], "the auth service's own page"),
        "503" => Script::answer_with(503, &[("X-Auth-User", "alice")], ""),
        "nobody" => Script::answer(200, "ok"),
        "empty" => Script::answer_with(204, &[("X-Auth-User", "")], ""),
        "other-spelling" => Script::answer_with(200, &[("X_Auth_User", "alice")], ""),
        "hang" => Script::new().then(Step::HoldOpen),
        "silent" => Script::new(),
        "100-only" => raw("HTTP/1.1 100 Continue\r\n\r\n").then(Step::HoldOpen),
        "body-hangs" => {
            raw(&format!("HTTP/1.1 200 OK\r\n{USER}Content-Length: 10\r\n\r\nabc")).then(Step::HoldOpen)
        }
        other => panic!("no story of {other}"),
    }
}

/// Story, status, and what the log says of it.
const BROKEN: [(&str, u16, &str); 21] = [
    ("100-and-close", 502, "auth_failed\",\"detail\":\"upstream_closed"),
    ("closed", 502, "auth_failed\",\"detail\":\"upstream_closed"),
    ("reset", 502, "auth_failed\",\"detail\":\"upstream_closed"),
    ("half-a-head", 502, "auth_failed\",\"detail\":\"upstream_closed"),
    ("half-a-body", 502, "auth_failed\",\"detail\":\"upstream_truncated"),
    ("half-a-chunk", 502, "auth_failed\",\"detail\":\"upstream_truncated"),
    ("half-a-refusal", 502, "auth_failed\",\"detail\":\"upstream_truncated"),
    ("no-http", 502, "auth_failed\",\"detail\":\"upstream_bad_answer"),
    ("two-lengths", 502, "auth_failed\",\"detail\":\"upstream_bad_answer"),
    ("control-byte", 502, "auth_failed\",\"detail\":\"upstream_bad_answer"),
    ("huge-head", 502, "auth_failed\",\"detail\":\"upstream_bad_answer"),
    ("huge-body", 502, "auth_failed\",\"detail\":\"upstream_unfit_answer"),
    ("huge-refusal", 502, "auth_failed\",\"detail\":\"upstream_unfit_answer"),
    ("101", 502, "auth_failed\",\"detail\":\"upstream_bad_upgrade"),
    ("many-100", 502, "auth_failed\",\"detail\":\"upstream_too_many_interim"),
    ("304", 502, "auth_failed\",\"detail\":\"status"),
    ("500", 502, "auth_failed\",\"detail\":\"status"),
    ("503", 503, "auth_unavailable\",\"detail\":\"status"),
    ("nobody", 502, "auth_failed\",\"detail\":\"require_identity"),
    ("empty", 502, "auth_failed\",\"detail\":\"require_identity"),
    ("other-spelling", 502, "auth_failed\",\"detail\":\"require_identity"),
];

const HANGING: [(&str, u16, &str); 3] = [
    ("hang", 503, "auth_timeout\",\"detail\":\"forward_auth.timeout"),
    ("100-only", 503, "auth_timeout\",\"detail\":\"forward_auth.timeout"),
    ("body-hangs", 503, "auth_timeout\",\"detail\":\"forward_auth.timeout"),
];

/// As the app, with what answers or copies elsewhere when something fails.
const WITH_OTHERS: &str = r#"
    [routes.app.fallback]
    body = "the fallback"
    [routes.app.retry]
    on = ["connect", "reset", "timeout", "5xx"]
"#;

/// Four kinds of requests, all of which are refused with the status.
#[track_caller]
fn fails(stage: &Stage, story: &str, status: u16, reason: &str) {
    let target = format!("/app/{story}");
    let mut client = stage.client();
    client.set_deadline(Duration::from_secs(60));
    let answer = client.request("GET", &target, &[("X-Auth-User", "evil")], b"");
    assert_eq!(answer.status, status, "{story}");
    assert_eq!(answer.header("Retry-After").is_some(), status == 503, "{story}");
    assert!(answer.text().contains("whether this is for you"), "{story}: {}", answer.text());
    assert!(!answer.text().contains("alice"), "{story}");

    // Nobody asks a client for a body that goes nowhere.
    let mut upload = stage.client();
    upload.set_deadline(Duration::from_secs(60));
    upload.send(format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n"
    ));
    let answer = upload.read_response();
    assert_eq!((answer.status, answer.interim.len()), (status, 0), "{story}: no 100");

    let mut socket = stage.client();
    socket.set_deadline(Duration::from_secs(60));
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(socket.request("GET", &target, &upgrade, b"").status, status, "{story}: WebSocket");

    let mut http2 = stage.http2();
    http2.set_deadline(Duration::from_secs(60));
    assert_eq!(http2.request("POST", &target, &[], b"hello").status, status, "{story}: HTTP/2");
    stage.origin_is_untouched(story);
    let of_story = |line: &str| line.contains(&format!("{target}\""));
    for line in stage.palisade.wait_access_log(4, of_story) {
        assert!(line.contains(&format!("\"reason\":\"{reason}\"")), "{story}: {line}");
        assert!(!line.contains("\"user\""), "{line}");
    }
}

#[test]
fn an_answer_that_is_no_yes_is_a_no() {
    let stage = Stage::new(&format!("{APP}{WITH_OTHERS}"), broken);
    for (story, status, reason) in BROKEN {
        fails(&stage, story, status, reason);
    }
    let metrics = stage.palisade.metrics();
    assert_eq!(metrics.sum("forward_auth_total", &["result=\"failed\""]), 80.0);
    assert_eq!(metrics.sum("forward_auth_total", &["result=\"unavailable\""]), 4.0);
    assert_eq!(metrics.sum("forward_auth_total", &["result=\"passed\""]), 0.0);
    stage.ends_well();
}

#[test]
fn who_does_not_answer_in_time_has_not_said_yes() {
    let routes = format!("{APP}{WITH_OTHERS}").replace("30s", "300ms");
    let stage = Stage::new(&routes, broken);
    for (story, status, reason) in HANGING {
        fails(&stage, story, status, reason);
    }
    stage.ends_well();
}

#[test]
fn nobody_there_to_ask_is_no_yes() {
    let mut stage = Stage::new(&format!("{APP}{WITH_OTHERS}"), alice);
    stage.auth.stop();
    fails(&stage, "killed", 502, "auth_failed\",\"detail\":\"upstream_connect_refused");
    canary(stage.palisade.address("http"), &stage.origin);

    stage.auth.restart();
    let answer = stage.client().request("GET", "/app/back", &[], b"");
    assert_eq!((answer.status, answer.text()), (200, "GET /app/back\n"), "it is asked again");
}

#[test]
fn another_server_is_asked_when_one_is_gone() {
    let mut gone = Origin::echo();
    gone.stop();
    let auth = Origin::scripted(|request, _| alice(&request.target));
    let two = format!("upstreams.two.endpoints = [\"{}\", \"{}\"]", gone.address(), auth.address());
    let routes = APP.replace("upstream = \"auth\"", "upstream = \"two\"");
    let stage = Stage::with(auth, Origin::echo(), &format!("{two}\n{routes}"));
    for _ in 0..4 {
        assert_eq!(stage.client().get("/app").status, 200);
    }
    stage.ends_well();
}

#[test]
fn an_auth_upstream_without_a_healthy_endpoint_is_no_yes() {
    let down = r#"upstreams.auth.health = { path = "/", interval = "1h", start = "down" }"#;
    let auth = Origin::scripted(|_, _| Script::answer(500, ""));
    let stage = Stage::with(auth, Origin::echo(), &format!("{down}\n{APP}{WITH_OTHERS}"));
    fails(&stage, "down", 503, "auth_unavailable\",\"detail\":\"no_endpoint");
    stage.ends_well();
}

#[test]
fn a_client_that_leaves_takes_its_question_along() {
    let stage = Stage::new(APP, broken);
    let mut client = stage.client();
    client.send("GET /app/silent HTTP/1.1\r\nHost: a\r\n\r\n");
    stage.auth.wait_requests(1, Duration::from_secs(20));
    client.stream().reset_on_close().expect("an open socket");
    drop(client);
    let log = stage.palisade.wait_access_log(1, |line| line.contains("/app/silent"));
    assert!(log[0].contains("\"status\":499"), "{}", log[0]);
    testkit::poll_until(Duration::from_secs(20), "the question is dropped", || {
        stage.auth.open_connections() == 0
    });
    stage.origin_is_untouched("a client that left");
    stage.ends_well();
}

#[test]
fn what_cannot_be_asked_about_is_not_asked() {
    let stage = Stage::new(&APP.replace("/verify", "/verify/{query.user}/x"), alice);
    let mut client: Client = stage.client();
    assert_eq!(client.get("/app/?user=7").status, 200);
    assert_eq!(stage.question().target, "/verify/7/x");
    assert_eq!(client.get("/app/?user=..").status, 400, "another path than the one that was meant");
    assert_eq!(stage.auth.requests().len(), 1);
    stage.ends_well();
}

/// A service that takes every question and answers none is charged with it, as any server is.
#[test]
fn a_service_that_hangs_opens_its_breaker() {
    let routes = format!(
        "{}\n[upstreams.auth.breaker]\nmin_requests = 3\nerror_rate = 50\nopen_time = \"60s\"\n",
        APP.replace("timeout = \"30s\"", "timeout = \"150ms\"")
    );
    let stage = Stage::new(&routes, |_| Script::new().pause(SOON * 2));
    let opened =
        |stage: &Stage| Metrics::scrape(stage.palisade.address("admin")).sum("breaker_opened_total", &[]);
    for _ in 0..3 {
        assert_eq!(opened(&stage), 0.0);
        assert_eq!(stage.client().get("/app/x").status, 503);
    }
    poll_until(SOON, "the breaker opens", || opened(&stage) == 1.0);
    assert_eq!(stage.client().get("/app/x").status, 503);
    assert_eq!(stage.auth.requests().len(), 3, "the fourth is not asked about");
    assert_eq!(stage.origin.connections().len(), 0);
}

/// A server that lets nobody connect costs a part of the time, and the other one is asked in the rest.
#[test]
fn there_is_time_for_another_server_when_one_cannot_be_reached() {
    let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    hole.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("an address");
    hole.listen(0).expect("a queue");
    let address = hole.local_addr().expect("bound").as_socket().expect("of IP");
    // Its queue is full with this one: what comes next is not answered.
    let _full = TcpStream::connect(address).expect("the first one");
    let auth = Origin::scripted(|_, _| alice(""));
    let routes = format!(
        "{}\n[upstreams.pair]\nendpoints = [\"{address}\", \"{}\"]\n",
        APP.replace("upstream = \"auth\"", "upstream = \"pair\"").replace("\"30s\"", "\"3s\""),
        auth.address()
    );
    let stage = Stage::with(auth, Origin::echo(), &routes);
    for _ in 0..2 {
        assert_eq!(stage.client().get("/app/x").status, 200);
    }
}
