//! Active checks.

use testkit::{Client, Launch, Palisade, poll_until};

use crate::stage::{SOON, Server, client_of, config, event, metrics_of, proxy, served, status_line, wait_up};

const OFTEN: &str = r#"interval = "100ms", timeout = "1s", fall = 2, rise = 2"#;

fn http_checks(more: &str) -> String {
    format!("upstreams.app.health = {{ path = \"/health?from=proxy\", {OFTEN} {more} }}")
}

#[test]
fn an_endpoint_that_fails_its_checks_gets_no_requests_until_it_passes_them_again() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], &http_checks(""));
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 4).iter().filter(|name| *name == "a").count(), 2);

    // The very first check would decide alone.
    poll_until(SOON, "a check of a", || event(&palisade, &a, "check_pass") >= 1.0);
    a.is_healthy(false);
    wait_up(&palisade, &a, false);
    assert_eq!(served(&mut client, 6), ["b"; 6]);
    let line = status_line(&palisade, &a);
    assert!(line.contains(" down ") && line.contains("check failed: answered 500"), "{line}");
    palisade.wait_stderr(&format!("endpoint {} is down: answered 500", a.address()), SOON);

    a.is_healthy(true);
    wait_up(&palisade, &a, true);
    assert!(served(&mut client, 4).contains(&"a".to_owned()));
    assert!(status_line(&palisade, &a).contains(" up "));
    assert!(event(&palisade, &a, "check_failure") >= 2.0);
    assert!(event(&palisade, &a, "check_pass") >= 2.0);
}

#[test]
fn a_check_is_the_request_that_was_asked_for() {
    let a = Server::start("a");
    let more = r#", host = "app.internal", headers = { Authorization = "Bearer x" }"#;
    let palisade = proxy(&[&a], &http_checks(more));
    poll_until(SOON, "a check", || a.checks() > 0);
    let requests = a.origin.requests();
    let head = String::from_utf8_lossy(requests[0].head()).into_owned();
    assert_eq!(
        head,
        "GET /health?from=proxy HTTP/1.1\r\nHost: app.internal\r\nUser-Agent: palisade-health\r\n\
         Authorization: Bearer x\r\nConnection: close\r\n\r\n"
    );
    drop(palisade);
}

#[test]
fn status_and_text_of_the_answer_count() {
    let [a, b, c] = [Server::start("a"), Server::start("b"), Server::start("c")];
    a.is_healthy(false);
    let with = |more: &str| proxy(&[&a, &b], &http_checks(more));
    let odd = with(r#", status = [500]"#);
    wait_up(&odd, &a, true);
    wait_up(&odd, &b, false);
    let texts = proxy(&[&b, &c], &http_checks(r#", body = "thank you""#));
    wait_up(&texts, &b, true);
    let texts = proxy(&[&b, &c], &http_checks(r#", body = "no such text""#));
    wait_up(&texts, &b, false);
    wait_up(&texts, &c, false);
    assert!(status_line(&texts, &b).contains("without the text"), "{}", status_line(&texts, &b));
    // Nobody is left, and that is said at once.
    assert_eq!(client_of(&texts).get("/").status, 503);
}

#[test]
fn without_a_path_a_check_connects() {
    let [mut a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], &format!("upstreams.app.health = {{ {OFTEN} }}"));
    wait_up(&palisade, &a, true);
    a.origin.stop();
    wait_up(&palisade, &a, false);
    assert!(status_line(&palisade, &a).contains("cannot connect"), "{}", status_line(&palisade, &a));
    a.origin.restart();
    wait_up(&palisade, &a, true);
}

/// An origin that takes connections and says nothing is as bad as none.
#[test]
fn a_check_that_takes_too_long_has_failed() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let checks = r#"upstreams.app.health = { path = "/quiet", interval = "100ms", timeout = "200ms" }"#;
    let palisade = proxy(&[&a, &b], checks);
    wait_up(&palisade, &a, true);
    a.is_silent();
    wait_up(&palisade, &a, false);
    assert!(status_line(&palisade, &a).contains("no answer within 200ms"), "{}", status_line(&palisade, &a));
}

#[test]
fn a_check_does_not_begin_before_the_last_one_ended() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.is_silent();
    let checks = r#"upstreams.app.health = { path = "/quiet", interval = "100ms", timeout = "1h" }"#;
    let palisade = proxy(&[&a, &b], checks);
    poll_until(SOON, "five checks of b", || event(&palisade, &b, "check_pass") >= 5.0);
    assert_eq!(a.requests(), 1);
}

#[test]
fn an_endpoint_is_used_before_its_first_check_unless_it_starts_down() {
    let a = Server::start("a");
    // The port that is checked takes connections and never answers, so no check ends.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    let with = |start: &str| {
        let never = r#"path = "/health", interval = "1h", timeout = "1h""#;
        proxy(&[&a], &format!("upstreams.app.health = {{ {never}, port = {port}, start = \"{start}\" }}"))
    };
    let up = with("up");
    assert_eq!(served(&mut client_of(&up), 2), ["a"; 2]);
    let down = with("down");
    assert_eq!(served(&mut client_of(&down), 2), ["503"; 2]);
    assert!(status_line(&down, &a).contains("not checked yet"), "{}", status_line(&down, &a));
}

/// One prober, whatever the number of workers.
#[test]
fn checks_do_not_grow_with_workers() {
    let a = Server::start("a");
    let endpoints = format!("\"{}\"", a.address());
    let text = config(&endpoints, r#"upstreams.app.health = { path = "/health", interval = "1h" }"#);
    let palisade =
        Palisade::start(env!("CARGO_BIN_EXE_palisade"), &text.replace("workers = 1", "workers = 8"));
    poll_until(SOON, "the first check", || event(&palisade, &a, "check_pass") == 1.0);
    for _ in 0..20 {
        assert_eq!(served(&mut client_of(&palisade), 1), ["a"]);
    }
    assert_eq!(a.checks(), 1);
}

#[test]
fn what_checks_found_outlives_a_reload() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let endpoints = format!("\"{}\", \"{}\"", a.address(), b.address());
    let once = r#"upstreams.app.health = { path = "/health", interval = "1h", fall = 1 }"#;
    a.is_healthy(false);
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(&endpoints, once));
    wait_up(&palisade, &a, false);
    poll_until(SOON, "both were checked", || a.checks() + b.checks() == 2);
    palisade.rewrite_config(&config(&endpoints, &format!("{once}\nupstreams.app.slow_start = \"1s\"")));
    palisade.signal(1);
    poll_until(SOON, "the reload", || metrics_of(&palisade).sum("reloads_total", &[]) == 1.0);
    assert_eq!(served(&mut client_of(&palisade), 4), ["b"; 4]);
    assert_eq!(a.checks() + b.checks(), 2);
}

