//! A bug in one request: its connection ends, everybody else's lives on. The bugs are made on purpose, by a
//! variable that only builds with debug assertions know.

use testkit::{Client, Launch, Origin, Palisade, SOON, canary, canary_on, poll_until};

/// `None` when the binary has no faults to switch on.
fn faulty_proxy(origin: &Origin) -> Option<Palisade> {
    if !cfg!(debug_assertions) {
        println!("skipped: this build has no faults to switch on");
        return None;
    }
    let config = format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        upstreams.origin.endpoints = ["{}"]
        routes.all.upstream = "origin"
        admin.address = "127.0.0.1:0"
        server.workers = 1
        server.max_connections_per_client = 1000
        "#,
        origin.address()
    );
    Some(Launch::new(env!("CARGO_BIN_EXE_palisade")).environment("PALISADE_FAULTS", "on").start(&config))
}

fn panics(palisade: &Palisade) -> f64 {
    palisade.metrics().sum("panics_total", &[])
}

#[test]
fn a_bug_before_the_answer_is_a_500_and_costs_nobody_else_anything() {
    let origin = Origin::echo();
    let Some(mut palisade) = faulty_proxy(&origin) else { return };
    let mut other = Client::connect(palisade.address("http"));
    canary_on(&mut other, &origin);
    let mut busy = Client::connect(palisade.address("http"));
    busy.send("GET /slow/1000 HTTP/1.1\r\nHost: a\r\n\r\n");
    for round in 1..=50 {
        let mut client = Client::connect(palisade.address("http"));
        let response = client.get("/panic-before");
        assert_eq!((response.status, response.header("Connection")), (500, Some("close")));
        assert!(client.is_closed(SOON));
        assert_eq!(panics(&palisade), f64::from(round));
        canary_on(&mut other, &origin);
    }
    assert_eq!(busy.read_response().text(), "slow\n");
    palisade.wait_stderr("a bug: worker-0 panicked at src/proxy/fault.rs", SOON);
    palisade.wait_stderr("on purpose, before the answer", SOON);
    assert!(palisade.is_running());
    canary(palisade.address("http"), &origin);
    drop((busy, other));
    poll_until(SOON, "every connection to be given up", || {
        palisade.metrics().sum("open_connections", &[]) == 0.0
    });
    assert!(origin.requests().iter().all(|request| !request.target.contains("panic")));
}

/// However the end of the answer is told, it is not there.
#[test]
fn a_bug_within_the_answer_is_no_clean_end() {
    let origin = Origin::echo();
    let Some(palisade) = faulty_proxy(&origin) else { return };
    let mut other = Client::connect(palisade.address("http"));
    for (round, (target, version)) in
        [("bytes", "1.1"), ("chunked", "1.1"), ("bytes", "1.0"), ("chunked", "1.0")].into_iter().enumerate()
    {
        let mut client = Client::connect(palisade.address("http"));
        client.send(format!("GET /panic-within/{target}/3000000 HTTP/{version}\r\nHost: a\r\n\r\n"));
        let error = client.try_read_response().expect_err("an answer that breaks off");
        if version == "1.0" {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{target}: {error}");
        }
        poll_until(SOON, "the panic to be counted", || panics(&palisade) == (round + 1) as f64);
        canary_on(&mut other, &origin);
    }
    poll_until(SOON, "the places in the pool to be given back", || {
        let metrics = palisade.metrics();
        metrics.sum("upstream_connections", &[]) == metrics.sum("upstream_idle_connections", &[])
    });
    canary(palisade.address("http"), &origin);
}
