//! Exchanges over HTTP/2 that go well.

use std::io::{Read, Write};
use std::sync::{Arc, Barrier};
use std::thread;

use testkit::http2::{Frame, H2Step, error, setting};
use testkit::{
    Authority, Behaviour, Client, H2Origin, H2OriginOptions, H2Script, Leaf, Origin, OriginConnection,
    Palisade, SOON, TlsServer, pattern, poll_until, temp_dir,
};

use crate::stage::{BINARY, config, event, expect_failure, expect_good, metrics_of, proxy};

const HTTP2: &str = "protocol = \"http2\"";

#[test]
fn requests_share_one_connection() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), HTTP2);
    expect_good(&palisade, 5);
    let mut client = palisade.client();
    for size in [0, 1, 70_000, 3_000_000] {
        for path in ["/echo", "/stream/echo"] {
            let response = client.request("POST", path, &[], &pattern(size));
            assert_eq!((response.status, response.body.len()), (200, size), "{path}");
            assert!(response.body == pattern(size), "{path}: another body");
        }
    }
    assert!(client.get("/chunked/3000000").body == pattern(3_000_000));
    assert_eq!(client.request("HEAD", "/bytes/10", &[], b"").header("Content-Length"), Some("10"));
    assert_eq!(client.get("/status/304").status, 304);
    assert_eq!(client.get("/status/204").status, 204);
    assert_eq!((origin.connections(), origin.violations()), (1, Vec::<String>::new()));
    assert_eq!(event(&palisade, "connect"), 1.0);
    let metrics = metrics_of(&palisade);
    assert_eq!(metrics.sum("upstream_connections", &[]), 1.0);
    assert_eq!(metrics.sum("upstream_idle_connections", &[]), 1.0);
}

#[test]
fn alpn_decides_with_tls() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let certificate = authority.issue(Leaf::server(&["127.0.0.1"]));
    let ca = authority.write_to(&dir, "ca");
    let with = |protocol: &str| format!("protocol = \"{protocol}\"\ntls = {{ ca = \"{}\" }}", ca.display());
    let both = || TlsServer::new(&certificate).alpn(&["h2", "http/1.1"]);
    for protocol in ["http2", "auto"] {
        let origin = H2Origin::echo(H2OriginOptions::new().tls(both()));
        expect_good(&proxy(&origin.address(), &with(protocol)), 3);
        let facts = origin.handshakes()[0].outcome.clone().expect("a good handshake");
        assert_eq!(facts.alpn.as_deref(), Some("h2"));
        let secure = origin.requests().iter().all(|request| request.header(":scheme") == Some("https"));
        assert!(secure && origin.connections() == 1 && origin.violations().is_empty());
    }
    let old = TlsServer::new(&certificate).alpn(&["http/1.1"]);
    let origin = Origin::serve_tls(old.clone(), Behaviour::Echo);
    let palisade = proxy(&origin.address(), &with("auto"));
    expect_good(&palisade, 3);
    assert_eq!(origin.handshakes().len(), 1);
    expect_failure(
        &proxy(&origin.address(), &with("http2")),
        502,
        "upstream_tls_failed",
        "no_common_protocol",
    );
    // One that says nothing by ALPN speaks HTTP/1.
    let silent = Origin::serve_tls(TlsServer::new(&certificate), Behaviour::Echo);
    expect_good(&proxy(&silent.address(), &with("auto")), 2);
    let palisade = proxy(&silent.address(), &with("http2"));
    assert_eq!(palisade.client().get("/").status, 502);
    palisade.wait_access_log(1, |line| line.contains("upstream_no_http2"));
}

#[test]
fn who_does_not_speak_it_gets_no_request() {
    let origin = Origin::echo();
    let palisade = proxy(&origin.address(), HTTP2);
    assert_eq!(palisade.client().request("POST", "/", &[], b"x").status, 502);
    palisade.wait_access_log(1, |line| line.contains("upstream_no_http2"));
    assert_eq!(origin.requests().len(), 0);
    // Without TLS nothing agrees on it.
    expect_good(&proxy(&origin.address(), "protocol = \"auto\""), 2);
}

