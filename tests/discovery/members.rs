//! Endpoints that come and go: those that stay keep their connections, those that go take no more requests.

use testkit::dns::Record;
use testkit::{Client, Dns, Metrics, poll_until};

use super::{DEADLINE, expect_share, origins, start, wait_unused, wait_used};

#[test]
fn each_address_of_a_name_is_balanced_by_itself() {
    let ([one, two], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", ["127.0.0.2", "127.0.0.3"].map(|ip| Record::address(ip, 60)));
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    expect_share(&palisade, 20, [(&one, 10), (&two, 10)]);
}

#[test]
fn an_address_that_comes_leaves_the_connections_of_the_others_alone() {
    let ([stays, comes], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    wait_used(&palisade, &stays, "the first address");
    dns.records("app.test", ["127.0.0.2", "127.0.0.3"].map(|ip| Record::address(ip, 0)));
    wait_used(&palisade, &comes, "the second address");
    wait_used(&palisade, &stays, "the first address again");
    assert_eq!(stays.connections().len(), 1);
}

#[test]
fn an_address_that_goes_leaves_the_connections_of_the_others_alone() {
    let ([stays, goes], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", ["127.0.0.2", "127.0.0.3"].map(|ip| Record::address(ip, 0)));
    let palisade = start(&dns, "", &format!("endpoints = [\"app.test:{port}\"]"));
    wait_used(&palisade, &goes, "the address that will go");
    wait_used(&palisade, &stays, "the address that will stay");
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    wait_unused(&palisade, &goes, "nothing at the address that went");
    // Its idle connections end.
    poll_until(DEADLINE, "no connection to the address that went", || goes.open_connections() == 0);
    wait_used(&palisade, &stays, "the address that stays");
    assert_eq!(stays.connections().len(), 1);
}

/// What is under way at an address that goes is finished there.
#[test]
fn an_exchange_at_an_address_that_goes_is_finished() {
    let ([stays, goes], port) = origins(["127.0.0.2", "127.0.0.3"]);
    let dns = Dns::start();
    dns.records("app.test", [Record::address("127.0.0.3", 0)]);
    let upstream = format!("endpoints = [\"app.test:{port}\"]\n");
    let palisade = start(&dns, "", &upstream);
    // A body that is streamed holds the exchange open.
    let mut client = Client::connect(palisade.address("http"));
    client.send(b"POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhal");
    poll_until(DEADLINE, "the first part at the origin", || goes.unclaimed_bytes() > 0);
    dns.records("app.test", [Record::address("127.0.0.2", 0)]);
    wait_used(&palisade, &stays, "the new address");
    client.send(b"lo");
    assert_eq!(client.read_response().status, 200);
    let finished = goes.requests().iter().filter(|request| request.target == "/stream").count();
    assert_eq!(finished, 1, "requests that ended where they began");
}

#[test]
fn the_weight_of_an_entry_is_the_weight_of_each_address() {
    let ([one, two, three], port) = origins(["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    let dns = Dns::start();
    dns.records("app.test", ["127.0.0.2", "127.0.0.3"].map(|ip| Record::address(ip, 60)));
    let upstream =
        format!("endpoints = [{{ address = \"app.test:{port}\", weight = 2 }}, \"127.0.0.4:{port}\"]");
    let palisade = start(&dns, "", &upstream);
    expect_share(&palisade, 20, [(&one, 8), (&two, 8), (&three, 4)]);
}

#[test]
fn services_tell_ports_and_weights() {
    let ([one], first) = origins(["127.0.0.2"]);
    let ([two], second) = origins(["127.0.0.3"]);
    let dns = Dns::start();
    let record = |weight, port, target| Record::srv(10, weight, port, target, 0);
    dns.records("_http._tcp.app.test", [record(3, first, "a.test"), record(0, second, "b.test")]);
    dns.records("a.test", [Record::address("127.0.0.2", 60)]);
    dns.records("b.test", [Record::address("127.0.0.3", 60)]);
    let palisade = start(&dns, "", "endpoints = [{ srv = \"_http._tcp.app.test\" }]");
    // A weight of 0 counts as 1.
    expect_share(&palisade, 20, [(&one, 15), (&two, 5)]);

    dns.records("_http._tcp.app.test", [record(1, second, "b.test")]);
    wait_unused(&palisade, &one, "nothing at the target that went");
    assert_eq!(two.connections().len(), 1);
}

#[test]
fn services_of_the_lowest_priority_number_come_first() {
    let ([one], first) = origins(["127.0.0.2"]);
    let ([two], second) = origins(["127.0.0.3"]);
    let dns = Dns::start();
    let near = || Record::srv(10, 1, first, "a.test", 0);
    let far = || Record::srv(20, 1, second, "b.test", 0);
    dns.records("_http._tcp.app.test", [far(), near()]);
    dns.records("a.test", [Record::address("127.0.0.2", 60)]);
    dns.records("b.test", [Record::address("127.0.0.3", 60)]);
    let palisade = start(&dns, "", "endpoints = [{ srv = \"_http._tcp.app.test\" }]");
    expect_share(&palisade, 10, [(&one, 10), (&two, 0)]);
    dns.records("_http._tcp.app.test", [far()]);
    wait_used(&palisade, &two, "the next priority");
}

#[test]
fn more_than_the_most_are_not_used_and_it_is_told() {
    let ([one, two, three], port) = origins(["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    let dns = Dns::start();
    dns.records("app.test", ["127.0.0.4", "127.0.0.3", "127.0.0.2"].map(|ip| Record::address(ip, 60)));
    let upstream = format!("endpoints = [\"app.test:{port}\"]\nmax_endpoints = 2");
    let palisade = start(&dns, "", &upstream);
    expect_share(&palisade, 20, [(&one, 10), (&two, 10), (&three, 0)]);
    palisade.wait_stderr("upstream app: 1 endpoints more than max_endpoints (2) were found", DEADLINE);
    let metrics = Metrics::scrape(palisade.address("admin"));
    assert_eq!(metrics.sum("discovery_endpoints", &[&format!("source=\"app.test:{port}\"")]), 2.0);
}
