//! Origins that break: connections that die, answers that stop, lie or never come. The client must see
//! each of it as what it is, and nobody else may be touched.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use testkit::{
    Address, Client, Metrics, Origin, OriginConnection, Palisade, RecordedRequest, Script, Step, canary,
    canary_on, pattern, poll_until,
};

const SOON: Duration = Duration::from_secs(10);

/// A proxy before these endpoints; `more` are further keys.
fn proxy(endpoints: &[Address], more: &str) -> Palisade {
    let endpoints: Vec<String> = endpoints.iter().map(|address| format!("\"{address}\"")).collect();
    let endpoints = endpoints.join(", ");
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
    proxy(&[origin.address()], more)
}

/// One worker, so that what one request leaves in the pool is what the next one meets.
const ONE_WORKER: &str = "server.workers = 1";

fn client_of(palisade: &Palisade) -> Client {
    Client::connect(palisade.address("http"))
}

/// The log says why, for the request with this target.
#[track_caller]
fn expect_reason(palisade: &Palisade, target: &str, reason: &str) {
    let target = format!("\"target\":\"{target}\"");
    let reason = format!("\"reason\":\"{reason}\"");
    poll_until(SOON, &format!("a log line with {target} and {reason}"), || {
        let log = palisade.stdout();
        let line = log.lines().rev().find(|line| line.contains(&target));
        if let Some(line) = line {
            assert!(line.contains(&reason), "no {reason} in {line}");
        }
        line.is_some()
    });
}

/// Answers canaries like the echo service, and everything else by `script`.
fn canaries_and(script: impl Fn(&RecordedRequest) -> Script + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |request, _| {
        if request.target.starts_with("/canary-") { Script::echo(request) } else { script(request) }
    })
}

// ---- Connections that died while they were idle ----

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
fn answer_one(connection: &mut OriginConnection) -> io::Result<bool> {
    let Some(request) = connection.read_request()? else { return Ok(false) };
    let body = request.target.trim_start_matches("/canary-");
    connection
        .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    Ok(true)
}

fn executed(origin: &Origin, target: &str) -> usize {
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
        let mut client = client_of(&palisade);
        assert_eq!(client.get("/first").status, 200);
        assert_eq!(client.get("/second").text(), "/second", "{death:?} by FIN");
        assert_eq!(client.get("/third").text(), "/third", "{death:?} by RST");
        assert_eq!(client.get("/fourth").text(), "/fourth");
        let metrics = Metrics::scrape(palisade.address("admin"));
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
        let mut client = client_of(&palisade);
        assert_eq!(client.get("/first").status, 200);
        assert_eq!(client.request("POST", "/pay", &[], b"1").status, 502, "{death:?}");
        expect_reason(&palisade, "/pay", "upstream_closed");
        assert!(executed(&origin, "/pay") <= 1, "{death:?}");
        let metrics = Metrics::scrape(palisade.address("admin"));
        assert_eq!(metrics.sum("upstream_events_total", &["event=\"resend\""]), 0.0, "{death:?}");
        canary_on(&mut client, &origin);
    }
}

#[test]
fn a_put_is_sent_again_when_its_body_was_kept_and_not_when_it_went_through() {
    for (mode, status) in [("buffer", 200), ("stream", 502)] {
        let origin = dying_origin(|number| if number == 0 { Death::AfterRequest } else { Death::Old });
        let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\nroutes.all.request_body = \"{mode}\""));
        let mut client = client_of(&palisade);
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
    assert_eq!(client_of(&palisade).get("/get").status, 502);
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
    let mut client = client_of(&palisade);
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
    let mut client = client_of(&palisade);
    for turn in 0..20 {
        let response = client.request("POST", "/closed-behind", &[], b"x");
        assert_eq!(response.status, 200, "request {turn}");
        poll_until(SOON, "the origin's close", || closed.load(SeqCst) == turn + 1);
    }
    assert_eq!(executed(&origin, "/closed-behind"), 20);
}

// ---- Answers that stop in their middle ----

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framed {
    Length,
    Chunked,
    Close,
}

/// Head and body on the wire, the body framed as said.
fn framed(framed: Framed, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match framed {
        Framed::Length => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            (head.into_bytes(), body.to_vec())
        }
        Framed::Chunked => {
            let mut wire = Vec::new();
            for chunk in body.chunks(4000) {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), wire)
        }
        Framed::Close => (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(), body.to_vec()),
    }
}

