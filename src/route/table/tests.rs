//! The table against a naive reading of its rules: every route is looked at, the least key wins.

use std::cmp::Reverse;
use std::net::IpAddr;

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use regex::bytes::Regex;

use super::super::options::{FixedAnswer, TargetOptions};
use crate::message::{ClientCertificate, HeaderCondition, QueryCondition, SharedText, ValuePattern};
use crate::route::{ClientCertificateMatch, Glob};
use crate::upstream::{BodyMode, RetryOptions, Timeouts};

use super::*;
use crate::message::path::{Canonical, canonicalise};

/// A request before it is put into bytes.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    host: String,
    /// Segments as sent; the first of a pair is what they mean without parameters.
    path: Vec<(&'static str, &'static str)>,
    headers: Vec<(&'static str, &'static str)>,
    /// Decoded.
    query: Vec<(&'static str, &'static str)>,
    client: IpAddr,
    certificate: Option<ClientCertificate>,
}

impl Asked {
    fn asker(&self) -> Asker<'_> {
        Asker { address: self.client, certificate: self.certificate.as_ref() }
    }

    fn head(&self) -> RequestHead {
        let sent: Vec<_> = self.path.iter().map(|(_, sent)| *sent).collect();
        let encode = |text: &str| text.replace(' ', "+").replace('é', "%c3%A9");
        let query: Vec<_> =
            self.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mut text = format!("{} /{}?{} HTTP/1.1\r\n", self.method, sent.join("/"), query.join("&"));
        text += &format!("Host: {}\r\n", self.host);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        head_of(&(text + "\r\n"))
    }

    /// The path without parameters, as every reader understands it.
    fn meant(&self) -> String {
        let meant: Vec<_> = self.path.iter().map(|(meant, _)| *meant).collect();
        let kept: Vec<_> = meant.iter().filter(|segment| !segment.is_empty()).copied().collect();
        let slash = if !kept.is_empty() && meant.last() == Some(&"") { "/" } else { "" };
        format!("/{}{slash}", kept.join("/"))
    }
}

fn head_of(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    head.parse(text.as_bytes()).expect(text);
    let mut path = Vec::new();
    if canonicalise(head.path(), &mut path).expect(text) == Canonical::Changed {
        head.set_path(&path);
    }
    head
}

fn naive(routes: &[RouteOptions], asked: &Asked) -> Option<usize> {
    let matching = (0..routes.len()).filter_map(|index| Some((naive_key(&routes[index], asked)?, index)));
    matching.min().map(|(_, index)| index)
}

/// Where a route that matches stands in the order of specificity.
#[allow(clippy::type_complexity)]
fn naive_key(
    route: &RouteOptions,
    asked: &Asked,
) -> Option<(Reverse<usize>, Reverse<usize>, bool, Reverse<usize>, String)> {
    let matches = &route.matches;
    let host = naive_host(matches, &asked.host)?;
    let path = naive_path(&matches.path, &asked.meant())?;
    let method = matches.methods.is_empty() || matches.methods.iter().any(|method| method == asked.method);
    let members = |name: &str| -> Vec<Vec<u8>> {
        let lines = asked.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        lines.flat_map(|(_, line)| line.split(',').map(|member| member.trim().into())).collect()
    };
    let headers = matches.headers.iter().all(|wanted| naive_value(&wanted.value, &members(&wanted.name)));
    let query = matches.query.iter().all(|wanted| {
        let pairs = asked.query.iter().filter(|(name, _)| *name == wanted.name);
        naive_value(&wanted.value, &pairs.map(|(_, value)| (*value).into()).collect::<Vec<_>>())
    });
    let client = matches.clients.is_empty() || matches.clients.iter().any(|net| net.contains(&asked.client));
    let certificate = matches.client_certificate.is_none()
        || asked.certificate.as_ref().is_some_and(|shown| shown.subject == "CN=a");
    let conditions = matches.headers.len()
        + matches.query.len()
        + usize::from(!matches.clients.is_empty())
        + usize::from(matches.client_certificate.is_some());
    (method && headers && query && client && certificate).then(|| {
        (Reverse(host), Reverse(path), matches.methods.is_empty(), Reverse(conditions), route.name.clone())
    })
}

