//! gRPC-Web, in bytes and in base64, over both versions of HTTP.

use std::time::Duration;

use data_encoding::BASE64;
use testkit::{Client, H2Script, Headers, SOON, pattern};

use crate::stage::{OK, Stage, answer, message};

/// Asks by one version; gives status, fields and body.
fn ask(stage: &Stage, http2: bool, path: &str, content_type: &str, body: &[u8]) -> (u16, Headers, Vec<u8>) {
    let fields = [("content-type", content_type), ("x-grpc-web", "1")];
    if http2 {
        let response = stage.client().request("POST", path, &fields, body);
        assert!(response.trailers.is_empty(), "{:?}", response.trailers);
        (response.status, response.headers, response.body)
    } else {
        let response = Client::connect(stage.front()).request("POST", path, &fields, body);
        (response.status, response.headers, response.body)
    }
}

/// The last frame, with these lines.
fn trailer_frame(lines: &str) -> Vec<u8> {
    [&[0x80], &(lines.len() as u32).to_be_bytes()[..], lines.as_bytes()].concat()
}

/// All pieces of base64, each with its padding or none, decoded.
fn decoded(text: &[u8]) -> Vec<u8> {
    let groups = text.chunks(4).map(|group| BASE64.decode(group).expect("groups of base64"));
    groups.collect::<Vec<_>>().concat()
}

#[test]
fn calls_are_translated_there_and_back() {
    let stage = Stage::new(
        |request, _| {
            assert!(request.path().starts_with("/web.Service/"));
            answer()
                .await_end()
                .data(message(b"a"), false)
                .pause(Duration::from_millis(50))
                .data(message(&pattern(100_000)), false)
                .trailers(&[("grpc-status", "0"), ("x-tail-bin", "AP+A")])
        },
        "",
    );
    let sent = message(&pattern(50_000));
    let whole = BASE64.encode(&sent).into_bytes();
    // In two pieces with padding of their own.
    let pieces = [BASE64.encode(&sent[..10]), BASE64.encode(&sent[10..])].concat().into_bytes();
    let cases = [
        ("application/grpc-web", sent.clone(), "application/grpc-web"),
        ("application/grpc-web+proto", sent.clone(), "application/grpc-web"),
        ("application/grpc-web-text", whole, "application/grpc-web-text"),
        ("application/grpc-web-text+proto", pieces, "application/grpc-web-text"),
    ];
    for http2 in [false, true] {
        for (content_type, body, wanted) in &cases {
            let (status, headers, got) = ask(&stage, http2, "/web.Service/Get", content_type, body);
            assert_eq!((status, headers.get("content-type")), (200, Some(*wanted)), "{content_type}");
            let got = if wanted.ends_with("text") { decoded(&got) } else { got };
            let frame = trailer_frame("grpc-status: 0\r\nx-tail-bin: AP+A\r\n");
            assert!(got == [message(b"a"), message(&pattern(100_000)), frame].concat(), "{content_type}");

            stage.origin.wait_requests(1, SOON);
            let asked = stage.origin.requests().pop().expect("a call");
            assert!(asked.body == sent, "{content_type}: {} bytes", asked.body.len());
            let suffix = if content_type.ends_with("+proto") { "+proto" } else { "" };
            assert_eq!(asked.header("content-type"), Some(format!("application/grpc{suffix}").as_str()));
            assert_eq!(asked.header("te"), Some("trailers"));
        }
    }
    assert!(stage.origin.violations().is_empty(), "{:?}", stage.origin.violations());
}

/// A status in the head alone becomes the last frame, whoever gave it.
#[test]
fn a_failure_is_the_last_frame() {
    let told = [("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "none")];
    let stage = Stage::new(
        move |request, _| match request.path() {
            "/web.Service/Early" => H2Script::new().head(200, &told, true),
            "/web.Service/Html" => H2Script::answer_with(503, &[("content-type", "text/html")], "<p>busy"),
            _ => H2Script::new().reset(2),
        },
        "",
    );
    for http2 in [false, true] {
        let (status, headers, body) =
            ask(&stage, http2, "/web.Service/Early", "application/grpc-web-text", b"");
        assert_eq!((status, headers.get("grpc-status")), (200, None));
        assert_eq!(decoded(&body), trailer_frame("grpc-status: 5\r\ngrpc-message: none\r\n"));
        let (_, headers, body) = ask(&stage, http2, "/web.Service/Reset", "application/grpc-web", b"");
        assert_eq!(headers.get("content-type"), Some("application/grpc-web"));
        assert!(body.starts_with(&[0x80]) && body[5..].starts_with(b"grpc-status: 14\r\n"), "{body:?}");
        let (status, headers, body) =
            ask(&stage, http2, "/web.Service/Html", "application/grpc-web-text", b"");
        assert_eq!(
            (status, headers.get("content-type"), &body[..]),
            (503, Some("text/html"), &b"<p>busy"[..])
        );
        // Where no route translates, the status stands in the head.
        let (status, headers, body) =
            ask(&stage, http2, "/none.Service/Get", "application/grpc-web+proto", b"");
        assert_eq!((status, headers.get("grpc-status"), &body[..]), (200, Some("12"), &b""[..]));
        assert_eq!(headers.get("content-type"), Some("application/grpc-web"));
    }
}

#[test]
fn text_that_is_not_base64_is_refused() {
    let stage = Stage::new(|_, _| H2Script::new().await_end(), "");
    for http2 in [false, true] {
        for body in ["AAA", "A A=", "====", "AAAA\n", "a_-b"] {
            let (status, _, got) =
                ask(&stage, http2, "/web.Service/Get", "application/grpc-web-text", body.as_bytes());
            let told = decoded(&got);
            assert_eq!(status, 200);
            assert!(told[5..].starts_with(b"grpc-status: 13\r\n"), "{body}: {told:?}");
        }
    }
    stage.expect_reason("bad_base64", 400);
}

/// What is not gRPC-Web goes through such a route as it is.
#[test]
fn other_requests_stay_as_they_are() {
    let stage = Stage::new(|_, _| answer().await_end().data(message(b"x"), false).trailers(OK), "");
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let response = stage.client().request("POST", "/web.Service/Get", &fields, &message(b"y"));
    assert_eq!((response.body, response.trailers.get("grpc-status")), (message(b"x"), Some("0")));
    let response =
        stage.client().request("GET", "/web.Service/Get", &[("accept", "application/grpc-web")], b"");
    assert_eq!(response.body, message(b"x"));
    assert_eq!(response.header("content-type"), Some("application/grpc"));
}
