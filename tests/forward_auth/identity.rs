//! Row 31: each field that the proxy or the auth service vouches for arrives once, with their value, or not at all,
//! however a client spells its own.

use std::collections::BTreeMap;

use testkit::{H2Client, Origin, RecordedRequest, Script};

use crate::stage::{APP, Stage};

/// What the origin gets of each: from the auth service when that names it, and from the proxy.
const OWNED: [(&str, Owner); 16] = [
    ("X-Auth-User", Owner::Auth("alice")),
    ("X-Auth-Groups", Owner::Auth("staff, admin")),
    ("Remote-User", Owner::Auth("al")),
    ("X-Forwarded-User", Owner::Auth("al@example.com")),
    ("X-Forwarded-For", Owner::Proxy("127.0.0.1")),
    ("X-Forwarded-Host", Owner::Proxy("shop.test")),
    ("X-Forwarded-Proto", Owner::Proxy("http")),
    ("X-Real-IP", Owner::Proxy("127.0.0.1")),
    ("X-Forwarded-Port", Owner::Nobody),
    ("X-Forwarded-Prefix", Owner::Nobody),
    ("X-Forwarded-Uri", Owner::Nobody),
    ("X-Forwarded-Method", Owner::Nobody),
    ("Forwarded", Owner::Nobody),
    ("Client-Cert", Owner::Nobody),
    ("X-Client-Cert-Subject", Owner::Nobody),
    ("Early-Data", Owner::Nobody),
];

