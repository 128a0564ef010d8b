//! Clients that do not wait for their answer: the origin is let go, and the log says why.

use std::time::Duration;

use testkit::{Address, Client, Origin, OriginConnection, Palisade, SOON, canary, poll_until};

fn proxy_for(origin: &Origin, more: &str) -> Palisade {
    Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        &format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            listeners.local.address = "unix:{{dir}}/http.sock"
            upstreams.origin.endpoints = ["{}"]
            routes.all.upstream = "origin"
            routes.stream = {{ path = "/stream", upstream = "origin", request_body = "stream" }}
            admin.address = "127.0.0.1:0"
            server.workers = 1
            log.access = "{{dir}}/access.log"
            {more}
            "#,
            origin.address()
        ),
    )
}

/// Reads requests and answers none but canaries.
fn silent_origin() -> Origin {
    Origin::raw(|mut connection: OriginConnection, _| {
        while let Ok(Some(request)) = connection.read_request() {
            let Some(number) = request.target.strip_prefix("/canary-") else { continue };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{number}", number.len());
            let _ = std::io::Write::write_all(&mut connection, answer.as_bytes());
        }
    })
}

/// A client at `address` that has asked for `target`, which the origin has.
fn asking(address: impl Into<Address>, origin: &Origin, target: &str) -> Client {
    let before = origin.requests().len();
    let mut client = Client::connect(address);
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    origin.wait_requests(before + 1, SOON);
    client
}

/// The origin sees its connection closed, the log and the metrics say why, and nothing is left over.
#[track_caller]
fn expect_cancelled(palisade: &Palisade, origin: &Origin, target: &str) {
    poll_until(SOON, "the origin to be let go", || origin.open_connections() == 0);
    let line = palisade.wait_access_log(1, |line| line.contains(&format!("\"target\":\"{target}\"")));
    assert!(
        line[0].contains("\"status\":499") && line[0].contains("\"reason\":\"client_gone\""),
        "{}",
        line[0]
    );
    let metrics = palisade.metrics();
    assert!(metrics.sum("failures_total", &["client_gone"]) >= 1.0);
    assert_eq!(metrics.sum("upstream_connections", &[]), 0.0, "a connection in the middle of an exchange");
    assert_eq!(metrics.sum("open_connections", &[]), 0.0);
}

#[test]
fn a_reset_lets_the_origin_go() {
    for half_close in ["serve", "cancel"] {
        let origin = silent_origin();
        let palisade = proxy_for(&origin, &format!("server.client_half_close = \"{half_close}\""));
        let mut client = asking(palisade.address("http"), &origin, "/left");
        client.stream().reset_on_close().unwrap();
        drop(client);
        expect_cancelled(&palisade, &origin, "/left");
        canary(palisade.address("http"), &origin);
    }
}

/// Who closes a Unix socket neither sends nor reads any more; here that can be told.
#[test]
fn a_closed_unix_socket_lets_the_origin_go() {
    let origin = silent_origin();
    let palisade = proxy_for(&origin, "");
    drop(asking(palisade.listener("local"), &origin, "/left"));
    expect_cancelled(&palisade, &origin, "/left");
}

/// As `nc -N` does: it has said all, and waits for the answer. Several ticks long.
#[test]
fn a_half_closed_client_gets_its_answer() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    for address in [Address::from(palisade.address("http")), palisade.listener("local")] {
        let mut client = Client::connect(address);
        client.send("GET /slow/3500 HTTP/1.1\r\nHost: a\r\n\r\n");
        client.finish_sending();
        assert_eq!(client.read_response().text(), "slow\n");
        assert!(client.is_closed(SOON));
    }
    let metrics = palisade.metrics();
    assert_eq!(metrics.sum("failures_total", &[]), 0.0, "{}", metrics.page());
}

/// With `cancel` the same is a client that is gone.
#[test]
fn a_half_close_can_mean_that_the_client_is_gone() {
    let origin = silent_origin();
    let palisade = proxy_for(&origin, "server.client_half_close = \"cancel\"");
    let mut client = asking(palisade.address("http"), &origin, "/left");
    client.finish_sending();
    expect_cancelled(&palisade, &origin, "/left");
    assert!(client.is_closed(SOON));
    assert_eq!(client.unread(), "");
    // It is asked for as long as there is no answer: a client that stays is not meant.
    let patient = "GET /canary-7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut client = Client::connect(palisade.address("http"));
    client.send(patient);
    assert_eq!(client.read_response().text(), "7");
}

/// Also with a body that went through as it came, and with one that was kept.
#[test]
fn a_reset_behind_a_body_lets_the_origin_go() {
    for target in ["/buffered", "/stream/body"] {
        let origin = silent_origin();
        let palisade = proxy_for(&origin, "");
        let mut client = Client::connect(palisade.address("http"));
        client.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"));
        client.send(vec![b'x'; 200_000]);
        origin.wait_requests(1, SOON);
        client.stream().reset_on_close().unwrap();
        drop(client);
        expect_cancelled(&palisade, &origin, target);
        let metrics = palisade.metrics();
        assert_eq!(metrics.sum("spool_memory_bytes", &[]), 0.0);
    }
}

/// A request that waits for a connection leaves the queue.
#[test]
fn a_client_that_leaves_the_queue_is_not_waited_for() {
    let origin = silent_origin();
    let palisade = proxy_for(
        &origin,
        "upstreams.origin.pool.max_connections = 1\nupstreams.origin.pool.queue_timeout = \"60s\"",
    );
    let first = asking(palisade.address("http"), &origin, "/first");
    let mut second = Client::connect(palisade.address("http"));
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    let waiting = || palisade.metrics().sum("upstream_queue", &[]);
    poll_until(SOON, "the request in the queue", || waiting() == 1.0);
    second.stream().reset_on_close().unwrap();
    drop(second);
    poll_until(SOON, "the queue to be empty", || waiting() == 0.0);
    palisade.wait_access_log(1, |line| line.contains("/second") && line.contains("client_gone"));
    drop(first);
}

/// A wait of an earlier request has armed the timer for half a minute; the next one is watched all the same.
#[test]
fn a_request_behind_a_slow_one_is_watched_too() {
    let origin = silent_origin();
    let palisade = proxy_for(&origin, "server.head_timeout = \"30s\"");
    // To connect is a wait of its own, which would arm it anew.
    canary(palisade.address("http"), &origin);
    poll_until(SOON, "the canary to be gone", || palisade.metrics().sum("open_connections", &[]) == 0.0);
    let mut client = Client::connect(palisade.address("http"));
    client.send("GET /canary-1 HTTP/1.1\r\nHost: a\r\n");
    let seen = || palisade.metrics().sum("open_connections", &[]) == 1.0;
    poll_until(SOON, "the beginning of a head", seen);
    assert!(!client.is_closed(Duration::from_millis(200)));
    client.send("\r\n");
    assert_eq!(client.read_response().text(), "1");
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(5, SOON);
    client.stream().reset_on_close().unwrap();
    drop(client);
    expect_cancelled(&palisade, &origin, "/left");
}
