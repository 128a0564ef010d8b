//! What a server is told of a request.

use testkit::{FastCgiRequest, H2Client};

use crate::stage::{Stage, plain};

fn param<'r>(request: &'r FastCgiRequest, name: &str) -> &'r str {
    request.param(name).unwrap_or("(not there)")
}

#[test]
fn a_server_is_told_what_others_tell_it_too() {
    let stage = Stage::new(|_, _| plain("yes"));
    let port = stage.front().port().to_string();
    let host = format!("Shop.Test:{port}");
    let mut client = stage.client();
    client.send(format!(
        "POST /app/a.php/in%20fo/%C3%A4?q=1&r=%20 HTTP/1.1\r\nHost: {host}\r\nContent-Type: a/b\r\n\
         Content-Length: 4\r\nAccept-Language: de\r\nX-Two: 1\r\nx-two: 2\r\nCookie: a=1\r\ncookie: b=2\r\n\
         Authorization: Basic eA==\r\nConnection: X-Nominated\r\nX-Nominated: 1\r\n\r\nbody"
    ));
    assert_eq!(client.read_response().text(), "yes");
    let request = stage.server.requests().remove(0);
    let mut found = request.params.clone();
    found.retain(|(name, _)| !matches!(name.as_str(), "HTTP_X_REQUEST_ID" | "HTTP_CDN_LOOP"));
    found.sort();
    let mut expected = [
        ("CONTENT_LENGTH", "4"),
        ("CONTENT_TYPE", "a/b"),
        ("DOCUMENT_ROOT", "/srv/www"),
        ("DOCUMENT_URI", "/app/a.php/in fo/ä"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_ACCEPT_LANGUAGE", "de"),
        ("HTTP_AUTHORIZATION", "Basic eA=="),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_HOST", &host),
        ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
        ("HTTP_X_FORWARDED_HOST", &host),
        ("HTTP_X_FORWARDED_PROTO", "http"),
        ("HTTP_X_REAL_IP", "127.0.0.1"),
        ("HTTP_X_TWO", "1, 2"),
        ("PATH_INFO", "/in fo/ä"),
        ("QUERY_STRING", "q=1&r=%20"),
        ("REDIRECT_STATUS", "200"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/app/a.php/in%20fo/%C3%A4?q=1&r=%20"),
        ("SCRIPT_FILENAME", "/srv/www/app/a.php"),
        ("SCRIPT_NAME", "/app/a.php"),
        ("SERVER_NAME", "shop.test"),
        ("SERVER_PORT", &port),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "palisade"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(request.body, b"body");
    stage.canary();
}

#[test]
fn what_is_not_there_is_not_told() {
    let stage = Stage::new(|_, _| plain("yes"));
    assert_eq!(stage.client().get("/a.php").status, 200);
    let request = stage.server.requests().remove(0);
    for name in ["CONTENT_LENGTH", "CONTENT_TYPE", "PATH_INFO", "HTTPS"] {
        assert_eq!(request.param(name), None, "{name}");
    }
    assert_eq!(request.param("QUERY_STRING"), Some(""));
}

#[test]
fn versions_are_told() {
    let stage = Stage::new(|_, _| plain("yes"));
    let mut client = stage.client();
    client.send("GET /old.php HTTP/1.0\r\n\r\n");
    assert_eq!(client.read_response().text(), "yes");
    let response = H2Client::connect(stage.front()).get("/new.php");
    assert_eq!((response.status, response.text()), (200, "yes"));
    let requests = stage.server.requests();
    assert_eq!(param(&requests[0], "SERVER_PROTOCOL"), "HTTP/1.0");
    assert_eq!(param(&requests[0], "SERVER_NAME"), "localhost");
    assert_eq!(param(&requests[0], "SERVER_PORT"), "80");
    assert_eq!(requests[0].param("HTTP_HOST"), None);
    assert_eq!(param(&requests[1], "SERVER_PROTOCOL"), "HTTP/2.0");
}

#[test]
fn https_is_what_a_trusted_proxy_says() {
    let trusted = Stage::before(
        testkit::FastCgi::start(|_, _| plain("yes")),
        "server.trusted_proxies = [\"127.0.0.0/8\"]",
    );
    let fields = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.7"), ("Host", "a.test")];
    let ask = |stage: &Stage| {
        let mut client = stage.client();
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        client.send(format!("GET /a.php HTTP/1.1\r\n{lines}\r\n"));
        assert_eq!(client.read_response().status, 200);
        stage.server.requests().remove(0)
    };
    let request = ask(&trusted);
    assert_eq!((param(&request, "HTTPS"), param(&request, "REQUEST_SCHEME")), ("on", "https"));
    assert_eq!((param(&request, "SERVER_PORT"), param(&request, "REMOTE_ADDR")), ("443", "192.0.2.7"));
    let request = ask(&Stage::new(|_, _| plain("yes")));
    assert_eq!((request.param("HTTPS"), param(&request, "REQUEST_SCHEME")), (None, "http"));
    assert_eq!((param(&request, "SERVER_PORT"), param(&request, "REMOTE_ADDR")), ("80", "127.0.0.1"));
    assert_eq!(param(&request, "HTTP_X_FORWARDED_PROTO"), "http");
}

#[test]
fn variables_of_the_operator_are_told_once() {
    let server = testkit::FastCgi::start(|_, _| plain("yes"));
    let more = format!(
        r#"
        upstreams.own.endpoints = ["{}"]
        upstreams.own.protocol = "fastcgi"
        upstreams.own.fastcgi = {{ root = "/srv/own/", params = {{ APP_ENV = "prod", SERVER_NAME = "shop.example", WHO = "{{client_ip}} {{method}} {{route}} {{protocol}} {{header.X-A}}" }} }}
        routes.own = {{ path = "/own", upstream = "own", upstream_host = "inside.test", request_headers = {{ set = {{ Content-Type = "c/d", X-Set = "s" }} }} }}
        "#,
        server.address()
    );
    let stage = Stage::before(server, &more);
    let fields = [("X-A", "a"), ("Content-Type", "a/b"), ("X-Set", "client")];
    assert_eq!(stage.client().request("GET", "/own/", &fields, b"").status, 200);
    let request = stage.server.requests().remove(0);
    for (name, value) in [
        ("APP_ENV", "prod"),
        ("SERVER_NAME", "shop.example"),
        ("WHO", "127.0.0.1 GET own HTTP/1.1 a"),
        ("HTTP_HOST", "inside.test"),
        ("CONTENT_TYPE", "c/d"),
        ("HTTP_X_SET", "s"),
        ("SCRIPT_FILENAME", "/srv/own/own/index.php"),
    ] {
        assert_eq!(param(&request, name), value, "{name}");
    }
    assert_eq!(stage.server.violations(), [""; 0]);
}

#[test]
fn paths_lead_to_scripts() {
    let stage = Stage::new(|_, _| plain("yes"));
    let mut client = stage.client();
    for (target, file, name) in [
        ("/", "/srv/www/index.php", "/index.php"),
        ("/a/b/", "/srv/www/a/b/index.php", "/a/b/index.php"),
        ("/a//./c/../b.php", "/srv/www/a/b.php", "/a/b.php"),
        ("/%61.php", "/srv/www/a.php", "/a.php"),
        ("/a.php/b.php", "/srv/www/a.php", "/a.php"),
        ("/front/news?id=1", "/front.php", "/front.php"),
        ("/front/", "/front.php", "/front.php"),
        ("/front/a.php", "/front/a.php", "/front/a.php"),
    ] {
        let before = stage.server.requests().len();
        assert_eq!(client.get(target).status, 200, "{target}");
        let request = stage.server.requests().remove(before);
        assert_eq!(
            (param(&request, "SCRIPT_FILENAME"), param(&request, "SCRIPT_NAME")),
            (file, name),
            "{target}"
        );
        assert_eq!(
            request.connection,
            usize::from(target.starts_with("/front")),
            "one is kept for each upstream"
        );
    }
    let request = stage.server.requests().pop().unwrap();
    assert_eq!((param(&request, "DOCUMENT_ROOT"), param(&request, "REQUEST_URI")), ("/", "/front/a.php"));
}

/// A process of php-fpm is taken for as long as a connection to it is open.
#[test]
fn connections_are_kept_only_where_that_is_asked_for() {
    let server = testkit::FastCgi::start(|_, _| plain("yes"));
    let more = format!(
        r#"
        upstreams.single = {{ endpoints = ["{}"], protocol = "fastcgi", fastcgi = {{ root = "/" }} }}
        routes.single = {{ path = "/single", upstream = "single" }}
        "#,
        server.address()
    );
    let stage = Stage::before(server, &more);
    let mut client = stage.client();
    for number in 0..3 {
        assert_eq!(client.get("/single/a.php").text(), "yes");
        let request = stage.server.requests().pop().unwrap();
        assert_eq!((request.keeps, request.connection), (false, number));
        assert_eq!(client.get("/single/a").status, 404);
        testkit::poll_until(crate::stage::SOON, "the close", || stage.server.open_connections() == 0);
    }
    assert_eq!(stage.server.connections().len(), 3, "what leads to no script needs none");
    for _ in 0..3 {
        assert_eq!(client.get("/a.php").text(), "yes");
        let request = stage.server.requests().pop().unwrap();
        assert_eq!((request.keeps, request.connection), (true, 3));
    }
}

#[test]
fn bodies_come_whole_and_with_their_length() {
    let stage = Stage::new(|_, _| plain("yes"));
    let mut client = stage.client();
    // What would be an answer, or another request, were a length of it cut down.
    let fake = testkit::fastcgi::answer("Status: 500\r\n\r\n");
    let mut long = vec![b'x'; 99_000];
    for at in [0, 65_528, 65_535, 65_536, 99_000 - fake.len()] {
        long[at..at + fake.len()].copy_from_slice(&fake);
    }
    for body in [&b""[..], b"a", &long[..65_535], &long[..65_536], &long] {
        for (target, chunked) in
            [("/a.php", false), ("/a.php", true), ("/stream/a.php", false), ("/stream/a.php", true)]
        {
            let before = stage.server.requests().len();
            let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\n");
            let request = match chunked {
                false => [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
                true => {
                    let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                    for piece in body.chunks(30_000) {
                        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                        bytes.extend_from_slice(piece);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    [bytes, b"0\r\n\r\n".to_vec()].concat()
                }
            };
            client.send(request);
            assert_eq!(client.read_response().status, 200, "{target} {chunked} {}", body.len());
            let request = stage.server.requests().remove(before);
            assert!(request.body == body, "{target} {chunked} {}", body.len());
            assert_eq!(param(&request, "CONTENT_LENGTH"), body.len().to_string());
            assert!(request.pieces.iter().all(|piece| *piece <= 32 << 10));
        }
    }
    stage.canary();
}
