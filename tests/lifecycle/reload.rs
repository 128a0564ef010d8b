//! A configuration that is read again.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

use testkit::{Address, Client, Origin, Palisade, SOON, canary, canary_on, poll_until};

use crate::stage::{BINARY, HANGUP, config, held, operator, proxy_for, reload, to};

#[test]
fn a_reload_serves_new_routes_on_connections_that_are_open() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let mut client = palisade.client();
    canary_on(&mut client, &origin);
    for round in 0..3 {
        palisade.rewrite_config(&config(&format!(
            "{}routes.new = {{ path = \"/new\", respond = {{ status = 200, body = \"round {round}\" }} }}",
            to(&origin)
        )));
        let response = reload(&palisade);
        assert_eq!(response.status, 200, "{}", response.text());
        // What was said has taken effect: the very next request, whichever worker has its connection.
        assert_eq!(client.get("/new").text(), format!("round {round}"));
        assert_eq!(palisade.client().get("/new").text(), format!("round {round}"));
        canary_on(&mut client, &origin);
    }
    assert_eq!(palisade.metrics().sum("reloads_total", &[]), 3.0);
}

#[test]
fn the_hangup_signal_reloads_too() {
    let palisade = Palisade::start(BINARY, &config("routes.a.respond = { status = 200, body = \"one\" }"));
    let mut client = palisade.client();
    assert_eq!(client.get("/").text(), "one");
    palisade.rewrite_config(&config("routes.a.respond = { status = 200, body = \"two\" }"));
    palisade.signal(HANGUP);
    palisade.wait_stderr("reloaded", SOON);
    poll_until(SOON, "the new answer", || client.get("/").text() == "two");
}

#[test]
fn a_wrong_file_changes_nothing_and_is_explained() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let mut client = palisade.client();
    canary_on(&mut client, &origin);
    let wrong = config(&format!("{}routes.all.upstreem = \"origin\"", to(&origin)));
    let line = wrong.lines().position(|line| line.contains("upstreem")).unwrap() + 1;
    palisade.rewrite_config(&wrong);

    let response = reload(&palisade);
    assert_eq!(response.status, 422);
    let report = response.text();
    let place = format!("palisade.toml:{line}:");
    assert!(report.contains(&place), "no {place} in {report}");
    assert!(report.contains("upstreem") && report.contains("`upstream`"), "no hint in {report}");

    palisade.signal(HANGUP);
    palisade.wait_stderr("nothing was changed", SOON);
    palisade.wait_stderr(&place, SOON);

    for text in ["", "listeners.http.address = 7", "[[[", "\0"] {
        palisade.rewrite_config(text);
        let response = reload(&palisade);
        assert_eq!(response.status, 422, "{text:?}");
        assert!(response.text().contains("palisade.toml"), "{text:?}: {}", response.text());
    }
    fs::remove_file(palisade.dir().join("palisade.toml")).unwrap();
    assert_eq!(reload(&palisade).status, 422, "the file is gone");

    canary_on(&mut client, &origin);
    canary(palisade.address("http"), &origin);
    let metrics = palisade.metrics();
    assert_eq!((metrics.sum("reloads_total", &[]), metrics.sum("failed_reloads_total", &[])), (0.0, 7.0));
}

/// A listener that cannot be bound fails the whole reload, also what comes before it in the file.
#[test]
fn a_reload_that_cannot_bind_changes_nothing() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let descriptors = palisade.descriptors().len();
    palisade.rewrite_config(&config(&format!(
        "{}routes.new = {{ path = \"/new\", respond = {{ status = 200, body = \"new\" }} }}\n\
         listeners.a.address = \"unix:{{dir}}/a.sock\"\nlisteners.z.address = \"{address}\"",
        to(&origin)
    )));
    let response = reload(&palisade);
    assert_eq!(response.status, 422);
    assert!(response.text().contains(&address.to_string()), "{}", response.text());
    assert_ne!(palisade.client().get("/new").text(), "new");
    assert!(!palisade.dir().join("a.sock").exists());
    poll_until(SOON, "what was bound to be given back", || palisade.descriptors().len() <= descriptors + 2);
    canary(palisade.address("http"), &origin);
}

