//! Names: what is asked, and what comes of the answers.

use testkit::dns::{Answer, Kind, Record};
use testkit::{Dns, canary};

use super::{DEADLINE, origins, start, status, wait_unused, wait_used};

#[test]
fn a_new_address_takes_the_place_of_the_old_one() {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    canary(palisade.address("http"), &old);
    dns.records("app.test", [Record::address("127.0.0.3", 0)]);
    wait_used(&palisade, &new, "the new address");
    wait_unused(&palisade, &old, "nothing at the old address");
    canary(palisade.address("http"), &new);
}

#[test]
fn an_answer_that_holds_is_not_asked_for_again() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("long.test", [Record::address("127.0.0.2", 3600)]);
    dns.records("short.test", [Record::address("127.0.0.2", 0)]);
    let endpoints = format!("endpoints = [\"long.test:{port}\", \"short.test:{port}\"]");
    let palisade = start(&dns, "", &endpoints);
    testkit::poll_until(DEADLINE, "ten look-ups", || dns.times_asked("short.test", Kind::A) >= 10);
    assert_eq!(dns.times_asked("long.test", Kind::A), 1);
    canary(palisade.address("http"), &origin);
}

#[test]
fn aliases_are_followed() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::cname("real.test", 60)]);
    dns.records("real.test", [Record::address("127.0.0.2", 60)]);
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    canary(palisade.address("http"), &origin);
}

#[test]
fn both_kinds_of_addresses_are_used() {
    let ([four, six], port) = origins(["127.0.0.2", "::1"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 60), Record::address("::1", 60)]);
    let upstream = format!("endpoints = [\"app.test:{port}\"]\npool.idle_timeout = \"1s\"");
    let palisade = start(&dns, "", &upstream);
    wait_used(&palisade, &four, "IPv4");
    wait_used(&palisade, &six, "IPv6");
}

#[test]
fn the_wanted_kind_of_address_comes_first() {
    let ([four, six], port) = origins(["127.0.0.2", "::1"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0), Record::address("::1", 0)]);
    let palisade = start(&dns, "addresses = \"v6_first\"", &format!("endpoints = [\"app.test:{port}\"]"));
    canary(palisade.address("http"), &six);
    assert_eq!(four.requests().len(), 0);
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    wait_used(&palisade, &four, "IPv4, where there is no IPv6");
}

/// Answers that are too long for UDP come over TCP.
#[test]
fn thousands_of_addresses_come_whole() {
    // All of 127.0.0.0/8 is this machine.
    let ([origin], port) = origins(["0.0.0.0"]);
    let dns = Dns::start();
    let address = |n: u32| Record::address(&std::net::Ipv4Addr::from(0x7f01_0000 + n).to_string(), 60);
    dns.records("app.test", (0..4000).map(address));
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    canary(palisade.address("http"), &origin);
    assert!(dns.questions().iter().any(|asked| asked.over_tcp));
}

#[test]
fn a_name_that_appears_later_is_used_then() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.answer("app.test", Answer::Silence);
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    assert_eq!(status(&palisade), 503);
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    wait_used(&palisade, &origin, "the name that resolves now");
    canary(palisade.address("http"), &origin);
}

/// Without `[dns]`, and whatever name servers this machine has.
#[test]
fn this_machine_is_known_without_a_name_server() {
    let ([origin], port) = origins(["127.0.0.1"]);
    let config = format!(
        r#"
        listeners.http.address = "127.0.0.1:0"
        upstreams.app.endpoints = ["localhost:{port}"]
        routes.all.upstream = "app"
        "#
    );
    let palisade = testkit::Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    canary(palisade.address("http"), &origin);
}
