//! A name server that fails, lies or is gone takes nothing away: what was found before is used on, the
//! mistake is told once, and what comes next is used.

use testkit::dns::{Answer, Kind, NXDOMAIN, REFUSED, Record, SERVFAIL};
use testkit::{Dns, canary};

use super::{DEADLINE, origins, start, status, wait_used};

/// Answers well, then as `fault` says, then well again with another address.
#[track_caller]
fn survives(fault: Answer, told: &str) {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    canary(palisade.address("http"), &old);

    dns.answer("app.test", fault.clone());
    palisade.wait_stderr(&format!("name app.test not resolved ({told}"), DEADLINE);
    // Not the first failure only.
    let asked = dns.times_asked("app.test", Kind::A);
    testkit::poll_until(DEADLINE, "another look-up", || dns.times_asked("app.test", Kind::A) > asked + 1);
    canary(palisade.address("http"), &old);

    dns.records("app.test", [Record::address("127.0.0.3", 0)]);
    wait_used(&palisade, &new, "the address of the next good answer");
    palisade.wait_stderr("name app.test resolved again", DEADLINE);
    let failures = palisade.stderr().matches("not resolved").count();
    assert_eq!(failures, 1, "told more than once: {}", palisade.stderr());
    canary(palisade.address("http"), &new);
}

fn wrong_address() -> Vec<Record> {
    vec![Record::address("127.0.0.99", 0)]
}

#[test]
fn no_such_name() {
    survives(Answer::Code(NXDOMAIN), "there is no such name (NXDOMAIN)");
}

#[test]
fn a_server_that_fails() {
    survives(Answer::Code(SERVFAIL), "Server Failure");
}

#[test]
fn a_server_that_refuses() {
    survives(Answer::Code(REFUSED), "Query Refused");
}

#[test]
fn no_answer() {
    survives(Answer::Silence, "no answer");
}

#[test]
fn an_empty_answer() {
    survives(Answer::Records(Vec::new()), "the answer is empty");
}

#[test]
fn an_answer_with_the_wrong_id() {
    survives(Answer::WrongId(wrong_address()), "no answer");
}

#[test]
fn an_answer_to_another_question() {
    survives(Answer::OtherQuestion(wrong_address()), "no answer");
}

#[test]
fn an_answer_about_another_name() {
    survives(Answer::OtherName(wrong_address()), "");
}

#[test]
fn bytes_that_are_no_answer() {
    survives(Answer::Garbage, "");
}

#[test]
fn an_alias_of_itself() {
    survives(Answer::Records(vec![Record::cname("app.test", 0)]), "");
}

#[test]
fn an_address_that_nothing_can_be_sent_to() {
    let addresses = ["0.0.0.0", "255.255.255.255", "224.0.0.1"].map(|ip| Record::address(ip, 0));
    survives(Answer::Records(addresses.to_vec()), "the answer has no usable record");
}

/// More than a message can carry, so it is cut off over TCP too.
#[test]
fn ten_thousand_addresses() {
    let address = |n: u32| Record::address(&std::net::Ipv4Addr::from(0x7f01_0000 + n).to_string(), 0);
    survives(Answer::Records((0..10_000).map(address).collect()), "");
}

#[test]
fn stale_addresses_are_given_up_in_the_end() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let palisade = start(&dns, "keep_stale = \"500ms\"", &format!("endpoints = [\"app.test:{port}\"]"));
    canary(palisade.address("http"), &origin);
    dns.answer("app.test", Answer::Code(NXDOMAIN));
    palisade.wait_stderr("what was found before is given up", DEADLINE);
    testkit::poll_until(DEADLINE, "an upstream without a server", || status(&palisade) == 503);
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    wait_used(&palisade, &origin, "the server that is there again");
    canary(palisade.address("http"), &origin);
}

#[test]
fn a_slow_name_does_not_delay_the_others() {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    (0..10).for_each(|n| dns.answer(&format!("silent-{n}.test"), Answer::Silence));
    let silent: Vec<String> = (0..10).map(|n| format!("\"silent-{n}.test:{port}\"")).collect();
    let silent = silent.join(", ");
    // One after the other they would keep each other busy for half a minute.
    let options = "max_ttl = \"20ms\"\ntimeout = \"3s\"\n";
    let config = super::config(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"))
        .replace("timeout = \"300ms\"", options)
        + &format!(
            "[upstreams.silent]\nendpoints = [{silent}]\n[routes.silent]\npath = \"/silent\"\nupstream = \"silent\"\n"
        );
    let palisade = testkit::Launch::new(env!("CARGO_BIN_EXE_palisade")).deadline(DEADLINE).start(&config);
    canary(palisade.address("http"), &old);
    dns.records("app.test", [Record::address("127.0.0.3", 0)]);
    wait_used(&palisade, &new, "the new address");
    canary(palisade.address("http"), &new);
}

/// A time to live of 0 does not mean without a pause.
#[test]
fn a_time_to_live_of_nothing_has_a_floor() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let started = std::time::Instant::now();
    let palisade = start(&dns, "addresses = \"v4\"", &format!("endpoints = [\"app.test:{port}\"]"));
    testkit::poll_until(DEADLINE, "ten look-ups", || dns.times_asked("app.test", Kind::A) >= 10);
    let asked = dns.times_asked("app.test", Kind::A) as u128;
    // The longer a loaded machine takes, the more are allowed.
    assert!(asked <= started.elapsed().as_millis() / 20 + 1, "{asked} look-ups in {:?}", started.elapsed());
    assert_eq!(dns.times_asked("app.test", Kind::Aaaa), 0);
    canary(palisade.address("http"), &origin);
}