#[test]
fn pools_and_counters_live_on_over_a_reload() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let mut client = palisade.client();
    for _ in 0..5 {
        canary_on(&mut client, &origin);
    }
    // A request is counted a moment after its client has the answer.
    let expect_served = |count: f64| {
        poll_until(SOON, "the requests to be counted", || {
            palisade.metrics().sum("requests_total", &["route=\"all\"", "status=\"2xx\""]) == count
        });
    };
    expect_served(5.0);
    for _ in 0..3 {
        palisade.rewrite_config(&config(&format!(
            "{}routes.b = {{ path = \"/b\", upstream = \"origin\" }}",
            to(&origin)
        )));
        assert_eq!(reload(&palisade).status, 200);
        canary_on(&mut client, &origin);
    }
    assert_eq!(origin.connections().len(), 1, "the pool was emptied");
    expect_served(8.0);
    assert_eq!(palisade.metrics().sum("upstream_events_total", &["event=\"connect\""]), 1.0);
}

#[test]
fn endpoints_that_are_gone_lose_their_connections() {
    let (old, new) = (Origin::echo(), Origin::echo());
    let palisade = proxy_for(&old, "");
    let mut client = palisade.client();
    canary_on(&mut client, &old);
    assert_eq!(old.open_connections(), 1);
    palisade.rewrite_config(&config(&to(&new)));
    assert_eq!(reload(&palisade).status, 200);
    canary_on(&mut client, &new);
    poll_until(SOON, "the old pool to be closed", || old.open_connections() == 0);
    // And back: a known endpoint is found again.
    palisade.rewrite_config(&config(&to(&old)));
    assert_eq!(reload(&palisade).status, 200);
    canary_on(&mut client, &old);
}

#[test]
fn pool_settings_change_with_a_reload() {
    let (origin, door) = Origin::holding();
    let limit = |max: u32| {
        config(&format!(
            "{}upstreams.origin.pool = {{ max_connections = {max}, queue_timeout = \"20s\" }}",
            to(&origin)
        ))
    };
    let palisade = Palisade::start(BINARY, &limit(1));
    let mut first = held(&palisade, &origin);
    let mut second = palisade.client();
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    poll_until(SOON, "the request in the queue", || palisade.metrics().sum("upstream_queue", &[]) == 1.0);
    palisade.rewrite_config(&limit(2));
    assert_eq!(reload(&palisade).status, 200);
    // There is room now, for the one that waits and for a new one.
    canary(palisade.address("http"), &origin);
    assert_eq!(second.read_response().status, 200);
    door.open();
    assert_eq!(first.read_response().status, 200);
}

#[test]
fn listeners_come_and_go() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let second = |text: &str| config(&format!("{}{text}", to(&origin)));

    palisade.rewrite_config(&second("listeners.second.address = \"unix:{dir}/second.sock\""));
    assert_eq!(reload(&palisade).status, 200);
    palisade.wait_stderr("listener second on unix:", SOON);
    let address = palisade.listener("second");
    canary(address.clone(), &origin);
    let mut idle = Client::connect(address.clone());
    canary_on(&mut idle, &origin);
    let mut staying = palisade.client();
    canary_on(&mut staying, &origin);

    palisade.rewrite_config(&second(""));
    assert_eq!(reload(&palisade).status, 200);
    assert!(idle.is_closed(SOON), "an idle connection of a listener that is gone");
    poll_until(SOON, "the listener to be gone", || Client::try_connect(address.clone()).is_err());
    assert!(!palisade.dir().join("second.sock").exists());
    canary_on(&mut staying, &origin);

    palisade.rewrite_config(&second("listeners.second.address = \"unix:{dir}/second.sock\""));
    assert_eq!(reload(&palisade).status, 200);
    poll_until(SOON, "the listener to be back", || Client::try_connect(address.clone()).is_ok());
    canary(address, &origin);
}

/// Two free ports, which nobody is given meanwhile if it can be helped.
fn two_ports() -> [u16; 2] {
    let held = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// An address goes from the public to the operator and back: nobody answers for the other.
#[test]
fn an_address_moves_between_the_public_and_the_operator() {
    let [first, second] = two_ports();
    let with = |public: u16, admin: u16| {
        format!(
            "listeners.http.address = \"127.0.0.1:{public}\"\nadmin.address = \"127.0.0.1:{admin}\"\n\
             admin.socket = \"{{dir}}/admin.sock\"\nserver.workers = 2\n\
             routes.a.respond = {{ status = 200, body = \"public\" }}"
        )
    };
    let palisade = Palisade::start(BINARY, &with(first, second));
    for (public, admin) in [(first, second), (second, first), (first, second)] {
        palisade.rewrite_config(&with(public, admin));
        let response = reload(&palisade);
        assert_eq!(response.status, 200, "{}", response.text());
        // On whichever worker.
        for _ in 0..20 {
            let mut client = Client::connect(Address::Tcp(([127, 0, 0, 1], public).into()));
            assert_eq!(client.get("/live").text(), "public");
            let mut operator = Client::connect(Address::Tcp(([127, 0, 0, 1], admin).into()));
            assert_eq!(operator.get("/live").text(), "live\n");
        }
    }
}

/// A listener that goes lets the request finish that came in by it.
#[test]
fn a_listener_that_goes_finishes_its_requests() {
    let (origin, door) = Origin::holding();
    let both = config(&format!("{}listeners.second.address = \"127.0.0.1:0\"", to(&origin)));
    let palisade = Palisade::start(BINARY, &both);
    let mut client = Client::connect(palisade.address("second"));
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1, SOON);
    palisade.rewrite_config(&config(&to(&origin)));
    assert_eq!(reload(&palisade).status, 200);
    door.open();
    let response = client.read_response();
    assert_eq!((response.status, response.header("Connection")), (200, Some("close")));
    assert!(client.is_closed(SOON));
    canary(palisade.address("http"), &origin);
}

