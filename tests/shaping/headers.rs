//! `request_headers` and `response_headers`.

use testkit::{Client, Origin, Palisade, Script};

use super::stage::Stage;

#[test]
fn the_origin_gets_what_the_route_sets_adds_and_leaves() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.all]
        upstream = "origin"
        [routes.all.request_headers]
        set = { X-Client = "{client_ip}", X-Whole = "{method} {scheme}://{host}{target}", User-Agent = "palisade", X-Page = "{query.page}", X-User = "{cookie.user}", X-Gone = "{header.X-None}" }
        default = { X-Kind = "plain", X-Tenant = "none" }
        add = { X-Seen = "here" }
        remove = ["X-Secret-*", "Accept-Language"]
        rewrite = [{ name = "X-Version", regex = "^v([0-9]+)$", to = "$1.0" }]
        "#,
    );
    let fields = [
        ("Host", "shop.test"),
        ("User-Agent", "curl"),
        ("X-Client", "6.6.6.6"),
        ("X-Secret-Key", "k"),
        ("Accept-Language", "de"),
        ("X-Version", "v2"),
        ("X-Tenant", "acme"),
        ("X-Seen", "there"),
        ("X-Gone", "there"),
        ("Cookie", "a=1; user=eve"),
    ];
    assert_eq!(stage.get("/a?page=7", &fields).status, 200);
    let headers = stage.arrived().headers;
    for (name, expected) in [
        ("X-Client", &["127.0.0.1"][..]),
        ("X-Whole", &["GET http://shop.test/a?page=7"]),
        ("User-Agent", &["palisade"]),
        ("X-Page", &["7"]),
        ("X-User", &["eve"]),
        ("X-Kind", &["plain"]),
        ("X-Tenant", &["acme"]),
        ("X-Seen", &["there", "here"]),
        ("X-Secret-Key", &[]),
        ("Accept-Language", &[]),
        ("X-Version", &["2.0"]),
        ("X-Gone", &[]),
    ] {
        assert_eq!(headers.all(name), expected, "{name}");
    }
}

/// By its beginning a field is taken off as by its name.
#[test]
fn a_beginning_takes_off_what_the_proxy_would_say() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.all]
        upstream = "origin"
        request_headers = { remove = ["X-Forwarded-*", "forw*"] }
        [routes.most]
        path = "/most"
        upstream = "origin"
        request_headers = { remove = ["X-*"], set = { X-Real-IP = "{client_ip}" } }
        "#,
    );
    let told = |target: &str| {
        stage.get(target, &[("Host", "shop.test"), ("X-Forwarded-For", "6.6.6.6"), ("X-Any", "x")]);
        let headers = stage.arrived().headers;
        let names = [
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Real-IP",
            "X-Request-ID",
            "X-Any",
        ];
        names.map(|name| headers.all(name).len())
    };
    assert_eq!(told("/"), [0, 0, 0, 1, 1, 1]);
    assert_eq!(told("/most"), [0, 0, 0, 1, 0, 0]);
}

/// What only a proxy may say is the route's to say, and nobody else's.
#[test]
fn a_route_may_say_itself_who_asks() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.own]
        upstream = "origin"
        request_headers = { set = { X-Forwarded-For = "203.0.113.9", X-Forwarded-Proto = "https", X-Forwarded-Prefix = "/app", X-Request-ID = "{now.unix}-{request_id}" }, remove = ["X-Real-IP"] }
        "#,
    );
    let claims = [
        ("Host", "shop.test"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Forwarded-Proto", "evil"),
        ("X-Real-IP", "6.6.6.6"),
        ("X-Request-ID", "evil"),
        // A client names what it wants removed (RFC 9110 section 7.6.1): not what the proxy says.
        ("Connection", "X-Forwarded-Prefix, X-Forwarded-For, X-Request-ID"),
    ];
    stage.get("/", &claims);
    let headers = stage.arrived().headers;
    assert_eq!(headers.all("X-Forwarded-For"), ["203.0.113.9"]);
    assert_eq!(headers.all("X-Forwarded-Proto"), ["https"]);
    assert_eq!(headers.all("X-Forwarded-Prefix"), ["/app"]);
    assert_eq!(headers.all("X-Forwarded-Host"), ["shop.test"], "the rest is told as ever");
    assert_eq!(headers.all("X-Real-IP"), [""; 0]);
    assert!(headers.all("X-Request-ID")[0].contains('-'));
    assert_eq!(headers.all("X-Request-ID").len(), 1);
}