#[test]
fn the_origin_gets_the_same_head_in_another_form() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), HTTP2);
    let mut client = palisade.client();
    client.send(
        "POST /a%20b/echo?q=<x>`|y HTTP/1.1\r\nHost: App.Test:81\r\nConnection: close, X-Once, TE\r\nX-Once: 1\r\n\
         TE: trailers\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 6.6.6.6\r\nUpgrade: h2c\r\n\
         grpc-timeout: 1S\r\nCookie: a=1; b=2\r\nContent-Type: text/plain\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    assert_eq!(client.read_response().text(), "hello");
    let request = &origin.requests()[0];
    let header = |name: &str| request.header(name);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.path(), "/a%20b/echo?q=%3Cx%3E%60%7Cy");
    assert_eq!((header(":scheme"), header(":authority")), (Some("http"), Some("App.Test:81")));
    assert_eq!((header("te"), header("content-length")), (Some("trailers"), Some("5")));
    assert_eq!(
        (header("x-forwarded-for"), header("x-forwarded-host")),
        (Some("127.0.0.1"), Some("App.Test:81"))
    );
    assert_eq!((header("grpc-timeout"), header("cookie")), (Some("1S"), Some("a=1; b=2")));
    for name in ["connection", "x-once", "upgrade", "transfer-encoding", "host", "keep-alive"] {
        assert_eq!(header(name), None, "{name}");
    }
    assert_eq!(origin.violations(), Vec::<String>::new());
}

#[test]
fn trailers_go_both_ways() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |_, _| {
        let head = H2Script::new().head(200, &[("content-type", "application/grpc")], false);
        head.data("hi", false).trailers(&[("grpc-status", "0"), ("x-sum", "7")])
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let mut client = palisade.client();
    client.send(
        "POST /stream HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Own: 1\r\nContent-Length: 9\r\n\r\n",
    );
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (200, "hi"));
    assert_eq!(response.trailers.get("grpc-status"), Some("0"));
    let request = &origin.requests()[0];
    assert_eq!((request.trailers.get("x-own"), request.trailers.get("content-length")), (Some("1"), None));
    assert_eq!(origin.violations(), Vec::<String>::new());
}

/// In HTTP/1 trailers need chunks, and chunks leave no room for a length: the length is kept.
#[test]
fn a_told_length_is_worth_more_than_trailers_to_http1() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |_, _| {
        let head = H2Script::new().head(200, &[("content-length", "2")], false);
        head.data("hi", false).trailers(&[("x-sum", "7")])
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let mut client = palisade.client();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
        let response = client.read_response();
        assert_eq!((response.text(), response.header("Content-Length")), ("hi", Some("2")));
        assert_eq!(response.trailers.get("x-sum"), None);
    }
    assert_eq!(client.unread(), "");
}

/// An answer that is nothing but its trailers, as gRPC calls it, is a head that ends the stream.
#[test]
fn an_answer_may_end_with_its_head() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |_, _| {
        H2Script::new().head(200, &[("grpc-status", "12")], true).reset(error::NO_ERROR)
    });
    let palisade = proxy(&origin.address(), HTTP2);
    for _ in 0..3 {
        let response = palisade.client().request("POST", "/", &[], b"x");
        assert_eq!((response.status, response.header("grpc-status")), (200, Some("12")));
        assert_eq!(response.body, b"");
    }
}

#[test]
fn interim_answers_pass_and_are_counted() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |request, _| {
        let count = if request.path() == "/many" { 17 } else { 16 };
        let hints = (0..count).fold(H2Script::new(), |script, number| {
            let link = number.to_string();
            script.head(if number == 0 { 100 } else { 103 }, &[("link", &link)], false)
        });
        hints.head(200, &[], false).data("x", true)
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let response = palisade.client().get("/few");
    assert_eq!((response.text(), response.interim.len()), ("x", 15));
    assert_eq!(palisade.client().get("/many").status, 502);
    palisade.wait_access_log(1, |line| line.contains("upstream_too_many_interim"));
}