/// Idle connections to a machine that is gone are not given to anybody.
#[test]
fn an_endpoint_that_goes_down_loses_its_idle_connections() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], &http_checks(""));
    assert_eq!(served(&mut client_of(&palisade), 2).len(), 2);
    a.is_healthy(false);
    wait_up(&palisade, &a, false);
    let label = format!("endpoint=\"{}\"", a.address());
    poll_until(SOON, "no connection is open", || {
        metrics_of(&palisade).sum("upstream_connections", &[&label]) == 0.0
    });
}

#[test]
fn a_server_that_comes_back_takes_a_growing_share() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], &format!("upstreams.app.slow_start = \"1h\"\n{}", http_checks("")));
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 10).iter().filter(|name| *name == "a").count(), 5);
    a.is_healthy(false);
    wait_up(&palisade, &a, false);
    a.is_healthy(true);
    wait_up(&palisade, &a, true);
    // A twentieth of b's share: about 1 of 21.
    let names = served(&mut client, 42);
    assert_eq!(names.iter().filter(|name| *name == "a").count(), 2, "{names:?}");
    assert!(status_line(&palisade, &a).contains("warming"), "{}", status_line(&palisade, &a));
}

/// What the proxy itself lacks is not held against a server.
#[test]
fn without_descriptors_nobody_goes_down() {
    for (looks, failure) in [
        ("upstreams.app.health = { interval = \"100ms\", timeout = \"1m\", fall = 1 }", "check_failure"),
        ("upstreams.app.pool.probe_interval = \"250ms\"", "probe_failure"),
    ] {
        let a = Server::start("a");
        let more = format!("server.head_timeout = \"1m\"\n{looks}");
        let launch = Launch::new(env!("CARGO_BIN_EXE_palisade")).open_files(64);
        let palisade = launch.start(&config(&format!("\"{}\"", a.address()), &more));
        // Its connection to the server is idle from here on.
        assert_eq!(served(&mut client_of(&palisade), 1), ["a"]);
        let held: Vec<Client> = (0..100)
            .map(|_| {
                let mut client = client_of(&palisade);
                client.send("G");
                client
            })
            .collect();
        palisade.wait_stderr("cannot check endpoints for now", SOON);
        drop(held);
        assert_eq!(event(&palisade, &a, failure), 0.0);
        assert_eq!(served(&mut client_of(&palisade), 1), ["a"]);
    }
}

/// Requests in its queue do not wait for an endpoint that is known to be down.
#[test]
fn who_waits_for_an_endpoint_that_goes_down_is_served_by_another() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let pool = "upstreams.app.pool = { max_connections = 1, queue_timeout = \"60s\" }";
    let palisade = proxy(&[&a, &b], &format!("{pool}\n{}", http_checks("")));
    poll_until(SOON, "a check of a", || event(&palisade, &a, "check_pass") >= 1.0);
    a.is_silent();
    let label = format!("endpoint=\"{}\"", a.address());
    // One hangs at a, and another one waits for its connection.
    let mut clients = Vec::new();
    poll_until(SOON, "a request in the queue of a", || {
        let mut client = client_of(&palisade);
        client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n");
        clients.push(client);
        metrics_of(&palisade).sum("upstream_queue", &[&label]) > 0.0
    });
    a.is_healthy(false);
    wait_up(&palisade, &a, false);
    let served_by_b = || metrics_of(&palisade).sum("upstream_queue", &[&label]) == 0.0;
    poll_until(SOON, "nobody waits for a", served_by_b);
    let names: Vec<String> = clients
        .iter_mut()
        .filter_map(|client| {
            client.set_deadline(std::time::Duration::from_secs(2));
            client.try_read_response().ok()
        })
        .filter_map(|response| response.header("Served-By").map(str::to_owned))
        .collect();
    // All but the one that a has and says nothing to.
    assert_eq!(names, vec!["b"; clients.len() - 1]);
}
