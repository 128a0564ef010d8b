//! Members of upstreams that are found while the proxy runs, on the real binary, with a name server that
//! the tests script.

mod faults;
mod files;
mod members;
mod names;
mod reloads;

use std::time::Duration;

use testkit::{Client, Dns, Launch, Origin, Palisade, poll_until};

const DEADLINE: Duration = Duration::from_secs(20);

/// A proxy that asks `dns`, often and with little patience. `upstream` is what is in `[upstreams.app]`, and
/// `dns_options` what else is in `[dns]`.
fn start(dns: &Dns, dns_options: &str, upstream: &str) -> Palisade {
    Launch::new(env!("CARGO_BIN_EXE_palisade")).deadline(DEADLINE).start(&config(dns, dns_options, upstream))
}

fn config(dns: &Dns, dns_options: &str, upstream: &str) -> String {
    format!(
        r#"
        [listeners.http]
        address = "127.0.0.1:0"
        [upstreams.app]
        {upstream}
        [routes.all]
        upstream = "app"
        [routes.stream]
        path = "/stream"
        upstream = "app"
        request_body = "stream"
        [server]
        workers = 1
        [dns]
        servers = ["{}"]
        min_ttl = "20ms"
        timeout = "300ms"
        {dns_options}
        [admin]
        address = "127.0.0.1:0"
        socket = "{{dir}}/admin.sock"
        "#,
        dns.address()
    )
}

/// An origin on each of these addresses, all on the same port.
fn origins<const N: usize>(addresses: [&str; N]) -> ([Origin; N], u16) {
    for _ in 0..100 {
        let first = Origin::serve(tcp(addresses[0], 0), testkit::Behaviour::Echo);
        let port = first.address().tcp().port();
        let free = |address: &&&str| std::net::TcpListener::bind(tcp(address, port)).is_ok();
        if addresses.iter().skip(1).collect::<Vec<_>>().iter().all(free) {
            let others = addresses.iter().skip(1);
            let others = others.map(|address| Origin::serve(tcp(address, port), testkit::Behaviour::Echo));
            let all: Vec<Origin> = std::iter::once(first).chain(others).collect();
            return (all.try_into().ok().expect("as many as addresses"), port);
        }
    }
    panic!("no port is free on all of {addresses:?}");
}

fn tcp(address: &str, port: u16) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address.parse().expect("an IP address"), port)
}

/// The status of one request on a connection of its own.
fn status(palisade: &Palisade) -> u16 {
    Client::connect(palisade.address("http")).get("/canary-1").status
}

/// Asks until `origin` has got a request.
#[track_caller]
fn wait_used(palisade: &Palisade, origin: &Origin, what: &str) {
    let before = origin.requests().len();
    poll_until(DEADLINE, what, || {
        status(palisade);
        origin.requests().len() > before
    });
}

/// Asks until ten requests in a row pass by `origin`.
#[track_caller]
fn wait_unused(palisade: &Palisade, origin: &Origin, what: &str) {
    poll_until(DEADLINE, what, || {
        let before = origin.requests().len();
        (0..10).for_each(|_| {
            status(palisade);
        });
        origin.requests().len() == before
    });
}

/// Asks so often on one connection; panics when the origins did not get these numbers of requests.
#[track_caller]
fn expect_share<const N: usize>(palisade: &Palisade, requests: usize, expected: [(&Origin, usize); N]) {
    let before = expected.map(|(origin, _)| origin.requests().len());
    let mut client = Client::connect(palisade.address("http"));
    (0..requests).for_each(|_| assert_eq!(client.get("/canary-1").status, 200));
    let got: Vec<usize> =
        expected.iter().zip(before).map(|((origin, _), before)| origin.requests().len() - before).collect();
    assert_eq!(got, expected.map(|(_, count)| count));
}
