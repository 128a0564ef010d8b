//! Requests that are sent again, and those that never are.

use std::time::Duration;

use testkit::{Client, Origin, Palisade, Script};

use crate::stage::{Server, client_of, config, event, metrics_of, proxy, served};

/// Nothing was sent, so whatever the method, the next endpoint gets it.
#[test]
fn a_request_moves_on_when_an_endpoint_cannot_be_connected_to() {
    let [mut a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], "");
    a.origin.stop();
    let mut client = client_of(&palisade);
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        for _ in 0..2 {
            let response = client.request(method, "/", &[], if method == "POST" { b"body" } else { b"" });
            assert_eq!((response.status, response.header("Served-By")), (200, Some("b")), "{method}");
        }
    }
    assert!(event(&palisade, &a, "connect_failure") >= 2.0);
    assert_eq!(b.requests(), 8);
}

#[test]
fn attempts_0_keeps_a_request_where_it_was_sent() {
    let [mut a, b] = [Server::start("a"), Server::start("b")];
    a.origin.stop();
    let palisade = proxy(&[&a, &b], "routes.all.retry = { attempts = 0 }\nupstreams.app.outlier = false");
    let names = served(&mut client_of(&palisade), 6);
    assert_eq!(names.iter().filter(|name| *name == "502").count(), 3, "{names:?}");
}

/// An endpoint that dies of a request: an idempotent one goes to another, once.
#[test]
fn an_idempotent_request_is_sent_again_after_a_reset() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], "upstreams.app.outlier = false");
    a.closes();
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 10), ["b"; 10]);
    assert_eq!(event(&palisade, &b, "retry"), 5.0);
    for _ in 0..6 {
        let response = client.request("POST", "/", &[], b"once");
        assert!(matches!(response.status, 200 | 502), "{}", response.status);
    }
    let posts =
        |server: &Server| server.origin.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts(&a) + posts(&b), 6, "no POST may be sent twice");
    assert_eq!(posts(&a), 3);
}

#[test]
fn a_request_that_kills_every_endpoint_kills_two_of_them() {
    let servers = ["a", "b", "c", "d"].map(Server::start);
    let all: Vec<&Server> = servers.iter().collect();
    let palisade = proxy(&all, "");
    for server in &servers {
        server.closes();
    }
    assert_eq!(client_of(&palisade).get("/poison").status, 502);
    assert_eq!(servers.iter().map(Server::requests).sum::<usize>(), 2);
}

#[test]
fn statuses_are_tried_again_when_asked_to() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.answers(503);
    let palisade = proxy(&[&a, &b], r#"routes.all.retry = { on = ["503", "429"] }"#);
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 6), ["b"; 6]);
    // With nobody better the client sees what the last one said.
    b.answers(503);
    let response = client.get("/");
    assert_eq!(response.status, 503);
    assert!(response.header("Served-By").is_some());
    // Not what may have changed something.
    b.answers(200);
    let before = a.requests();
    let statuses: Vec<u16> = (0..4).map(|_| client.request("POST", "/", &[], b"x").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
    assert_eq!(a.requests() - before, 2);
    // Nor a status that nobody asked for.
    a.answers(500);
    assert!((0..2).any(|_| client.get("/").status == 500));
}

/// The body was buffered, so it can be sent again from its beginning: PUT is idempotent.
#[test]
fn a_buffered_body_is_sent_again_whole() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.closes();
    let palisade = proxy(&[&a, &b], "upstreams.app.outlier = false");
    let mut client = client_of(&palisade);
    let small = b"small".to_vec();
    let large = testkit::pattern(300_000);
    for body in [&small, &small, &large, &large] {
        assert_eq!(client.request("PUT", "/put", &[], body).status, 200);
    }
    let received: Vec<usize> = b.origin.requests().iter().map(|request| request.body.len()).collect();
    assert_eq!(received, [small.len(), small.len(), large.len(), large.len()]);
    assert!(b.origin.requests()[2].body == large);
}

/// A body that went by cannot be sent again.
#[test]
fn a_streamed_body_is_not_sent_again() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.closes();
    let palisade = proxy(&[&a, &b], "routes.all.request_body = \"stream\"\nupstreams.app.outlier = false");
    let mut statuses: Vec<u16> = (0..4)
        .map(|_| client_of(&palisade).request("PUT", "/put", &[], &testkit::pattern(1000)).status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 502, 502]);
}

#[test]
fn a_try_that_takes_too_long_is_given_up() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.is_silent();
    let palisade = proxy(
        &[&a, &b],
        r#"routes.all.retry = { on = ["timeout"], try_timeout = "200ms" }
        upstreams.app.outlier = false"#,
    );
    assert_eq!(served(&mut client_of(&palisade), 4), ["b"; 4]);
    // Without another try left it is a time-out like any other.
    b.is_silent();
    assert_eq!(client_of(&palisade).get("/").status, 504);
}

