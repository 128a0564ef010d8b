//! The end of the process, and of what is under way.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testkit::{Client, Origin, Palisade, SOON, canary, canary_on, poll_until};

use crate::stage::{BINARY, HANGUP, INTERRUPT, TERMINATE, config, held, operator, proxy_for, to};

#[test]
fn a_drain_finishes_what_is_begun_and_takes_nothing_new() {
    let (origin, door) = Origin::holding();
    let mut palisade = proxy_for(&origin, "server.drain_timeout = \"20s\"");
    let admin = palisade.address("admin");
    let mut idle = palisade.client();
    canary_on(&mut idle, &origin);
    assert_eq!(Client::connect(admin).get("/ready").status, 200);
    let mut busy = held(&palisade, &origin);
    let mut uploading = palisade.client();
    uploading.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    // The proxy has it once the connection is counted; the body is what it waits for.
    poll_until(SOON, "the upload to have begun", || palisade.metrics().sum("open_connections", &[]) == 3.0);

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
    door.open();
    let response = busy.read_response();
    assert_eq!((response.status, response.header("Connection")), (200, Some("close")));
    assert!(busy.is_closed(SOON));
    assert!(palisade.wait_exit(SOON).success());
}

#[test]
fn requests_in_the_queue_are_part_of_the_drain() {
    let (origin, door) = Origin::holding();
    let mut palisade =
        proxy_for(&origin, "upstreams.origin.pool = { max_connections = 1, queue_timeout = \"20s\" }");
    let mut first = held(&palisade, &origin);
    let mut second = palisade.client();
    second.send("GET /canary-2 HTTP/1.1\r\nHost: a\r\n\r\n");
    poll_until(SOON, "the request in the queue", || palisade.metrics().sum("upstream_queue", &[]) == 1.0);
    palisade.signal(TERMINATE);
    palisade.wait_stderr("stopping", SOON);
    door.open();
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
        let mut client = palisade.client();
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
        let mut idle: Vec<_> = (0..20).map(|_| palisade.client()).collect();
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
    let (origin, _door) = Origin::holding();
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
    let (origin, _door) = Origin::holding();
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
    palisade.freeze();
    let clients = asking(palisade.address("second"));
    palisade.signal(HANGUP);
    palisade.thaw();
    expect_answers(clients);
    palisade.wait_stderr("reloaded", SOON);

    palisade.freeze();
    let clients = asking(palisade.address("http"));
    palisade.signal(TERMINATE);
    palisade.thaw();
    expect_answers(clients);
    assert!(palisade.wait_exit(SOON).success());
}

/// One worker takes more of the queue than its share and gives the rest away, while both are told to end.
#[test]
fn connections_that_change_hands_during_a_stop_are_answered() {
    const CLIENTS: usize = 300;
    let mut handed = 0.0;
    for _ in 0..20 {
        let (origin, door) = Origin::holding();
        let mut palisade = proxy_for(&origin, "server.drain_timeout = \"20s\"");
        // Keeps the process, and with it the counters, until all else is said.
        let mut last = held(&palisade, &origin);
        let mut admin = Client::connect(palisade.address("admin"));
        assert_eq!(admin.get("/live").status, 200);
        let before = palisade.metrics().sum("connections_handed_over_total", &[]);
        palisade.freeze();
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|number| {
                let mut client = palisade.client();
                client.send(format!("GET /canary-{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
                client
            })
            .collect();
        palisade.signal(TERMINATE);
        palisade.thaw();
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.read_response().text(), number.to_string());
        }
        drop(clients);
        handed += palisade.metrics().sum("connections_handed_over_total", &[]) - before;
        door.open();
        assert_eq!(last.read_response().status, 200);
        assert!(palisade.wait_exit(SOON).success());
        if handed > 0.0 {
            return;
        }
    }
    panic!("no connection changed hands in any round");
}

/// The machine slept: what was under way goes on.
#[test]
fn a_process_that_was_stopped_goes_on() {
    let (origin, door) = Origin::holding();
    let palisade = proxy_for(&origin, "");
    let mut idle = palisade.client();
    canary_on(&mut idle, &origin);
    let mut busy = held(&palisade, &origin);
    palisade.freeze();
    let mut waiting = palisade.client();
    waiting.send("GET /canary-5 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!waiting.is_closed(Duration::from_millis(700)) && waiting.unread().is_empty());
    palisade.thaw();
    assert_eq!(waiting.read_response().text(), "5");
    door.open();
    assert_eq!(busy.read_response().status, 200);
    canary_on(&mut idle, &origin);
    canary(palisade.address("http"), &origin);
}
