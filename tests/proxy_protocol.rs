//! The PROXY protocol from trusted proxies: whom they name is the client, and what is no header closes the connection.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use testkit::{
    Authority, Client, H2Client, Leaf, Metrics, Origin, Palisade, SOON, Stream, TlsClient, poll_until,
    temp_dir,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const TCP4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n";

struct Story {
    origin: Origin,
    palisade: Palisade,
}

impl Story {
    /// With a listener for each version and one for both, and more of a configuration.
    fn start(more: &str) -> Story {
        let origin = Origin::echo();
        let config = format!(
            r#"
            admin.address = "127.0.0.1:0"
            log.access = "{{dir}}/access.log"
            listeners.either = {{ address = "127.0.0.1:0", proxy_protocol = true }}
            listeners.first = {{ address = "127.0.0.1:0", proxy_protocol = "v1" }}
            listeners.second = {{ address = "127.0.0.1:0", proxy_protocol = "v2" }}
            upstreams.origin.endpoints = ["{}"]
            routes.all.upstream = "origin"
            {more}
            "#,
            origin.address()
        );
        Story { palisade: Palisade::start(env!("CARGO_BIN_EXE_palisade"), &config), origin }
    }

    fn trusting() -> Story {
        Story::start("server.trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]")
    }

    fn client(&self, listener: &str) -> Client {
        Client::connect(self.palisade.address(listener))
    }

