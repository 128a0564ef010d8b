//! The life of the process from outside: start, reload, drain, end, and its logs and metrics meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testkit::{
    Address, Client, Launch, Metrics, NotReady, Origin, Palisade, Response, Script, canary, canary_on,
    poll_until, temp_dir,
};

const BINARY: &str = env!("CARGO_BIN_EXE_palisade");
const SOON: Duration = Duration::from_secs(10);
const HANGUP: i32 = 1;
const INTERRUPT: i32 = 2;
const USER1: i32 = 10;
const TERMINATE: i32 = 15;
const CONTINUE: i32 = 18;
const STOP: i32 = 19;

/// A listener, an admin address and socket, and `more`, which names the routes.
fn config(more: &str) -> String {
    format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        admin.address = "127.0.0.1:0"
        admin.socket = "{{dir}}/admin.sock"
        server.workers = 2
        {more}
        "#
    )
}

fn to(origin: &Origin) -> String {
    format!("upstreams.origin.endpoints = [\"{}\"]\nroutes.all.upstream = \"origin\"\n", origin.address())
}

fn proxy_for(origin: &Origin, more: &str) -> Palisade {
    Palisade::start(BINARY, &config(&format!("{}{more}", to(origin))))
}

fn client_of(palisade: &Palisade) -> Client {
    Client::connect(palisade.address("http"))
}

fn operator(palisade: &Palisade) -> Client {
    Client::connect(palisade.listener("admin-socket"))
}

fn reload(palisade: &Palisade) -> Response {
    operator(palisade).request("POST", "/reload", &[], b"")
}

fn metrics_of(palisade: &Palisade) -> Metrics {
    Metrics::scrape(palisade.address("admin"))
}

/// The echo service, behind which requests for `/held` wait until the door is opened.
fn holding_origin() -> (Origin, Arc<AtomicBool>) {
    let door = Arc::new(AtomicBool::new(false));
    let origin = Origin::scripted({
        let door = door.clone();
        move |request, _| {
            if request.target.starts_with("/held") {
                poll_until(Duration::from_secs(30), "the door to open", || door.load(SeqCst));
            }
            Script::echo(request)
        }
    });
    (origin, door)
}

/// A client whose request the origin has and holds.
fn held(palisade: &Palisade, origin: &Origin) -> Client {
    let before = origin.requests().len();
    let mut client = client_of(palisade);
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(before + 1, SOON);
    client
}

// ---- Reload ----

#[test]
fn a_reload_serves_new_routes_on_connections_that_are_open() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let mut client = client_of(&palisade);
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
        assert_eq!(client_of(&palisade).get("/new").text(), format!("round {round}"));
        canary_on(&mut client, &origin);
    }
    assert_eq!(metrics_of(&palisade).sum("reloads_total", &[]), 3.0);
}

#[test]
fn the_hangup_signal_reloads_too() {
    let palisade = Palisade::start(BINARY, &config("routes.a.respond = { status = 200, body = \"one\" }"));
    let mut client = client_of(&palisade);
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
    let mut client = client_of(&palisade);
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
    let metrics = metrics_of(&palisade);
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
    assert_ne!(client_of(&palisade).get("/new").text(), "new");
    assert!(!palisade.dir().join("a.sock").exists());
    poll_until(SOON, "what was bound to be given back", || palisade.descriptors().len() <= descriptors + 2);
    canary(palisade.address("http"), &origin);
}

