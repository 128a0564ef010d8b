//! What a look-up in the routing table costs with few and with many hosts.
//!
//! `cargo bench --bench route` prints nanoseconds a look-up. The head is parsed before each look-up, so
//! that it is as warm as in the proxy, and the time of parsing alone is taken off. Hosts are asked for in
//! a random order, the worst case for the caches.
//!
//! `valgrind --tool=none` and friends count instructions: `route HOSTS LOOKUPS` does that many look-ups in
//! one table and prints nothing; the difference of two counts of look-ups is the cost of the look-ups.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use http1::RequestHead;
use palisade::message::{PathPattern, SharedText};
use palisade::route::path::canonicalise;
use palisade::route::{Asker, FixedAnswer, HostPattern, RouteMatch, RouteOptions, Table, TargetOptions};
use palisade::upstream::{BodyMode, RetryOptions, Timeouts};

const CLIENT: Asker<'_> = Asker { address: IpAddr::V4(Ipv4Addr::LOCALHOST), certificate: None };
const PATHS: [&str; 3] = ["/", "/api", "/static"];
const REQUESTS: usize = 10_000;
const ROUNDS: usize = 60;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    match numbers.as_slice() {
        [hosts, lookups] => {
            run(&Table::build(&routes(*hosts, Paths::Own)), &requests(*hosts, Paths::Own), *lookups)
        }
        _ => compare(),
    }
}

fn compare() {
    let mut out = Vec::new();
    let canonicalising = time(|| {
        for _ in 0..1_000_000 {
            let _ = black_box(canonicalise(black_box(b"/api/v1/users/17"), &mut out));
        }
    });
    println!("canonicalise 16 bytes           {:6.1} ns", canonicalising / 1e6);
    println!(
        "one catch-all route             {:6.1} ns",
        nanoseconds(&Table::build(&[catch_all()]), &requests(10, Paths::Same))
    );
    for (paths, text) in [(Paths::Same, "the same 3 paths"), (Paths::Own, "3 paths of its own")] {
        println!("each host with {text}:");
        let few = nanoseconds(&Table::build(&routes(10, paths)), &requests(10, paths));
        println!("    10 hosts                    {few:6.1} ns");
        for hosts in [100, 1_000, 10_000] {
            let many = nanoseconds(&Table::build(&routes(hosts, paths)), &requests(hosts, paths));
            println!(
                "{hosts:6} hosts                    {many:6.1} ns  {:+.1} %",
                (many / few - 1.0) * 100.0
            );
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Paths {
    Same,
    Own,
}

impl Paths {
    /// Always five bytes, so that the text to compare is as long.
    fn suffix(self, host: usize) -> String {
        let number = if self == Paths::Same { 0 } else { host };
        format!("/{number:04}")
    }
}

/// The quickest of many rounds of parse and find, less the quickest of parse alone: the machine is shared,
/// and what other programs take away is not the look-up's cost.
fn nanoseconds(table: &Table, requests: &[String]) -> f64 {
    let mut head = RequestHead::default();
    let (mut with, mut without) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        with = with.min(time(|| {
            for request in requests {
                parse(&mut head, request);
                black_box(table.find(&head, CLIENT));
            }
        }));
        without = without.min(time(|| {
            for request in requests {
                parse(&mut head, request);
                black_box(&head);
            }
        }));
    }
    (with - without) / REQUESTS as f64
}

fn time(round: impl FnOnce()) -> f64 {
    let start = Instant::now();
    round();
    start.elapsed().as_nanos() as f64
}

fn run(table: &Table, requests: &[String], lookups: usize) {
    let mut head = RequestHead::default();
    parse(&mut head, &requests[0]);
    for _ in 0..lookups {
        black_box(table.find(black_box(&head), CLIENT));
    }
}

fn parse(head: &mut RequestHead, request: &str) {
    head.parse(request.as_bytes()).expect("a valid head");
}

/// Requests for random hosts, which all have a route.
fn requests(hosts: usize, paths: Paths) -> Vec<String> {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..REQUESTS)
        .map(|_| {
            let number = random() % hosts;
            let suffix = paths.suffix(number);
            let path = match random() % 3 {
                0 => "/about/us.html".to_owned(),
                1 => format!("/api{suffix}/users/17"),
                _ => format!("/static{suffix}/logo.svg"),
            };
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", host(number))
        })
        .collect()
}

fn host(index: usize) -> String {
    format!("www.customer-{:05}.example.com", index * 7919 % 100_000)
}

fn routes(hosts: usize, paths: Paths) -> Vec<RouteOptions> {
    let route = |index: usize| {
        let number = index / PATHS.len();
        let path = match PATHS[index % PATHS.len()] {
            "/" => "/".to_owned(),
            path => format!("{path}{}", paths.suffix(number)),
        };
        let matches = RouteMatch {
            hosts: vec![HostPattern::Exact(host(number))],
            path: PathPattern::Prefix(path),
            ..RouteMatch::default()
        };
        RouteOptions { name: format!("r{index}"), matches, ..catch_all() }
    };
    (0..hosts * PATHS.len()).map(route).collect()
}

fn catch_all() -> RouteOptions {
    let answer =
        FixedAnswer { status: 200, body: SharedText::new(""), content_type: "text/plain".to_owned() };
    RouteOptions {
        name: "all".to_owned(),
        matches: RouteMatch::default(),
        tls: Default::default(),
        target: TargetOptions::Fixed(answer),
        filters: palisade::filter::FilterOptions::default(),
        upstream_host: None,
        forwarded: false,
        forward_client_certificate: false,
        timeouts: Timeouts::default(),
        retry: RetryOptions::default(),
        mirror: None,
        fallback: None,
        request_body: BodyMode::Buffer,
        max_body_size: 0,
    }
}