#[derive(Clone, Copy)]
enum Owner {
    Auth(&'static str),
    Proxy(&'static str),
    Nobody,
}

const ROUTES: &str = r#"
    [defaults.forward_auth]
    upstream = "auth"
    path = "/verify"
    timeout = "30s"
    identity = ["X-Auth-User", "X-Auth-Groups", "Remote-User", "X-Forwarded-User"]
    [routes.app]
    path = "/app"
    upstream = "origin"
    [routes.stream]
    path = "/stream"
    upstream = "origin"
    request_body = "stream"
"#;

/// The auth service says of each owned name what it knows, and for the proxy's what it should not; or nothing.
fn answers(names_them: bool) -> Origin {
    Origin::scripted(move |_, _| {
        let said: Vec<(&str, &str)> = OWNED
            .iter()
            .filter(|_| names_them)
            .flat_map(|(name, owner)| match owner {
                Owner::Auth("staff, admin") => vec![(*name, "staff"), (*name, "admin")],
                Owner::Auth(value) => vec![(*name, *value)],
                Owner::Proxy(_) | Owner::Nobody => vec![(*name, "of-auth")],
            })
            .collect();
        Script::answer_with(200, &said, "")
    })
}

/// Lines with which a client may try to pass for somebody else; with `marks` also those that only some servers
/// take for the name.
fn spellings(name: &str, marks: bool) -> Vec<String> {
    let (upper, lower) = (name.to_uppercase(), name.to_lowercase());
    let under = name.replace('-', "_");
    let mut lines = vec![
        format!("{name}: evil"),
        format!("{lower}: evil"),
        format!("{upper}: evil"),
        format!("{under}: evil"),
        format!("{}: evil", name.replacen('-', "_", 1)),
        format!("{name}: evil\r\n{name}: evil"),
        format!("{name}: evil\r\n{lower}: evil\r\n{under}: evil"),
        format!("{name}:"),
        format!("{name}:evil   "),
        format!("Connection: {name}\r\n{name}: evil"),
        format!("Connection: {lower}"),
        format!("Connection: {under}, close\r\n{under}: evil"),
    ];
    if marks {
        lines.extend(['.', '~', '+'].map(|mark| format!("{}: evil", name.replace('-', &mark.to_string()))));
    }
    lines
}

/// As an origin has it that hands fields to programs as variables: all marks are `_`.
fn variables(request: &RecordedRequest, marks: bool) -> BTreeMap<String, Vec<String>> {
    let mut variables = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in request.headers.iter().chain(request.trailers.iter()) {
        variables.entry(variable(name, marks)).or_default().push(value.clone());
    }
    variables
}

fn variable(name: &str, marks: bool) -> String {
    let fold = |c: char| if c == '-' || (marks && !c.is_ascii_alphanumeric()) { '_' } else { c };
    name.to_uppercase().chars().map(fold).collect()
}

#[track_caller]
fn arrives_right(stage: &Stage, names_them: bool, line: &str) {
    let (question, arrived) = (stage.question(), stage.arrived());
    for (name, owner) in OWNED {
        let marks = matches!(owner, Owner::Auth(_));
        let found = |request| variables(request, marks).remove(&variable(name, marks)).unwrap_or_default();
        let expected: &[&str] = match &owner {
            Owner::Auth(value) if names_them => &[value],
            Owner::Proxy(value) => &[value],
            Owner::Auth(_) | Owner::Nobody => &[],
        };
        assert_eq!(found(&arrived), expected, "{name} at the origin, after {line}");
        let asked = found(&question);
        match (name, owner) {
            ("X-Forwarded-Uri", _) => assert_eq!(asked, [arrived.target.as_str()], "after {line}"),
            ("X-Forwarded-Method", _) => assert_eq!(asked, [arrived.method.as_str()], "after {line}"),
            (_, Owner::Proxy(value)) => assert_eq!(asked, [value], "{name} in the question, after {line}"),
            _ => assert_eq!(asked, [""; 0], "{name} in the question, after {line}"),
        }
    }
}

#[test]
fn nobody_names_himself() {
    for names_them in [true, false] {
        let stage = Stage::with(answers(names_them), Origin::echo(), ROUTES);
        for (name, owner) in OWNED {
            for line in spellings(name, matches!(owner, Owner::Auth(_))) {
                let mut client = stage.client();
                client.send(format!("GET /app/x?y=1 HTTP/1.1\r\nHost: shop.test\r\n{line}\r\n\r\n"));
                assert_eq!(client.read_response().status, 200, "{line}");
                arrives_right(&stage, names_them, &line);
            }
            // In a trailer, of a body that is read whole and of one that is passed on.
            for path in ["/app", "/stream"] {
                for name in [name.to_owned(), name.replace('-', "."), name.to_uppercase()] {
                    let mut client = stage.client();
                    client.send(format!(
                        "POST {path} HTTP/1.1\r\nHost: shop.test\r\nTE: trailers\r\nTransfer-Encoding: \
                         chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n{name}: evil\r\n\r\n"
                    ));
                    assert_eq!(client.read_response().status, 200, "{name} in a trailer");
                    arrives_right(&stage, names_them, &format!("{name} in a trailer of {path}"));
                    let passes = path == "/stream";
                    assert_eq!(stage.arrived().trailers.get("X-Sum").is_some(), passes, "others pass");
                }
            }
            let refused = format!("GET /app HTTP/1.1\r\nHost: shop.test\r\n{name} : evil\r\n\r\n");
            let mut client = stage.client();
            client.send(refused);
            assert_eq!(client.read_response().status, 400, "{name} with a space behind");
        }
        stage.ends_well();
    }
}

#[test]
fn nobody_names_himself_over_http2() {
    for names_them in [true, false] {
        let stage = Stage::with(answers(names_them), Origin::echo(), ROUTES);
        let mut client: H2Client = stage.http2();
        for (name, owner) in OWNED {
            let lower = name.to_lowercase();
            let mut names = vec![lower.clone(), lower.replace('-', "_"), lower.replacen('-', "_", 1)];
            if matches!(owner, Owner::Auth(_)) {
                names.push(lower.replace('-', "."));
            }
            for spelled in names {
                for lines in [&["evil"][..], &["evil", "evil"], &[""], &["evil", ""]] {
                    let evil = lines.iter().map(|value| (spelled.as_str(), *value));
                    let head = [
                        (":method", "GET"),
                        (":scheme", "http"),
                        (":authority", "shop.test"),
                        (":path", "/app/x?y=1"),
                    ];
                    let fields: Vec<(&str, &str)> = head.into_iter().chain(evil).collect();
                    let stream = client.open_with(&fields, true);
                    assert_eq!(client.response(stream).status, 200, "{spelled} {lines:?}");
                    arrives_right(&stage, names_them, &format!("{spelled} {lines:?} over HTTP/2"));
                }
            }
        }
        stage.ends_well();
    }
}

#[test]
fn a_token_of_the_auth_service_takes_the_place_of_the_clients() {
    let auth = Origin::scripted(|request, _| match request.header("Authorization") {
        Some("Basic client") => Script::answer_with(200, &[("Authorization", "Bearer of-auth")], ""),
        Some("Basic nothing") => Script::answer(200, ""),
        _ => Script::answer_with(401, &[("WWW-Authenticate", "Basic realm=\"a\"")], ""),
    });
    let routes = APP.replace(r#"["X-Auth-User", "X-Auth-Groups"]"#, r#"["Authorization"]"#);
    let routes = routes.replace(r#"require_identity = ["X-Auth-User"]"#, "");
    let stage = Stage::with(auth, Origin::echo(), &routes);
    for (sent, expected) in [
        ("Basic client", &["Bearer of-auth"][..]),
        ("Basic nothing", &[]),
        ("Basic client", &["Bearer of-auth"]),
    ] {
        assert_eq!(stage.client().request("GET", "/app", &[("Authorization", sent)], b"").status, 200);
        assert_eq!(stage.arrived().headers.all("Authorization"), expected, "{sent}");
    }
    let refused = stage.client().request("GET", "/app", &[], b"");
    assert_eq!((refused.status, refused.header("WWW-Authenticate")), (401, Some("Basic realm=\"a\"")));
    stage.ends_well();
}
