//! From `http` to `https`, and staying there.

use std::net::TcpListener;

use testkit::{Client, H2Client, Origin, Palisade, Script};

use crate::Site;
use crate::site::BINARY;

#[test]
fn a_listener_sends_everybody_to_https() {
    let site = Site::new();
    // It is told to clients, so it must be in the configuration.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = "[listeners.plain]\naddress = \"127.0.0.1:0\"\nredirect_to_https = true\nhttp2 = true\n";
    let config = site.config("tls = true", plain).replacen(
        "[listeners.https]\n            address = \"127.0.0.1:0\"",
        &format!("[listeners.https]\n            address = \"127.0.0.1:{port}\""),
        1,
    );
    let palisade = Palisade::start(BINARY, &config);
    assert_eq!(palisade.address("https").port(), port);
    let mut client = Client::connect(palisade.address("plain"));
    for (method, target, host, expected) in [
        ("GET", "/", "open.test", "https://open.test:PORT/"),
        ("GET", "/a/b?c=d&e", "open.test:8080", "https://open.test:PORT/a/b?c=d&e"),
        ("DELETE", "/a%20b", "protected.test", "https://protected.test:PORT/a%20b"),
    ] {
        let answer = client.request(method, target, &[("Host", host)], b"");
        let expected = expected.replace("PORT", &port.to_string());
        assert_eq!((answer.status, answer.header("Location")), (308, Some(expected.as_str())));
        assert_eq!(answer.header("Strict-Transport-Security"), None);
    }
    let mut posting = Client::connect(palisade.address("plain"));
    let answer = posting.request("POST", "/form", &[("Host", "open.test")], b"a=b");
    assert_eq!(answer.status, 308);

    let mut old = Client::connect(palisade.address("plain"));
    old.send("GET /old HTTP/1.0\r\nHost: open.test\r\n\r\n");
    let answer = old.read_response();
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("Location"), Some(format!("https://open.test:{port}/old").as_str()));
    // Nobody knows where to send this one.
    let mut nameless = Client::connect(palisade.address("plain"));
    nameless.send("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(nameless.read_response().status, 400);

    let mut http2 = H2Client::connect(palisade.address("plain"));
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", "open.test"), (":path", "/2?x")];
    let stream = http2.open_with(&fields, true);
    let answer = http2.response(stream);
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some(format!("https://open.test:{port}/2?x").as_str()));
    assert_eq!(site.origin.requests().len(), 0);
}

#[test]
fn every_answer_over_tls_says_hsts_once() {
    let mut site = Site::new();
    site.origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/own" => Script::answer_with(200, &[("Strict-Transport-Security", "max-age=1")], "own"),
        _ => Script::answer(200, "here"),
    });
    let more = "[listeners.http]\naddress = \"127.0.0.1:0\"\n[routes.gone]\npath = \"/gone\"\n\
                respond = { status = 410 }\n";
    let palisade = site.start("tls = { hsts = { max_age = \"1h\", include_subdomains = true } }", more);
    let ours = "max-age=3600; includeSubDomains";
    let values = |answer: &testkit::Response| -> Vec<String> {
        let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(name, _)| name.eq_ignore_ascii_case("strict-transport-security"));
        named.map(|(_, value)| value.to_owned()).collect()
    };
    for (request, status, expected) in [
        ("GET / HTTP/1.1\r\nHost: open.test\r\n\r\n", 200, ours),
        ("GET /own HTTP/1.1\r\nHost: open.test\r\n\r\n", 200, "max-age=1"),
        ("GET /gone HTTP/1.1\r\nHost: open.test\r\n\r\n", 410, ours),
        ("GET / HTTP/1.1\r\nHost: protected.test\r\n\r\n", 421, ours),
        ("GET /%zz HTTP/1.1\r\nHost: open.test\r\n\r\n", 400, ours),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, ours),
    ] {
        let mut client = Client::connect_tls(palisade.address("https"), &site.client("open.test"));
        client.send(request);
        let answer = client.read_response();
        assert_eq!((answer.status, values(&answer)), (status, vec![expected.to_owned()]), "{request:?}");
    }
    let mut http2 = H2Client::connect_tls(palisade.address("https"), &site.client("open.test"));
    for (host, path, status, expected) in [
        ("open.test", "/", 200, ours),
        ("open.test", "/own", 200, "max-age=1"),
        ("protected.test", "/", 421, ours),
    ] {
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", path)];
        let stream = http2.open_with(&fields, true);
        let answer = http2.response(stream);
        assert_eq!((answer.status, answer.header("strict-transport-security")), (status, Some(expected)));
    }
    // Over plain HTTP it must not be said (RFC 6797 section 7.2), wherever that is spoken.
    for listener in ["http", "https"] {
        let mut plain = Client::connect(palisade.address(listener));
        plain.send("GET / HTTP/1.1\r\nHost: open.test\r\n\r\n");
        assert_eq!(plain.read_response().header("Strict-Transport-Security"), None, "{listener}");
    }
}
