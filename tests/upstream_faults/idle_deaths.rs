//! Connections that died while they were idle.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use testkit::{Client, Origin, OriginConnection, SOON, canary, canary_on, pattern, poll_until};

use crate::stage::{ONE_WORKER, expect_reason, proxy_for};

/// What an origin's connection does once it has answered its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Closes after so many milliseconds, around the time when the next request is written.
    Idle(u64),
    /// Closes after so many bytes of the next request.
    AfterBytes(usize),
    /// Reads - and so executes - the next request, and closes without an answer.
    AfterRequest,
    /// Lives for five requests.
    Old,
}

const DEATHS: [Death; 10] = [
    Death::Idle(0),
    Death::Idle(1),
    Death::Idle(2),
    Death::Idle(5),
    Death::AfterBytes(1),
    Death::AfterBytes(17),
    Death::AfterBytes(120),
    Death::AfterRequest,
    Death::AfterRequest,
    Death::Old,
];

/// An origin whose connections die by `death` of their number, every other one by RST.
fn dying_origin(death: impl Fn(usize) -> Death + Send + Sync + 'static) -> Origin {
    Origin::raw(move |mut connection, number| {
        let by_reset = number % 2 == 1;
        if !matches!(answer_one(&mut connection), Ok(true)) {
            return;
        }
        match death(number) {
            Death::Idle(time) => thread::sleep(Duration::from_millis(time)),
            Death::AfterBytes(count) => drop(connection.read_exact(&mut vec![0; count])),
            Death::AfterRequest => drop(connection.read_request()),
            Death::Old => {
                for _ in 0..4 {
                    if !matches!(answer_one(&mut connection), Ok(true)) {
                        return;
                    }
                }
            }
        }
        if by_reset {
            connection.reset();
        }
    })
}

/// Answers the next request with its target; false when there is none.
pub fn answer_one(connection: &mut OriginConnection) -> io::Result<bool> {
    let Some(request) = connection.read_request()? else { return Ok(false) };
    let body = request.target.trim_start_matches("/canary-");
    connection
        .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    Ok(true)
}

pub fn executed(origin: &Origin, target: &str) -> usize {
    origin.requests().iter().filter(|request| request.target == target).count()
}

/// How many POSTs, and as many GETs, the long run sends; more by `PALISADE_TEST_POSTS`.
fn posts() -> usize {
    std::env::var("PALISADE_TEST_POSTS").map_or(1000, |text| text.parse().expect("a number"))
}

#[test]
fn no_post_is_executed_twice_and_gets_succeed_whenever_connections_die() {
    const CLIENTS: usize = 4;
    let origin = Arc::new(dying_origin(|number| DEATHS[number % DEATHS.len()]));
    let palisade = proxy_for(&origin, "server.workers = 2");
    let address = palisade.address("http");
    let each = posts().div_ceil(CLIENTS);

    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            thread::spawn(move || {
                let mut client = Client::connect(address);
                let (mut failed_gets, mut good_posts) = (0, Vec::new());
                for turn in 0..each {
                    let target = format!("/post-{number}-{turn}");
                    let response = client.request("POST", &target, &[], b"pay");
                    match response.status {
                        200 => {
                            assert_eq!(response.text(), target, "the answer to another request");
                            good_posts.push(target);
                        }
                        status => assert_eq!(status, 502, "{target}"),
                    }
                    let target = format!("/get-{number}-{turn}");
                    let response = client.get(&target);
                    match response.status {
                        200 => assert_eq!(response.text(), target, "the answer to another request"),
                        _ => failed_gets += 1,
                    }
                }
                (failed_gets, good_posts)
            })
        })
        .collect();
    let outcomes: Vec<_> = clients.into_iter().map(|client| client.join().expect("a client")).collect();

    let mut times = std::collections::HashMap::new();
    for request in origin.requests().iter().filter(|request| request.method == "POST") {
        *times.entry(request.target.clone()).or_insert(0) += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "POSTs executed more than once: {twice:?}");
    let good: Vec<_> = outcomes.iter().flat_map(|(_, good)| good).collect();
    for target in &good {
        assert_eq!(times.get(*target), Some(&1), "{target} was answered with 200");
    }
    let failed_gets: usize = outcomes.iter().map(|(failed, _)| failed).sum();
    let all = each * CLIENTS;
    println!("{all} POSTs: {} good, each once; {all} GETs: {failed_gets} failed", good.len());
    assert!(failed_gets * 1000 <= all, "{failed_gets} of {all} GETs failed");
    assert!(good.len() > all / 10 && good.len() < all, "the deaths were not met: {} of {all}", good.len());
    assert_eq!(origin.violations(), [""; 0]);
}

