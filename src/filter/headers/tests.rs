use http1::Name;

use super::*;
use crate::message::{
    Client, HeaderCondition, Moment, PathPattern, Protocol, QueryCondition, StatusSet, ValuePattern, staged,
};
use crate::wire::Peer;

fn fields(list: &[(&str, &str)]) -> Vec<(FieldName, Template)> {
    let compile = |value: &str| Template::compile(value, Moment::Answer).unwrap();
    list.iter().map(|(name, value)| (FieldName::new(name).unwrap(), compile(value))).collect()
}

fn lines(fields: &Fields) -> Vec<String> {
    let line = |field: http1::fields::Field<'_>| {
        format!("{}: {}", String::from_utf8_lossy(field.name), String::from_utf8_lossy(field.value))
    };
    fields.iter().map(line).collect()
}

fn with_exchange<T>(act: impl FnOnce(Exchange<'_>) -> T) -> T {
    let client = Client::new(Peer::Unix);
    act(Exchange { client: &client, protocol: Protocol::Http1, route: "r", endpoint: None })
}

/// The fields of an answer with status 200 and `before`.
fn edited(edits: &HeaderEdits, before: &[(&str, &str)]) -> Vec<String> {
    with_exchange(|exchange| {
        staged::request("GET /p?page=2 HTTP/1.1\r\nHost: a.test\r\nX-Bad: a\tb\r\n\r\n", |request| {
            let mut response = Response::empty(200);
            for (name, value) in before {
                let known = Name::classify(name.as_bytes());
                response.head.fields.push(known, name.as_bytes(), value.as_bytes());
            }
            let edits = std::slice::from_ref(edits);
            let allowed = Allowed::by(edits, exchange, request);
            edit_answer(edits, allowed, exchange, request, &mut response);
            lines(&response.head.fields)
        })
    })
}

#[test]
fn fields_are_removed_set_and_added_in_this_order() {
    let edits = HeaderEdits {
        remove: vec![
            NamePattern::Name(FieldName::new("server").unwrap()),
            NamePattern::Prefix("x-internal-".to_owned()),
        ],
        set: fields(&[("X-Host", "{host}"), ("Cache-Control", "no-store"), ("X-Empty", "{query.none}")]),
        default: fields(&[("X-Kept", "new"), ("X-New", "new")]),
        add: fields(&[("Vary", "Origin"), ("X-Host", "again")]),
        ..HeaderEdits::default()
    };
    let before = [
        ("Server", "x"),
        ("X-Internal-Id", "1"),
        ("x-internal-", "2"),
        ("X-Internal", "3"),
        ("cache-control", "max-age=1"),
        ("Cache-Control", "public"),
        ("X-Empty", "there"),
        ("X-Kept", "old"),
        ("Vary", "Accept"),
    ];
    let expected = [
        "X-Internal: 3",
        "X-Kept: old",
        "Vary: Accept",
        "X-Host: a.test",
        "Cache-Control: no-store",
        "X-New: new",
        "Vary: Origin",
        "X-Host: again",
    ];
    assert_eq!(edited(&edits, &before), expected);
}

#[test]
fn every_template_sees_the_message_as_it_came() {
    let edits = HeaderEdits {
        remove: vec![NamePattern::Name(FieldName::new("X-Old").unwrap())],
        set: fields(&[("X-New", "{response.X-Old}"), ("X-Swap", "{response.X-New}")]),
        ..HeaderEdits::default()
    };
    let before = [("X-Old", "1"), ("X-New", "2")];
    assert_eq!(edited(&edits, &before), ["X-New: 1", "X-Swap: 2"]);
}

#[test]
fn values_are_rewritten_line_by_line() {
    let rewrite = |regex: &str, to: &str| HeaderEdits {
        rewrite: vec![ValueRewrite {
            name: FieldName::new("Link").unwrap(),
            regex: Regex::new(regex).unwrap(),
            to: to.to_owned(),
        }],
        ..HeaderEdits::default()
    };
    let before = [("Link", "<http://in/a>"), ("X", "http://in/"), ("link", "<http://in/b>, <http://in/c>")];
    assert_eq!(
        edited(&rewrite("http://in/([a-z])", "https://out/$1"), &before),
        ["X: http://in/", "Link: <https://out/a>", "Link: <https://out/b>, <https://out/c>"]
    );
    assert_eq!(edited(&rewrite("nothing", "x"), &before)[0], "Link: <http://in/a>");
}

#[test]
fn a_condition_holds_for_all_that_it_names() {
    let when = |when: When| HeaderEdits {
        when: Some(Box::new(when)),
        set: fields(&[("X", "1")]),
        ..HeaderEdits::default()
    };
    let html = MediaRangeList(&["text/*"]).parse();
    let prefix = |path: &str| PathPattern::Prefix(path.to_owned()).condition();
    let bad = |value| HeaderCondition { name: "x-bad".to_owned(), value };
    let page =
        |page: &str| QueryCondition { name: "page".to_owned(), value: ValuePattern::Exact(page.to_owned()) };
    let cases = [
        (When::default(), true),
        (When { methods: vec!["GET".to_owned()], ..When::default() }, true),
        (When { methods: vec!["POST".to_owned()], ..When::default() }, false),
        (When { status: Some(StatusSet(vec![(200, 299)])), ..When::default() }, true),
        (When { status: Some(StatusSet(vec![(500, 599)])), ..When::default() }, false),
        (When { content_types: html.clone(), ..When::default() }, true),
        (When { content_types: html, status: Some(StatusSet(vec![(404, 404)])), ..When::default() }, false),
        (When { content_types: MediaRangeList(&["image/*"]).parse(), ..When::default() }, false),
        (When { path: prefix("/p"), ..When::default() }, true),
        (When { path: prefix("/q"), ..When::default() }, false),
        (When { headers: vec![bad(ValuePattern::Present)], ..When::default() }, true),
        (When { headers: vec![bad(ValuePattern::Absent)], ..When::default() }, false),
        (When { query: vec![page("2")], ..When::default() }, true),
        (When { query: vec![page("3")], ..When::default() }, false),
        (When { query: vec![page("2")], path: prefix("/q"), ..When::default() }, false),
    ];
    for (condition, expected) in cases {
        let message = format!("{condition:?}");
        let after = edited(&when(condition), &[("Content-Type", "text/html")]);
        assert_eq!(after.len() == 2, expected, "{message}");
    }
}

struct MediaRangeList(&'static [&'static str]);