/// Asks with `version` and reads what comes. An answer that looks whole is a lie.
#[track_caller]
fn expect_visible_truncation(palisade: &Palisade, version: &str, case: &str) {
    let mut client = client_of(palisade);
    client.send(format!("GET /cut HTTP/{version}\r\nHost: a\r\n\r\n"));
    match client.try_read_response() {
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{case}: {error}"),
        Ok(response) => {
            assert_eq!(response.status, 502, "{case}: a clean end after {} bytes", response.body.len());
        }
    }
}

fn every_cut(framing: Framed, versions: &[&str], resets: &[bool]) {
    for length in [10, 100_000] {
        let (head, wire) = framed(framing, &pattern(length));
        for cut in [0, 1, wire.len() / 2, wire.len() - 1] {
            for by_reset in resets {
                let (head, part, by_reset) = (head.clone(), wire[..cut].to_vec(), *by_reset);
                let origin = canaries_and(move |_| {
                    let script = Script::new().send(head.clone()).send(part.clone());
                    if by_reset { script.reset() } else { script.close() }
                });
                let palisade = proxy_for(&origin, ONE_WORKER);
                for version in versions {
                    let case = format!(
                        "{framing:?} of {length} bytes cut at {cut}, reset {by_reset}, HTTP/{version}"
                    );
                    expect_visible_truncation(&palisade, version, &case);
                }
                expect_reason(&palisade, "/cut", "upstream_truncated");
                canary(palisade.address("http"), &origin);
            }
        }
    }
}

#[test]
fn a_body_shorter_than_its_content_length_has_no_clean_end() {
    every_cut(Framed::Length, &["1.1", "1.0"], &[false, true]);
}

#[test]
fn a_chunked_body_without_its_last_chunk_has_no_clean_end() {
    every_cut(Framed::Chunked, &["1.1", "1.0"], &[false, true]);
}