/// However many come in one piece, before anybody can count them.
#[test]
fn a_flood_of_interim_answers_is_no_heap() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |request, _| {
        if request.path() != "/flood" {
            return H2Script::answer(200, "x");
        }
        // `:status: 103` as a literal that no table keeps.
        let interim = Frame::headers(request.stream, b"\x08\x03103".as_slice(), false);
        H2Script::new().then(H2Step::Raw(interim.to_bytes().repeat(1_000_000)))
    });
    let palisade = proxy(&origin.address(), HTTP2);
    assert_eq!(palisade.client().get("/").text(), "x");
    let before = palisade.resident_bytes();
    assert_eq!(palisade.client().get("/flood").status, 502);
    let grown = palisade.resident_bytes().saturating_sub(before);
    assert!(grown < 3 << 20, "{} KiB for interim answers", grown >> 10);
    assert_eq!(palisade.client().get("/").text(), "x");
}

#[test]
fn many_requests_at_once_need_few_connections() {
    const ALL: usize = 100;
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), HTTP2);
    let (address, begin) = (palisade.address("http"), Arc::new(Barrier::new(ALL)));
    let ask = |number: usize| {
        let begin = begin.clone();
        move || {
            let mut client = Client::connect(address);
            client.set_deadline(SOON * 3);
            begin.wait();
            assert_eq!(client.get("/slow/300").status, 200);
            assert_eq!(client.get(&format!("/canary-{number}")).text(), number.to_string());
        }
    };
    let threads: Vec<_> = (0..ALL).map(|number| thread::spawn(ask(number))).collect();
    poll_until(SOON * 3, "half of them at once", || origin.most_concurrent() >= ALL / 2);
    threads.into_iter().for_each(|thread| thread.join().expect("good answers"));
    assert!(origin.connections() <= 2, "{} connections", origin.connections());
    poll_until(SOON, "nothing is under way", || {
        let metrics = metrics_of(&palisade);
        let idle = metrics.sum("upstream_idle_connections", &[]);
        idle == metrics.sum("upstream_connections", &[]) && idle == origin.connections() as f64
    });
}

#[test]
fn an_origin_says_how_many_streams_it_takes() {
    let one = H2OriginOptions::new().setting(setting::MAX_CONCURRENT_STREAMS, 1);
    let origin = H2Origin::echo(one);
    let palisade = proxy(&origin.address(), &format!("{HTTP2}\npool.max_connections = 3"));
    let address = palisade.address("http");
    let ask = || {
        move || {
            let mut client = Client::connect(address);
            client.set_deadline(SOON * 3);
            client.get("/slow/100").status
        }
    };
    // More than there are places: some wait in the queue.
    let threads: Vec<_> = (0..12).map(|_| thread::spawn(ask())).collect();
    for thread in threads {
        assert_eq!(thread.join().expect("an answer"), 200);
    }
    assert_eq!((origin.most_concurrent(), origin.connections()), (1, 3));
    assert_eq!(origin.violations(), Vec::<String>::new());

    let none = H2Origin::echo(H2OriginOptions::new().setting(setting::MAX_CONCURRENT_STREAMS, 0));
    let palisade = proxy(&none.address(), HTTP2);
    assert_eq!(palisade.client().get("/").status, 502);
    palisade.wait_access_log(1, |line| line.contains("upstream_no_streams"));
    assert_eq!(none.streams().len(), 0);
}

/// A shared connection cannot be handed over, so no worker may be left without one by the limit.
#[test]
fn each_worker_has_a_connection_whatever_the_limit() {
    const ALL: usize = 24;
    let origin = H2Origin::scripted(H2OriginOptions::new(), |request, _| match request.path() {
        "/held" => H2Script::new(),
        _ => H2Script::echo(request),
    });
    let text = config(&origin.address(), &format!("{HTTP2}\npool.max_connections = 1"));
    let palisade = Palisade::start(BINARY, &text.replace("server.workers = 1", "server.workers = 3"));
    let held: Vec<_> = (0..ALL)
        .map(|_| {
            let mut client = palisade.client();
            client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    // On whichever worker they are, none of them waits for another.
    origin.wait_streams(SOON, "all of them at once", |streams| streams.len() == ALL);
    assert!(origin.connections() <= 3, "{} connections", origin.connections());
    assert_eq!(metrics_of(&palisade).sum("upstream_queue", &[]), 0.0);
    drop(held);
    for number in 0..ALL {
        let response = palisade.client().get(&format!("/canary-{number}"));
        assert_eq!((response.status, response.text()), (200, number.to_string().as_str()));
    }
    assert!(origin.connections() <= 3, "{} connections", origin.connections());
}

/// What balances and the circuit breaker go by are requests, not connections.
#[test]
fn the_load_of_an_origin_is_its_streams() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), &format!("{HTTP2}\nbreaker = {{ max_requests = 3 }}"));
    expect_good(&palisade, 2);
    let mut held: Vec<_> = (1..=3)
        .map(|number| {
            let mut client = palisade.client();
            client.send("GET /slow/1000 HTTP/1.1\r\nHost: a\r\n\r\n");
            origin.wait_streams(SOON, "one more", |streams| {
                streams.iter().filter(|stream| stream.path() == "/slow/1000").count() == number
            });
            client
        })
        .collect();
    assert_eq!(palisade.client().get("/").status, 503);
    palisade.wait_access_log(1, |line| line.contains("breaker.max_requests"));
    for client in &mut held {
        assert_eq!(client.read_response().status, 200);
    }
    expect_good(&palisade, 2);
    assert_eq!(origin.connections(), 1);
}

