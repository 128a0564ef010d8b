use super::*;
use crate::message::path::canonicalise;
use crate::message::{Client, Moment, Protocol, staged};
use crate::wire::Peer;

fn with<T>(head: &str, act: impl FnOnce(Exchange<'_>, &mut Request<'_>) -> T) -> T {
    let client = Client::new(Peer::Unix);
    let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "", endpoint: None };
    staged::request(head, |request| act(exchange, request))
}

fn redirect(to: &str) -> Redirect {
    Redirect { to: Template::compile_with_groups(to, Moment::Request).unwrap(), status: 301 }
}

fn location(to: &str, target: &str) -> String {
    let head = format!("GET {target} HTTP/1.1\r\nHost: Old.Test:8080\r\n\r\n");
    with(&head, |exchange, request| {
        let mut out = Vec::new();
        redirect(to).write_location(&Values::of_request(exchange, request), &mut out);
        String::from_utf8(out).unwrap()
    })
}

#[test]
fn a_location_is_filled_in() {
    let target = "/a/b?x=1&y=%20";
    assert_eq!(location("https://new.test{path}", target), "https://new.test/a/b");
    assert_eq!(location("{scheme}://{host}{path}{query}", target), "http://old.test/a/b?x=1&y=%20");
    assert_eq!(location("/new{path}{query}", "/a"), "/new/a");
    assert_eq!(location("/{query}", "/a?"), "/?");
    assert_eq!(location("//cdn.test{path}", "/a"), "//cdn.test/a");
    assert!(redirect("https://{host}/").needs_host());
    assert!(!redirect("https://new.test{path}").needs_host());
}

/// The canonical path cannot hold them; should another part of the program let them in, they stay out
/// of the field all the same.
#[test]
fn no_line_break_gets_into_a_location() {
    assert!(canonicalise(b"/x%0d%0aSet-Cookie:a=b", &mut Vec::new()).is_err());
    with("GET / HTTP/1.1\r\nHost: a\r\n\r\n", |exchange, request| {
        request.head.set_path(b"/x\r\nSet-Cookie: a=b\0");
        request.head.set_query(Some(b"q\r\n\xff\\"));
        let mut out = Vec::new();
        redirect("{path}{query}").write_location(&Values::of_request(exchange, request), &mut out);
        assert_eq!(out, b"/x%0D%0ASet-Cookie:%20a=b%00?q%0D%0A%FF%5C");
    });
}

fn decided(decision: Decision<'_>) -> Option<(u16, String)> {
    match decision {
        Decision::Answer(response) => {
            let location = response.head.fields.get(Name::Location).unwrap_or_default();
            Some((response.head.status, String::from_utf8_lossy(location).into_owned()))
        }
        _ => None,
    }
}

#[test]
fn the_first_rule_that_matches_redirects() {
    let rule =
        |regex: &str, to: &str| RedirectRule { regex: Regex::new(regex).unwrap(), redirect: redirect(to) };
    let rules = [
        rule("^/blog/([0-9]+)/(.*)$", "/posts/$2?year=$1"),
        rule("^/blog(.*)$", "https://blog.test$1{query}"),
        rule("^/out(.*)$", "/$1"),
    ];
    for (target, expected) in [
        ("/blog/2024/x", Some("/posts/x?year=2024")),
        ("/blog/x?a=b", Some("https://blog.test/x?a=b")),
        ("/out/evil.test/", Some("/evil.test/")),
        ("/other", None),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let told = with(&head, |exchange, request| decided(by_rules(&rules, exchange, request)));
        assert_eq!(told, expected.map(|to| (301, to.to_owned())), "{target}");
    }
}

#[test]
fn one_spelling_is_asked_for() {
    use TrailingSlash as Slash;
    let cases = [
        (Some(Slash::Add), None, "a.test", "/x", Some("/x/")),
        (Some(Slash::Add), None, "a.test", "/x?q=/", Some("/x/?q=/")),
        (Some(Slash::Add), None, "a.test", "/x/", None),
        (Some(Slash::Add), None, "a.test", "/x/logo.svg", None),
        (Some(Slash::Add), None, "a.test", "/v1.2/x", Some("/v1.2/x/")),
        (Some(Slash::Remove), None, "a.test", "/x/", Some("/x")),
        (Some(Slash::Remove), None, "a.test", "/", None),
        (Some(Slash::Remove), None, "a.test", "/x", None),
        (None, Some(Www::Add), "a.test", "/x", Some("http://www.a.test/x")),
        (None, Some(Www::Add), "www.a.test", "/x", None),
        (None, Some(Www::Add), "localhost:80", "/x", None),
        (None, Some(Www::Add), "10.0.0.1", "/x", None),
        (None, Some(Www::Add), "[::1]", "/x", None),
        (None, Some(Www::Remove), "www.a.test:8080", "/x?q", Some("http://a.test:8080/x?q")),
        (None, Some(Www::Remove), "WWW.a.test", "/x", Some("http://a.test/x")),
        (None, Some(Www::Remove), "www.test", "/x", None),
        (None, Some(Www::Remove), "wwww.test", "/x", None),
        (Some(Slash::Add), Some(Www::Add), "a.test", "/x", Some("http://www.a.test/x/")),
    ];
    for (slash, www, host, target, expected) in cases {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let told = with(&head, |exchange, request| {
            decided(to_spelling(Spelling { slash, www }, exchange.client, request))
        });
        assert_eq!(told, expected.map(|to| (308, to.to_owned())), "{host}{target}");
    }
}

/// Nobody is sent round in circles.
#[test]
fn what_was_redirected_once_is_spelled_right() {
    for slash in [TrailingSlash::Add, TrailingSlash::Remove] {
        for path in ["/", "/a", "/a/", "/a.b", "/a.b/", "/a/b.c", "*"] {
            if let Some(changed) = slash.change(path.as_bytes()) {
                assert_eq!(slash.change(&changed), None, "{slash:?} {path}");
            }
        }
    }
    for www in [Www::Add, Www::Remove] {
        for host in ["a.test", "www.a.test", "www.www.a.test", "www.test", "test"] {
            if let Some(changed) = www.change(host.as_bytes(), host.as_bytes()) {
                let again = www.change(&changed, &changed);
                assert!(again.is_none() || www == Www::Remove, "{www:?} {host}");
            }
        }
    }
}