/// After a group has died, what reaches it is the clients' requests and a fifth of them again.
#[test]
fn repetitions_stay_within_the_budget() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.answers(503);
    b.answers(503);
    let palisade = proxy(&[&a, &b], r#"routes.all.retry = { attempts = 3, on = ["503"], backoff = "0s" }"#);
    let mut client = client_of(&palisade);
    let asked = 400;
    let names = served(&mut client, asked);
    assert!(names.iter().all(|name| name != "200"));
    let sent = a.requests() + b.requests();
    // Ten are saved up, and one a second is allowed whatever the share.
    assert!(sent > asked + 60 && sent <= asked + asked / 5 + 10 + 30, "{sent} for {asked}");
    assert!(metrics_of(&palisade).sum("upstream_retries_refused_total", &["upstream=\"app\""]) > 0.0);
}

/// A single endpoint that restarts: the connect is tried once more before the client hears of it.
#[test]
fn one_endpoint_alone_is_asked_again_after_a_refused_connect() {
    let mut a = Server::start("a");
    let palisade = proxy(&[&a], "");
    a.origin.stop();
    assert_eq!(client_of(&palisade).get("/").status, 502);
    assert_eq!(event(&palisade, &a, "connect_failure"), 2.0);
    assert_eq!(event(&palisade, &a, "retry"), 1.0);
}

/// A stale connection is renewed, and that is the one repetition there is by default.
#[test]
fn a_stale_connection_does_not_add_a_second_repetition() {
    let dies = |connection: usize| move |index: usize| index >= connection;
    let after_first = dies(1);
    let origin = |first_lives: bool| {
        Origin::scripted(move |_, index| {
            if first_lives && !after_first(index) { Script::answer(200, "ok") } else { Script::new().close() }
        })
    };
    let [a, b] = [origin(true), origin(false)];
    let endpoints = format!("\"{}\", \"{}\"", a.address(), b.address());
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(&endpoints, ""));
    let mut client = Client::connect(palisade.address("http"));
    client.set_deadline(Duration::from_secs(10));
    for _ in 0..4 {
        client.get("/");
    }
    // Each request is seen twice at most.
    let all: Vec<String> = a
        .requests()
        .into_iter()
        .chain(b.requests())
        .map(|request| request.headers.get("X-Request-ID").unwrap_or_default().to_owned())
        .collect();
    for id in &all {
        assert!(all.iter().filter(|other| *other == id).count() <= 2, "{all:?}");
    }
}

/// When the answer is late, another endpoint is asked too.
#[test]
fn a_late_answer_is_overtaken_by_another_endpoint() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.waits(Duration::from_secs(5));
    let palisade = proxy(&[&a, &b], r#"routes.all.retry = { hedge = "50ms" }"#);
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 6), ["b"; 6]);
    assert_eq!(event(&palisade, &b, "hedge"), 3.0);
    // What was given up does not come back as somebody else's answer.
    a.waits(Duration::ZERO);
    for index in 0..10 {
        let target = format!("/{index}");
        let response = client.get(&target);
        assert_eq!(response.header("Asked-For"), Some(target.as_str()), "{response:?}");
    }
    // Not what may have changed something, nor what has a body.
    a.waits(Duration::from_millis(200));
    for (method, body) in [("POST", &b""[..]), ("PUT", b"body"), ("DELETE", b"")] {
        let before = a.requests() + b.requests();
        for _ in 0..2 {
            assert_eq!(client.request(method, "/", &[], body).status, 200);
        }
        assert_eq!(a.requests() + b.requests() - before, 2, "{method}");
    }
}

#[test]
fn what_is_late_can_be_learned_from_the_answers() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], r#"routes.all.retry = { hedge = "p90" }"#);
    let mut client = client_of(&palisade);
    // Enough answers to know; a few of them may be late already.
    served(&mut client, 60);
    let before = event(&palisade, &a, "hedge") + event(&palisade, &b, "hedge");
    a.waits(Duration::from_secs(5));
    assert_eq!(served(&mut client, 4), ["b"; 4]);
    let after = event(&palisade, &a, "hedge") + event(&palisade, &b, "hedge");
    assert!(after >= before + 2.0, "{before} {after}");
}

/// The connection of the try that was given up makes room for the next one.
#[test]
fn a_repetition_does_not_wait_for_its_own_connection() {
    let a = Server::start("a");
    a.is_silent();
    let palisade = proxy(
        &[&a],
        r#"routes.all.retry = { attempts = 1, on = ["timeout"], try_timeout = "200ms" }
        upstreams.app.pool = { max_connections = 1, queue_timeout = "60s" }"#,
    );
    assert_eq!(client_of(&palisade).get("/").status, 504);
    assert_eq!(a.requests(), 2);
}

#[test]
fn a_good_answer_is_waited_for_when_a_hedge_brings_a_bad_one() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    b.answers(500);
    let palisade = proxy(&[&a, &b], r#"routes.all.retry = { hedge = "20ms" }"#);
    let mut client = client_of(&palisade);
    a.waits(Duration::from_millis(300));
    // Whoever is asked first: a's answer is the good one, unless b was asked alone.
    let names: Vec<String> = served(&mut client, 2);
    assert_eq!(names.iter().filter(|name| *name == "a").count(), 1, "{names:?}");
    assert!(event(&palisade, &b, "hedge") >= 1.0);
}
