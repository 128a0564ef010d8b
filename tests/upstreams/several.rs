//! What several upstreams have to do with one request: splits, copies, fallbacks.

use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{Client, Palisade, pattern, poll_until};

use crate::stage::{SOON, Server, client_of, metrics_of, served};

/// Upstreams named like their servers, with `route` as the route's lines.
fn proxy(servers: &[&Server], route: &str) -> Palisade {
    let mut text = format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        admin.address = "127.0.0.1:0"
        log.access = "stdout"
        server.workers = 1
        {route}
        "#
    );
    for server in servers {
        text.push_str(&format!("\nupstreams.{}.endpoints = [\"{}\"]", server.name, server.address()));
    }
    Palisade::start(env!("CARGO_BIN_EXE_palisade"), &text)
}

fn ask(client: &mut Client, field: (&str, &str)) -> String {
    client.request("GET", "/", &[field], b"").header("Served-By").unwrap_or_default().to_owned()
}

#[test]
fn a_split_follows_its_shares() {
    let [stable, canary] = [Server::start("stable"), Server::start("canary")];
    let palisade = proxy(&[&stable, &canary], "routes.all.split = { stable = 95, canary = 5 }");
    let names = served(&mut client_of(&palisade), 200);
    let canaries = names.iter().filter(|name| *name == "canary").count();
    assert!((9..=11).contains(&canaries), "{canaries}");
}

#[test]
fn a_request_can_ask_for_its_side_of_a_split() {
    let [stable, canary] = [Server::start("stable"), Server::start("canary")];
    let palisade = proxy(
        &[&stable, &canary],
        "routes.all.split = { stable = 1, canary = 0 }\n\
         routes.all.split_override = { header = \"X-Canary\", upstream = \"canary\" }",
    );
    let mut client = client_of(&palisade);
    assert_eq!(ask(&mut client, ("x-canary", "always")), "canary");
    assert_eq!(ask(&mut client, ("X-Canary", "never")), "stable");
    assert_eq!(ask(&mut client, ("X-Canary", "what")), "stable");

    let palisade = proxy(
        &[&stable, &canary],
        "routes.all.split = { stable = 1, canary = 1 }\n\
         routes.all.split_override = { cookie = \"canary\", upstream = \"canary\" }",
    );
    let mut client = client_of(&palisade);
    for _ in 0..6 {
        assert_eq!(ask(&mut client, ("Cookie", "a=b; canary=always")), "canary");
        assert_eq!(ask(&mut client, ("Cookie", "canary=never")), "stable");
    }
}

#[test]
fn a_split_by_a_cookie_keeps_a_client_on_its_side() {
    let [stable, canary] = [Server::start("stable"), Server::start("canary")];
    let palisade = proxy(
        &[&stable, &canary],
        "routes.all.split = { stable = 1, canary = 1 }\nroutes.all.split_by = { cookie = \"sid\" }",
    );
    let mut client = client_of(&palisade);
    let side = |client: &mut Client, session: usize| ask(client, ("Cookie", &format!("sid={session}")));
    let sides: Vec<String> = (0..40).map(|session| side(&mut client, session)).collect();
    assert_eq!((0..40).map(|session| side(&mut client, session)).collect::<Vec<_>>(), sides);
    assert!(sides.contains(&"stable".to_owned()) && sides.contains(&"canary".to_owned()));
    // Explain knows the side, too.
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .args(["explain", "-H", "Cookie: sid=7", "-c"])
        .arg(palisade.dir().join("palisade.toml"))
        .arg("http://app/")
        .output()
        .expect("explain runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("stable 50 %, canary 50 %, by the cookie sid"), "{text}");
    assert!(text.contains(&format!("upstream   {}, ", sides[7])), "{text}");
}

#[test]
fn copies_reach_the_shadow_whole_and_the_client_never_notices() {
    let [app, shadow] = [Server::start("app"), Server::start("shadow")];
    let palisade = proxy(
        &[&app, &shadow],
        "routes.all.upstream = \"app\"\nroutes.all.mirror = { upstream = \"shadow\" }",
    );
    // It errs and dawdles; what is that to the client?
    shadow.answers(500);
    shadow.waits(Duration::from_secs(2));
    let mut client = client_of(&palisade);
    let begin = Instant::now();
    let large = pattern(200_000);
    for body in [&b""[..], b"small", &large] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let response = client.request(method, "/copy?a=1", &[("X-Mine", "yes")], body);
        assert_eq!((response.status, response.header("Served-By")), (200, Some("app")));
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "the client waited for the shadow");
    let copies = shadow.origin.wait_requests(3, SOON);
    let originals = app.origin.requests();
    for original in &originals {
        let is_copy = |copy: &&testkit::RecordedRequest| {
            copy.headers.get("X-Request-ID") == original.headers.get("X-Request-ID")
        };
        let copy = copies.iter().find(is_copy).expect("a copy of each");
        assert_eq!((&copy.method, &copy.target), (&original.method, &original.target));
        assert!(copy.body == original.body);
        assert_eq!(copy.header("X-Mine"), Some("yes"));
    }
    poll_until(SOON, "the copies are counted", || {
        metrics_of(&palisade).sum("mirrored_requests_total", &["outcome=\"answered\""]) == 3.0
    });
}