#[test]
fn the_client_gets_what_the_route_makes_of_an_answer() {
    let origin = Origin::scripted(|request, _| {
        let fields = [
            ("Server", "secret/1.0"),
            ("X-Powered-By", "php"),
            ("X-Internal-Node", "7"),
            ("Content-Type", "text/html"),
            ("Connection", "X-Served-By"),
            ("X-Served-By", "origin"),
        ];
        Script::answer_with(if request.target == "/missing" { 404 } else { 200 }, &fields, "body")
    });
    let stage = Stage::new(
        origin,
        r#"
        [routes.all]
        upstream = "origin"
        strip_prefix = "/app"
        response_headers = [
          { set = { X-Served-By = "{upstream} {upstream.name} {route}", X-Status = "{status}" }, remove = ["Server", "X-Powered-By", "X-Internal-*"] },
          { set = { X-Missing = "yes" }, when = { status = ["404"] } },
          { set = { X-Html = "yes" }, when = { content_type = ["text/html"], methods = ["GET"] } },
        ]
        "#,
    );
    let answer = stage.get("/app/found", &[("Host", "a")]);
    let served_by = format!("{} origin all", stage.origin.address());
    assert_eq!(answer.header("X-Served-By"), Some(served_by.as_str()));
    assert_eq!(answer.header("X-Status"), Some("200"));
    assert_eq!(answer.header("X-Html"), Some("yes"));
    for gone in ["Server", "X-Powered-By", "X-Internal-Node", "X-Missing"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(answer.text(), "body");
    let answer = stage.get("/app/missing", &[("Host", "a")]);
    assert_eq!((answer.status, answer.header("X-Missing")), (404, Some("yes")));
    let answer = stage.client().request("POST", "/app/found", &[("Host", "a")], b"");
    assert_eq!(answer.header("X-Html"), None);
}

/// Path, fields and query are what the client sent, whatever the proxy makes of them on the way.
#[test]
fn a_change_is_made_where_path_fields_and_query_say_so() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.api]
        path = "/api"
        upstream = "origin"
        strip_prefix = true
        rewrite_location = false
        request_headers = [
          { remove = ["X-Beta", "X-Team"], set = { X-Area = "beta" }, when = { headers = { X-Beta = true, X-Team = "red" } } },
          { set = { X-Area = "admin" }, when = { path = "/api/admin" } },
          { set = { X-Page = "first" }, when = { query = { page = "1 a" } } },
          { set = { X-Bare = "yes" }, when = { query = { page = false } } },
        ]
        response_headers = [
          { set = { X-Was = "beta" }, when = { headers = { X-Beta = { regex = "^[0-9]+$" } } } },
          { set = { X-Was = "admin" }, when = { path_regex = "^/api/admin", query = { page = true } } },
          { set = { X-Exact = "yes" }, when = { path_exact = "/api/admin" } },
        ]
        [defaults]
        response_headers = { set = { X-Lost = "yes" }, when = { path = "/lost" } }
        "#,
    );
    let beta: &[(&str, &str)] = &[("Host", "a"), ("X-Beta", "7"), ("X-Team", "blue, red")];
    let none: &[(&str, &str)] = &[("Host", "a")];
    for (target, fields, [area, page, bare], [was, exact, lost]) in [
        ("/api/x", none, ["", "", "yes"], ["", "", ""]),
        ("/api/x", beta, ["beta", "", "yes"], ["beta", "", ""]),
        ("/api/x", &beta[..2], ["", "", "yes"], ["beta", "", ""]),
        ("/api/admin", none, ["admin", "", "yes"], ["", "yes", ""]),
        ("/api/%61dmin;v=1/x?page=1+a", none, ["admin", "first", ""], ["admin", "", ""]),
        ("/api/admins", none, ["", "", "yes"], ["", "", ""]),
        ("http://a/api/admin?page=1%20a", beta, ["admin", "first", ""], ["admin", "yes", ""]),
        ("/lost/x", none, ["", "", ""], ["", "", "yes"]),
        ("/losts", none, ["", "", ""], ["", "", ""]),
    ] {
        let answer = stage.get(target, fields);
        let told = |name: &str| answer.header(name).unwrap_or_default();
        assert_eq!([told("X-Was"), told("X-Exact"), told("X-Lost")], [was, exact, lost], "{target}");
        if answer.status == 200 {
            let headers = stage.arrived().headers;
            let got = |name: &str| headers.all(name).concat();
            assert_eq!([got("X-Area"), got("X-Page"), got("X-Bare")], [area, page, bare], "{target}");
        }
    }
}

/// Failures, redirects and fixed answers are answers like any other; what `[defaults]` says holds unless a route
/// does not want it.
#[test]
fn every_answer_of_a_route_is_changed() {
    let mut stage = Stage::new(
        Origin::echo(),
        r#"
        [defaults]
        response_headers = { set = { X-Default = "yes" } }
        request_headers = { set = { X-Default = "yes" } }
        [routes.all]
        upstream = "origin"
        response_headers = { set = { X-Own = "{status}" } }
        [routes.bare]
        path = "/bare"
        upstream = "origin"
        response_headers = false
        request_headers = false
        [routes.fixed]
        path = "/fixed"
        respond = { status = 403, body = "no" }
        [routes.old]
        path = "/old"
        redirect = "/new"
        "#,
    );
    let get = |stage: &Stage, path: &str| stage.get(path, &[("Host", "a")]);
    assert_eq!(get(&stage, "/").header("X-Default"), Some("yes"));
    assert_eq!(stage.arrived().headers.all("X-Default"), ["yes"]);
    assert_eq!(get(&stage, "/").header("X-Own"), Some("200"));
    assert_eq!(get(&stage, "/bare").header("X-Default"), None);
    assert_eq!(stage.arrived().headers.all("X-Default"), [""; 0]);
    assert_eq!(get(&stage, "/fixed").header("X-Default"), Some("yes"));
    assert_eq!(get(&stage, "/old").header("X-Default"), Some("yes"));
    stage.origin.stop();
    let failed = get(&stage, "/");
    assert_eq!(
        (failed.status, failed.header("X-Own"), failed.header("X-Default")),
        (502, Some("502"), Some("yes"))
    );
}

