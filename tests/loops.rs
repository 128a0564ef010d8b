//! Requests that go round in circles end, and say so.

use std::time::Duration;

use testkit::{Address, Client, Metrics, Origin, Palisade, canary, poll_until, temp_dir};

const SOON: Duration = Duration::from_secs(10);

fn proxy_to(endpoint: &Address) -> Palisade {
    proxy_on("127.0.0.1:0", endpoint)
}

fn proxy_on(listen: &str, endpoint: &Address) -> Palisade {
    Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        &format!(
            r#"
            listeners.http.address = "{listen}"
            upstreams.next.endpoints = ["{endpoint}"]
            routes.all.upstream = "next"
            admin.address = "127.0.0.1:0"
            log.access = "stdout"
            "#
        ),
    )
}

/// The proxy has answered so many requests, good or bad. One is counted a moment after its answer.
#[track_caller]
fn expect_answered(palisade: &Palisade, count: f64) {
    poll_until(SOON, &format!("{count} requests in the metrics"), || {
        let metrics = Metrics::scrape(palisade.address("admin"));
        let admin = metrics.sum("requests_total", &["route=\"admin\""]);
        metrics.sum("requests_total", &[]) - admin == count
    });
}

#[test]
fn a_proxy_to_itself_is_a_508() {
    let dir = temp_dir();
    let own = Address::Unix(dir.join("own.sock"));
    let palisade = proxy_on(&own.to_string(), &own);
    let mut client = Client::connect(palisade.listener("http"));
    for _ in 0..3 {
        assert_eq!(client.get("/round").status, 508);
    }
    palisade.wait_stdout("\"reason\":\"loop\"", SOON);
    // Once round for each, and no further.
    expect_answered(&palisade, 6.0);
}

#[test]
fn two_proxies_in_a_circle_are_a_508() {
    let dir = temp_dir();
    let (first, second) = (Address::Unix(dir.join("a.sock")), Address::Unix(dir.join("b.sock")));
    let a = proxy_on(&first.to_string(), &second);
    let b = proxy_on(&second.to_string(), &first);
    let mut client = Client::connect(a.listener("http"));
    assert_eq!(client.get("/round").status, 508);
    assert_eq!(client.request("POST", "/round", &[], b"body").status, 508);
    expect_answered(&a, 4.0);
    expect_answered(&b, 2.0);
}

/// A chain is no circle.
#[test]
fn a_chain_of_proxies_passes() {
    let origin = Origin::echo();
    let last = proxy_to(&origin.address());
    let middle = proxy_to(&last.address("http").into());
    let first = proxy_to(&middle.address("http").into());
    canary(first.address("http"), &origin);
    let seen = origin.requests();
    let hops = seen[0].header("CDN-Loop").expect("CDN-Loop");
    assert_eq!(hops.split(',').count(), 3, "{hops}");
}

/// What a client writes into the field is kept, and cannot hide a circle or make the proxy forget itself.
#[test]
fn the_field_of_the_client_is_kept_and_bounded() {
    let origin = Origin::echo();
    let palisade = proxy_to(&origin.address());
    let mut client = Client::connect(palisade.address("http"));
    assert_eq!(client.request("GET", "/one", &[("CDN-Loop", "other; id=1")], b"").status, 200);
    let seen = origin.requests();
    let hops = seen[0].headers.all("CDN-Loop");
    assert_eq!(hops.len(), 1, "{hops:?}");
    assert!(hops[0].starts_with("other; id=1, "), "{hops:?}");
    // Nominated as hop-by-hop it stays all the same.
    let fields = [("CDN-Loop", "other; id=1"), ("Connection", "CDN-Loop")];
    assert_eq!(client.request("GET", "/nominated", &fields, b"").status, 200);
    assert!(origin.requests()[1].header("CDN-Loop").unwrap().starts_with("other; id=1, "));
    // A circle of proxies that each forget themselves.
    let many = vec!["other"; 50].join(", ");
    assert_eq!(client.request("GET", "/many", &[("CDN-Loop", &many)], b"").status, 508);
    canary(palisade.address("http"), &origin);
}

/// Its own name in another proxy's request is a circle, however it is spelled around.
#[test]
fn its_own_name_is_found_wherever_it_stands() {
    let origin = Origin::echo();
    let palisade = proxy_to(&origin.address());
    let mut client = Client::connect(palisade.address("http"));
    assert_eq!(client.get("/first").status, 200);
    let own = origin.requests()[0].header("CDN-Loop").unwrap().to_owned();
    for value in [own.clone(), format!("a,{own}"), format!("a ,  {own} , b"), format!("{own},b")] {
        let mut client = Client::connect(palisade.address("http"));
        let response = client.request("GET", "/again", &[("CDN-Loop", &value)], b"");
        assert_eq!(response.status, 508, "{value}");
    }
    canary(palisade.address("http"), &origin);
}