/// A FIN is the end of such a body, a reset is not.
#[test]
fn a_close_delimited_body_that_was_reset_has_no_clean_end() {
    // A reset overtakes what the receiver has not read, so the origin waits for the bytes to be taken.
    for length in [1usize, 10, 100_000] {
        let origin = canaries_and(move |_| {
            let (head, wire) = framed(Framed::Close, &pattern(length));
            Script::new().send(head).send(wire).pause(Duration::from_millis(30)).reset()
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        for version in ["1.1", "1.0"] {
            expect_visible_truncation(&palisade, version, &format!("{length} bytes, HTTP/{version}"));
        }
        expect_reason(&palisade, "/cut", "upstream_truncated");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn a_close_delimited_body_that_was_closed_is_whole() {
    for length in [0usize, 1, 10, 100_000] {
        let origin = canaries_and(move |_| {
            let (head, wire) = framed(Framed::Close, &pattern(length));
            Script::new().send(head).send(wire).close()
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        for version in ["1.1", "1.0"] {
            let mut client = client_of(&palisade);
            client.send(format!("GET /whole HTTP/{version}\r\nHost: a\r\n\r\n"));
            let response = client.read_response();
            assert_eq!(response.status, 200);
            assert!(response.body == pattern(length), "{} of {length} bytes", response.body.len());
        }
        canary(palisade.address("http"), &origin);
    }
}

/// The proxy closes behind the answer: not before a slow reader has all of it.
#[test]
fn a_slow_reader_gets_all_of_an_answer_with_a_close_behind_it() {
    const LENGTH: usize = 8 << 20;
    for path in ["bytes", "chunked"] {
        let origin = Origin::echo();
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = client_of(&palisade);
        socket2::SockRef::from(&*client.stream()).set_recv_buffer_size(128 << 10).unwrap();
        client.send(format!("GET /{path}/{LENGTH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let mut received = Vec::with_capacity(LENGTH + 4096);
        let mut piece = vec![0; 32 << 10];
        loop {
            client.stream().set_read_timeout(Some(SOON)).unwrap();
            match client.stream().read(&mut piece).expect("no reset") {
                0 => break,
                count => received.extend_from_slice(&piece[..count]),
            }
            if received.len() % (1 << 20) < piece.len() {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let head_end = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let body = &received[head_end..];
        if path == "bytes" {
            assert!(body == pattern(LENGTH), "{} of {LENGTH} bytes", body.len());
        } else {
            assert!(body.len() > LENGTH && body.ends_with(b"\r\n0\r\n\r\n"), "{} bytes", body.len());
        }
        canary(palisade.address("http"), &origin);
    }
}

// ---- More bytes than the answer has ----

const SECOND_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Evil: 1\r\n\r\npoison";

/// What comes behind an answer is thrown away, with its connection.
fn expect_surplus_is_dropped(method: &str, answer: &str, status: u16, body: &str) {
    let answer = answer.to_owned();
    let case = format!("{method} {answer:?}");
    let origin = canaries_and(move |_| Script::new().send(answer.clone()));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    let response = client.request(method, "/surplus", &[], b"");
    assert_eq!((response.status, response.text()), (status, body), "{case}");
    assert_eq!(response.header("X-Evil"), None, "{case}");
    canary_on(&mut client, &origin);
    canary(palisade.address("http"), &origin);
    let requests = origin.requests();
    assert_ne!(requests[0].connection, requests[1].connection, "{case}: the connection was used again");
}

#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    for (answer, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ] {
        for surplus in [SECOND_ANSWER, "\r\n", "x"] {
            expect_surplus_is_dropped("GET", &format!("{answer}{surplus}"), 200, body);
        }
    }
}

#[test]
fn a_body_where_none_may_be_is_nobodys_answer() {
    for (method, answer, status) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\nhello", 204),
        ("GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 204),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", 304),
    ] {
        expect_surplus_is_dropped(method, answer, status, "");
        if method == "HEAD" {
            expect_surplus_is_dropped(method, &format!("{answer}{SECOND_ANSWER}"), status, "");
        }
    }
}

/// The response to a HEAD and a 304 may announce a length without a body; the connection stays good.
#[test]
fn announced_lengths_without_a_body_keep_the_connection() {
    let origin = canaries_and(|request| match request.method.as_str() {
        "HEAD" => Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        _ => Script::new().send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"),
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    for _ in 0..3 {
        assert_eq!(client.request("HEAD", "/announced", &[], b"").header("Content-Length"), Some("5"));
        assert_eq!(client.get("/announced").status, 304);
        canary_on(&mut client, &origin);
    }
    assert_eq!(origin.connections().len(), 1);
}

#[test]
fn what_is_said_on_an_idle_connection_is_nobodys_answer() {
    for said in [SECOND_ANSWER, "\r\n", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"] {
        let speak = Arc::new(AtomicBool::new(false));
        let spoken = Arc::new(AtomicBool::new(false));
        let origin = Origin::raw({
            let (speak, spoken) = (speak.clone(), spoken.clone());
            move |mut connection, number| {
                while let Ok(true) = answer_one(&mut connection) {
                    if number == 0 && !spoken.load(SeqCst) {
                        poll_until(SOON, "the word", || speak.load(SeqCst));
                        let _ = connection.write_all(said.as_bytes());
                        spoken.store(true, SeqCst);
                    }
                }
            }
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = client_of(&palisade);
        assert_eq!(client.get("/first").status, 200);
        speak.store(true, SeqCst);
        poll_until(SOON, "the unasked bytes", || spoken.load(SeqCst));
        canary(palisade.address("http"), &origin);
        canary_on(&mut client, &origin);
        assert_eq!(executed(&origin, "/first"), 1);
        assert!(origin.requests()[1..].iter().all(|request| request.connection > 0), "{said:?}");
    }
}

// ---- Framing that contradicts itself ----

#[test]
fn answers_with_bad_framing_are_refused() {
    for fields in [
        "Content-Length: 5, 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length:",
        "Content-Length: 5 5",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello");
        expect_bad_answer(answer.into_bytes(), &format!("{fields:?}"));
    }
}

/// 502, the reason in the log, and a pool without the connection that it came on.
#[track_caller]
fn expect_bad_answer(answer: Vec<u8>, case: &str) {
    let origin = canaries_and(move |_| Script::new().send(answer.clone()));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/bad").status, 502, "{case}");
    expect_reason(&palisade, "/bad", "upstream_bad_answer");
    canary_on(&mut client, &origin);
    let requests = origin.requests();
    assert_ne!(requests[0].connection, requests[1].connection, "{case}: the connection was used again");
}

#[test]
fn bad_chunks_are_no_clean_end() {
    for chunks in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\nzz\r\n",
        "5\r\nhello\r\n0\r\nBad Trailer\r\n\r\n",
        "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        "\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let origin = canaries_and(move |_| Script::new().send(answer.clone()));
        let palisade = proxy_for(&origin, ONE_WORKER);
        expect_visible_truncation(&palisade, "1.1", &format!("{chunks:?}"));
        expect_visible_truncation(&palisade, "1.0", &format!("{chunks:?}"));
        expect_reason(&palisade, "/cut", "upstream_bad_body");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn with_a_length_and_a_coding_the_coding_counts_and_the_connection_ends() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                  5\r\nhello\r\n0\r\n\r\n";
    let origin = canaries_and(move |_| Script::new().send(answer));
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    let response = client.get("/both");
    assert_eq!((response.status, response.text()), (200, "hello"));
    canary_on(&mut client, &origin);
    let requests = origin.requests();
    assert_ne!(requests[0].connection, requests[1].connection);
}

#[test]
fn a_coding_in_an_old_answer_is_not_believed() {
    let answer = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let origin = canaries_and(move |_| Script::new().send(answer).close());
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/old").text(), "5\r\nhello\r\n0\r\n\r\n");
    canary(palisade.address("http"), &origin);
}

#[test]
fn an_old_origin_keeps_its_connection_only_when_it_says_so() {
    for (fields, connections) in [("", 3), ("Connection: keep-alive\r\n", 1)] {
        let origin = Origin::scripted(move |_, _| {
            Script::new().send(format!("HTTP/1.0 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok"))
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = client_of(&palisade);
        for _ in 0..3 {
            assert_eq!(client.get("/old").text(), "ok");
        }
        assert_eq!(origin.connections().len(), connections, "{fields:?}");
    }
}

// ---- Heads that are none ----

#[test]
fn malformed_heads_are_refused() {
    let long_reason = format!("HTTP/1.1 200 {}\r\nContent-Length: 0\r\n\r\n", "R".repeat(70_000));
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(300));
    let long_field = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(70_000));
    for head in [
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 Short\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
        "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
        " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "<html>hello from 0.9</html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        &long_reason,
        &many_fields,
        &long_field,
    ] {
        let shown: String = head.chars().take(60).collect();
        expect_bad_answer(head.as_bytes().to_vec(), &format!("{shown:?}"));
    }
}

#[test]
fn a_head_that_breaks_off_is_a_502() {
    for part in ["", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"] {
        for by_reset in [false, true] {
            let origin = canaries_and(move |_| {
                let script = Script::new().send(part);
                if by_reset { script.reset() } else { script.close() }
            });
            let palisade = proxy_for(&origin, ONE_WORKER);
            let mut client = client_of(&palisade);
            assert_eq!(client.get("/part").status, 502, "{part:?}");
            expect_reason(&palisade, "/part", "upstream_closed");
            canary_on(&mut client, &origin);
        }
    }
}

#[test]
fn odd_but_lawful_heads_pass() {
    for (head, reason) in [
        ("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", ""),
        ("HTTP/1.1 200 Alles \"gut\" (ja)\r\nContent-Length: 2\r\n\r\nok", "Alles \"gut\" (ja)"),
        ("HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok", "Odd"),
        ("HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nok", "Odd"),
    ] {
        let origin = canaries_and(move |_| Script::new().send(head));
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = client_of(&palisade);
        let response = client.get("/odd");
        assert_eq!((response.text(), response.status.to_string()), ("ok", head[9..12].to_string()));
        let line = response.head.lines().next().unwrap();
        assert!(line.contains(reason), "{line:?}");
        canary_on(&mut client, &origin);
    }
}

/// Whatever an origin answers, the client gets a well-formed answer or a broken connection, never a third
/// thing, and the proxy lives.
#[test]
fn mutated_heads_never_reach_the_client() {
    const ROUNDS: usize = 400;
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let base =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Odd: a, b\r\nContent-Length: 5\r\n\r\nhello";
    let origin = canaries_and(move |request| {
        let round: u64 = request.target.trim_start_matches("/round-").parse().unwrap();
        Script::new().send(mutated(base, seed.wrapping_add(round))).close()
    });
    let palisade = proxy_for(&origin, "defaults.timeouts.read = \"2s\"");
    for round in 0..ROUNDS {
        let mut client = client_of(&palisade);
        client.send(format!("GET /round-{round} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        if let Err(error) = client.try_read_response() {
            let lawful =
                matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
            let answer = mutated(base, seed.wrapping_add(round as u64));
            assert!(lawful, "seed {seed} round {round}: {error} for {:?}", String::from_utf8_lossy(&answer));
        }
        if round % 50 == 0 {
            canary(palisade.address("http"), &origin);
        }
    }
    assert_eq!(Metrics::scrape(palisade.address("admin")).sum("panics_total", &[]), 0.0);
}

/// `base` with one to three of its bytes changed, doubled or dropped.
fn mutated(base: &[u8], seed: u64) -> Vec<u8> {
    const ODD: &[u8] = b"\r\n\0 \t:;,\x0b\x7f\x80\xff0123456789aHX/-+";
    let mut state = seed | 1;
    let mut random = |below: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    };
    let mut bytes = base.to_vec();
    for _ in 0..=random(3) {
        let at = random(bytes.len());
        match random(4) {
            0 => bytes[at] = ODD[random(ODD.len())],
            1 => bytes.insert(at, ODD[random(ODD.len())]),
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

// ---- Interim answers ----

#[test]
fn early_hints_are_passed_on_and_stay_apart_from_the_answer() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n")
            .send("HTTP/1.1 102 Processing\r\n\r\n")
            .send("HTTP/1.1 100 Continue\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    let response = client.get("/hints");
    assert_eq!((response.status, response.text(), response.header("Link")), (200, "ok", None));
    let statuses: Vec<_> = response.interim.iter().map(|interim| interim.status).collect();
    assert_eq!(statuses, [103, 102], "the 100 is not for a client that did not ask");
    assert_eq!(response.interim[0].header("Link"), Some("</style.css>; rel=preload"));
    canary_on(&mut client, &origin);
    assert_eq!(origin.connections().len(), 1);
}

/// The fields that an interim answer's `Connection` nominates are for one hop like any others.
#[test]
fn hop_by_hop_fields_of_interim_answers_stay_behind() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nLink: <a>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let response = client_of(&palisade).get("/hints");
    let hints = &response.interim[0];
    for name in ["Connection", "Keep-Alive", "X-Hop"] {
        assert_eq!(hints.header(name), None, "{name}");
    }
    assert_eq!(hints.header("Link"), Some("<a>"));
}

#[test]
fn an_old_client_gets_no_interim_answer() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    client.send("GET /hints HTTP/1.0\r\nHost: a\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.text(), response.interim.len()), (200, "ok", 0));
    canary(palisade.address("http"), &origin);
}

#[test]
fn interim_answers_before_the_answer_to_head_do_no_harm() {
    let origin = canaries_and(|_| {
        Script::new()
            .send("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nLink: <a>\r\n\r\n")
            .send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    });
    let palisade = proxy_for(&origin, ONE_WORKER);
    let mut client = client_of(&palisade);
    let response = client.request("HEAD", "/head", &[], b"");
    assert_eq!((response.status, response.interim.len()), (200, 1));
    assert_eq!(response.interim[0].header("Content-Length"), None);
    canary_on(&mut client, &origin);
}

#[test]
fn a_flood_of_interim_answers_is_a_502() {
    for (count, status) in [(16, 200), (17, 502), (10_000, 502)] {
        let origin = canaries_and(move |_| {
            Script::new()
                .send("HTTP/1.1 102 Processing\r\n\r\n".repeat(count))
                .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = client_of(&palisade);
        let response = client.get("/flood");
        assert_eq!(response.status, status, "{count}");
        assert!(response.interim.len() <= 16, "{}", response.interim.len());
        if status == 502 {
            expect_reason(&palisade, "/flood", "upstream_too_many_interim");
        }
        canary_on(&mut client, &origin);
    }
}

#[test]
fn switching_protocols_unasked_is_a_502() {
    for (request, answer) in [
        ("GET /switch HTTP/1.1\r\nHost: a\r\n\r\n", "Upgrade: websocket"),
        (
            "GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "Upgrade: other",
        ),
        ("GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "X: no"),
    ] {
        let origin = canaries_and(move |_| {
            Script::new()
                .send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{answer}\r\n\r\n"))
                .send(SECOND_ANSWER)
        });
        let palisade = proxy_for(&origin, ONE_WORKER);
        let mut client = client_of(&palisade);
        client.send(request);
        assert_eq!(client.read_response().status, 502, "{request:?} {answer}");
        expect_reason(&palisade, "/switch", "upstream_bad_upgrade");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn interim_answers_do_not_stop_the_clock() {
    let origin = canaries_and(|_| {
        let mut script = Script::new();
        for _ in 0..10 {
            script = script.send("HTTP/1.1 102 Processing\r\n\r\n").pause(Duration::from_millis(150));
        }
        script.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"500ms\""));
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/processing").status, 504);
    expect_reason(&palisade, "/processing", "upstream_read_timeout");
    canary_on(&mut client, &origin);
}

// ---- Answers before the request is complete ----

/// A head without its body, from the socket of an origin.
fn read_head(connection: &mut OriginConnection) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// What an origin does with the rest of a body after it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Read,
    Ignore,
    Close,
    Reset,
}

/// Answers POSTs after the head alone, everything else as the echo service does canaries.
fn early_origin(answer: &'static str, rest: Rest, hasty: Arc<AtomicUsize>) -> Origin {
    Origin::raw(move |mut connection, _| {
        loop {
            let Some(head) = read_head(&mut connection) else { return };
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if head.starts_with("POST") {
                hasty.fetch_add(1, SeqCst);
                let _ = connection.write_all(answer.as_bytes());
                match rest {
                    Rest::Read => drop(io::copy(&mut connection, &mut io::sink())),
                    // Until the proxy hangs up, which is seen without reading.
                    Rest::Ignore => wait_for_hang_up(&connection),
                    Rest::Close => {}
                    Rest::Reset => return connection.reset(),
                }
                return;
            }
            let body = target.trim_start_matches("/canary-");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Returns when the peer has closed, without reading what it sent.
fn wait_for_hang_up(connection: &OriginConnection) {
    let end = Instant::now() + SOON;
    let socket = socket2::SockRef::from(connection.stream());
    while Instant::now() < end && matches!(socket.take_error(), Ok(None)) && is_connected(connection) {
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_connected(connection: &OriginConnection) -> bool {
    socket2::SockRef::from(connection.stream()).peer_addr().is_ok()
}

/// Sends a big body while it reads the answer, as a browser does.
fn upload(palisade: &Palisade, length: usize) -> (Client, testkit::Response) {
    let mut client = client_of(palisade);
    let mut writer = client.stream().try_clone().unwrap();
    let sending = thread::spawn(move || {
        let head = format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let _ = writer.write_all(head.as_bytes());
        let piece = vec![b'x'; 64 << 10];
        let mut left = length;
        // An error is how the proxy says that it wants no more.
        while left > 0 {
            let count = left.min(piece.len());
            if writer.write_all(&piece[..count]).is_err() {
                return;
            }
            left -= count;
        }
    });
    let response = client.read_response();
    sending.join().unwrap();
    (client, response)
}

#[test]
fn an_early_answer_is_relayed_and_its_connection_not_used_again() {
    const LENGTH: usize = 100 << 20;
    let answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge";
    for rest in [Rest::Read, Rest::Ignore, Rest::Close, Rest::Reset] {
        let hasty = Arc::new(AtomicUsize::new(0));
        let origin = early_origin(answer, rest, hasty.clone());
        let palisade = proxy_for(
            &origin,
            &format!(
                "{ONE_WORKER}\nroutes.all.request_body = \"stream\"\nroutes.all.max_body_size = \"1GiB\""
            ),
        );
        let (mut client, response) = upload(&palisade, LENGTH);
        // A reset may overtake the answer.
        if rest == Rest::Reset && response.status == 502 {
            continue;
        }
        assert_eq!((response.status, response.text()), (413, "large"), "{rest:?}");
        assert!(client.is_closed(SOON), "{rest:?}: the client's connection must not go on");
        assert_eq!(hasty.load(SeqCst), 1);
        for number in 0..3 {
            let mut other = client_of(&palisade);
            assert_eq!(other.get(&format!("/canary-{number}")).text(), number.to_string(), "{rest:?}");
        }
        assert!(origin.connections().len() >= 2, "{rest:?}: the connection was used again");
    }
}

/// An answer that begins early and is large, to a client that first sends all of its request. The answer
/// fills every buffer on its way; the request must flow on all the same, or both sides wait for ever.
#[test]
fn a_request_flows_on_while_its_answer_is_stuck() {
    const LENGTH: usize = 64 << 20;
    const UPLOAD: usize = 80 << 20;
    let (head, body) = framed(Framed::Length, &pattern(LENGTH));
    let answer = Arc::new([head, body].concat());
    let origin = Origin::raw(move |mut connection, _| {
        if read_head(&mut connection).is_none() {
            return;
        }
        socket2::SockRef::from(connection.stream()).set_recv_buffer_size(256 << 10).unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let mut writer = connection.stream().try_clone().unwrap();
        let writing = thread::spawn({
            let (answer, written) = (answer.clone(), written.clone());
            move || {
                answer.chunks(64 << 10).try_for_each(|piece| {
                    written.fetch_add(piece.len(), SeqCst);
                    writer.write_all(piece)
                })
            }
        });
        until_stuck(&written);
        assert!(written.load(SeqCst) < LENGTH, "the answer fits into the buffers");
        let mut left = UPLOAD;
        let mut piece = vec![0; 64 << 10];
        while left > 0 {
            match connection.read(&mut piece) {
                Ok(count) if count > 0 => left -= count,
                _ => return,
            }
        }
        let _ = writing.join();
        wait_for_hang_up(&connection);
    });
    let palisade = proxy_for(
        &origin,
        &format!("{ONE_WORKER}\nroutes.all.request_body = \"stream\"\nroutes.all.max_body_size = \"1GiB\""),
    );
    let mut client = client_of(&palisade);
    let socket = socket2::SockRef::from(&*client.stream());
    socket.set_recv_buffer_size(256 << 10).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    client.send(format!("POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n"));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..UPLOAD / piece.len() {
        client.send(&piece);
    }
    let response = client.read_response();
    assert_eq!(response.status, 200);
    assert!(response.body == pattern(LENGTH), "{} bytes", response.body.len());
}

/// Waits until `written` has not moved for a while.
fn until_stuck(written: &AtomicUsize) {
    let (mut last, mut since) = (usize::MAX, Instant::now());
    poll_until(SOON, "the answer to be stuck", || {
        let now = written.load(SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300)
    });
}

// ---- Origins that are not there ----

/// An address that nobody listens on, kept so by the socket.
fn refusing() -> (Address, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (address.into(), socket)
}

/// An address whose queue of pending connections is full: further ones hang.
struct Blackhole {
    listener: Socket,
    _fill: Vec<TcpStream>,
}

impl Blackhole {
    fn open() -> Blackhole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut fill = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            fill.push(stream);
            assert!(fill.len() < 100, "the queue is never full");
        }
        Blackhole { listener, _fill: fill }
    }

    fn address(&self) -> Address {
        self.listener.local_addr().unwrap().as_socket().unwrap().into()
    }
}

#[test]
fn a_refused_connection_is_a_502() {
    let (address, _held) = refusing();
    let palisade = proxy(std::slice::from_ref(&address), ONE_WORKER);
    let mut client = client_of(&palisade);
    let response = client.get("/refused");
    assert_eq!(response.status, 502);
    let port = address.tcp().port().to_string();
    assert!(!response.text().contains(&port), "the page names the endpoint: {}", response.text());
    expect_reason(&palisade, "/refused", "upstream_connect_refused");
    palisade.wait_stdout(&format!("\"endpoint\":\"{address}\""), SOON);
    // The client's connection is fine.
    assert_eq!(client.get("/again").status, 502);
}

#[test]
fn a_refused_connection_goes_to_the_next_endpoint() {
    let origin = Origin::echo();
    let (first, _held) = refusing();
    let (second, _also_held) = refusing();
    let palisade = proxy(&[first, second, origin.address()], ONE_WORKER);
    let mut client = client_of(&palisade);
    for turn in 0..9 {
        let response = client.request("POST", "/echo", &[], b"once");
        assert_eq!((response.status, response.text()), (200, "once"), "{turn}");
    }
    assert_eq!(executed(&origin, "/echo"), 9);
    canary_on(&mut client, &origin);
}

#[test]
fn a_missing_unix_socket_is_a_502() {
    let dir = testkit::temp_dir();
    let palisade = proxy(&[Address::Unix(dir.join("nobody.sock"))], ONE_WORKER);
    assert_eq!(client_of(&palisade).get("/missing").status, 502);
    expect_reason(&palisade, "/missing", "upstream_connect_refused");
}

#[test]
fn a_connection_that_hangs_is_a_504() {
    let hole = Blackhole::open();
    let palisade = proxy(&[hole.address()], &format!("{ONE_WORKER}\ndefaults.timeouts.connect = \"300ms\""));
    let started = Instant::now();
    assert_eq!(client_of(&palisade).get("/hangs").status, 504);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    expect_reason(&palisade, "/hangs", "upstream_connect_timeout");
}

#[test]
fn a_connection_that_hangs_goes_to_the_next_endpoint() {
    let hole = Blackhole::open();
    let origin = Origin::echo();
    let palisade = proxy(
        &[hole.address(), origin.address()],
        &format!("{ONE_WORKER}\ndefaults.timeouts.connect = \"200ms\""),
    );
    for _ in 0..2 {
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn a_silent_origin_is_a_504() {
    let origin = canaries_and(|_| Script::new().then(Step::HoldOpen));
    let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"300ms\""));
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/silent").status, 504);
    expect_reason(&palisade, "/silent", "upstream_read_timeout");
    canary_on(&mut client, &origin);
    // Not even what may be repeated is sent again after a time-out.
    assert_eq!(executed(&origin, "/silent"), 1);
}

#[test]
fn a_head_that_drips_is_a_504() {
    let origin = canaries_and(|_| {
        let mut script = Script::new().send("HTTP/1.1 200 OK\r\nX: ");
        for _ in 0..40 {
            script = script.send("y").pause(Duration::from_millis(50));
        }
        script.send("\r\nContent-Length: 2\r\n\r\nok")
    });
    let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"400ms\""));
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/drip").status, 504);
    expect_reason(&palisade, "/drip", "upstream_read_timeout");
    canary_on(&mut client, &origin);
}

#[test]
fn a_body_that_stalls_has_no_clean_end() {
    for framing in [Framed::Length, Framed::Chunked, Framed::Close] {
        let origin = canaries_and(move |_| {
            let (head, body) = framed(framing, &pattern(10_000));
            Script::new().send(head).send(&body[..5000]).then(Step::HoldOpen)
        });
        let palisade = proxy_for(&origin, &format!("{ONE_WORKER}\ndefaults.timeouts.read = \"300ms\""));
        for version in ["1.1", "1.0"] {
            expect_visible_truncation(&palisade, version, &format!("{framing:?} HTTP/{version}"));
        }
        expect_reason(&palisade, "/cut", "upstream_read_timeout");
        canary(palisade.address("http"), &origin);
    }
}

#[test]
fn an_origin_that_takes_no_body_is_a_504() {
    let origin = Origin::raw(|connection, _| {
        socket2::SockRef::from(connection.stream()).set_recv_buffer_size(4096).unwrap();
        wait_for_hang_up(&connection);
    });
    for mode in ["buffer", "stream"] {
        let palisade = proxy_for(
            &origin,
            &format!(
                "{ONE_WORKER}\nroutes.all.request_body = \"{mode}\"\ndefaults.timeouts.send = \"300ms\"\n\
                 routes.all.max_body_size = \"1GiB\""
            ),
        );
        let (_, response) = upload(&palisade, 32 << 20);
        assert_eq!(response.status, 504, "{mode}");
        expect_reason(&palisade, "/early", "upstream_send_timeout");
    }
}

#[test]
fn a_name_that_does_not_resolve_is_a_503() {
    let palisade = Palisade::start(
        env!("CARGO_BIN_EXE_palisade"),
        r#"
        listeners.http.address = "127.0.0.1:0"
        upstreams.origin.endpoints = ["no-such-host.invalid:80"]
        routes.all.upstream = "origin"
        log.access = "stdout"
        "#,
    );
    let response = client_of(&palisade).get("/nowhere");
    assert_eq!(response.status, 503);
    assert!(response.header("Retry-After").is_some());
    expect_reason(&palisade, "/nowhere", "upstream_not_resolved");
}

/// An endpoint that dies and comes back is used again without a restart.
#[test]
fn an_origin_that_comes_back_is_used_again() {
    let mut origin = Origin::echo();
    let palisade = proxy_for(&origin, ONE_WORKER);
    canary(palisade.address("http"), &origin);
    origin.stop();
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/gone").status, 502);
    origin.restart();
    canary_on(&mut client, &origin);
}
