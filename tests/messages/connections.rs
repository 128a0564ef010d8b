//! Connections on both sides: how long they live and in which order they speak.

use testkit::{Behaviour, Client, Origin, Script, canary, canary_on, temp_dir};

use crate::stage::{SOON, Stage};

#[test]
fn connections_on_both_sides_are_used_again() {
    let stage = Stage::new();
    let mut client = stage.client();
    for number in 0..20 {
        assert_eq!(client.get(&format!("/canary-{number}")).text(), number.to_string());
    }
    assert_eq!(stage.origin.connections().len(), 1);
}

#[test]
fn a_client_that_asks_for_a_close_gets_one() {
    let stage = Stage::new();
    let mut client = stage.client();
    let response = client.request("GET", "/bytes/5", &[("Connection", "close")], b"");
    assert_eq!((response.body.len(), response.header("Connection")), (5, Some("close")));
    assert!(client.is_closed(SOON));
    canary(stage.front(), &stage.origin);
    assert_eq!(stage.origin.connections().len(), 1, "the client's wish is not the origin's business");
}

#[test]
fn requests_in_one_segment_are_answered_in_order() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.send(
        "GET /slow/50 HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecond\
         HEAD /bytes/7 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /canary-4 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.read_response().text(), "slow\n");
    assert_eq!(client.read_response().text(), "second");
    assert_eq!(client.read_response_to_head().header("Content-Length"), Some("7"));
    assert_eq!(client.read_response().text(), "4");
    stage.all_is_well(&mut client);
}

#[test]
fn http_1_0_closes_unless_it_asks_to_stay() {
    let stage = Stage::new();
    let mut client = stage.client();
    client.send("GET /bytes/5 HTTP/1.0\r\n\r\n");
    let response = client.read_response();
    assert!(response.head.starts_with("HTTP/1.1 200 OK\r\n"), "we answer in our own version");
    assert_eq!((response.body.len(), response.header("Connection")), (5, Some("close")));
    assert!(client.is_closed(SOON));

    let mut client = stage.client();
    for _ in 0..2 {
        client.send("GET /bytes/5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.read_response();
        assert_eq!((response.body.len(), response.header("Connection")), (5, Some("keep-alive")));
    }
    stage.all_is_well(&mut client);
    assert!(stage.origin.requests().iter().all(|request| request.version == "HTTP/1.1"));
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let stage = Stage::before(Origin::echo(), r#"server.idle_timeout = "200ms""#);
    let mut client = stage.client();
    canary_on(&mut client, &stage.origin);
    assert_eq!(client.read_to_end(), b"", "without a word");
}

/// The client never learns that an origin closes connections between requests.
#[test]
fn a_stale_connection_to_the_origin_costs_nobody_an_answer() {
    let origin = Origin::scripted(|request, _| Script::echo(request).close());
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    for _ in 0..20 {
        canary_on(&mut client, &stage.origin);
    }
    // What may have been acted on is not sent again, so each of these is seen once.
    for _ in 0..20 {
        let response = client.request("POST", "/echo", &[], b"once");
        assert!(response.status == 200 || response.status == 502, "{}", response.status);
    }
    let posts = stage.origin.requests().iter().filter(|request| request.method == "POST").count();
    assert!(posts <= 20, "{posts}");
}

#[test]
fn an_origin_that_announces_its_close_is_not_asked_on_that_connection_again() {
    for fields in [("Connection", "close"), ("Connection", "Keep-Alive, CLOSE")] {
        let origin = Origin::scripted(move |request, _| {
            Script::answer_with(200, &[fields], request.target.trim_start_matches("/canary-"))
        });
        let stage = Stage::before(origin, "");
        let mut client = stage.client();
        for _ in 0..3 {
            canary_on(&mut client, &stage.origin);
        }
        assert_eq!(stage.origin.connections().len(), 3);
    }
}

#[test]
fn unix_sockets_do_on_both_sides() {
    let dir = temp_dir();
    let origin = Origin::serve(dir.join("origin.sock").as_path(), Behaviour::Echo);
    let stage = Stage::before(origin, "");
    let mut client = Client::connect(stage.palisade.listener("local"));
    assert_eq!(client.request("POST", "/echo", &[], b"over two sockets").text(), "over two sockets");
    let head = client.get("/headers").text().to_owned();
    assert!(head.contains("\r\nX-Real-IP: 127.0.0.1\r\n"), "{head}");
    canary_on(&mut client, &stage.origin);
    canary(stage.palisade.listener("local"), &stage.origin);
    canary(stage.front(), &stage.origin);
}
