use super::*;
use crate::message::{Client, EndpointName, Exchange, Protocol, Response, staged};
use crate::wire::Peer;

const HEAD: &str = "GET /a/b?x=1&xy=2&flag&x=3 HTTP/1.1\r\nHost: Shop.Test:8080\r\nX-One: 1\r\nx-one: 2\r\n\
                    Cookie: a=b; session=s=1; session=no\r\n\r\n";

fn filled(text: &str, moment: Moment) -> String {
    let template = Template::compile(text, moment).unwrap();
    let client = Client::new(Peer::Tcp("192.0.2.7:1234".parse().unwrap()));
    let name = EndpointName { upstream: "app".into(), label: "10.0.0.1:80".into(), log_member: Vec::new() };
    let endpoint = (moment != Moment::Request).then_some(&name);
    let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "api", endpoint };
    let mut response = Response::empty(404);
    response.head.fields.push(http1::Name::Other, b"X-Kind", b"odd");
    staged::request(HEAD, |request| {
        let mut out = Vec::new();
        let values = match moment {
            Moment::Request => Values::of_request(exchange, request),
            Moment::Answer | Moment::Page => Values::of_answer(exchange, request, &response),
        };
        template.write(&values, &mut out);
        String::from_utf8(out).unwrap()
    })
}

#[test]
fn variables_are_filled_in() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("{request_id}", "the-id"),
        ("{client_ip}/{peer_ip}", "192.0.2.7/192.0.2.7"),
        ("{scheme}://{host}{path}{query}", "http://shop.test/a/b?x=1&xy=2&flag&x=3"),
        ("{authority} {target}", "Shop.Test:8080 /a/b?x=1&xy=2&flag&x=3"),
        ("{method} {protocol} {route}", "GET HTTP/1.1 api"),
        ("{header.X-One}", "1, 2"),
        ("{header.X-Two}", ""),
        ("[{cookie.session}][{cookie.a}][{cookie.sess}]", "[s=1][b][]"),
        ("[{query.x}][{query.xy}][{query.flag}][{query.none}]", "[1][2][][]"),
        ("{tls.version}{tls.client.subject}", ""),
        ("{{{method}}} {{x}}", "{GET} {x}"),
    ] {
        assert_eq!(filled(text, Moment::Request), expected, "{text}");
    }
    assert!(filled("{now}", Moment::Request).ends_with(" GMT"));
    assert!(filled("{now.unix}", Moment::Request).parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(filled("{now.iso}", Moment::Request).len(), "2026-11-26T08:15:30Z".len());
}

#[test]
fn answers_have_more_of_them() {
    let text = "{status} {upstream} {upstream.name} {response.x-kind}";
    assert_eq!(filled(text, Moment::Answer), "404 10.0.0.1:80 app odd");
    for name in ["status", "upstream", "upstream.name", "response.X-Kind"] {
        let error = Template::compile(&format!("a{{{name}}}"), Moment::Request);
        assert_eq!(error, Err(TemplateError::NeedsAnswer(name.to_owned())));
    }
}

#[test]
fn in_pages_variables_have_two_braces_and_others_are_text() {
    for (text, expected) in [
        ("p{color:red}", "p{color:red}"),
        ("{{status}} {{ reason }}", "404 Not Found"),
        ("{\"a\":{\"b\":{{status}}}}", "{\"a\":{\"b\":404}}"),
        ("{{{status}}}{{{{method}}", "{404}{{GET"),
        ("{status}}} }", "{status}}} }"),
    ] {
        assert_eq!(filled(text, Moment::Page), expected, "{text}");
    }
    let error = |text: &str| Template::compile(text, Moment::Page).unwrap_err();
    for text in ["{{", "a{{b", "a{{b}c", "{{a\n}}"] {
        assert_eq!(error(text), TemplateError::LoneBrace('{'), "{text}");
    }
    assert_eq!(error("{{statsu}}"), TemplateError::Unknown("statsu".to_owned()));
    let elsewhere = Template::compile("{reason}", Moment::Answer);
    assert_eq!(elsewhere, Err(TemplateError::Unknown("reason".to_owned())));
}

#[test]
fn what_is_no_template_is_an_error() {
    let error = |text: &str| Template::compile(text, Moment::Answer).unwrap_err();
    for (text, brace) in
        [("{", '{'), ("a{b", '{'), ("a}", '}'), ("{a{b}}", '{'), ("{{}", '}'), ("}{host}", '}')]
    {
        assert_eq!(error(text), TemplateError::LoneBrace(brace), "{text}");
    }
    assert_eq!(error("{hots}"), TemplateError::Unknown("hots".to_owned()));
    assert_eq!(error("{}"), TemplateError::Unknown(String::new()));
    assert_eq!(error("{cookie.}"), TemplateError::Unknown("cookie.".to_owned()));
    assert_eq!(error("{header.a b}"), TemplateError::BadFieldName("a b".to_owned()));
}

#[test]
fn what_variables_have_is_escaped_and_the_text_is_not() {
    let template = Template::compile("<p>{query.q}</p>", Moment::Request).unwrap();
    let client = Client::new(Peer::Unix);
    let exchange = Exchange { client: &client, protocol: Protocol::Http2, route: "", endpoint: None };
    staged::request("GET /?q=<b> HTTP/1.1\r\nHost: a\r\n\r\n", |request| {
        let mut out = Vec::new();
        template.write_escaped(&Values::of_request(exchange, request), &mut out, |_, value, out| {
            out.extend(value.iter().map(|byte| if matches!(byte, b'<' | b'>') { b'_' } else { *byte }));
        });
        assert_eq!(out, b"<p>_b_</p>");
    });
}

#[test]
fn a_text_without_variables_is_known_beforehand() {
    let text = |text: &str| Template::compile(text, Moment::Request).unwrap().as_text().map(str::to_owned);
    assert_eq!(text("a{{b}}").as_deref(), Some("a{b}"));
    assert_eq!(text("").as_deref(), Some(""));
    assert_eq!(text("a{host}"), None);
}

#[test]
fn groups_of_a_regex_are_filled_in() {
    let regex = regex::bytes::Regex::new("^/(?<first>[a-z]+)/([a-z])$").unwrap();
    let template =
        Template::compile_with_groups("$2-$first-${first}_x-$$1-$-{host}-$9-a$", Moment::Request).unwrap();
    let client = Client::new(Peer::Unix);
    let exchange = Exchange { client: &client, protocol: Protocol::Http1, route: "", endpoint: None };
    staged::request("GET /ab/c HTTP/1.1\r\nHost: h\r\n\r\n", |request| {
        let groups = regex.captures(b"/ab/c").unwrap();
        let mut out = Vec::new();
        let values = Values { groups: Some(&groups), ..Values::of_request(exchange, request) };
        template.write(&values, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "c-ab-ab_x-$1-$-h--a$");
    });
    let plain = Template::compile("$1 $$", Moment::Request).unwrap();
    assert_eq!(plain.as_text(), Some("$1 $$"), "elsewhere a dollar is a dollar");
}