/// The rest of the request is not wanted any more, and the connection is as good as before.
#[test]
fn an_answer_may_come_before_the_end_of_the_request() {
    let origin = H2Origin::scripted(H2OriginOptions::new().early(), |request, _| match request.path() {
        "/stream/refused" => H2Script::answer(413, "no").reset(error::NO_ERROR),
        _ => H2Script::echo(request),
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let mut client = palisade.client();
    client.send("POST /stream/refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (413, "no"));
    expect_good(&palisade, 3);
    assert_eq!(origin.connections(), 1);
}

/// Both directions at once, as bidirectional streams of gRPC use them.
#[test]
fn request_and_answer_flow_at_the_same_time() {
    let origin = H2Origin::scripted(H2OriginOptions::new().early(), |_, _| {
        H2Script::new().head(200, &[], false).data("first", false)
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let mut client = palisade.client();
    client.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut got = Vec::new();
    poll_until(SOON, "the beginning of the answer", || {
        let mut piece = [0; 1000];
        let count = client.stream().read(&mut piece).unwrap_or_default();
        got.extend_from_slice(&piece[..count]);
        got.windows(5).any(|window| window == b"first")
    });
    client.send("3\r\nmid\r\n");
    origin.wait_streams(SOON, "a part of the request", |streams| streams[0].body == b"mid");
    drop(client);
    origin.wait_streams(SOON, "the stream is reset", |streams| streams[0].reset == Some(error::CANCEL));
}

#[test]
fn a_client_that_leaves_ends_its_stream_and_nothing_else() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |request, _| match request.path() {
        "/never" => H2Script::new(),
        "/half" => H2Script::new().head(200, &[], false).data(pattern(30_000_000), false),
        _ => H2Script::echo(request),
    });
    let text = config(&origin.address(), HTTP2);
    let palisade = Palisade::start(BINARY, &format!("server.client_half_close = \"cancel\"\n{text}"));
    expect_good(&palisade, 1);
    for path in ["/never", "/half"] {
        let mut client = palisade.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        origin.wait_streams(SOON, "the request", |streams| {
            streams.iter().any(|stream| stream.path() == path && stream.complete)
        });
        drop(client);
        origin.wait_streams(SOON, "the reset", |streams| {
            streams.iter().any(|stream| stream.path() == path && stream.reset == Some(error::CANCEL))
        });
    }
    expect_good(&palisade, 3);
    assert_eq!(origin.connections(), 1);
}

/// An origin that takes no byte of a body is waited for as long as one that takes none of HTTP/1.
#[test]
fn an_origin_that_takes_nothing_is_given_up() {
    let options = H2OriginOptions::new().setting(setting::INITIAL_WINDOW_SIZE, 0).hold_windows();
    let origin = H2Origin::echo(options);
    let text = config(&origin.address(), HTTP2);
    let palisade = Palisade::start(BINARY, &format!("defaults.timeouts.send = \"300ms\"\n{text}"));
    assert_eq!(palisade.client().request("POST", "/echo", &[], b"hello").status, 504);
    palisade.wait_access_log(1, |line| line.contains("upstream_send_timeout"));
    // What needs no window goes on; meanwhile the connection in doubt may have been passed by.
    expect_good(&palisade, 2);
    assert!(origin.connections() <= 2);
}

#[test]
fn a_slow_client_holds_the_origin_back() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), HTTP2);
    let mut slow = palisade.client();
    slow.send("GET /bytes/30000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1, SOON);
    // Others are served meanwhile, over the same connection.
    expect_good(&palisade, 20);
    slow.set_deadline(SOON * 3);
    assert!(slow.read_response().body == pattern(30_000_000));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn connections_end_when_nobody_uses_them_or_may() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), &format!("{HTTP2}\npool.idle_timeout = \"1s\""));
    expect_good(&palisade, 2);
    poll_until(SOON, "the idle connection is closed", || {
        origin.open_connections() == 0 && metrics_of(&palisade).sum("upstream_connections", &[]) == 0.0
    });
    expect_good(&palisade, 2);
    palisade.rewrite_config(&config(&origin.address(), "protocol = \"http1\""));
    assert_eq!(crate::stage::reload(&palisade).status, 200);
    poll_until(SOON, "the connection of before is closed", || origin.open_connections() == 0);
}

