//! Header fields on their way through the proxy: what the origin is told about the client, what is taken off
//! because it belongs to one connection, and what nobody can make the proxy say.

use std::collections::BTreeMap;

use testkit::{Client, Origin, Palisade, RecordedRequest, Script, canary, canary_on};

// What the proxy vouches for

#[test]
fn the_origin_learns_who_asked() {
    let story = Story::start("");
    let request = story.ask("GET", "/", &[("Host", "Shop.Test:8080")]);
    assert_eq!(request.headers.all("Host"), ["Shop.Test:8080"]);
    assert_eq!(request.headers.all("X-Forwarded-For"), ["127.0.0.1"]);
    assert_eq!(request.headers.all("X-Real-IP"), ["127.0.0.1"]);
    assert_eq!(request.headers.all("X-Forwarded-Proto"), ["http"]);
    assert_eq!(request.headers.all("X-Forwarded-Host"), ["Shop.Test:8080"]);
    assert_eq!(request.headers.all("X-Request-ID")[0].len(), 32);
    assert_eq!(request.headers.all("Forwarded"), [""; 0], "off by default");
}

#[test]
fn fields_of_the_client_arrive_in_order_and_as_they_were_written() {
    let story = Story::start("");
    let fields = [
        ("accept", "*/*"),
        ("X-Zebra", "1"),
        ("x-ant", "a  b\tc"),
        ("X-Zebra", "2"),
        ("X-Empty", ""),
        ("X-Latin", "é"),
    ];
    let request = story.ask("GET", "/", &fields);
    let of_client = |field: &&(String, String)| fields.iter().any(|(name, _)| *name == field.0);
    let arrived: Vec<_> = request
        .headers
        .iter()
        .filter(of_client)
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    // The recording origin shows one character for each byte.
    let sent = fields.map(|(name, value)| (name, if value == "é" { "Ã©" } else { value }));
    assert_eq!(arrived, sent);
}