fn naive_host(matches: &RouteMatch, host: &str) -> Option<usize> {
    let host = host.strip_suffix(":8080").unwrap_or(host).to_lowercase();
    let labels: Vec<_> = host.strip_suffix('.').unwrap_or(&host).split('.').collect();
    let cover = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(exact) => (exact.split('.').collect::<Vec<_>>() == labels).then_some(1000),
        HostPattern::Wildcard(parent) => {
            let parent: Vec<_> = parent.split('.').collect();
            (labels.len() > parent.len() && labels.ends_with(&parent)).then_some(parent.len())
        }
    };
    if matches.hosts.is_empty() { Some(0) } else { matches.hosts.iter().filter_map(cover).max() }
}

fn naive_path(pattern: &PathPattern, path: &str) -> Option<usize> {
    let decode = |pattern: &str| pattern.replace("%61", "a");
    match pattern {
        PathPattern::Any => Some(0),
        PathPattern::Regex(regex) => regex.is_match(path.as_bytes()).then_some(1),
        PathPattern::Prefix(prefix) => {
            let prefix = decode(prefix);
            let prefix: Vec<_> = prefix.split('/').filter(|segment| !segment.is_empty()).collect();
            let path: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
            // Lengths in bytes order prefixes of one path as their numbers of segments do.
            path.starts_with(&prefix).then_some(2 + prefix.len())
        }
        PathPattern::Exact(exact) => (decode(exact) == path).then_some(1000),
    }
}

fn naive_value(pattern: &ValuePattern, values: &[Vec<u8>]) -> bool {
    match pattern {
        ValuePattern::Present => !values.is_empty(),
        ValuePattern::Absent => values.is_empty(),
        ValuePattern::Exact(exact) => values.iter().any(|value| value == exact.as_bytes()),
        ValuePattern::Regex(regex) => values.iter().any(|value| regex.is_match(value)),
    }
}