    /// The `X-Forwarded-For` that the origin gets behind this header.
    #[track_caller]
    fn seen(&self, listener: &str, header: &[u8]) -> String {
        let mut client = self.client(listener);
        client.send([header, b"GET /seen HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        assert_eq!(client.read_response().status, 200, "{}", header.escape_ascii());
        let request = self.origin.requests().pop().expect("a request");
        request.header("X-Forwarded-For").expect("a client").to_owned()
    }

    /// Nobody says anything, and nothing reaches the origin; then the canary.
    #[track_caller]
    fn is_closed(&self, listener: &str, bytes: &[u8]) {
        let before = self.origin.requests().len();
        let mut client = self.client(listener);
        client.send(bytes);
        assert_eq!(client.read_to_end(), b"", "{}", bytes.escape_ascii());
        assert_eq!(self.origin.requests().len(), before);
        assert_eq!(self.seen("either", V1), "192.0.2.7");
    }
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

#[test]
fn whom_a_trusted_proxy_names_is_the_client() {
    let story = Story::trusting();
    let six = [&Ipv6Addr::LOCALHOST.octets()[..], &[9; 16], &[0, 7, 0, 8]].concat();
    let mapped =
        [&Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped().octets()[..], &[9; 16], &[0, 7, 0, 8]].concat();
    let fields = [TCP4, &[1, 0, 2, b'h', b'2', 4, 0, 0], &[0xee, 1, 0], &[7; 256]].concat();
    for (header, expected) in [
        (V1.to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::8 1 2\r\n".to_vec(), "2001:db8::7"),
        // The proxy for itself, or for whom it cannot name.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), "127.0.0.1"),
        (binary(0x20, 0, b""), "127.0.0.1"),
        (binary(0x20, 0x11, TCP4), "127.0.0.1"),
        (binary(0x21, 0x31, &[b'/'; 216]), "127.0.0.1"),
        (binary(0x21, 0x11, TCP4), "192.0.2.7"),
        (binary(0x21, 0x11, &fields), "192.0.2.7"),
        (binary(0x21, 0x21, &six), "::1"),
        (binary(0x21, 0x21, &mapped), "192.0.2.9"),
    ] {
        assert_eq!(story.seen("either", &header), expected, "{}", header.escape_ascii());
    }
    assert_eq!(story.seen("first", V1), "192.0.2.7");
    assert_eq!(story.seen("second", &binary(0x21, 0x11, TCP4)), "192.0.2.7");
    story.palisade.wait_access_log(1, |line| line.contains("\"client\":\"192.0.2.7\""));
}

/// However the bytes come, and what comes behind them stays.
#[test]
fn a_header_may_come_in_pieces_and_with_what_follows() {
    let story = Story::trusting();
    for header in [V1.to_vec(), binary(0x21, 0x11, TCP4)] {
        let all =
            [&header[..], b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        for cut in 1..header.len() + 3 {
            let mut client = story.client("either");
            client.send(&all[..cut]);
            client.send(&all[cut..]);
            assert_eq!((client.read_response().status, client.read_response().status), (200, 200), "{cut}");
        }
    }
    let mut client = story.client("either");
    for byte in V1 {
        client.send([*byte]);
    }
    assert_eq!(client.get("/slowly").status, 200);
    // A second header is a request, and a bad one.
    let mut client = story.client("either");
    client.send([V1, V1, b"\r\n"].concat());
    assert_eq!(client.read_response().status, 400);
}

/// Row 33.
#[test]
fn what_is_no_header_closes_the_connection() {
    let story = Story::trusting();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let with_request = |header: &[u8]| [header, request].concat();
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
    for bytes in [
        request.to_vec(),
        with_request(long.as_bytes()),
        with_request(b"PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n"),
        with_request(b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\n"),
        with_request(b"PROXY TCP4 ::1 ::1 1 2\r\n"),
        // The length of a field, and the length of all.
        with_request(&binary(0x21, 0x11, &[TCP4, &[1, 0xff, 0xff, 0]].concat())),
        with_request(&binary(0x21, 0x11, &TCP4[..11])),
        with_request(&binary(0x21, 0x12, TCP4)),
        with_request(&binary(0x31, 0x11, TCP4)),
        binary(0x21, 0x11, &[0; 5000]),
        [0xff; 16].to_vec(),
    ] {
        story.is_closed("either", &bytes);
    }
    story.is_closed("first", &with_request(&binary(0x21, 0x11, TCP4)));
    story.is_closed("second", &with_request(V1));
    let metrics = Metrics::scrape(story.palisade.address("admin"));
    assert_eq!(metrics.sum("proxy_protocol_refused_total", &[]), 13.0);
}

#[test]
fn nobody_else_may_speak_for_others() {
    let story = Story::start("server.trusted_proxies = [\"10.0.0.0/8\"]");
    for bytes in [V1, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut client = story.client("either");
        client.send(bytes);
        assert_eq!(client.read_to_end(), b"");
    }
    assert_eq!(story.origin.connections().len(), 0);
}

/// Whoever says nothing, or half a header, is not waited for for ever; nor is one that goes.
#[test]
fn a_header_has_its_time() {
    let story = Story::start("server.trusted_proxies = [\"127.0.0.0/8\"]\nserver.head_timeout = \"300ms\"");
    for bytes in [&b""[..], b"PROXY TCP4", &SIGNATURE[..5]] {
        let mut client = story.client("either");
        client.send(bytes);
        client.set_deadline(SOON);
        assert_eq!(client.read_to_end(), b"");
        let mut gone = story.client("either");
        gone.send(bytes);
        drop(gone);
    }
    poll_until(SOON, "all of them are refused", || {
        Metrics::scrape(story.palisade.address("admin")).sum("proxy_protocol_refused_total", &[]) == 6.0
    });
    assert_eq!(story.seen("either", V1), "192.0.2.7");
}

#[test]
fn the_client_is_what_limits_and_routes_and_proxies_before_it_go_by() {
    let story = Story::start(
        r#"
        server.trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]
        server.max_connections_per_client = 1
        routes.inside = { path = "/who", clients = ["192.0.2.0/24"], respond = { status = 200, body = "inside" } }
        routes.others = { path = "/who", respond = { status = 200, body = "others" } }
        "#,
    );
    let ask = |header: &[u8]| {
        let mut client = story.client("either");
        client.send(header);
        client
    };
    let mut first = ask(V1);
    assert_eq!(first.get("/who").text(), "inside");
    // Another one of it, and another client of the same proxy.
    assert_eq!(ask(V1).get("/who").status, 503);
    let mut other = ask(b"PROXY TCP4 198.51.100.1 10.0.0.1 1 2\r\n");
    assert_eq!(other.get("/who").text(), "others");
    drop(first);
    poll_until(SOON, "its place is free again", || ask(V1).get("/who").status == 200);
    // One that is named and trusted itself speaks for its own clients.
    let mut behind = ask(b"PROXY TCP4 10.0.0.5 10.0.0.1 1 2\r\n");
    let answer = behind.request("GET", "/who", &[("X-Forwarded-For", "192.0.2.200")], b"");
    assert_eq!(answer.text(), "inside");
    // And one that is not is not believed.
    let answer = other.request("GET", "/who", &[("X-Forwarded-For", "192.0.2.200")], b"");
    assert_eq!(answer.text(), "others");
}

#[test]
fn tls_and_http2_come_behind_the_header() {
    let (dir, authority) = (temp_dir(), Authority::new("proxied"));
    let files = authority.issue(Leaf::server(&["localhost"])).write_to(&dir, "server");
    let story = Story::start(&format!(
        r#"
        server.trusted_proxies = ["127.0.0.0/8"]
        listeners.https = {{ address = "127.0.0.1:0", tls = true, proxy_protocol = true }}
        listeners.known = {{ address = "127.0.0.1:0", http2 = true, proxy_protocol = true }}
        certificates.a = {{ certificate = "{}", key = "{}" }}
        "#,
        files.certificate.display(),
        files.key.display()
    ));
    let tls = TlsClient::trusting(&authority, "localhost");
    let introduced = |listener: &str, header: &[u8]| {
        let mut stream =
            Stream::connect(&story.palisade.address(listener).into(), SOON).expect("a connection");
        stream.write_all(header).expect("a header that is taken");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        stream
    };
    for header in [V1.to_vec(), binary(0x21, 0x11, TCP4)] {
        let mut stream = introduced("https", &header);
        stream = Stream::Tls(Box::new(tls.handshake(stream).expect("a handshake")));
        assert_eq!(Client::over(stream).get("/").status, 200);
        let mut client = H2Client::over(introduced("known", &header));
        client.greet(&[]);
        assert_eq!(client.get("/").status, 200);
    }
    for request in story.origin.requests() {
        assert_eq!(request.header("X-Forwarded-For"), Some("192.0.2.7"));
    }
    // A handshake without a header.
    let mut bare = story.client("https");
    bare.send(b"\x16\x03\x01\x00\x05hello");
    assert_eq!(bare.read_to_end(), b"");
}
