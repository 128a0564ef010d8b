//! Upstream connections: how many, who waits for them, who gets them, when they are closed.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Address, Client, Origin, Palisade, SOON, canary, poll_until};

mod crowd;

fn proxy(endpoints: &str, more: &str) -> Palisade {
    Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        &format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            upstreams.origin.endpoints = [{endpoints}]
            routes.all.upstream = "origin"
            admin.address = "127.0.0.1:0"
            log.access = "stdout"
            {more}
            "#
        ),
    )
}

fn proxy_for(origin: &Origin, more: &str) -> Palisade {
    proxy(&format!("\"{}\"", origin.address()), more)
}

fn events(palisade: &Palisade, event: &str) -> f64 {
    palisade.metrics().sum("upstream_events_total", &[&format!("event=\"{event}\"")])
}

fn waiting(palisade: &Palisade) -> f64 {
    palisade.metrics().sum("upstream_queue", &[])
}

/// Asks for `target` on a connection of its own; the answer comes through the thread.
fn ask(palisade: &Palisade, target: &str) -> thread::JoinHandle<testkit::Response> {
    let (address, target) = (palisade.address("http"), target.to_owned());
    thread::spawn(move || Client::connect(address).get(&target))
}

#[test]
fn max_connections_holds_over_all_workers() {
    const MAX: usize = 5;
    const CLIENTS: usize = 40;
    for workers in [1, 2] {
        let (open, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let origin = Origin::raw({
            let (open, peak) = (open.clone(), peak.clone());
            move |mut connection, _| {
                let now = open.fetch_add(1, SeqCst) + 1;
                peak.fetch_max(now, SeqCst);
                while let Ok(Some(_)) = connection.read_request() {
                    // Long enough for the others to want connections of their own.
                    thread::sleep(Duration::from_millis(3));
                    if connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        break;
                    }
                }
                open.fetch_sub(1, SeqCst);
            }
        });
        let palisade = proxy_for(
            &origin,
            &format!("server.workers = {workers}\nupstreams.origin.pool.max_connections = {MAX}"),
        );
        let address = palisade.address("http");
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                thread::spawn(move || {
                    let mut client = Client::connect(address);
                    for _ in 0..10 {
                        assert_eq!(client.get("/").status, 200);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("every request is answered");
        }
        assert!(peak.load(SeqCst) <= MAX, "{} connections at once with {workers} workers", peak.load(SeqCst));
        assert!(peak.load(SeqCst) > 1, "the clients never met");
        assert!(palisade.metrics().sum("upstream_connections", &[]) <= MAX as f64);
    }
}

#[test]
fn a_request_that_waits_too_long_is_a_503() {
    for workers in [1, 2] {
        let (origin, door) = Origin::holding();
        let palisade = proxy_for(
            &origin,
            &format!(
                "server.workers = {workers}\nupstreams.origin.pool.max_connections = 1\n\
                 upstreams.origin.pool.queue_timeout = \"300ms\""
            ),
        );
        let held = ask(&palisade, "/held");
        origin.wait_requests(1, SOON);
        let started = Instant::now();
        let response = palisade.client().get("/late");
        assert_eq!(response.status, 503);
        let seconds: u32 = response.header("Retry-After").expect("Retry-After").parse().unwrap();
        assert!(seconds > 0);
        assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
        palisade.wait_stdout("\"reason\":\"queue_timeout\"", SOON);
        assert_eq!((events(&palisade, "queue_timeout"), waiting(&palisade)), (1.0, 0.0));
        door.open();
        assert_eq!(held.join().unwrap().status, 200);
        canary(palisade.address("http"), &origin);
        assert!(!origin.requests().iter().any(|request| request.target == "/late"));
    }
}

#[test]
fn a_full_queue_is_a_503_at_once() {
    let (origin, door) = Origin::holding();
    let palisade = proxy_for(
        &origin,
        "server.workers = 2\nupstreams.origin.pool.max_connections = 1\nupstreams.origin.pool.max_queue = 2",
    );
    let held = ask(&palisade, "/held");
    origin.wait_requests(1, SOON);
    let queued: Vec<_> = (0..2).map(|number| ask(&palisade, &format!("/queued-{number}"))).collect();
    poll_until(SOON, "two requests in the queue", || waiting(&palisade) == 2.0);
    let started = Instant::now();
    let response = palisade.client().get("/one-too-many");
    assert_eq!(response.status, 503);
    assert!(response.header("Retry-After").is_some());
    assert!(started.elapsed() < Duration::from_secs(3));
    palisade.wait_stdout("\"reason\":\"queue_full\"", SOON);
    door.open();
    assert_eq!(held.join().unwrap().status, 200);
    for queued in queued {
        assert_eq!(queued.join().unwrap().status, 200);
    }
    canary(palisade.address("http"), &origin);
}

/// The origin's time begins when it gets the request, not when the request began to wait.
#[test]
fn time_in_the_queue_is_no_time_of_the_origin() {
    let origin = Origin::echo();
    let more = "upstreams.origin.pool.max_connections = 1\nroutes.all.timeouts.read = \"2s\"";
    let palisade = proxy_for(&origin, more);
    let first = ask(&palisade, "/slow/1400");
    origin.wait_requests(1, SOON);
    let second = ask(&palisade, "/slow/1400");
    assert_eq!(first.join().expect("an answer").status, 200);
    assert_eq!(second.join().expect("an answer").status, 200);
    assert_eq!(origin.connections().len(), 1, "both went over the one connection");
}

/// Without a queue nobody waits for another worker's connection: there is room to open one.
#[test]
fn without_a_queue_a_worker_opens_connections_of_its_own() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "server.workers = 2\nupstreams.origin.pool.max_queue = 0");
    let mut clients: Vec<Client> = (0..40).map(|_| palisade.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/bytes/1").status, 200);
    }
}

