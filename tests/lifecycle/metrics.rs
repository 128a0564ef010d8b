//! The numbers, and the address that tells them.

use std::io::Read;

use testkit::{Client, Origin, Palisade, SOON, canary_on, poll_until};

use crate::stage::{BINARY, config, proxy_for};

#[test]
fn the_metrics_tell_what_happened() {
    let origin = Origin::echo();
    let palisade = proxy_for(
        &origin,
        "routes.no = { path = \"/no\", respond = { status = 403, body = \"no\" } }\n\
         upstreams.gone.endpoints = [\"127.0.0.1:1\"]\nroutes.gone = { path = \"/gone\", upstream = \"gone\" }",
    );
    let mut client = palisade.client();
    for _ in 0..7 {
        canary_on(&mut client, &origin);
    }
    assert_eq!(client.request("POST", "/echo", &[], &[b'x'; 1000]).status, 200);
    for _ in 0..3 {
        assert_eq!(client.get("/no").status, 403);
    }
    for _ in 0..2 {
        assert_eq!(client.get("/gone").status, 502);
    }
    let mut bad = palisade.client();
    bad.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(bad.read_response().status, 400);
    assert!(bad.is_closed(SOON));
    let mut others: Vec<_> = (0..4).map(|_| palisade.client()).collect();
    for other in &mut others {
        assert_eq!(other.get("/no").status, 403);
    }
    // Counted a moment after the client has seen the end.
    poll_until(SOON, "18 requests and five open connections", || {
        let metrics = palisade.metrics();
        let admin = metrics.sum("requests_total", &["route=\"admin\""]);
        metrics.sum("requests_total", &[]) - admin == 18.0 && metrics.sum("open_connections", &[]) == 5.0
    });

    let metrics = palisade.metrics();
    let requests = |route: &str, status: &str| {
        metrics.sum("requests_total", &[&format!("route=\"{route}\""), &format!("status=\"{status}\"")])
    };
    assert_eq!(requests("all", "2xx"), 8.0);
    assert_eq!(requests("no", "4xx"), 7.0);
    assert_eq!(requests("gone", "5xx"), 2.0);
    assert_eq!(requests("", "4xx"), 1.0);
    assert_eq!(metrics.sum("request_duration_seconds_count", &["route=\"all\""]), 8.0);
    assert_eq!(metrics.sum("request_duration_seconds_bucket", &["route=\"all\"", "le=\"+Inf\""]), 8.0);
    assert_eq!(metrics.sum("received_bytes_total", &["route=\"all\""]), 1000.0);
    assert!(metrics.sum("sent_bytes_total", &["route=\"all\""]) > 1000.0);
    assert_eq!(metrics.sum("failures_total", &["upstream_connect_refused"]), 2.0);
    assert!(metrics.sum("connections_accepted_total", &[]) >= 6.0);
    assert_eq!(metrics.sum("upstream_connections", &["upstream=\"origin\""]), 1.0);
    assert_eq!(metrics.sum("upstream_idle_connections", &["upstream=\"origin\""]), 1.0);
    // Each of the two was tried once more, there being no other endpoint.
    let gone = |event: &str| {
        metrics.sum("upstream_events_total", &["upstream=\"gone\"", &format!("event=\"{event}\"")])
    };
    assert_eq!((gone("connect_failure"), gone("retry")), (4.0, 2.0));
    assert_eq!(metrics.sum("panics_total", &[]), 0.0);
    expect_lawful_page(metrics.page());
}

/// The Prometheus text format: each family has one HELP and one TYPE before its samples, no sample comes
/// twice, buckets do not fall.
#[track_caller]
fn expect_lawful_page(page: &str) {
    let mut family = String::new();
    let mut families = std::collections::HashSet::new();
    let mut samples = std::collections::HashSet::new();
    let mut bucket: Option<(String, f64)> = None;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} comes twice");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
        assert!(series.starts_with(&family) && series.starts_with("palisade_"), "{line:?} in {family}");
        assert!(samples.insert(series.to_owned()), "{series} comes twice");
        if let Some((start, _)) = series.split_once("le=") {
            if let Some((last, before)) = &bucket
                && last == start
            {
                assert!(value >= *before, "{line:?} falls");
            }
            bucket = Some((start.to_owned(), value));
        }
    }
    assert!(samples.len() > 20);
}

/// The admin address is a place for the curious, not for requests with bodies or tricks.
#[test]
fn the_admin_listener_survives_odd_requests() {
    let palisade = Palisade::start(BINARY, &config("routes.a.respond = { status = 200 }"));
    let admin = palisade.address("admin");
    for request in [
        "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "GET /metrics/../reload HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\x16\x03\x01\x02",
    ] {
        let mut client = Client::connect(admin);
        client.send(request);
        client.finish_sending();
        let mut some = [0; 12];
        client.stream().set_read_timeout(Some(SOON)).unwrap();
        client.stream().read_exact(&mut some).unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert!(some.starts_with(b"HTTP/1.1 "), "{request:?}");
    }
    assert_eq!(Client::connect(admin).get("/live").status, 200);
}
