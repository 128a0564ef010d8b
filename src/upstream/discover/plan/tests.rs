use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::upstream::DnsOptions;
use crate::upstream::discover::answer::Reply;
use crate::upstream::discover::file::Look;
use crate::upstream::discover::knowledge::Outcome;

const HOUR: Duration = Duration::from_secs(3600);

/// Knows what it is told for the questions of `sources`.
struct Told {
    sources: Vec<EndpointOptions>,
    knowledge: Knowledge,
}

impl Told {
    fn about(sources: Vec<EndpointOptions>) -> Told {
        let mut told = Told { sources, knowledge: Knowledge::default() };
        told.want();
        told
    }

    fn want(&mut self) {
        self.knowledge.want(&self.questions().into_iter().collect());
    }

    fn questions(&self) -> Vec<Question> {
        self.sources.iter().flat_map(|source| questions(source, &self.knowledge, 1000)).collect()
    }

    fn note(mut self, question: Question, outcome: Outcome) -> Told {
        self.knowledge.note(&question, outcome, Instant::now(), &DnsOptions::default(), 0);
        self.want();
        self
    }

    fn host(self, host: &str, addresses: &[&str]) -> Told {
        let (v4, v6) = addresses.iter().map(|ip| ip.parse().unwrap()).partition(IpAddr::is_ipv4);
        let outcome = Outcome::Host(Some(Reply::Records(v4, HOUR)), Some(Reply::Records(v6, HOUR)));
        self.note(Question::Host(host.to_string()), outcome)
    }

    fn services(self, name: &str, services: &[(u16, u16, u16, &str)]) -> Told {
        let service = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Service {
            priority,
            weight,
            port,
            target: target.to_string(),
        };
        let services = services.iter().map(service).collect();
        self.note(Question::Srv(name.to_string()), Outcome::Srv(Reply::Records(services, HOUR)))
    }

    fn file(self, path: &str, listed: Vec<EndpointOptions>) -> Told {
        let look = Look::Read { stamp: None, content: Ok(listed) };
        self.note(Question::File(path.into()), Outcome::File(look))
    }

    /// "address weight tier" of each endpoint.
    fn endpoints(&self, most: usize) -> (Vec<Vec<String>>, usize) {
        let (lists, too_many) = endpoints(&self.sources, &self.knowledge, Families::All, most);
        let text = |found: &Found| format!("{} {} {}", found.address, found.weight, found.tier);
        (lists.iter().map(|list| list.iter().map(text).collect()).collect(), too_many)
    }
}

fn entry(address: EndpointAddress, weight: u16) -> EndpointOptions {
    EndpointOptions { address, weight, tier: 0 }
}

fn host(host: &str, port: u16, weight: u16) -> EndpointOptions {
    entry(EndpointAddress::Name { host: host.to_string(), port }, weight)
}

fn srv(name: &str) -> EndpointOptions {
    entry(EndpointAddress::Srv(name.to_string()), 1)
}

fn socket(address: &str, weight: u16, tier: u16) -> EndpointOptions {
    EndpointOptions { address: EndpointAddress::Socket(address.parse().unwrap()), weight, tier }
}

#[test]
fn each_address_of_a_name_is_an_endpoint_in_a_fixed_order() {
    let told = Told::about(vec![host("app.test", 80, 5)]);
    assert_eq!(told.endpoints(10), (vec![vec![]], 0));
    let told = told.host("app.test", &["fd00::1", "10.0.0.2", "10.0.0.10", "10.0.0.2"]);
    let expected = ["10.0.0.2:80 5 0", "10.0.0.10:80 5 0", "[fd00::1]:80 5 0"];
    assert_eq!(told.endpoints(10).0, [expected]);
}

#[test]
fn services_bring_port_weight_and_priority() {
    let told = Told::about(vec![srv("_http._tcp.test")])
        .services("_http._tcp.test", &[(20, 7, 8080, "b.test"), (10, 0, 80, "a.test")])
        .host("a.test", &["10.0.0.9", "10.0.0.8"])
        .host("b.test", &["10.0.0.1"]);
    let expected = ["10.0.0.8:80 1 10", "10.0.0.9:80 1 10", "10.0.0.1:8080 7 20"];
    assert_eq!(told.endpoints(10).0, [expected]);
}

#[test]
fn targets_are_asked_for_as_long_as_they_are_targets() {
    let source = srv("s.test");
    let asked = Told::questions;
    let of = |host: &str| Question::Host(host.to_string());
    let srv = Question::Srv("s.test".to_string());
    let told = Told::about(vec![source]).services("s.test", &[(0, 1, 80, "a.test")]);
    assert_eq!(asked(&told), [srv.clone(), of("a.test")]);
    let told = told.host("a.test", &["10.0.0.1"]).services("s.test", &[(0, 1, 80, "b.test")]);
    assert_eq!(asked(&told), [srv, of("b.test")]);
    // What nobody wants any more is forgotten.
    assert_eq!(told.knowledge.addresses("a.test"), [] as [IpAddr; 0]);
}

#[test]
fn a_file_lists_addresses_and_names() {
    let lines = vec![
        socket("10.0.0.2:80", 3, 0),
        host("app.test", 81, 2),
        entry(EndpointAddress::Unix("/run/a.sock".into()), 1),
        socket("10.0.0.1:80", 1, BACKUP),
    ];
    let told = Told::about(vec![entry(EndpointAddress::File("list".into()), 1)])
        .file("list", lines)
        .host("app.test", &["10.0.0.7"]);
    let expected = ["10.0.0.2:80 3 0", "10.0.0.7:81 2 0", "unix:/run/a.sock 1 0", "10.0.0.1:80 1 65535"];
    assert_eq!(told.endpoints(10).0, [expected]);
    assert_eq!(told.knowledge.listed(Path::new("other")), []);
}

#[test]
fn an_address_that_two_sources_find_belongs_to_the_first() {
    let told = Told::about(vec![host("a.test", 80, 1), host("b.test", 80, 9)])
        .host("a.test", &["10.0.0.1"])
        .host("b.test", &["10.0.0.1", "10.0.0.2"]);
    assert_eq!(told.endpoints(10).0, [["10.0.0.1:80 1 0"], ["10.0.0.2:80 9 0"]]);
}

#[test]
fn too_many_are_cut_at_the_same_place_each_time() {
    let all: Vec<String> = (1..=20).map(|n| format!("10.0.0.{n}")).collect();
    let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
    let told = Told::about(vec![host("a.test", 80, 1), host("b.test", 81, 1)]).host("a.test", &all);
    let told = told.host("b.test", &["10.0.1.1"]);
    let (first, too_many) = told.endpoints(5);
    assert_eq!((first[0].len(), first[1].len(), too_many), (5, 0, 16));
    all.reverse();
    assert_eq!(told.host("a.test", &all).endpoints(5).0, first);
}