fn route(name: String, matches: RouteMatch) -> RouteOptions {
    let answer =
        FixedAnswer { status: 200, body: SharedText::new(""), content_type: "text/plain".to_owned() };
    RouteOptions {
        name,
        matches,
        tls: Default::default(),
        target: TargetOptions::Fixed(answer),
        filters: crate::filter::FilterOptions::default(),
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

const HOSTS: &[&str] = &["test", "a.test", "b.test", "a.a.test", "b.a.test", "a.b.a.test"];
const SEGMENTS: &[&str] = &["a", "b", "ab", "a-b", "%61"];
const CLIENTS: &[&str] = &["10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8::1"];

fn host_pattern() -> impl Strategy<Value = HostPattern> {
    (any::<bool>(), select(HOSTS)).prop_map(|(exact, name)| match exact {
        true => HostPattern::Exact(name.to_owned()),
        false => HostPattern::Wildcard(name.to_owned()),
    })
}

fn path_pattern() -> impl Strategy<Value = PathPattern> {
    let path = || {
        (vec(select(SEGMENTS), 0..4), any::<bool>()).prop_map(|(segments, slash)| {
            let slash = if slash && !segments.is_empty() { "/" } else { "" };
            format!("/{}{slash}", segments.join("/"))
        })
    };
    let regex = select(&["^/a", "b$", "a-", "^/[^/]+/b", "^/$"][..]);
    prop_oneof![
        1 => Just(PathPattern::Any),
        3 => path().prop_map(PathPattern::Prefix),
        2 => path().prop_map(PathPattern::Exact),
        1 => regex.prop_map(|regex| PathPattern::Regex(Regex::new(regex).unwrap())),
    ]
}

fn value_pattern() -> impl Strategy<Value = ValuePattern> + Clone {
    prop_oneof![
        Just(ValuePattern::Present),
        Just(ValuePattern::Absent),
        select(&["1", "2", "x é"][..]).prop_map(|value| ValuePattern::Exact(value.to_owned())),
        select(&["^1$", "[2x]"][..]).prop_map(|regex| ValuePattern::Regex(Regex::new(regex).unwrap())),
    ]
}

fn matches() -> impl Strategy<Value = RouteMatch> {
    let header = (select(&["x-one", "x-two"][..]), value_pattern())
        .prop_map(|(name, value)| HeaderCondition { name: name.to_owned(), value });
    let query = (select(&["q", "w é"][..]), value_pattern())
        .prop_map(|(name, value)| QueryCondition { name: name.to_owned(), value });
    let client = select(&["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"][..])
        .prop_map(|net| net.parse::<IpNet>().unwrap());
    // Mostly empty lists, so that most requests find several routes that fit.
    let few = |most: usize| prop_oneof![3 => Just(0usize), 1 => 0..=most];
    (
        few(2).prop_flat_map(|count| vec(host_pattern(), count..=count + 1)),
        path_pattern(),
        few(2).prop_flat_map(|count| vec(select(&["GET", "POST", "PURGE"][..]), count)),
        few(2).prop_flat_map(move |count| vec(header.clone(), count)),
        few(2).prop_flat_map(move |count| vec(query.clone(), count)),
        few(1).prop_flat_map(move |count| vec(client.clone(), count)),
        prop_oneof![4 => Just(None), 1 => Just(Some(wants_certificate()))],
    )
        .prop_map(|(hosts, path, methods, headers, query, clients, client_certificate)| RouteMatch {
            hosts,
            path,
            methods: methods.into_iter().map(str::to_owned).collect(),
            headers,
            query,
            clients,
            client_certificate,
        })
}

fn wants_certificate() -> ClientCertificateMatch {
    ClientCertificateMatch { subject: vec![Glob::new("CN=a")], ..ClientCertificateMatch::default() }
}

/// Routes with names in another order than their indices.
fn routes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<RouteOptions>> {
    vec(matches(), count).prop_map(|all| {
        let name = |index: usize| format!("route {:02} {index}", index * 37 % 11);
        all.into_iter().enumerate().map(|(index, matches)| route(name(index), matches)).collect()
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let host = (select(HOSTS), 0..6usize, any::<bool>()).prop_map(|(name, spelling, filler)| {
        let name = if filler && spelling == 0 { "h7.filler.test" } else { name };
        match spelling {
            1 => name.to_uppercase(),
            2 => format!("{name}."),
            3 => format!("{}.:8080", name.to_uppercase()),
            _ => name.to_owned(),
        }
    });
    let segment = select(
        &[
            ("a", "a"),
            ("b", "b"),
            ("ab", "ab"),
            ("a-b", "a-b"),
            ("a", "%61"),
            ("a", "./%61"),
            ("b", "x/%2e%2e/b"),
            ("a", "a;v=1"),
            ("b", "b%3bv"),
            ("", ""),
            ("", ";"),
        ][..],
    );
    (
        select(&["GET", "POST", "PURGE", "get"][..]),
        host,
        vec(segment, 0..5),
        vec((select(&["X-One", "x-two"][..]), select(&["1", "2", "1, 2", "", "x"][..])), 0..3),
        vec((select(&["q", "w é", "v"][..]), select(&["1", "2", "x é", ""][..])), 0..3),
        select(CLIENTS).prop_map(|client| client.parse().unwrap()),
        select(&[None, Some("CN=a"), Some("CN=b")][..]),
    )
        .prop_map(|(method, host, path, headers, query, client, subject)| Asked {
            method,
            host,
            path,
            headers,
            query,
            client,
            certificate: subject
                .map(|subject| ClientCertificate { subject: subject.into(), ..Default::default() }),
        })
}

/// Adds hosts that have nothing to do with the rest, three paths each.
fn with_fillers(mut routes: Vec<RouteOptions>, hosts: usize) -> Vec<RouteOptions> {
    for index in 0..hosts * 3 {
        let path = PathPattern::Prefix(["/", "/a", "/b/ab"][index % 3].to_owned());
        let hosts = vec![HostPattern::Exact(format!("h{}.filler.test", index / 3))];
        routes.push(route(format!("filler {index}"), RouteMatch { hosts, path, ..RouteMatch::default() }));
    }
    routes
}

fn agree(routes: &[RouteOptions], requests: &[Asked]) -> Result<(), TestCaseError> {
    let table = Table::build(routes);
    for asked in requests {
        let head = asked.head();
        let expected = naive(routes, asked);
        prop_assert_eq!(table.find(&head, asked.asker()), expected, "find {:?}", asked);
        let explained = table.explain(&head, asked.asker()).winner;
        prop_assert_eq!(explained, expected, "explain {:?}", asked);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn few_routes_follow_the_rules(routes in routes(1..12), requests in vec(asked(), 8)) {
        agree(&routes, &requests)?;
    }

    #[test]
    fn one_host_follows_the_rules(routes in routes(1..2), requests in vec(asked(), 4)) {
        agree(&routes, &requests)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hundred_and_one_hosts_follow_the_rules(routes in routes(1..60), requests in vec(asked(), 30)) {
        agree(&with_fillers(routes, 101), &requests)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ten_thousand_hosts_follow_the_rules(routes in routes(1..60), requests in vec(asked(), 12)) {
        agree(&with_fillers(routes, 10_000), &requests)?;
    }
}

#[test]
fn an_explanation_names_the_first_thing_that_did_not_fit() {
    let exact = |host: &str| vec![HostPattern::Exact(host.to_owned())];
    let prefix = |prefix: &str| PathPattern::Prefix(prefix.to_owned());
    let beta = HeaderCondition { name: "x-beta".to_owned(), value: ValuePattern::Present };
    let routes = [
        ("all", RouteMatch::default()),
        ("site", RouteMatch { hosts: exact("a.test"), ..RouteMatch::default() }),
        ("beta", RouteMatch { hosts: exact("a.test"), headers: vec![beta], ..RouteMatch::default() }),
        ("admin", RouteMatch { hosts: exact("a.test"), path: prefix("/admin"), ..RouteMatch::default() }),
        (
            "upload",
            RouteMatch {
                hosts: exact("a.test"),
                path: prefix("/up"),
                methods: vec!["PUT".to_owned(), "POST".to_owned()],
                ..RouteMatch::default()
            },
        ),
        ("other", RouteMatch { hosts: exact("b.test"), ..RouteMatch::default() }),
    ]
    .map(|(name, matches)| route(name.to_owned(), matches));
    let head = head_of("GET /up/x HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let client = Asker { address: IpAddr::from([127, 0, 0, 1]), certificate: None };

    let explanation = Table::build(&routes).explain(&head, client);
    assert_eq!(explanation.winner, Some(1));
    assert_eq!(
        explanation.to_string(),
        "  no   admin   the path is not under /admin\n  \
           no   upload  the method GET is not PUT or POST\n  \
           no   beta    the header x-beta does not fit\n  \
           yes  site    everything fits\n  \
           (other is for another host)\n\
         The request takes the route site."
    );
    let nothing = Table::build(&routes[4..]).explain(&head, client);
    assert_eq!(nothing.winner, None);
    assert!(nothing.to_string().ends_with("No route takes the request: the answer is 404."));
}

#[test]
fn one_route_for_everything_takes_even_a_request_without_a_host() {
    let table = Table::build(&[route("all".to_owned(), RouteMatch::default())]);
    let client = Asker { address: IpAddr::from([127, 0, 0, 1]), certificate: None };
    for text in ["GET / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"] {
        assert_eq!(table.find(&head_of(text), client), Some(0));
    }
    assert_eq!(Table::build(&[]).find(&head_of("GET / HTTP/1.0\r\n\r\n"), client), None);
}

#[test]
fn a_prefix_of_root_is_not_for_asterisk() {
    let root = RouteMatch { path: PathPattern::Prefix("/".to_owned()), ..RouteMatch::default() };
    let table = Table::build(&[route("root".to_owned(), root)]);
    let client = Asker { address: IpAddr::from([127, 0, 0, 1]), certificate: None };
    assert_eq!(table.find(&head_of("GET / HTTP/1.0\r\n\r\n"), client), Some(0));
    assert_eq!(table.find(&head_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), client), None);
}

/// A host of nothing but dots and labels, and a query of nothing but ampersands, end.
#[test]
fn hostile_names_find_the_route_for_any_host() {
    let wildcard =
        RouteMatch { hosts: vec![HostPattern::Wildcard("a.a".to_owned())], ..RouteMatch::default() };
    let routes = [route("any".to_owned(), RouteMatch::default()), route("wild".to_owned(), wildcard)];
    let table = Table::build(&routes);
    let client = Asker { address: IpAddr::from([127, 0, 0, 1]), certificate: None };
    let find = |host: String| {
        table.find(&head_of(&format!("GET /?{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "&".repeat(999))), client)
    };
    assert_eq!(find("a.".repeat(126) + "a"), Some(1));
    assert_eq!(find("a.".repeat(2000) + "a"), Some(0));
    assert_eq!(find("-.".repeat(2000) + "-"), Some(0));
}
