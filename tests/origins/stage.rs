//! A proxy in front of origins that speak TLS.

use testkit::{Address, Authority, Behaviour, Client, Leaf, Metrics, Origin, Palisade, SOON, TlsServer};

pub const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

/// An origin with TLS that shows a certificate for `names`, of this authority.
pub fn origin_of(authority: &Authority, names: &[&str]) -> Origin {
    Origin::serve_tls(TlsServer::new(&authority.issue(Leaf::server(names))), Behaviour::Echo)
}

/// A proxy with one worker whose upstream is `address`, with `upstream` as further lines of it.
pub fn proxy(address: &Address, upstream: &str) -> Palisade {
    Palisade::start(BINARY, &config(address, upstream))
}

pub fn config(address: &Address, upstream: &str) -> String {
    format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        admin.address = "127.0.0.1:0"
        admin.socket = "{{dir}}/admin.sock"
        log.access = "{{dir}}/access.log"
        server.workers = 1
        routes.stream = {{ path = "/stream", upstream = "app", request_body = "stream" }}
        routes.all.upstream = "app"
        [upstreams.app]
        endpoints = ["{address}"]
        {upstream}
        "#
    )
}

pub fn reload(palisade: &Palisade) -> testkit::Response {
    Client::connect(palisade.listener("admin-socket")).request("POST", "/reload", &[], b"")
}

pub fn event(palisade: &Palisade, event: &str) -> f64 {
    let label = format!("event=\"{event}\"");
    metrics_of(palisade).sum("upstream_events_total", &[&label])
}

pub fn metrics_of(palisade: &Palisade) -> Metrics {
    Metrics::scrape(palisade.address("admin"))
}

/// A request that fails with this status, for this reason, of which the client is told nothing.
#[track_caller]
pub fn expect_failure(palisade: &Palisade, status: u16, reason: &str, detail: &str) {
    let response = palisade.client().get("/canary-1");
    assert_eq!(response.status, status, "{}", response.text());
    for word in [reason, detail, "127.0.0.1"] {
        assert!(!response.text().contains(word), "{word} in {}", response.text());
    }
    let detail = format!("\"detail\":\"{detail}\"");
    palisade.wait_access_log(1, |line| {
        line.contains(&format!("\"reason\":\"{reason}\"")) && line.contains(&detail)
    });
}

/// The proxy answers `/canary-N` with N, over whatever there is to the origin.
#[track_caller]
pub fn expect_good(palisade: &Palisade, count: usize) {
    let mut client = palisade.client();
    client.set_deadline(SOON);
    for number in 0..count {
        let response = client.get(&format!("/canary-{number}"));
        assert_eq!((response.status, response.text()), (200, number.to_string().as_str()));
    }
}