impl MediaRangeList {
    fn parse(&self) -> Vec<crate::message::MediaRange> {
        self.0.iter().map(|range| crate::message::MediaRange::parse(range).unwrap()).collect()
    }
}

/// No received byte ends a field: what cannot stand in one is left out (a head cannot hold it, but other
/// sources of variables may).
#[test]
fn no_line_break_gets_into_a_field() {
    let name = FieldName::new("X-Name").unwrap();
    for value in ["a\r\nSet-Cookie: b", "a\nb", "a\0b", "\x7f", "a\x1b[0m"] {
        let mut fields = Fields::new();
        assert!(!name.push(&mut fields, value.as_bytes()), "{value:?}");
        assert!(fields.is_empty());
    }
    let mut fields = Fields::new();
    assert!(name.push(&mut fields, "a\tb é".as_bytes()));
}

#[test]
fn what_the_proxy_would_write_is_left_out_where_it_is_removed() {
    let edits = HeaderEdits {
        remove: vec![NamePattern::Name(FieldName::new("X-Forwarded-For").unwrap())],
        set: fields(&[("x-forwarded-proto", "https"), ("Accept", "{header.X-Forwarded-For}")]),
        ..HeaderEdits::default()
    };
    let head = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nAccept: b\r\n\r\n";
    let known = with_exchange(|exchange| {
        staged::request(head, |request| {
            edit_request(&[edits], exchange, request);
            assert_eq!(
                lines(&request.head.fields),
                ["Host: a", "X-Forwarded-For: ", "x-forwarded-proto: https", "Accept: 1.2.3.4"]
            );
            request.head.fields.iter().map(|field| field.known).collect::<Vec<_>>()
        })
    });
    assert_eq!(known, [Name::Host, Name::Own, Name::Own, Name::Accept]);
}

/// More than are looked at together.
#[test]
fn each_of_many_changes_has_its_own_condition() {
    let edits: Vec<HeaderEdits> = (0..MOST_TOGETHER + 2)
        .map(|index| {
            let method = if index % 3 == 0 { "GET" } else { "POST" };
            let when = When { methods: vec![method.to_owned()], ..When::default() };
            let name = format!("X-{index}");
            HeaderEdits { when: Some(Box::new(when)), set: fields(&[(&name, "1")]), ..HeaderEdits::default() }
        })
        .collect();
    let options = crate::filter::FilterOptions { response_headers: edits, ..Default::default() };
    let limits = crate::filter::CompressionLimits::default();
    let chain = crate::filter::chain(&options, limits);
    let got = with_exchange(|exchange| {
        staged::request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", |request| {
            let mut response = Response::empty(200);
            let mut steps = Vec::new();
            for filter in &chain.open {
                let crate::filter::Decision::PassThen(step) = filter.on_request(exchange, request) else {
                    panic!("a step")
                };
                steps.push(step);
            }
            for step in steps.into_iter().rev() {
                step.on_response(exchange, request, &mut response);
            }
            lines(&response.head.fields)
        })
    });
    let expected: Vec<String> =
        (0..MOST_TOGETHER + 2).step_by(3).map(|index| format!("X-{index}: 1")).collect();
    assert_eq!(got, expected);
}