/// First come, first served, on whichever worker.
#[test]
fn the_queue_is_fair() {
    const QUEUE: usize = 12;
    for workers in [1, 2] {
        let (origin, door) = Origin::holding();
        let palisade = proxy_for(
            &origin,
            &format!("server.workers = {workers}\nupstreams.origin.pool.max_connections = 1"),
        );
        let held = ask(&palisade, "/held");
        origin.wait_requests(1, SOON);
        let mut queued = Vec::new();
        for number in 0..QUEUE {
            queued.push(ask(&palisade, &format!("/queued-{number}")));
            poll_until(SOON, "the request in the queue", || waiting(&palisade) == (number + 1) as f64);
        }
        door.open();
        assert_eq!(held.join().unwrap().status, 200);
        for queued in queued {
            assert_eq!(queued.join().unwrap().status, 200);
        }
        let order: Vec<_> = origin.requests()[1..].iter().map(|request| request.target.clone()).collect();
        let wanted: Vec<_> = (0..QUEUE).map(|number| format!("/queued-{number}")).collect();
        assert_eq!(order, wanted, "with {workers} workers");
        assert_eq!(origin.connections().len(), 1);
    }
}

/// The origin answers and closes in one breath. Whoever waits for that connection must not get it: a POST that
/// was written to it would be lost.
#[test]
fn a_connection_that_died_with_its_answer_goes_to_nobody() {
    let (answer, may_answer) = mpsc::channel::<()>();
    let (answered, was_answered) = mpsc::channel::<()>();
    let may_answer = Mutex::new(may_answer);
    let origin = Origin::raw(move |mut connection, number| {
        while let Ok(Some(_)) = connection.read_request() {
            if number == 0 {
                may_answer.lock().unwrap().recv().unwrap();
            }
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            if number == 0 {
                connection.stream().shutdown(Shutdown::Both).unwrap();
                answered.send(()).unwrap();
                return;
            }
        }
    });
    let palisade = proxy_for(&origin, "server.workers = 1\nupstreams.origin.pool.max_connections = 1");
    let first = ask(&palisade, "/first");
    origin.wait_requests(1, SOON);
    let mut second = palisade.client();
    second.send("POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    poll_until(SOON, "the request in the queue", || waiting(&palisade) == 1.0);
    // The proxy sees the answer and the close at the same moment.
    palisade.freeze();
    answer.send(()).unwrap();
    was_answered.recv_timeout(SOON).unwrap();
    palisade.thaw();
    assert_eq!(first.join().unwrap().status, 200);
    assert_eq!(second.read_response().status, 200);
    assert_eq!(origin.requests().last().unwrap().connection, 1);
}

/// A client that hangs up while its request waits must not hold the queue up.
#[test]
fn a_waiting_client_that_leaves_holds_nobody_up() {
    let (origin, door) = Origin::holding();
    let palisade = proxy_for(&origin, "server.workers = 1\nupstreams.origin.pool.max_connections = 1");
    let held = ask(&palisade, "/held");
    origin.wait_requests(1, SOON);
    let mut leaver = palisade.client();
    leaver.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    poll_until(SOON, "the request in the queue", || waiting(&palisade) == 1.0);
    leaver.stream().reset_on_close().unwrap();
    drop(leaver);
    let last = ask(&palisade, "/last");
    poll_until(SOON, "the request in the queue", || waiting(&palisade) >= 1.0);
    door.open();
    assert_eq!(held.join().unwrap().status, 200);
    assert_eq!(last.join().unwrap().status, 200);
    canary(palisade.address("http"), &origin);
}

#[test]
fn workers_take_each_others_connections_over() {
    const CLIENTS: usize = 24;
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "server.workers = 2");
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| palisade.client()).collect();
    // One request at a time: one connection is enough, wherever the client is.
    for turn in 0..10 {
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.get(&format!("/canary-{turn}{number}")).text(), format!("{turn}{number}"));
        }
    }
    let requests = origin.requests().len();
    let connections = origin.connections().len();
    println!(
        "{requests} requests over {connections} connections, {} taken over",
        events(&palisade, "taken_over")
    );
    assert_eq!(requests, 10 * CLIENTS);
    assert!(connections <= 2, "{connections} connections for {requests} requests, one at a time");
    assert!(events(&palisade, "taken_over") > 0.0, "all clients were on one worker");
    assert_eq!(events(&palisade, "queued"), 0.0, "there was always a connection to be had");
}