/// A client can put nothing into an answer that ends a field (SECURITY row 38 in short): what it sends is either
/// refused or stays within its value.
#[test]
fn nothing_that_a_client_sends_ends_a_field() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [routes.all]
        upstream = "origin"
        response_headers = { set = { X-Echo = "[{path}{query}{query.q}{cookie.c}{header.X-In}{host}{authority}{target}]" } }
        "#,
    );
    for target in ["/x%0d%0aSet-Cookie:a=b", "/?q=%0d%0aSet-Cookie:a=b", "/?q=%00", "/%00", "/?q=a%0Ab"] {
        let answer = stage.get(target, &[("Host", "a"), ("Cookie", "c=%0d%0aSet-Cookie: a=b")]);
        assert_eq!(answer.header("Set-Cookie"), None, "{target}");
        if answer.status == 200 {
            let echoed = answer.header("X-Echo").expect("the field");
            assert!(echoed.starts_with('[') && echoed.ends_with(']'), "{echoed}");
        }
    }
}

#[test]
fn http2_clients_get_the_same() {
    let origin = Origin::echo();
    let config = format!(
        r#"
        [listeners.http]
        address = "127.0.0.1:0"
        http2 = true
        [upstreams.origin]
        endpoints = ["{}"]
        [routes.all]
        upstream = "origin"
        request_headers = {{ set = {{ X-Protocol = "{{protocol}}", X-Forwarded-For = "203.0.113.9" }} }}
        response_headers = {{ set = {{ X-Protocol = "{{protocol}}" }}, remove = ["Server"] }}
        "#,
        origin.address()
    );
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    let mut client = testkit::H2Client::connect(palisade.address("http"));
    let answer = client.get("/");
    assert_eq!(answer.header("x-protocol"), Some("HTTP/2"));
    let arrived = origin.requests().pop().expect("a request");
    assert_eq!(arrived.headers.all("X-Protocol"), ["HTTP/2"]);
    assert_eq!(arrived.headers.all("X-Forwarded-For"), ["203.0.113.9"]);
    let mut plain = Client::connect(palisade.address("http"));
    assert_eq!(plain.get("/").header("X-Protocol"), Some("HTTP/1.1"));
}

/// A certificate may say what no field can hold. It is left out, and counted.
#[test]
fn a_value_that_would_end_a_field_is_left_out_and_counted() {
    use testkit::{Authority, Leaf, TlsClient};
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let dir = testkit::temp_dir();
    let files = servers.issue(Leaf::server(&["shop.test"])).write_to(&dir, "shop");
    let origin = Origin::echo();
    let config = format!(
        r#"
        admin.address = "127.0.0.1:0"
        certificates.shop = {{ certificate = "{}", key = "{}" }}
        upstreams.origin.endpoints = ["{}"]
        [listeners.https]
        address = "127.0.0.1:0"
        tls = true
        client_ca = "{}"
        client_auth = "required"
        [routes.all]
        upstream = "origin"
        request_headers = {{ set = {{ X-Subject = "{{tls.client.subject}}", X-San = "{{tls.client.san}}", X-Fine = "1" }} }}
        "#,
        files.certificate.display(),
        files.key.display(),
        origin.address(),
        clients.write_to(&dir, "clients").display(),
    );
    let palisade = Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config);
    let evil = clients.issue(Leaf::client("evil").uri("urn:x\r\nX-Role: admin"));
    let tls = TlsClient::trusting(&servers, "shop.test").certificate(&evil);
    let mut client = Client::connect_tls(palisade.address("https"), &tls);
    assert_eq!(client.request("GET", "/", &[("Host", "shop.test"), ("X-San", "claimed")], b"").status, 200);
    let headers = origin.requests().pop().expect("a request").headers;
    assert_eq!(headers.all("X-Role"), [""; 0]);
    assert_eq!(headers.all("X-San"), [""; 0], "nor what the client claims");
    assert_eq!((headers.all("X-Fine"), headers.all("X-Subject")), (vec!["1"], vec!["CN=evil"]));
    let page = Client::connect(palisade.address("admin")).get("/metrics").text().to_owned();
    assert!(page.contains("palisade_header_values_dropped_total 1"), "{page}");
}

#[test]
fn answers_without_a_route_have_what_the_defaults_say() {
    let stage = Stage::new(
        Origin::echo(),
        r#"
        [defaults]
        security_headers = true
        response_headers = { set = { X-Status = "{status}{route}" } }
        [routes.shop]
        host = "shop.test"
        upstream = "origin"
        "#,
    );
    let answer = stage.get("/", &[("Host", "other.test")]);
    assert_eq!((answer.status, answer.header("X-Status")), (404, Some("404")));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
}