#[test]
fn a_shadow_that_is_gone_changes_nothing() {
    let [app, mut shadow] = [Server::start("app"), Server::start("shadow")];
    let palisade = proxy(
        &[&app, &shadow],
        "routes.all.upstream = \"app\"\nroutes.all.mirror = { upstream = \"shadow\", percent = 50 }",
    );
    shadow.origin.stop();
    assert_eq!(served(&mut client_of(&palisade), 10), ["app"; 10]);
    poll_until(SOON, "half of them were copied in vain", || {
        metrics_of(&palisade).sum("mirrored_requests_total", &["outcome=\"failed\""]) == 5.0
    });
}

#[test]
fn copies_are_bounded() {
    let [app, shadow] = [Server::start("app"), Server::start("shadow")];
    let palisade = proxy(&[&app, &shadow], "routes.all.upstream = \"app\"\nroutes.all.mirror = \"shadow\"");
    shadow.is_silent();
    let mut client = client_of(&palisade);
    for _ in 0..200 {
        assert_eq!(client.get("/").status, 200);
    }
    poll_until(SOON, "72 copies were not made", || {
        metrics_of(&palisade).sum("mirrored_requests_total", &["outcome=\"skipped\""]) == 72.0
    });
}

fn skipped(palisade: &Palisade) -> f64 {
    metrics_of(palisade).sum("mirrored_requests_total", &["outcome=\"skipped\""])
}

/// A shadow that hangs keeps the bodies it has: uploads need the room.
#[test]
fn copies_of_bodies_are_bounded() {
    const MEBIBYTE: usize = 1 << 20;
    let [app, shadow] = [Server::start("app"), Server::start("shadow")];
    let route = "server.body_disk = \"18MiB\"\nroutes.all.upstream = \"app\"\nroutes.all.mirror = \"shadow\"";
    let palisade = proxy(&[&app, &shadow], route);
    shadow.is_silent();
    let mut client = client_of(&palisade);
    let mut upload = |length: usize| client.request("POST", "/", &[], &pattern(length)).status;
    assert_eq!(upload(MEBIBYTE + 1), 200);
    poll_until(SOON, "what is too large is not copied", || skipped(&palisade) == 1.0);
    for _ in 0..16 {
        assert_eq!(upload(MEBIBYTE), 200);
    }
    assert_eq!(skipped(&palisade), 1.0);
    for _ in 0..4 {
        assert_eq!(upload(MEBIBYTE), 200);
    }
    poll_until(SOON, "more is not copied", || skipped(&palisade) == 5.0);
    assert_eq!(shadow.origin.wait_requests(16, SOON).len(), 16);
}