/// The first connection dies by `death`, by FIN or (odd numbers) RST; the later ones live.
fn dying_first(death: Death) -> Origin {
    dying_origin(move |number| if number < 2 { death } else { Death::Old })
}

#[test]
fn a_get_is_sent_again_once_on_a_new_connection() {
    for death in [Death::AfterBytes(1), Death::AfterBytes(60), Death::AfterRequest] {
        let origin = dying_first(death);
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        assert_eq!(client.get("/first").status, 200);
        assert_eq!(client.get("/second").text(), "/second", "{death:?} by FIN");
        assert_eq!(client.get("/third").text(), "/third", "{death:?} by RST");
        assert_eq!(client.get("/fourth").text(), "/fourth");
        let metrics = palisade.metrics();
        assert_eq!(metrics.sum("upstream_events_total", &["event=\"resend\""]), 2.0, "{death:?}");
        let times = if death == Death::AfterRequest { 2 } else { 1 };
        assert_eq!(executed(&origin, "/second"), times, "{death:?}");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn a_post_that_was_written_is_never_sent_again() {
    for death in [Death::AfterBytes(1), Death::AfterBytes(60), Death::AfterRequest] {
        let origin = dying_first(death);
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = palisade.client();
        assert_eq!(client.get("/first").status, 200);
        assert_eq!(client.request("POST", "/pay", &[], b"1").status, 502, "{death:?}");
        expect_reason(&palisade, "/pay", "upstream_closed");
        assert!(executed(&origin, "/pay") <= 1, "{death:?}");
        let metrics = palisade.metrics();
        assert_eq!(metrics.sum("upstream_events_total", &["event=\"resend\""]), 0.0, "{death:?}");
        canary_on(&mut client, &origin);
    }
}

#[test]
fn a_put_is_sent_again_when_its_body_was_kept_and_not_when_it_went_through() {
    for (mode, status) in [("buffer", 200), ("stream", 502)] {
        let origin = dying_origin(|number| if number == 0 { Death::AfterRequest } else { Death::Old });
        let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\nroutes.all.request_body = \"{mode}\""));
        let mut client = palisade.client();
        assert_eq!(client.get("/first").status, 200);
        let body = pattern(200_000);
        assert_eq!(client.request("PUT", "/put", &[], &body).status, status, "{mode}");
        for request in origin.requests().iter().filter(|request| request.target == "/put") {
            assert!(request.body == body, "{mode}: the origin got another body");
        }
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn a_new_connection_that_dies_is_no_reason_to_send_again() {
    let origin = Origin::raw(|mut connection, _| drop(connection.read_request()));
    let palisade = proxy_for(&origin, ONE_WORKER);
    assert_eq!(palisade.client().get("/get").status, 502);
    expect_reason(&palisade, "/get", "upstream_closed");
    assert_eq!(executed(&origin, "/get"), 1);
}

/// A request that fails on a stale connection and again on the fresh one is not tried a third time.
#[test]
fn there_is_one_resend_at_most() {
    let origin = Origin::raw(|mut connection, number| {
        if number == 0 && !matches!(answer_one(&mut connection), Ok(true)) {
            return;
        }
        drop(connection.read_request());
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    assert_eq!(client.get("/first").status, 200);
    assert_eq!(client.get("/second").status, 502);
    assert_eq!(executed(&origin, "/second"), 2);
}

#[test]
fn connections_that_were_closed_while_idle_cost_no_request() {
    let closed = Arc::new(AtomicUsize::new(0));
    let origin = Origin::raw({
        let closed = closed.clone();
        move |mut connection, _| {
            if let Ok(true) = answer_one(&mut connection) {
                // Over loopback the FIN is at the other side when this returns.
                let _ = connection.stream().shutdown(Shutdown::Both);
                closed.fetch_add(1, SeqCst);
            }
        }
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = palisade.client();
    for turn in 0..20 {
        let response = client.request("POST", "/closed-behind", &[], b"x");
        assert_eq!(response.status, 200, "request {turn}");
        poll_until(SOON, "the origin's close", || closed.load(SeqCst) == turn + 1);
    }
    assert_eq!(executed(&origin, "/closed-behind"), 20);
}