#[test]
fn pools_and_counters_live_on_over_a_reload() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "");
    let mut client = client_of(&palisade);
    for _ in 0..5 {
        canary_on(&mut client, &origin);
    }
    // A request is counted a moment after its client has the answer.
    let expect_served = |count: f64| {
        poll_until(SOON, "the requests to be counted", || {
            metrics_of(&palisade).sum("requests_total", &["route=\"all\"", "status=\"2xx\""]) == count
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
    assert_eq!(metrics_of(&palisade).sum("upstream_events_total", &["event=\"connect\""]), 1.0);
}

#[test]
fn endpoints_that_are_gone_lose_their_connections() {
    let (old, new) = (Origin::echo(), Origin::echo());
    let palisade = proxy_for(&old, "");
    let mut client = client_of(&palisade);
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
    let (origin, door) = holding_origin();
    let limit = |max: u32| {
        config(&format!(
            "{}upstreams.origin.pool = {{ max_connections = {max}, queue_timeout = \"20s\" }}",
            to(&origin)
        ))
    };
    let palisade = Palisade::start(BINARY, &limit(1));
    let mut first = held(&palisade, &origin);
    let mut second = client_of(&palisade);
    second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    poll_until(SOON, "the request in the queue", || metrics_of(&palisade).sum("upstream_queue", &[]) == 1.0);
    palisade.rewrite_config(&limit(2));
    assert_eq!(reload(&palisade).status, 200);
    // There is room now, for the one that waits and for a new one.
    canary(palisade.address("http"), &origin);
    assert_eq!(second.read_response().status, 200);
    door.store(true, SeqCst);
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
    let mut staying = client_of(&palisade);
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

/// A listener that goes lets the request finish that came in by it.
#[test]
fn a_listener_that_goes_finishes_its_requests() {
    let (origin, door) = holding_origin();
    let both = config(&format!("{}listeners.second.address = \"127.0.0.1:0\"", to(&origin)));
    let palisade = Palisade::start(BINARY, &both);
    let mut client = Client::connect(palisade.address("second"));
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1, SOON);
    palisade.rewrite_config(&config(&to(&origin)));
    assert_eq!(reload(&palisade).status, 200);
    door.store(true, SeqCst);
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
    let metrics = metrics_of(&palisade);
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
    let mut client = client_of(&palisade);
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

// ---- Drain and end ----

#[test]
fn a_drain_finishes_what_is_begun_and_takes_nothing_new() {
    let (origin, door) = holding_origin();
    let mut palisade = proxy_for(&origin, "server.drain_timeout = \"20s\"");
    let admin = palisade.address("admin");
    let mut idle = client_of(&palisade);
    canary_on(&mut idle, &origin);
    assert_eq!(Client::connect(admin).get("/ready").status, 200);
    let mut busy = held(&palisade, &origin);
    let mut uploading = client_of(&palisade);
    uploading.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    // The proxy has it once the connection is counted; the body is what it waits for.
    poll_until(SOON, "the upload to have begun", || {
        metrics_of(&palisade).sum("open_connections", &[]) == 3.0
    });

    palisade.signal(TERMINATE);
    palisade.wait_stderr("stopping", SOON);
    // Whoever spreads the load sees it for as long as requests are in flight.
    poll_until(SOON, "the readiness to be gone", || Client::connect(admin).get("/ready").status == 503);
    assert_eq!(Client::connect(admin).get("/live").status, 200);
    assert!(idle.is_closed(SOON), "an idle connection");
    poll_until(SOON, "the listener to be closed", || Client::try_connect(palisade.address("http")).is_err());
    assert_eq!(Client::connect(admin).get("/ready").status, 503);

    uploading.send("67890");
    let response = uploading.read_response();
    assert_eq!(
        (response.status, response.text(), response.header("Connection")),
        (200, "1234567890", Some("close"))
    );
    assert!(palisade.is_running());
    door.store(true, SeqCst);
    let response = busy.read_response();
    assert_eq!((response.status, response.header("Connection")), (200, Some("close")));
    assert!(busy.is_closed(SOON));
    assert!(palisade.wait_exit(SOON).success());
}

#[test]
fn requests_in_the_queue_are_part_of_the_drain() {
    let (origin, door) = holding_origin();
    let mut palisade =
        proxy_for(&origin, "upstreams.origin.pool = { max_connections = 1, queue_timeout = \"20s\" }");
    let mut first = held(&palisade, &origin);
    let mut second = client_of(&palisade);
    second.send("GET /canary-2 HTTP/1.1\r\nHost: a\r\n\r\n");
    poll_until(SOON, "the request in the queue", || metrics_of(&palisade).sum("upstream_queue", &[]) == 1.0);
    palisade.signal(TERMINATE);
    palisade.wait_stderr("stopping", SOON);
    door.store(true, SeqCst);
    assert_eq!(first.read_response().status, 200);
    assert_eq!(second.read_response().text(), "2");
    assert!(palisade.wait_exit(SOON).success());
}

/// A tunnel lives on while the process drains, to the end of its patience.
#[test]
fn tunnels_are_kept_until_the_deadline() {
    for leaves in [true, false] {
        let origin = Origin::raw(|mut connection, _| {
            if !matches!(connection.read_request(), Ok(Some(_))) {
                return;
            }
            let head =
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            let _ = connection.write_all(head.as_bytes());
            let mut byte = [0];
            while connection.read_exact(&mut byte).is_ok() && connection.write_all(&byte).is_ok() {}
        });
        let patience = if leaves { "20s" } else { "1s" };
        let mut palisade = proxy_for(&origin, &format!("server.drain_timeout = \"{patience}\""));
        let mut client = client_of(&palisade);
        client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(client.read_response().status, 101);
        let mut echo = |byte: u8| {
            client.send([byte]);
            let mut back = [0];
            client.stream().set_read_timeout(Some(SOON)).unwrap();
            client.stream().read_exact(&mut back).unwrap();
            assert_eq!(back, [byte]);
        };
        echo(b'a');
        palisade.signal(TERMINATE);
        palisade.wait_stderr("stopping", SOON);
        echo(b'b');
        if leaves {
            drop(client);
        }
        assert!(palisade.wait_exit(SOON).success());
        assert_eq!(palisade.stderr().contains("are cut"), !leaves, "{}", palisade.stderr());
    }
}

#[test]
fn an_idle_proxy_ends_at_once() {
    for signal in [TERMINATE, INTERRUPT] {
        let origin = Origin::echo();
        let mut palisade = proxy_for(&origin, "");
        let mut idle: Vec<_> = (0..20).map(|_| client_of(&palisade)).collect();
        canary_on(&mut idle[0], &origin);
        let started = Instant::now();
        palisade.signal(signal);
        assert!(palisade.wait_exit(SOON).success());
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        for client in &mut idle {
            assert!(client.is_closed(SOON));
        }
        poll_until(SOON, "the pool to be closed", || origin.open_connections() == 0);
    }
}

/// The operator's connections do not keep the process alive.
#[test]
fn admin_connections_do_not_hold_the_end_up() {
    let origin = Origin::echo();
    let mut palisade = proxy_for(&origin, "server.drain_timeout = \"20s\"");
    let mut admin = Client::connect(palisade.address("admin"));
    assert_eq!(admin.get("/ready").status, 200);
    let mut silent = Client::connect(palisade.address("admin"));
    silent.send("GET /re");
    let started = Instant::now();
    palisade.signal(TERMINATE);
    assert!(palisade.wait_exit(SOON).success());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_second_signal_ends_at_once() {
    let (origin, _door) = holding_origin();
    let mut palisade = proxy_for(&origin, "server.drain_timeout = \"60s\"");
    let mut busy = held(&palisade, &origin);
    palisade.signal(TERMINATE);
    palisade.wait_stderr("stopping", SOON);
    assert!(palisade.is_running());
    let started = Instant::now();
    palisade.signal(TERMINATE);
    palisade.wait_exit(SOON);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(busy.is_closed(SOON));
}

#[test]
fn drain_timeout_cuts_what_does_not_end() {
    let (origin, _door) = holding_origin();
    let mut palisade = proxy_for(&origin, "server.drain_timeout = \"700ms\"");
    let mut busy = held(&palisade, &origin);
    let started = Instant::now();
    palisade.signal(TERMINATE);
    assert!(palisade.wait_exit(SOON).success());
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(4), "{took:?}");
    assert!(busy.is_closed(SOON));
    assert!(busy.try_read_response().is_err(), "a request that was cut has no answer");
    assert!(palisade.stderr().contains("cut"), "{}", palisade.stderr());
}

#[test]
fn the_operator_can_stop_it() {
    let origin = Origin::echo();
    let mut palisade = proxy_for(&origin, "");
    assert_eq!(operator(&palisade).request("POST", "/stop", &[], b"").status, 202);
    assert!(palisade.wait_exit(SOON).success());
    assert!(!palisade.dir().join("admin.sock").exists());
}

/// Requests that are under way when the end comes are answered, however many there are.
#[test]
fn a_drain_under_load_breaks_no_answer() {
    const CLIENTS: usize = 8;
    let origin = Origin::echo();
    let mut palisade = proxy_for(&origin, "");
    let address = palisade.address("http");
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<JoinHandle<()>> = (0..CLIENTS)
        .map(|_| {
            let served = served.clone();
            thread::spawn(move || {
                let mut client = Client::connect(address);
                loop {
                    client.send("GET /chunked/100000 HTTP/1.1\r\nHost: a\r\n\r\n");
                    match client.try_read_response() {
                        Ok(response) => {
                            assert_eq!((response.status, response.body.len()), (200, 100_000));
                            served.fetch_add(1, SeqCst);
                            if response.header("Connection") == Some("close") {
                                return;
                            }
                        }
                        // Closed between two requests, as a server may at any time.
                        Err(error) => {
                            assert_eq!(client.unread(), "", "an answer that began and broke: {error}");
                            return;
                        }
                    }
                }
            })
        })
        .collect();
    poll_until(SOON, "some requests", || served.load(SeqCst) >= 100);
    palisade.signal(TERMINATE);
    for client in clients {
        client.join().expect("an answer was broken");
    }
    assert!(palisade.wait_exit(SOON).success());
}

/// Connections that the kernel has taken for us, and that we have not looked at, are answered too; whether
/// the process ends or only their listener goes.
#[test]
fn connections_in_the_queue_are_answered() {
    const CLIENTS: usize = 40;
    let origin = Origin::echo();
    let asking = |address: std::net::SocketAddr| -> Vec<Client> {
        (0..CLIENTS)
            .map(|number| {
                let mut client = Client::connect(address);
                client.send(format!("GET /canary-{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
                client
            })
            .collect()
    };
    let expect_answers = |clients: Vec<Client>| {
        for (number, mut client) in clients.into_iter().enumerate() {
            assert_eq!(client.read_response().text(), number.to_string());
        }
    };
    let second = config(&format!("{}listeners.second.address = \"127.0.0.1:0\"", to(&origin)));
    let mut palisade = Palisade::start(BINARY, &second);

    palisade.rewrite_config(&config(&to(&origin)));
    palisade.signal(STOP);
    let clients = asking(palisade.address("second"));
    palisade.signal(HANGUP);
    palisade.signal(CONTINUE);
    expect_answers(clients);
    palisade.wait_stderr("reloaded", SOON);

    palisade.signal(STOP);
    let clients = asking(palisade.address("http"));
    palisade.signal(TERMINATE);
    palisade.signal(CONTINUE);
    expect_answers(clients);
    assert!(palisade.wait_exit(SOON).success());
}

/// The machine slept: what was under way goes on.
#[test]
fn a_process_that_was_stopped_goes_on() {
    let (origin, door) = holding_origin();
    let palisade = proxy_for(&origin, "");
    let mut idle = client_of(&palisade);
    canary_on(&mut idle, &origin);
    let mut busy = held(&palisade, &origin);
    palisade.signal(STOP);
    let mut waiting = client_of(&palisade);
    waiting.send("GET /canary-5 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!waiting.is_closed(Duration::from_millis(700)) && waiting.unread().is_empty());
    palisade.signal(CONTINUE);
    assert_eq!(waiting.read_response().text(), "5");
    door.store(true, SeqCst);
    assert_eq!(busy.read_response().status, 200);
    canary_on(&mut idle, &origin);
    canary(palisade.address("http"), &origin);
}

// ---- Start ----

/// The text of a start that fails with exit code 1.
#[track_caller]
fn expect_no_start(config: &str) -> String {
    match Launch::new(BINARY).try_start(config) {
        Err(NotReady { status: Some(status), stderr }) => {
            assert_eq!(status.code(), Some(1), "{stderr}");
            assert!(!stderr.contains("panicked"), "{stderr}");
            stderr
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it started"),
    }
}

#[test]
fn a_port_in_use_is_said_at_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["listeners.http.address", "admin.address"] {
        let base = if key == "admin.address" { "listeners.a.address = \"127.0.0.1:0\"\n" } else { "" };
        let said = expect_no_start(&format!(
            "{base}{key} = \"{address}\"\nroutes.a.respond = {{ status = 200 }}\nserver.workers = 2"
        ));
        assert!(said.contains(&address) && said.contains("in use"), "{said}");
    }
}

#[test]
fn a_second_instance_does_not_share_the_port() {
    let origin = Origin::echo();
    for workers in [1, 2] {
        let first = proxy_for(&origin, "");
        let address = first.address("http");
        let said = expect_no_start(&format!(
            "listeners.http.address = \"{address}\"\nroutes.a.respond = {{ status = 200 }}\nserver.workers = {workers}"
        ));
        assert!(said.contains(&address.to_string()) && said.contains("in use"), "{said}");
        for _ in 0..5 {
            canary(address, &origin);
        }
    }
}

#[test]
fn a_wrong_configuration_is_explained_at_start() {
    let said =
        expect_no_start("listeners.http.adress = \"127.0.0.1:0\"\nroutes.a.respond = { status = 200 }");
    assert!(said.contains("palisade.toml:1:") && said.contains("`address`"), "{said}");
    // All mistakes at once.
    let said = expect_no_start("listeners.http.address = \"nowhere\"\nroutes.a.upstream = \"missing\"");
    assert!(said.contains("palisade.toml:1:") && said.contains("palisade.toml:2:"), "{said}");
}

#[test]
fn a_missing_file_and_an_unwritable_log_are_explained_at_start() {
    let dir = temp_dir();
    let output = Command::new(BINARY).arg("run").arg("-c").arg(dir.join("none.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("none.toml"), "{said}");
    let said = expect_no_start(&config(
        "routes.a.respond = { status = 200 }\nlog.access = \"{dir}/no/such/folder/access.log\"",
    ));
    assert!(said.contains("no/such/folder/access.log"), "{said}");
}

#[test]
fn a_name_that_does_not_resolve_does_not_stop_the_start() {
    let origin = Origin::echo();
    let palisade = Palisade::start(
        BINARY,
        &config(&format!(
            "upstreams.origin.endpoints = [\"no-such-host.invalid:80\", \"{}\"]\nroutes.all.upstream = \"origin\"",
            origin.address()
        )),
    );
    palisade.wait_stderr("name no-such-host.invalid not resolved", SOON);
    for _ in 0..4 {
        canary(palisade.address("http"), &origin);
    }
    let metrics = metrics_of(&palisade);
    assert_eq!(metrics.sum("endpoint_up", &["no-such-host.invalid"]), 0.0);
    assert_eq!(metrics.sum("endpoint_up", &[&format!("endpoint=\"{}\"", origin.address())]), 1.0);
}

#[test]
fn a_stale_socket_file_is_replaced_and_others_are_not() {
    let dir = temp_dir();
    let path = dir.join("http.sock");
    // Left behind: nobody listens any more.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let unix = |path: &Path| {
        format!(
            "listeners.http.address = \"unix:{}\"\nroutes.a.respond = {{ status = 200, body = \"a\" }}",
            path.display()
        )
    };
    let mut first = Palisade::start(BINARY, &unix(&path));
    let address = Address::Unix(path.clone());
    assert_eq!(Client::connect(address.clone()).get("/").text(), "a");

    let said = expect_no_start(&unix(&path));
    assert!(said.contains("http.sock") && said.contains("in use"), "{said}");
    assert_eq!(Client::connect(address.clone()).get("/").text(), "a");

    // Killed, it leaves its file behind, which the next start replaces.
    first.signal(9);
    first.wait_exit(SOON);
    assert!(path.exists());
    let mut second = Palisade::start(BINARY, &unix(&path));
    assert_eq!(Client::connect(address).get("/").text(), "a");
    second.signal(TERMINATE);
    assert!(second.wait_exit(SOON).success());
    assert!(!path.exists(), "the file is removed at the end");

    fs::write(&path, "precious").unwrap();
    expect_no_start(&unix(&path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn the_admin_socket_is_the_operators_alone() {
    let palisade = Palisade::start(BINARY, &config("routes.a.respond = { status = 200 }"));
    let metadata = fs::metadata(palisade.dir().join("admin.sock")).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // Over TCP anybody on the machine may come: it tells, but takes no orders.
    for order in ["/reload", "/stop"] {
        assert_eq!(Client::connect(palisade.address("admin")).request("POST", order, &[], b"").status, 404);
        assert_eq!(operator(&palisade).get(order).status, 404, "an order is a POST");
    }
}

// ---- Log ----

#[test]
fn the_log_is_reopened_after_a_rename() {
    let palisade = Palisade::start(
        BINARY,
        &config("routes.a.respond = { status = 200 }\nlog.access = \"{dir}/access.log\""),
    );
    let (log, moved) = (palisade.dir().join("access.log"), palisade.dir().join("access.log.1"));
    let lines = |path: &Path, target: &str| {
        fs::read_to_string(path).unwrap_or_default().matches(&format!("\"target\":\"{target}\"")).count()
    };
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/before").status, 200);
    poll_until(SOON, "the line", || lines(&log, "/before") == 1);
    fs::rename(&log, &moved).unwrap();
    assert_eq!(client.get("/between").status, 200);
    poll_until(SOON, "the line in the file that was moved", || lines(&moved, "/between") == 1);
    palisade.signal(USER1);
    poll_until(SOON, "the new file", || log.exists());
    assert_eq!(client.get("/after").status, 200);
    poll_until(SOON, "the line in the new file", || lines(&log, "/after") == 1);
    assert_eq!((lines(&moved, "/after"), lines(&moved, "/before")), (0, 1));
    assert_eq!(metrics_of(&palisade).sum("log_lines_dropped_total", &[]), 0.0);
}

#[test]
fn a_full_disk_costs_log_lines_and_no_requests() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "log.access = \"/dev/full\"");
    let mut client = client_of(&palisade);
    for _ in 0..50 {
        canary_on(&mut client, &origin);
    }
    poll_until(SOON, "the lost lines to be counted", || {
        metrics_of(&palisade).sum("log_lines_dropped_total", &[]) >= 50.0
    });
    canary_on(&mut client, &origin);
    palisade.wait_stderr("lines are lost", SOON);
    let complaints = palisade.stderr().matches("lines are lost").count();
    assert_eq!(complaints, 1, "{}", palisade.stderr());
}

/// The reader of the log is gone: nothing panics, nothing stops.
#[test]
fn a_closed_standard_output_is_survived() {
    let origin = Origin::echo();
    let dir = temp_dir();
    let file = dir.join("palisade.toml");
    let text = config(&format!("{}log.access = \"stdout\"", to(&origin)));
    fs::write(&file, text.replace("{dir}", dir.to_str().unwrap())).unwrap();
    let mut child = Reaped(
        Command::new(BINARY)
            .arg("run")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    drop(child.0.stdout.take());
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    let mut said = String::new();
    while !said.ends_with("palisade: ready\n") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    let address = |name: &str| -> Address {
        let start = format!("palisade: listener {name} on ");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    };
    // Nobody reads what it says to the operator either.
    drop(stderr);
    for _ in 0..20 {
        canary(address("http"), &origin);
    }
    poll_until(SOON, "the lost lines to be counted", || {
        Metrics::scrape(address("admin")).sum("log_lines_dropped_total", &[]) >= 60.0
    });
    canary(address("http"), &origin);
    assert!(child.0.try_wait().unwrap().is_none());
}

/// A process of the test, ended with it.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nobody reads the log and nobody closes it: the writer is stuck, the requests are not.
#[test]
fn a_log_that_blocks_holds_nobody_up() {
    let origin = Origin::echo();
    let dir = temp_dir();
    let pipe = dir.join("log.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open for reading, never read.
    let reader = rustix::fs::open(
        &pipe,
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let palisade = proxy_for(&origin, &format!("log.access = \"{}\"", pipe.display()));
    let mut client = client_of(&palisade);
    let started = Instant::now();
    let padding = "x".repeat(4000);
    for _ in 0..400 {
        // About 1.6 MiB of lines, a pipe has 64 KiB.
        assert_eq!(client.get(&format!("/{padding}")).status, 200);
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    canary_on(&mut client, &origin);
    drop(reader);
}

// ---- Metrics ----

#[test]
fn the_metrics_tell_what_happened() {
    let origin = Origin::echo();
    let palisade = proxy_for(
        &origin,
        "routes.no = { path = \"/no\", respond = { status = 403, body = \"no\" } }\n\
         upstreams.gone.endpoints = [\"127.0.0.1:1\"]\nroutes.gone = { path = \"/gone\", upstream = \"gone\" }",
    );
    let mut client = client_of(&palisade);
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
    let mut bad = client_of(&palisade);
    bad.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(bad.read_response().status, 400);
    assert!(bad.is_closed(SOON));
    let mut others: Vec<_> = (0..4).map(|_| client_of(&palisade)).collect();
    for other in &mut others {
        assert_eq!(other.get("/no").status, 403);
    }
    // Counted a moment after the client has seen the end.
    poll_until(SOON, "18 requests and five open connections", || {
        let metrics = metrics_of(&palisade);
        let admin = metrics.sum("requests_total", &["route=\"admin\""]);
        metrics.sum("requests_total", &[]) - admin == 18.0 && metrics.sum("open_connections", &[]) == 5.0
    });

    let metrics = metrics_of(&palisade);
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