#[test]
fn a_late_shadow_gets_each_copy_once() {
    let [app, shadow, other] = [Server::start("app"), Server::start("shadow"), Server::start("other")];
    let route = format!(
        "routes.all.upstream = \"app\"\nroutes.all.mirror = \"both\"\n\
         routes.all.retry = {{ attempts = 1, on = [\"connect\", \"500\"], hedge = \"10ms\" }}\n\
         upstreams.both.endpoints = [\"{}\", \"{}\"]",
        shadow.address(),
        other.address()
    );
    let palisade = proxy(&[&app], &route);
    for server in [&shadow, &other] {
        server.waits(Duration::from_millis(500));
        server.answers(500);
    }
    assert_eq!(served(&mut client_of(&palisade), 4), ["app"; 4]);
    poll_until(SOON, "all copies are answered", || {
        metrics_of(&palisade).sum("mirrored_requests_total", &["outcome=\"answered\""]) == 4.0
    });
    assert_eq!(shadow.requests() + other.requests(), 4);
}

#[test]
fn a_fallback_upstream_takes_over_when_nobody_is_left() {
    let [mut app, spare] = [Server::start("app"), Server::start("spare")];
    let palisade = proxy(&[&app, &spare], "routes.all.upstream = \"app\"\nroutes.all.fallback = \"spare\"");
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 2), ["app"; 2]);
    app.origin.stop();
    assert_eq!(served(&mut client, 2), ["spare"; 2]);
    // With its body: nothing of it was sent.
    let response = client.request("POST", "/", &[], &pattern(100_000));
    assert_eq!((response.status, response.header("Served-By")), (200, Some("spare")));
    assert!(spare.origin.requests().iter().any(|request| request.body == pattern(100_000)));
    assert_eq!(metrics_of(&palisade).sum("upstream_fallbacks_total", &["upstream=\"app\""]), 3.0);
    app.origin.restart();
    assert_eq!(served(&mut client, 2), ["app"; 2]);
    // What an origin answers is its answer, whatever it is.
    app.answers(503);
    assert_eq!(served(&mut client, 1), ["app"]);
}

#[test]
fn a_fallback_page_answers_when_nobody_is_left() {
    let mut app = Server::start("app");
    let palisade = proxy(
        &[&app],
        "routes.all.upstream = \"app\"\n\
         routes.all.fallback = { status = 503, body = \"<p>back soon\", content_type = \"text/html\" }",
    );
    let mut client = client_of(&palisade);
    assert_eq!(client.get("/").status, 200);
    app.origin.stop();
    let response = client.get("/gone");
    assert_eq!((response.status, response.text()), (503, "<p>back soon"));
    assert_eq!(response.header("Content-Type"), Some("text/html"));
    // The log still says what went wrong.
    palisade.wait_stdout("\"reason\":\"upstream_connect_refused\"", SOON);
}

/// The time that was lost on the way is not the fallback's.
#[test]
fn a_fallback_has_all_of_its_time() {
    let spare = Server::start("spare");
    let full = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = full.local_addr().expect("its address");
    // A listener whose queue is full drops what comes: connects to it take their whole time.
    let _crowd: Vec<_> = (0..300)
        .map_while(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok())
        .collect();
    let palisade = proxy(
        &[&spare],
        &format!(
            "routes.all.upstream = \"app\"\nroutes.all.fallback = \"spare\"\n\
             routes.all.timeouts = {{ connect = \"1s\", read = \"900ms\" }}\n\
             routes.all.retry = {{ attempts = 0 }}\n\
             routes.spare = {{ path = \"/spare\", upstream = \"spare\" }}\n\
             upstreams.app = {{ endpoints = [\"{address}\"], outlier = false }}"
        ),
    );
    let mut client = client_of(&palisade);
    // So that the fallback has an idle connection.
    assert_eq!(client.get("/spare").status, 200);
    spare.waits(Duration::from_millis(200));
    for _ in 0..2 {
        let response = client.get("/");
        assert_eq!((response.status, response.header("Served-By")), (200, Some("spare")));
    }
}