#[test]
fn idle_connections_are_closed_after_idle_timeout() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "server.workers = 1\nupstreams.origin.pool.idle_timeout = \"1s\"");
    let mut client = palisade.client();
    assert_eq!(client.get("/").status, 200);
    assert_eq!(origin.open_connections(), 1);
    let closed_after = Instant::now();
    poll_until(SOON, "the proxy's close", || origin.open_connections() == 0);
    assert!(closed_after.elapsed() < Duration::from_secs(4));
    assert_eq!(palisade.metrics().sum("upstream_connections", &[]), 0.0);
    canary(palisade.address("http"), &origin);
}

/// A machine that is gone leaves connections behind that look alive.
#[test]
fn probes_empty_the_pool_of_an_endpoint_that_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, was_closed) = mpsc::channel();
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        // Nobody listens any more, and this connection says nothing.
        drop(listener);
        stream.set_read_timeout(Some(SOON)).unwrap();
        let _ = closed.send(stream.read(&mut buffer).is_ok_and(|count| count == 0));
    });
    let palisade = proxy(
        &format!("\"{address}\""),
        "server.workers = 1\nupstreams.origin.pool.probe_interval = \"250ms\"",
    );
    assert_eq!(palisade.client().get("/").status, 200);
    assert!(was_closed.recv_timeout(SOON).unwrap(), "the idle connection was kept");
    serving.join().unwrap();
    poll_until(SOON, "the failed probe", || events(&palisade, "probe_failure") >= 1.0);
    palisade.wait_stderr("does not take connections", SOON);
    assert_eq!(palisade.client().get("/").status, 502);
}

/// While the endpoint lives, probes disturb nothing.
#[test]
fn probes_leave_the_pool_of_a_living_endpoint_alone() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "server.workers = 1\nupstreams.origin.pool.probe_interval = \"250ms\"");
    let mut client = palisade.client();
    assert_eq!(client.get("/first").status, 200);
    poll_until(SOON, "two probes", || origin.connections().len() >= 3);
    assert_eq!(client.get("/second").status, 200);
    let requests = origin.requests();
    assert_eq!(requests[0].connection, requests[1].connection);
    assert_eq!(events(&palisade, "probe_failure"), 0.0);
}