#[test]
fn forwarded_is_sent_where_a_route_asks_for_it() {
    let story = Story::start("defaults.forwarded = true");
    let request = story.ask("GET", "/", &[("Host", "shop.test"), ("Forwarded", "for=6.6.6.6")]);
    assert_eq!(request.headers.all("Forwarded"), [r#"for=127.0.0.1;host="shop.test";proto=http"#]);
}

#[test]
fn upstream_host_changes_the_host_and_nothing_else() {
    let story = Story::start(r#"defaults.upstream_host = "app.internal:81""#);
    let request = story.ask("GET", "/", &[("Host", "shop.test")]);
    assert_eq!(request.headers.all("Host"), ["app.internal:81"]);
    assert_eq!(request.headers.all("X-Forwarded-Host"), ["shop.test"]);
}

// Whom it believes

/// Row 31: each field that the proxy owns arrives once, with the proxy's value, or not at all, however a
/// client spells its own.
#[test]
fn nobody_is_believed_by_default() {
    let story = Story::start("");
    for name in OWNED {
        for line in spellings(name) {
            let request = story.ask_raw(&format!("GET / HTTP/1.1\r\nHost: shop.test\r\n{line}\r\n\r\n"));
            assert_owned_fields_are_ours(&request, &line);
        }
        // In a trailer, of a body that is read whole and of one that is passed on.
        for path in ["/", "/stream"] {
            let line = format!("{name}: evil");
            let request = story.ask_raw(&format!(
                "POST {path} HTTP/1.1\r\nHost: shop.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{line}\r\n\r\n"
            ));
            assert_owned_fields_are_ours(&request, &line);
            assert_eq!(request.trailers.len(), 0, "{line}");
        }
    }
    story.ends_well();
}

#[test]
fn trusted_proxies_are_believed_up_to_the_first_stranger() {
    let story = Story::start(r#"server.trusted_proxies = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]"#);
    for (received, client, list) in [
        (&["1.2.3.4"][..], "1.2.3.4", "1.2.3.4, 127.0.0.1"),
        (&["6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4", "6.6.6.6, 1.2.3.4, 10.0.0.2, 127.0.0.1"),
        (&["6.6.6.6", "1.2.3.4", "10.0.0.2"], "1.2.3.4", "6.6.6.6, 1.2.3.4, 10.0.0.2, 127.0.0.1"),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.3, 10.0.0.2, 127.0.0.1"),
        (&["[2001:db8::1]:80"], "2001:db8::1", "[2001:db8::1]:80, 127.0.0.1"),
        (&["::ffff:1.2.3.4, fd00::1"], "1.2.3.4", "::ffff:1.2.3.4, fd00::1, 127.0.0.1"),
        // What is no address ends the walk; what is before it may be anybody's word.
        (&["1.2.3.4, unknown"], "127.0.0.1", "1.2.3.4, unknown, 127.0.0.1"),
        (&["1.2.3.4, unknown, 10.0.0.9"], "10.0.0.9", "1.2.3.4, unknown, 10.0.0.9, 127.0.0.1"),
        (&[""], "127.0.0.1", "127.0.0.1"),
        (&[], "127.0.0.1", "127.0.0.1"),
    ] {
        let fields: Vec<_> = received.iter().map(|value| ("X-Forwarded-For", *value)).collect();
        let request = story.ask("GET", "/", &fields);
        assert_eq!(request.headers.all("X-Real-IP"), [client], "{received:?}");
        assert_eq!(request.headers.all("X-Forwarded-For"), [list], "{received:?}");
    }
    let log = story.palisade.wait_access_log(10, |_| true);
    assert!(log[0].contains(r#""client":"1.2.3.4""#), "{}", log[0]);
}

#[test]
fn a_trusted_proxy_says_what_the_client_asked_of_it() {
    let story = Story::start(r#"server.trusted_proxies = ["127.0.0.0/8"]"#);
    let request = story.ask(
        "GET",
        "/",
        &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.test"), ("X-Forwarded-Port", "443")],
    );
    assert_eq!(request.headers.all("X-Forwarded-Proto"), ["https"]);
    assert_eq!(request.headers.all("X-Forwarded-Host"), ["shop.test"]);
    assert_eq!(request.headers.all("X-Forwarded-Port"), ["443"]);

    let silent = story.ask("GET", "/", &[("X-Forwarded-Proto", ""), ("X-Forwarded-Host", "")]);
    assert_eq!(silent.headers.all("X-Forwarded-Proto"), ["http"], "nothing is no answer");
    assert_eq!(silent.headers.all("X-Forwarded-Host"), ["localhost"]);
}

#[test]
fn rules_about_clients_look_at_the_believed_address_only() {
    let deny = r#"routes.deny = { clients = ["1.2.3.4"], respond = { status = 403 } }"#;
    let spoof = [("X-Forwarded-For", "1.2.3.4")];

    let story = Story::start(deny);
    assert_eq!(story.client().request("GET", "/", &spoof, b"").status, 200, "an untrusted word");
    let story = Story::start(&format!("{deny}\nserver.trusted_proxies = [\"127.0.0.1\"]"));
    assert_eq!(story.client().request("GET", "/", &spoof, b"").status, 403, "a trusted one");
    let behind_another = [("X-Forwarded-For", "1.2.3.4, 5.6.7.8")];
    assert_eq!(
        story.client().request("GET", "/", &behind_another, b"").status,
        200,
        "a stranger's word to a trusted one"
    );
}

#[test]
fn a_request_id_is_kept_from_trusted_proxies_else_made() {
    let story = Story::start("");
    let first = story.ask("GET", "/", &[("X-Request-ID", "mine")]);
    let second = story.ask("GET", "/", &[]);
    assert_eq!(first.headers.all("X-Request-ID").len(), 1);
    assert_ne!(first.header("X-Request-ID"), Some("mine"));
    assert_ne!(first.header("X-Request-ID"), second.header("X-Request-ID"));
    let log = story.palisade.wait_access_log(2, |_| true);
    assert!(log[0].contains(first.header("X-Request-ID").unwrap()), "the log has the id that the origin got");

    let story = Story::start(r#"server.trusted_proxies = ["127.0.0.1"]"#);
    assert_eq!(
        story.ask("GET", "/", &[("X-Request-ID", "abc-1.2:3")]).headers.all("X-Request-ID"),
        ["abc-1.2:3"]
    );
    for unfit in ["", "a b", "<script>", "\"quoted\"", &"a".repeat(65)] {
        let made = story.ask("GET", "/", &[("X-Request-ID", unfit)]);
        assert_eq!(made.headers.all("X-Request-ID")[0].len(), 32, "{unfit:?}");
    }
}

/// Row 33: nobody configured the PROXY protocol, so its header is a bad request like any other.
#[test]
fn a_proxy_protocol_header_is_no_way_in() {
    let story = Story::start("");
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x7f\0\0\x01\0\x50\0\x50";
    for header in [&b"PROXY TCP4 1.2.3.4 127.0.0.1 80 80\r\n"[..], b"PROXY UNKNOWN\r\n", second] {
        let mut client = story.client();
        client.send([header, request.as_bytes()].concat());
        assert_eq!(client.read_response().status, 400, "{}", header.escape_ascii());
        assert_eq!(client.read_to_end(), b"");
    }
    assert_eq!(story.origin.connections().len(), 0);
    story.ends_well();
}

// What stays on one connection

/// Row 29.
#[test]
fn fields_of_one_connection_are_not_passed_on() {
    let story = Story::start("");
    let mut client = story.client();
    let response = client.request(
        "GET",
        "/hop-by-hop",
        &[
            ("Connection", "close, X-Private, keep-alive"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic secret"),
            ("TE", "trailers, deflate"),
            ("Trailer", "X-Sum"),
            ("Upgrade", "foo"),
            ("X-Public", "1"),
        ],
        b"",
    );
    let request = story.origin.requests().pop().unwrap();
    for gone in ["X-Private", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Trailer", "Upgrade"] {
        assert_eq!(request.header(gone), None, "{gone} towards the origin");
    }
    assert_eq!(request.headers.all("TE"), ["trailers"]);
    assert_eq!(request.headers.all("Connection"), ["TE"]);
    assert_eq!(request.header("X-Public"), Some("1"));

    for gone in ["X-Private", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Trailer", "Upgrade"] {
        assert_eq!(response.header(gone), None, "{gone} towards the client");
    }
    assert_eq!(response.headers.all("Connection"), ["close"], "as this client asked");
    assert_eq!(response.header("X-Public"), Some("1"));
    story.ends_well();
}

/// Row 30.
#[test]
fn a_client_cannot_nominate_away_what_others_rely_on() {
    let story = Story::start("defaults.forwarded = true");
    let nominations = [
        "X-Forwarded-For, x-forwarded-host, X-FORWARDED-PROTO, X-Real-IP, X-Request-ID, Forwarded, Host, Content-Length",
        "AUTHORIZATION, Cookie, cookie, CDN-Loop, Content-Type, Via",
    ];
    for nomination in nominations {
        let fields = [
            ("Connection", nomination),
            ("Authorization", "Basic secret"),
            ("Cookie", "session=1"),
            ("Content-Type", "text/plain"),
            ("Via", "1.1 earlier"),
            ("X-Forwarded-For", "6.6.6.6"),
        ];
        let mut client = story.client();
        assert_eq!(client.request("POST", "/", &fields, b"hello").status, 200);
        let request = story.origin.requests().pop().unwrap();
        for (name, value) in [
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Host", "localhost"),
            ("X-Forwarded-Proto", "http"),
            ("X-Real-IP", "127.0.0.1"),
            ("Forwarded", r#"for=127.0.0.1;host="localhost";proto=http"#),
            ("Host", "localhost"),
            ("Content-Length", "5"),
            ("Authorization", "Basic secret"),
            ("Cookie", "session=1"),
            ("Content-Type", "text/plain"),
            ("Via", "1.1 earlier"),
        ] {
            assert_eq!(request.headers.all(name), [value], "{name} nominated by {nomination:?}");
        }
        assert_eq!(
            (request.headers.all("X-Request-ID").len(), request.headers.all("CDN-Loop").len()),
            (1, 1)
        );
        canary_on(&mut client, &story.origin);
    }
    let many: Vec<_> = (0..11).map(|number| format!("X-{number}")).collect();
    let mut client = story.client();
    let response = client.request("GET", "/", &[("Connection", &many.join(", "))], b"");
    assert_eq!((response.status, response.header("Connection")), (400, Some("close")));
    story.ends_well();
}

/// Row 34: an origin that puts fields into variables cannot tell `X_Auth_User` from `X-Auth-User`.
#[test]
fn names_with_underscores_are_left_out() {
    let story = Story::start("");
    let request = story.ask(
        "GET",
        "/",
        &[("X_Auth_User", "admin"), ("X-Auth_User", "admin"), ("_", "x"), ("X-Auth-User", "bob")],
    );
    assert_eq!(variables(&request).get("X_AUTH_USER"), Some(&vec!["bob".to_owned()]));
    assert!(request.headers.iter().all(|(name, _)| !name.contains('_')));
    story.ends_well();
}

/// Row 36: a rule about a field looks at each value on its own.
#[test]
fn a_rule_about_a_field_sees_every_value_of_it() {
    let story =
        Story::start(r#"routes.deny = { headers = { X-Role = "admin" }, respond = { status = 403 } }"#);
    for (roles, status) in [
        (&["admin"][..], 403),
        (&["user", "admin"], 403),
        (&["admin", "user"], 403),
        (&["user, admin"], 403),
        (&["user,admin ,x"], 403),
        (&["user"], 200),
        (&["administrator"], 200),
        (&[], 200),
    ] {
        let fields: Vec<_> = roles.iter().map(|role| ("x-role", *role)).collect();
        let mut client = story.client();
        assert_eq!(client.request("GET", "/", &fields, b"").status, status, "{roles:?}");
        canary_on(&mut client, &story.origin);
    }
}

// What it never says

/// Row 39.
#[test]
fn error_pages_name_no_upstream() {
    let mut gone = Origin::echo();
    let address = gone.address().to_string();
    gone.stop();
    let story = Story::start(&format!(
        "upstreams.internal.endpoints = [\"{address}\"]\nroutes.internal = {{ path = \"/internal\", upstream = \"internal\" }}"
    ));
    for accept in ["text/html", "application/json", "text/plain"] {
        let mut client = story.client();
        let response =
            client.request("GET", "/internal?secret", &[("Accept", accept), ("X-Probe", "<probe>")], b"");
        assert_eq!(response.status, 502);
        assert!(response.header("Content-Type").unwrap().contains(accept.split('/').nth(1).unwrap()));
        let port = address.rsplit(':').next().unwrap();
        for hidden in [port, "internal", "127.0.0.1", "refused", "secret", "probe", "palisade"] {
            let shown = format!("{}{}", response.head, response.text()).to_lowercase();
            assert!(!shown.contains(hidden), "{hidden:?} in {shown}");
        }
        canary_on(&mut client, &story.origin);
    }
    let lines = story.palisade.wait_access_log(3, |line| line.contains("upstream_connect_refused"));
    assert!(lines[0].contains(&address), "the operator is told: {}", lines[0]);
}

#[test]
fn a_log_line_is_one_line_whatever_a_client_sends() {
    let story = Story::start("");
    let hostile = "\u{9b}2J\"\\é".as_bytes();
    let mut client = story.client();
    client.send(
        [
            b"GET /?\"\\<> HTTP/1.1\r\nHost: a\r\nUser-Agent: ",
            hostile,
            b"\xff\t\r\nReferer: ",
            "x".repeat(9000).as_bytes(),
            b"\r\n\r\n",
        ]
        .concat(),
    );
    assert_eq!(client.read_response().status, 200);
    let line = &story.palisade.wait_access_log(1, |_| true)[0];
    let object: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(object["user_agent"], "\u{9b}2J\"\\é\u{fffd}");
    assert_eq!(object["target"], "/?\"\\<>");
    assert!(line.bytes().all(|byte| byte >= b' '), "{}", line.escape_debug());
    assert!(!line.contains('\u{9b}') && line.len() < 6000, "{line}");
    // ESC and the like do not get past the parser, so not into the log either.
    client.send("GET /\x1b[2J HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[2J\r\n\r\n");
    assert_eq!(client.read_response().status, 400);
    let line = &story.palisade.wait_access_log(1, |line| line.contains("reason"))[0];
    assert!(line.contains("bad_") && !line.contains('\x1b'), "{line}");
    story.ends_well();
}

#[test]
fn the_combined_log_cannot_be_broken_out_of_either() {
    let story = Story::start(r#"log.format = "combined""#);
    let mut client = story.client();
    client.send(
        b"GET /?\"x\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: a\" 200 5 \"\xff\t\r\nReferer: \xc2\x9b2J\r\n\r\n",
    );
    assert_eq!(client.read_response().status, 200);
    let line = &story.palisade.wait_access_log(1, |_| true)[0];
    let end = r#""GET /?\x22x\x5C HTTP/1.1" 200 "#;
    assert!(line.starts_with("127.0.0.1 - - [") && line.contains(end), "{line}");
    assert!(line.ends_with(r#" "\xC2\x9B2J" "a\x22 200 5 \x22\xFF""#), "{line}");
    story.ends_well();
}

// The stage

/// One proxy before an echo service, with what a test configures besides.
struct Story {
    palisade: Palisade,
    origin: Origin,
}

impl Story {
    fn start(settings: &str) -> Story {
        let origin = Origin::scripted(|request, _| match request.target.as_str() {
            "/hop-by-hop" => Script::answer_with(200, HOP_BY_HOP, "ok"),
            _ => Script::echo(request),
        });
        let config = format!(
            r#"
            listeners.http.address = "127.0.0.1:0"
            log.access = "{{dir}}/access.log"
            server.workers = 1
            upstreams.origin.endpoints = ["{}"]
            routes.all.upstream = "origin"
            routes.stream = {{ path = "/stream", upstream = "origin", request_body = "stream" }}
            {settings}
            "#,
            origin.address()
        );
        Story { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    fn client(&self) -> Client {
        Client::connect(self.palisade.address("http"))
    }

    /// What the origin gets of a request.
    #[track_caller]
    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> RecordedRequest {
        assert_eq!(self.client().request(method, target, fields, b"").status, 200);
        self.origin.requests().pop().expect("the request arrived")
    }

    #[track_caller]
    fn ask_raw(&self, request: &str) -> RecordedRequest {
        let mut client = self.client();
        client.send(request);
        assert_eq!(client.read_response().status, 200, "{request}");
        self.origin.requests().pop().expect("the request arrived")
    }

    #[track_caller]
    fn ends_well(&self) {
        canary(self.palisade.address("http"), &self.origin);
    }
}

/// What an origin should not say to the client of a proxy.
const HOP_BY_HOP: &[(&str, &str)] = &[
    ("Connection", "X-Private"),
    ("X-Private", "1"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Proxy-Authenticate", "Basic"),
    ("Trailer", "X-Sum"),
    ("Upgrade", "foo"),
    ("X-Public", "1"),
];

/// Fields that only a proxy may write.
const OWNED: [&str; 12] = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "X-Request-ID",
    "Forwarded",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Client-Cert-Subject",
    "Early-Data",
];

/// Lines with which a client may try to pass for somebody else.
fn spellings(name: &str) -> Vec<String> {
    let upper = name.to_uppercase();
    let lower = name.to_lowercase();
    vec![
        format!("{name}: evil"),
        format!("{lower}: evil"),
        format!("{upper}: evil"),
        format!("{}: evil", name.replace('-', "_")),
        format!("{}: evil", name.replacen('-', "_", 1)),
        format!("{name}: evil\r\n{name}: evil"),
        format!("{name}: evil\r\n{lower}: evil\r\n{}: evil", name.replace('-', "_")),
        format!("{name}:"),
        format!("{name}:evil   "),
        format!("{name}: evil, 1.2.3.4"),
        format!("{name}: {}", "evil, ".repeat(2000)),
        format!("Connection: {name}\r\n{name}: evil"),
        format!("Connection: {lower}"),
        format!("Connection: close, {upper}\r\n{lower}: evil"),
    ]
}

#[track_caller]
fn assert_owned_fields_are_ours(request: &RecordedRequest, line: &str) {
    let variables = variables(request);
    let id = request.header("X-Request-ID").unwrap_or_default().to_owned();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}: id {id:?}");
    for name in OWNED {
        let expected = match name {
            "X-Forwarded-For" | "X-Real-IP" => vec!["127.0.0.1".to_owned()],
            "X-Forwarded-Host" => vec!["shop.test".to_owned()],
            "X-Forwarded-Proto" => vec!["http".to_owned()],
            "X-Request-ID" => vec![id.clone()],
            _ => Vec::new(),
        };
        let found = variables.get(&variable(name)).cloned().unwrap_or_default();
        assert_eq!(found, expected, "{name} after {line}");
    }
}

/// The fields as many origins see them: as variables, in which `-` and `_` are one.
fn variables(request: &RecordedRequest) -> BTreeMap<String, Vec<String>> {
    let mut variables = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in request.headers.iter() {
        variables.entry(variable(name)).or_default().push(value.clone());
    }
    variables
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
