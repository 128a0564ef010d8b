//! What a reload changes, and what it leaves as it is.

use testkit::dns::{Answer, Kind, NXDOMAIN, Record};
use testkit::{Dns, Palisade, canary, poll_until};

use super::{DEADLINE, config, origins, start, status, wait_used};

#[track_caller]
fn reload(palisade: &Palisade, config: &str) {
    palisade.rewrite_config(config);
    let socket = palisade.dir().join("admin.sock");
    let response = testkit::Client::connect(&*socket).request("POST", "/reload", &[], b"");
    assert_eq!(response.status, 200, "{}", response.text());
}

#[test]
fn a_new_name_is_known_when_the_reload_is_over() {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("old.test", [Record::address("127.0.0.2", 60)]);
    dns.answer("new.test", Answer::Silence);
    let palisade = start(&dns, "", &format!("endpoints = [\"old.test:{port}\"]"));
    canary(palisade.address("http"), &old);
    let patient = config(&dns, "", &format!("endpoints = [\"new.test:{port}\"]"));
    let patient = patient.replace("timeout = \"300ms\"", "timeout = \"15s\"");
    std::thread::scope(|scope| {
        // The first question is lost, so that the answer takes its time.
        scope.spawn(|| {
            poll_until(DEADLINE, "the first question", || dns.times_asked("new.test", Kind::A) > 0);
            // Until the answer comes the old ones serve on.
            let before = old.requests().len();
            (0..5).for_each(|_| assert_eq!(status(&palisade), 200));
            assert_eq!(old.requests().len(), before + 5);
            dns.records("new.test", [Record::address("127.0.0.3", 60)]);
        });
        reload(&palisade, &patient);
    });
    assert_eq!(status(&palisade), 200);
    canary(palisade.address("http"), &new);
    // The old name is not asked for any more.
    assert_eq!(dns.times_asked("old.test", Kind::A), 1);
}

/// The old ones serve on while the look-up lasts, and no longer.
#[test]
fn a_new_name_that_does_not_resolve_does_not_keep_the_old_one() {
    let ([old], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("old.test", [Record::address("127.0.0.2", 60)]);
    let palisade = start(&dns, "", &format!("endpoints = [\"old.test:{port}\"]"));
    canary(palisade.address("http"), &old);
    dns.answer("new.test", Answer::Silence);
    reload(&palisade, &config(&dns, "", &format!("endpoints = [\"new.test:{port}\"]")));
    assert_eq!(status(&palisade), 503);
    poll_until(DEADLINE, "no connection to the old one", || old.open_connections() == 0);
}

#[test]
fn a_name_that_stays_is_not_forgotten_when_it_does_not_resolve_any_more() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let upstream = format!("endpoints = [\"app.test:{port}\"]");
    let palisade = start(&dns, "", &upstream);
    canary(palisade.address("http"), &origin);
    dns.answer("app.test", Answer::Code(NXDOMAIN));
    palisade.wait_stderr("name app.test not resolved", DEADLINE);
    reload(&palisade, &config(&dns, "keep_stale = \"2h\"", &upstream));
    canary(palisade.address("http"), &origin);
    assert_eq!(origin.connections().len(), 1);
}

#[test]
fn other_servers_are_asked_at_once() {
    let ([old, new], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let (first, second) = (Dns::start(), Dns::start());
    first.records("app.test", [Record::address("127.0.0.2", 3600)]);
    second.records("app.test", [Record::address("127.0.0.3", 3600)]);
    let upstream = format!("endpoints = [\"app.test:{port}\"]");
    let palisade = start(&first, "", &upstream);
    canary(palisade.address("http"), &old);
    reload(&palisade, &config(&second, "", &upstream));
    wait_used(&palisade, &new, "the address that the other server tells");
    poll_until(DEADLINE, "no connection to the old address", || old.open_connections() == 0);
    canary(palisade.address("http"), &new);
}

#[test]
fn other_bounds_hold_at_once() {
    let ([origin], port) = origins(["127.0.0.2"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 3600)]);
    let upstream = format!("endpoints = [\"app.test:{port}\"]");
    let palisade = start(&dns, "", &upstream);
    assert_eq!(dns.times_asked("app.test", Kind::A), 1);
    reload(&palisade, &config(&dns, "max_ttl = \"50ms\"", &upstream));
    poll_until(DEADLINE, "many look-ups", || dns.times_asked("app.test", Kind::A) > 5);
    canary(palisade.address("http"), &origin);
}