#[test]
fn weights_are_kept_exactly_with_one_worker() {
    let origins = [Origin::echo(), Origin::echo(), Origin::echo()];
    let endpoints: Vec<_> = origins
        .iter()
        .zip([5, 2, 1])
        .map(|(origin, weight)| format!("{{ address = \"{}\", weight = {weight} }}", origin.address()))
        .collect();
    let palisade = proxy(&endpoints.join(", "), "server.workers = 1");
    let mut clients: Vec<_> = (0..4).map(|_| palisade.client()).collect();
    for turn in 1..=5 {
        for request in 0..8 {
            assert_eq!(clients[request % 4].get("/").status, 200);
        }
        let counts: Vec<_> = origins.iter().map(|origin| origin.requests().len()).collect();
        assert_eq!(counts, [5 * turn, 2 * turn, turn]);
    }
    for origin in &origins {
        assert_eq!(origin.connections().len(), 1);
    }
}

/// The limit is per endpoint, and a full one does not keep another from its share.
#[test]
fn endpoints_have_pools_of_their_own() {
    let origins = [Origin::echo(), Origin::echo()];
    let endpoints: Vec<_> = origins.iter().map(|origin| format!("\"{}\"", origin.address())).collect();
    let palisade =
        proxy(&endpoints.join(", "), "server.workers = 1\nupstreams.origin.pool.max_connections = 2");
    let asked: Vec<_> = (0..8).map(|_| ask(&palisade, "/slow/100")).collect();
    for asked in asked {
        assert_eq!(asked.join().unwrap().status, 200);
    }
    for origin in &origins {
        assert_eq!(origin.requests().len(), 4);
        assert!(origin.connections().len() <= 2);
    }
}

/// Requests whose client breaks off give their connection's place back.
#[test]
fn aborted_requests_leak_no_place_in_the_pool() {
    let origin = Origin::echo();
    let palisade = proxy_for(&origin, "server.workers = 2\nupstreams.origin.pool.max_connections = 3");
    for _ in 0..30 {
        let mut client = palisade.client();
        client.send("GET /bytes/5000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut some = [0; 1000];
        client.stream().set_read_timeout(Some(SOON)).unwrap();
        client.stream().read_exact(&mut some).unwrap();
        client.stream().reset_on_close().unwrap();
    }
    poll_until(SOON, "the broken exchanges to end", || {
        let metrics = palisade.metrics();
        metrics.sum("upstream_connections", &[]) == metrics.sum("upstream_idle_connections", &[])
            && metrics.sum("upstream_queue", &[]) == 0.0
    });
    canary(palisade.address("http"), &origin);
}

/// The story: ten thousand clients keep their connections open and ask once a second, and fifty
/// connections to the origin carry them all.
#[test]
fn ten_thousand_clients_over_fifty_connections() {
    let clients = number("PALISADE_TEST_CLIENTS", 10_000);
    let seconds = number("PALISADE_TEST_SECONDS", 4);
    let origin = crowd::CountingOrigin::start();
    let palisade = proxy(
        &format!("\"{}\"", origin.address),
        "server.workers = 2\nserver.max_connections = 10000\nlisteners.http.backlog = 4096\n\
         upstreams.origin.pool.max_connections = 50\nupstreams.origin.pool.queue_timeout = \"20s\"",
    );
    let address: SocketAddr = palisade.address("http");
    let seen = crowd::ask_every_second(address, clients, seconds);
    let (open_at_once, opened) = (origin.peak(), origin.opened());
    println!(
        "{clients} clients, {} requests, {} errors, p50 {:?}, p99 {:?}; origin: {open_at_once} connections at \
         once, {opened} opened; proxy: {} MiB",
        seen.requests,
        seen.errors,
        seen.percentile(50),
        seen.percentile(99),
        palisade.resident_bytes() >> 20,
    );
    assert_eq!(seen.errors, 0, "first: {:?}", seen.first_error);
    assert_eq!(seen.requests, clients * seconds);
    assert_eq!(origin.requests(), seen.requests);
    assert!(open_at_once <= 50, "{open_at_once} connections at once");
    assert!(opened <= 60, "{opened} connections were opened: they were not used again");
    assert_eq!(events(&palisade, "queue_timeout") + events(&palisade, "queue_refused"), 0.0);
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn unix_endpoints_are_pooled_too() {
    let dir = testkit::temp_dir();
    let origin = Origin::serve(Address::Unix(dir.join("origin.sock")), testkit::Behaviour::Echo);
    let palisade = proxy_for(&origin, "server.workers = 2");
    for _ in 0..5 {
        canary(palisade.address("http"), &origin);
    }
    assert!(origin.connections().len() <= 2, "{}", origin.connections().len());
}
