//! Endpoints that are taken out because of what requests met.

use std::time::Duration;

use testkit::poll_until;

use crate::stage::{SOON, Server, client_of, config, event, proxy, served, status_line, wait_up};

#[test]
fn failures_in_a_row_eject_an_endpoint_for_a_while() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(
        &[&a, &b],
        "routes.all.retry = { attempts = 0 }\n\
         upstreams.app.outlier = { failures = 3, ejection_time = \"1s\" }",
    );
    let mut client = client_of(&palisade);
    a.closes();
    let names = served(&mut client, 12);
    assert_eq!(names.iter().filter(|name| *name == "502").count(), 3, "{names:?}");
    wait_up(&palisade, &a, false);
    let line = status_line(&palisade, &a);
    assert!(line.contains("ejected") && line.contains("3 failures in a row"), "{line}");
    assert_eq!(event(&palisade, &a, "ejection"), 1.0);
    a.answers(200);
    wait_up(&palisade, &a, true);
    assert!(served(&mut client, 4).contains(&"a".to_owned()));
}

#[test]
fn an_answer_in_between_begins_the_count_anew() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade =
        proxy(&[&a, &b], "routes.all.retry = { attempts = 0 }\nupstreams.app.outlier = { failures = 3 }");
    let mut client = client_of(&palisade);
    for _ in 0..4 {
        a.closes();
        served(&mut client, 4);
        a.answers(200);
        served(&mut client, 2);
    }
    assert_eq!(event(&palisade, &a, "ejection"), 0.0);
}

#[test]
fn server_errors_in_a_row_eject_only_when_asked_to() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    a.answers(500);
    let default = proxy(&[&a, &b], "");
    let names = served(&mut client_of(&default), 40);
    assert_eq!(names.iter().filter(|name| *name == "a").count(), 20);

    let strict = proxy(&[&a, &b], "upstreams.app.outlier = { server_errors = 4, ejection_time = \"1h\" }");
    let names = served(&mut client_of(&strict), 40);
    assert_eq!(names.iter().filter(|name| *name == "a").count(), 4, "{names:?}");
    assert!(status_line(&strict, &a).contains("4 server errors in a row"), "{}", status_line(&strict, &a));
}

/// Whatever happens, half of the group stays; and one alone is never ejected.
#[test]
fn at_most_half_of_a_group_is_ejected() {
    let servers = ["a", "b", "c", "d"].map(Server::start);
    let all: Vec<&Server> = servers.iter().collect();
    let palisade = proxy(&all, "upstreams.app.outlier = { server_errors = 2, ejection_time = \"1h\" }");
    for server in &servers {
        server.answers(503);
    }
    let mut client = client_of(&palisade);
    served(&mut client, 40);
    let out = servers.iter().filter(|server| event(&palisade, server, "ejection") > 0.0).count();
    assert_eq!(out, 2);

    let alone = Server::start("alone");
    let palisade = proxy(&[&alone], "upstreams.app.outlier = { server_errors = 1 }");
    alone.answers(500);
    assert_eq!(served(&mut client_of(&palisade), 10), ["alone"; 10]);
}

#[test]
fn an_endpoint_that_is_slow_is_ejected() {
    let [a, b, c] = [Server::start("a"), Server::start("b"), Server::start("c")];
    let palisade = proxy(
        &[&a, &b, &c],
        "upstreams.app.outlier = { slow_factor = 3, slow_min = \"50ms\", interval = \"500ms\", \
         min_requests = 3, ejection_time = \"1h\" }",
    );
    a.waits(Duration::from_millis(200));
    let mut client = client_of(&palisade);
    poll_until(SOON, "a is ejected", || {
        served(&mut client, 9);
        event(&palisade, &a, "ejection") == 1.0
    });
    wait_up(&palisade, &a, false);
    assert!(status_line(&palisade, &a).contains("slow: 2"), "{}", status_line(&palisade, &a));
    assert!(!served(&mut client, 6).contains(&"a".to_owned()));
}

#[test]
fn an_endpoint_that_errs_more_than_allowed_is_ejected() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(
        &[&a, &b],
        "upstreams.app.outlier = { success_rate = 80, interval = \"300ms\", min_requests = 5, \
         ejection_time = \"1h\" }",
    );
    let mut client = client_of(&palisade);
    let mut turn = 0;
    poll_until(SOON, "a is ejected", || {
        // Every second answer is an error: never several in a row.
        a.answers(if turn % 2 == 0 { 500 } else { 200 });
        turn += 1;
        served(&mut client, 2);
        event(&palisade, &a, "ejection") == 1.0
    });
    assert!(status_line(&palisade, &a).contains("of requests went well"), "{}", status_line(&palisade, &a));
}

#[test]
fn with_too_few_left_ejected_ones_are_used_again() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(
        &[&a, &b],
        "upstreams.app.outlier = { server_errors = 2, ejection_time = \"1h\" }\n\
         upstreams.app.health = { path = \"/health\", interval = \"100ms\", fall = 1 }",
    );
    let mut client = client_of(&palisade);
    a.answers(500);
    served(&mut client, 8);
    wait_up(&palisade, &a, false);
    // Now b is gone for sure: a, a mere suspect, is better than nobody.
    a.answers(200);
    b.is_healthy(false);
    wait_up(&palisade, &b, false);
    wait_up(&palisade, &a, true);
    assert_eq!(served(&mut client, 4), ["a"; 4]);
    let page = testkit::Client::connect(palisade.address("admin")).get("/status");
    assert!(page.text().contains("too few endpoints are fit"), "{}", page.text());
}

#[test]
fn outlier_detection_can_be_turned_off() {
    let [a, b] = [Server::start("a"), Server::start("b")];
    let palisade = proxy(&[&a, &b], "routes.all.retry = { attempts = 0 }\nupstreams.app.outlier = false");
    a.closes();
    let names = served(&mut client_of(&palisade), 40);
    assert_eq!(names.iter().filter(|name| *name == "502").count(), 20, "{names:?}");
}

/// A backup is for this.
#[test]
fn a_backup_takes_over_from_an_ejected_endpoint() {
    let [mut a, b] = [Server::start("a"), Server::start("b")];
    let endpoints = format!("\"{}\", {{ address = \"{}\", backup = true }}", a.address(), b.address());
    let palisade = testkit::Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config(&endpoints, ""));
    let mut client = client_of(&palisade);
    assert_eq!(served(&mut client, 3), ["a"; 3]);
    a.origin.stop();
    served(&mut client, 5);
    wait_up(&palisade, &b, true);
    assert_eq!(served(&mut client, 5), ["b"; 5]);
}