#[test]
fn twenty_reloads_under_load_fail_no_request() {
    const CLIENTS: usize = 4;
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let address = palisade.address("http");
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (stop, served) = (stop.clone(), served.clone());
            thread::spawn(move || {
                let mut kept = Client::connect(address);
                let mut turn = 0;
                while !stop.load(SeqCst) {
                    // Old connections and new ones, with and without a body.
                    let target = format!("/canary-{number}x{turn}");
                    assert_eq!(kept.get(&target).text(), format!("{number}x{turn}"));
                    let mut fresh = Client::connect(address);
                    assert_eq!(fresh.request("POST", "/echo", &[], b"body").text(), "body");
                    served.fetch_add(2, SeqCst);
                    turn += 1;
                }
            })
        })
        .collect();
    let descriptors = palisade.descriptors().len();
    for round in 0..20 {
        // Routes, limits and listeners change, and every fifth file is wrong.
        let more = match round % 5 {
            0 => "listeners.extra.address = \"unix:{dir}/extra.sock\"",
            1 => "server.max_connections = 5000",
            2 => "routes.b = { path = \"/b\", upstream = \"origin\", request_body = \"stream\" }",
            3 => {
                "upstreams.other.endpoints = [\"127.0.0.1:9\"]\nroutes.c = { path = \"/c\", upstream = \"other\" }"
            }
            _ => "nonsense = 1",
        };
        palisade.rewrite_config(&config(&format!("{}{more}", to(&origin))));
        let before = served.load(SeqCst);
        assert_eq!(reload(&palisade).status, if round % 5 == 4 { 422 } else { 200 }, "round {round}");
        poll_until(SOON, "requests after the reload", || served.load(SeqCst) >= before + 10);
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.join().expect("a request failed");
    }
    println!("{} requests over 20 reloads", served.load(SeqCst));
    let metrics = palisade.metrics();
    assert_eq!((metrics.sum("reloads_total", &[]), metrics.sum("failed_reloads_total", &[])), (16.0, 4.0));
    assert_eq!(metrics.sum("failures_total", &[]), 0.0, "{}", metrics.page());
    assert_eq!(metrics.sum("panics_total", &[]), 0.0);
    poll_until(SOON, "the descriptors to be given back", || palisade.descriptors().len() <= descriptors + 8);
    canary(address, &origin);
}

/// What a reload leaves behind must not add up.
#[test]
fn two_hundred_reloads_leave_nothing_behind() {
    const ROUND: usize = 50;
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let mut client = palisade.client();
    let mut admin = operator(&palisade);
    let texts: Vec<String> = (0..2)
        .map(|turn| {
            let routes: Vec<String> = (0..100)
                .map(|number| {
                    format!("routes.r{number} = {{ path = \"/{turn}/{number}\", upstream = \"origin\" }}")
                })
                .collect();
            config(&format!(
                "{}{}\nlisteners.turn{turn}.address = \"unix:{{dir}}/{turn}.sock\"",
                to(&origin),
                routes.join("\n")
            ))
        })
        .collect();
    let mut measured = Vec::new();
    for _ in 0..4 {
        for number in 0..ROUND {
            palisade.rewrite_config(&texts[number % 2]);
            assert_eq!(admin.request("POST", "/reload", &[], b"").status, 200);
            canary_on(&mut client, &origin);
        }
        measured.push((palisade.resident_bytes() >> 20, palisade.descriptors().len()));
    }
    println!("MiB and descriptors after each {ROUND} reloads: {measured:?}");
    let ((memory, descriptors), (memory_after, descriptors_after)) = (measured[0], measured[3]);
    assert!(memory_after <= memory + 8, "{measured:?} MiB");
    assert!(descriptors_after <= descriptors + 2, "{measured:?} descriptors");
    assert_eq!(origin.connections().len(), 1);
}
