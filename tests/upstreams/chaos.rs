//! One trouble after the other while clients ask: no GET may fail, no POST may be executed twice or be lost.
//! `cargo xtask chaos` does the same to real processes under a real load, with times.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use testkit::{Client, Palisade, poll_until};

use crate::stage::{SOON, Server, metrics_of, proxy, status_line};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Silent,
    Slow,
    Errs,
}

/// Whatever goes wrong is a reason to send again: for GETs, and not for POSTs. Ejections are short,
/// since what a server left without an answer can eject it again when it is back.
const OPTIONS: &str = r#"
    upstreams.app.health = { path = "/health", interval = "100ms", timeout = "5s", fall = 1, rise = 1 }
    upstreams.app.outlier = { failures = 5, server_errors = 5, ejection_time = "1s", max_ejection_time = "1s" }
    upstreams.app.retry_budget = 100
    routes.all.retry = { attempts = 3, on = ["connect", "reset", "timeout", "500"], try_timeout = "1s" }
"#;

#[test]
fn clients_see_no_error_and_no_repetition_while_servers_fail() {
    let mut servers = ["a", "b", "c"].map(Server::start);
    let palisade = proxy(&servers.each_ref(), OPTIONS);
    let address = palisade.address("http");
    let stop = AtomicBool::new(false);
    let (gets, posts) = thread::scope(|scope| {
        let crowd = |method, clients| -> Vec<_> {
            (0..clients)
                .map(|number| {
                    scope.spawn({
                        let stop = &stop;
                        move || ask(address, method, number, stop)
                    })
                })
                .collect()
        };
        let (gets, posts) = (crowd("GET", 6), crowd("POST", 3));
        // Also when an assertion fails: the scope waits for the clients.
        let _stop_at_last = StopOnDrop(&stop);
        for fault in [Fault::Killed, Fault::Silent, Fault::Slow, Fault::Errs] {
            for server in &mut servers {
                suffer(&palisade, server, fault);
            }
        }
        stop.store(true, SeqCst);
        let gather = |crowd: Vec<thread::ScopedJoinHandle<'_, Vec<Asked>>>| -> Vec<Asked> {
            crowd.into_iter().flat_map(|client| client.join().unwrap()).collect()
        };
        (gather(gets), gather(posts))
    });

    let failed: Vec<&Asked> = gets.iter().filter(|asked| !asked.is_success()).collect();
    assert!(
        failed.is_empty(),
        "{} of {} GETs: {:?}",
        failed.len(),
        gets.len(),
        &failed[..failed.len().min(5)]
    );
    let mut executed: HashMap<String, u32> = HashMap::new();
    let requests = servers.iter().flat_map(|server| server.origin.requests());
    for post in requests.filter(|request| request.method == "POST") {
        *executed.entry(post.target).or_default() += 1;
    }
    for asked in &posts {
        let times = executed.get(&asked.target).copied().unwrap_or(0);
        assert!(times <= 1, "{asked:?} was executed {times} times");
        assert!(times == 1 || !asked.is_success(), "{asked:?} is missing");
    }
    // The troubles were met.
    assert!(metrics_of(&palisade).sum("upstream_events_total", &["event=\"retry\""]) > 0.0);
    assert!(posts.iter().any(|asked| !asked.is_success()), "no POST met a 500");
}

/// Does it to the server, until requests have met it and the proxy has noticed; then brings it back.
fn suffer(palisade: &Palisade, server: &mut Server, fault: Fault) {
    let before = server.requests();
    match fault {
        Fault::Killed => server.origin.stop(),
        Fault::Silent => server.is_silent(),
        Fault::Slow => server.waits(Duration::from_millis(500)),
        Fault::Errs => server.answers(500),
    }
    if fault != Fault::Killed {
        poll_until(SOON, &format!("requests to {} {fault:?}", server.name), || {
            server.requests() >= before + 4
        });
    }
    server.is_healthy(false);
    wait_for(palisade, server, " down ");
    match fault {
        Fault::Killed => server.origin.restart(),
        Fault::Silent | Fault::Errs => server.answers(200),
        Fault::Slow => server.waits(Duration::ZERO),
    }
    server.is_healthy(true);
    wait_for(palisade, server, " up ");
}

fn wait_for(palisade: &Palisade, server: &Server, state: &str) {
    poll_until(SOON, &format!("{} to be{state}", server.name), || {
        status_line(palisade, server).contains(state)
    });
}

/// A request, and the status of its answer when it had one.
#[derive(Debug)]
struct Asked {
    target: String,
    status: Option<u16>,
}

impl Asked {
    fn is_success(&self) -> bool {
        self.status == Some(200)
    }
}

/// Asks on one connection, or on the next one when that was closed, until told to stop.
fn ask(address: SocketAddr, method: &str, client: usize, stop: &AtomicBool) -> Vec<Asked> {
    let mut all = Vec::new();
    let mut connection = None;
    while !stop.load(SeqCst) {
        let target = format!("/{method}/{client}/{}", all.len());
        let body = if method == "POST" { "Content-Length: 4\r\n\r\nonce" } else { "\r\n" };
        let mut own = connection.take().unwrap_or_else(|| Client::connect(address));
        let sent = own.try_send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{body}"));
        let response = sent.and_then(|()| own.try_read_response()).ok();
        let closes =
            response.as_ref().is_none_or(|response| response.headers.has_token("Connection", "close"));
        connection = (!closes).then_some(own);
        all.push(Asked { target, status: response.map(|response| response.status) });
        // A pace, so that the servers need not remember hundreds of thousands.
        thread::sleep(Duration::from_millis(5));
    }
    all
}

struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
