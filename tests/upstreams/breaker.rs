//! The circuit breaker.

use std::thread;
use std::time::Duration;

use testkit::{Client, Palisade, poll_until};

use crate::stage::{SOON, Server, client_of, metrics_of, proxy, served};

const NO_OUTLIERS: &str = "upstreams.app.outlier = false\nroutes.all.retry = { attempts = 0 }";

fn breaker(palisade: &Palisade, what: &str) -> f64 {
    metrics_of(palisade).sum(&format!("breaker_{what}"), &["upstream=\"app\""])
}

/// A breaker that half of four requests open.
fn opening(time: &str) -> String {
    format!(
        "{NO_OUTLIERS}\nupstreams.app.breaker = {{ error_rate = 50, min_requests = 4, open_time = \"{time}\", \
         trickle = 2 }}"
    )
}

/// Two of four fail.
fn open(client: &mut Client, a: &Server) {
    assert_eq!(served(client, 2), ["a", "a"]);
    a.answers(500);
    assert_eq!(served(client, 2), ["a", "a"]);
}

/// It opens for long: this takes as long as it takes.
#[test]
fn it_opens_and_the_origin_has_peace() {
    let a = Server::start("a");
    let palisade = proxy(&[&a], &opening("1h"));
    let mut client = client_of(&palisade);
    open(&mut client, &a);
    let response = client.get("/refused");
    assert_eq!(response.status, 503);
    assert!(response.header("Retry-After").is_some());
    palisade.wait_stdout("\"reason\":\"breaker_open\"", SOON);
    assert_eq!(served(&mut client, 5), ["503"; 5]);
    assert_eq!(a.requests(), 4);
    assert_eq!((breaker(&palisade, "state"), breaker(&palisade, "opened_total")), (2.0, 1.0));
    assert_eq!(breaker(&palisade, "refused_total"), 6.0);
    let status = Client::connect(palisade.address("admin")).get("/status");
    assert!(status.text().contains("app: the circuit breaker is open"), "{}", status.text());
}

#[test]
fn it_lets_a_trickle_through_and_closes() {
    let a = Server::start("a");
    let palisade = proxy(&[&a], &opening("500ms"));
    let mut client = client_of(&palisade);
    open(&mut client, &a);
    // One that still fails opens it again.
    poll_until(SOON, "a request is let through", || client.get("/probe").status == 500);
    assert_eq!(breaker(&palisade, "opened_total"), 2.0);
    a.answers(200);
    poll_until(SOON, "a request is let through", || client.get("/probe").status == 200);
    assert_eq!(breaker(&palisade, "state"), 1.0);
    // Two that go well within one `open_time` close it.
    poll_until(SOON, "it closes", || {
        client.get("/probe");
        breaker(&palisade, "state") == 0.0
    });
    assert_eq!(served(&mut client, 6), ["a"; 6]);
    palisade.wait_stderr("upstream app: circuit breaker is closed", SOON);
}

#[test]
fn what_the_client_did_wrong_does_not_open_it() {
    let a = Server::start("a");
    let palisade = proxy(
        &[&a],
        &format!(
            "{NO_OUTLIERS}\nroutes.all.max_body_size = 10\n\
             upstreams.app.breaker = {{ min_requests = 2, error_rate = 10 }}"
        ),
    );
    a.answers(404);
    for _ in 0..10 {
        assert_eq!(client_of(&palisade).request("POST", "/", &[], &[b'x'; 20]).status, 413);
        assert_eq!(client_of(&palisade).get("/missing").status, 404);
    }
    assert_eq!(breaker(&palisade, "opened_total"), 0.0);
}

/// `count` requests at once, while the origin takes its time; how they were answered.
fn crowd(palisade: &Palisade, count: usize) -> Vec<u16> {
    let address = palisade.address("http");
    let clients: Vec<_> =
        (0..count).map(|_| thread::spawn(move || Client::connect(address).get("/").status)).collect();
    let mut statuses: Vec<u16> =
        clients.into_iter().map(|client| client.join().expect("a client that ends")).collect();
    statuses.sort_unstable();
    statuses
}

fn limited(server: &Server, limit: &str, pool: &str) -> Palisade {
    server.waits(Duration::from_millis(500));
    proxy(&[server], &format!("upstreams.app.breaker = {{ {limit}, error_rate = 0 }}\n{pool}"))
}

#[test]
fn limits_refuse_what_is_too_much() {
    let a = Server::start("a");
    let palisade = limited(&a, "max_requests = 3", "");
    assert_eq!(crowd(&palisade, 6), [200, 200, 200, 503, 503, 503]);
    palisade.wait_stdout("\"detail\":\"breaker.max_requests\"", SOON);

    let palisade = limited(&a, "max_connections = 2", "routes.all.retry = { attempts = 0 }");
    assert_eq!(crowd(&palisade, 4), [200, 200, 503, 503]);
    palisade.wait_stdout("\"detail\":\"breaker.max_connections\"", SOON);

    let palisade = limited(&a, "max_pending = 1", "upstreams.app.pool = { max_connections = 1 }");
    assert_eq!(crowd(&palisade, 4), [200, 200, 503, 503]);
    palisade.wait_stdout("\"detail\":\"breaker.max_pending\"", SOON);
    assert_eq!(breaker(&palisade, "refused_total"), 2.0);
}

/// An idle connection to another endpoint is no reason to refuse: the request goes there.
#[test]
fn a_limit_of_connections_lets_requests_use_those_that_are_open() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(
        &[&a, &b],
        "upstreams.app.breaker = { max_connections = 1, error_rate = 0 }\n\
         routes.all.retry = { attempts = 0 }",
    );
    let names = served(&mut client_of(&palisade), 6);
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{names:?}");
    assert!(!names.contains(&"503".to_owned()), "{names:?}");
}

/// What an open breaker was about is over when the operator turns it off.
#[test]
fn a_reload_that_turns_it_off_closes_it() {
    let a = Server::start("a");
    let text = |rate: u8| {
        let breaker = format!(
            "upstreams.app.breaker = {{ error_rate = {rate}, min_requests = 2, open_time = \"1h\" }}"
        );
        crate::stage::config(&format!("\"{}\"", a.address()), &format!("{NO_OUTLIERS}\n{breaker}"))
    };
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &text(50));
    let mut client = client_of(&palisade);
    a.answers(500);
    assert_eq!(served(&mut client, 3), ["a", "a", "503"]);
    palisade.rewrite_config(&text(0));
    palisade.signal(1);
    poll_until(SOON, "the reload", || metrics_of(&palisade).sum("reloads_total", &[]) == 1.0);
    assert_eq!(served(&mut client, 3), ["a"; 3]);
    assert_eq!(breaker(&palisade, "state"), 0.0);
}

/// Prints how long a refusal takes; the figure belongs to this machine, so nothing is held against it.
#[test]
fn refusals_are_quick() {
    let a = Server::start("a");
    let breaker = "upstreams.app.breaker = { error_rate = 50, min_requests = 2, open_time = \"1h\" }";
    let palisade = proxy(&[&a], &format!("{NO_OUTLIERS}\n{breaker}"));
    let mut client = client_of(&palisade);
    a.answers(500);
    served(&mut client, 2);
    let mut times: Vec<u128> = (0..1000)
        .map(|_| {
            let begin = std::time::Instant::now();
            assert_eq!(client.get("/").status, 503);
            begin.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!("1000 refusals of an open breaker: median {} us, p99 {} us", times[500], times[990]);
    assert_eq!(a.requests(), 2);
}
