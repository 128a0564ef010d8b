//! Answers on their way from an origin of HTTP/2 to a client of it.

use testkit::http2::{H2Origin, H2OriginOptions, H2Script};
use testkit::{H2Client, Palisade};

const BINARY: &str = env!("CARGO_BIN_EXE_palisade");

fn proxy(origin: &H2Origin) -> Palisade {
    let address = origin.address();
    let config = format!(
        "[listeners.http]\naddress = \"127.0.0.1:0\"\nhttp2 = true\n\
         [upstreams.origin]\nendpoints = [\"{address}\"]\nprotocol = \"http2\"\n\
         [routes.all]\nupstream = \"origin\"\n"
    );
    Palisade::start(BINARY, &config)
}

/// The port of the scheme may be named or not (RFC 9110 section 4.2.3).
#[test]
fn the_usual_port_of_the_scheme_is_the_same_host() {
    let origin = H2Origin::echo(H2OriginOptions::new());
    let palisade = proxy(&origin);
    for (scheme, authority, host, fine) in [
        ("https", "a.test", "a.test:443", true),
        ("https", "a.test:443", "a.test", true),
        ("http", "a.test", "a.test:80", true),
        ("http", "a.test:80", "a.test", true),
        ("https", "a.test", "a.test:80", false),
        ("http", "a.test", "a.test:443", false),
        ("https", "a.test:8443", "a.test", false),
        ("https", "a.test", "b.test:443", false),
    ] {
        let mut client = H2Client::connect(palisade.address("http"));
        let head =
            [(":method", "GET"), (":scheme", scheme), (":authority", authority), (":path", "/canary-7")];
        let stream = client.open_with(&[&head[..], &[("host", host)]].concat(), true);
        let answered = client.outcome(stream).map(|response| response.status);
        assert_eq!(answered.ok(), fine.then_some(200), "{scheme} {authority} {host}");
    }
    let told =
        origin.requests().iter().map(|request| request.header("host").map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(told, [None, None, None, None], "the origin is told once");
}

/// Whether trailers follow is known behind the last byte only, also of a body whose length was told.
#[test]
fn trailers_follow_a_body_whose_length_was_told() {
    for body in ["abc", ""] {
        let origin = H2Origin::scripted(H2OriginOptions::new(), move |_, _| {
            let length = body.len().to_string();
            let head = H2Script::new().head(200, &[("content-length", &length)], false);
            head.data(body, false).trailers(&[("x-sum", "7")])
        });
        let palisade = proxy(&origin);
        let mut client = H2Client::connect(palisade.address("http"));
        let response = client.get("/");
        assert_eq!((response.status, response.text()), (200, body));
        assert_eq!(response.trailers.get("x-sum"), Some("7"), "body {body:?}");
    }
}