/// Nobody joins two streams yet; that says nothing about the server.
#[test]
fn a_websocket_is_refused_and_nobody_ejected() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin.address(), &format!("{HTTP2}\noutlier = {{ failures = 1 }}"));
    for _ in 0..2 {
        let mut client = palisade.client();
        client.send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        );
        assert_eq!(client.read_response().status, 502);
    }
    palisade.wait_access_log(2, |line| line.contains("upstream_bad_upgrade"));
    expect_good(&palisade, 2);
    assert_eq!(event(&palisade, "ejection"), 0.0);
}

/// Agrees to a WebSocket and gives every byte back; says that there is none to `/none`.
fn serve_websocket(mut connection: OriginConnection) {
    let Ok(Some(request)) = connection.read_request() else { return };
    let answer = match request.target.as_str() {
        "/none" => "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
        _ => {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        }
    };
    let _ = connection.write_all(answer.as_bytes());
    let mut piece = [0; 1000];
    while let Ok(count @ 1..) = connection.read(&mut piece) {
        let _ = connection.write_all(&piece[..count]);
    }
}

/// Where HTTP/2 is agreed on and cannot carry it, a WebSocket has a connection of HTTP/1.1 for itself.
#[test]
fn a_websocket_gets_http1_where_the_server_speaks_both() {
    let (authority, dir) = (Authority::new("CA"), temp_dir());
    let tls = TlsServer::new(&authority.issue(Leaf::server(&["127.0.0.1"]))).alpn(&["h2", "http/1.1"]);
    let origin = H2Origin::echo(H2OriginOptions::new().tls(tls).http1(serve_websocket));
    let ca = authority.write_to(&dir, "ca");
    let auto = format!("protocol = \"auto\"\ntls = {{ ca = \"{}\" }}", ca.display());
    let palisade = proxy(&origin.address(), &auto);
    let open = |path: &str| {
        let mut client = palisade.client();
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ));
        let response = client.read_response_to_head();
        (client, response.status)
    };
    // Also when nobody knows yet what the server speaks.
    let (mut first, status) = open("/chat");
    assert_eq!(status, 101);
    expect_good(&palisade, 3);
    let (mut second, status) = open("/chat");
    assert_eq!(status, 101);
    for client in [&mut first, &mut second] {
        client.send("ping");
        let mut echoed = [0; 4];
        client.stream().read_exact(&mut echoed).expect("an echo");
        assert_eq!(&echoed, b"ping");
    }
    // A connection that came to no tunnel is not for requests that can go another way.
    assert_eq!(open("/none").1, 404);
    expect_good(&palisade, 3);
    let agreed: Vec<_> =
        origin.handshakes().into_iter().map(|shaken| shaken.outcome.expect("a good one").alpn).collect();
    let count = |name: &str| agreed.iter().filter(|alpn| alpn.as_deref() == Some(name)).count();
    assert_eq!((count("h2"), count("http/1.1")), (1, 3), "{agreed:?}");
    assert_eq!(origin.violations(), Vec::<String>::new());
    drop((first, second));
    poll_until(SOON, "the connections of the tunnels are closed", || {
        metrics_of(&palisade).sum("upstream_connections", &[]) == 1.0
    });
}
