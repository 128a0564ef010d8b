//! Calls that go well: of every shape, and never held up.

use std::time::Duration;

use testkit::{Frame, H2Script, SOON, pattern, poll_until};

use crate::stage::{CALL, OK, Stage, answer, echo, message};

#[test]
fn one_message_is_answered_by_one_with_metadata_both_ways() {
    let stage = Stage::new(
        |_, _| {
            H2Script::new()
                .head(200, &[("content-type", "application/grpc+proto"), ("x-head", "text")], false)
                .await_end()
                .data(message(b"hello"), false)
                .trailers(&[("grpc-status", "0"), ("x-tail-bin", "AP+A")])
        },
        "",
    );
    let big = "b".repeat(8000);
    let fields = [CALL, &[("grpc-timeout", "20S"), ("x-big", &big), ("x-bytes-bin", "AP+A")]].concat();
    let response = stage.client().request("POST", "/test.Service/Get", &fields, &message(b"who"));
    assert_eq!((response.status, response.header("x-head")), (200, Some("text")));
    assert_eq!(response.header("content-type"), Some("application/grpc+proto"));
    assert_eq!(response.body, message(b"hello"));
    assert_eq!(response.trailers.get("grpc-status"), Some("0"));
    assert_eq!(response.trailers.get("x-tail-bin"), Some("AP+A"));

    let request = stage.origin.wait_requests(1, SOON).remove(0);
    assert_eq!(request.body, message(b"who"));
    for (name, value) in fields {
        assert_eq!(request.header(name), Some(value));
    }
    assert!(stage.origin.violations().is_empty(), "{:?}", stage.origin.violations());
}

/// Larger than any body of the route may be, and than every window on the way.
#[test]
fn large_messages_pass() {
    let stage = Stage::new(echo, "");
    let length = 4 << 20;
    let told = length.to_string();
    let fields = [CALL, &[("x-length", &told)]].concat();
    let sent = message(&pattern(length));
    let response = stage.client().request("POST", "/test.Service/Large", &fields, &sent);
    assert!(response.body == sent, "{} bytes came back", response.body.len());
    assert!(stage.origin.wait_requests(1, SOON)[0].body == sent);
}

/// Each side waits for the other's message: nobody may wait for the end of a body, which the route would
/// buffer, and silence longer than the time-outs of the route cuts nobody off.
#[test]
fn both_sides_talk_in_turn() {
    let stage = Stage::new(
        |_, _| {
            answer()
                .data(message(b"ready"), false)
                .await_body(message(b"one").len())
                .data(message(b"ONE"), false)
                .await_body(2 * message(b"one").len())
                .pause(Duration::from_millis(700))
                .data(message(b"TWO"), false)
                .await_end()
                .trailers(OK)
        },
        "",
    );
    let mut client = stage.client();
    let stream = client.open("POST", "/test.Service/Chat", CALL, false);
    let expect = |client: &mut testkit::H2Client, length: usize| {
        poll_until(SOON, "the next message of the server", || {
            client.take_in(Duration::from_millis(10));
            client.received(stream) >= length
        });
    };
    expect(&mut client, message(b"ready").len());
    client.send(&Frame::data(stream, message(b"one"), false));
    expect(&mut client, message(b"readyONE").len() + 5);
    client.send(&Frame::data(stream, message(b"two"), false));
    expect(&mut client, message(b"readyONETWO").len() + 10);
    client.send(&Frame::data(stream, b"", true));
    let response = client.response(stream);
    assert_eq!(response.body, [message(b"ready"), message(b"ONE"), message(b"TWO")].concat());
    assert_eq!(response.trailers.get("grpc-status"), Some("0"));
}

/// The server says what became of the call, whatever that is.
#[test]
fn a_status_of_the_server_passes() {
    let told = [("content-type", "application/grpc"), ("grpc-status", "9"), ("grpc-message", "no 100 %25")];
    let stage = Stage::new(
        move |request, _| match request.path() {
            "/test.Service/Early" => H2Script::new().head(200, &told, true),
            "/test.Service/Late" => answer().data(message(b"x"), false).trailers(&told[1..]),
            _ => H2Script::answer_with(503, &[("content-type", "text/html")], "<p>busy"),
        },
        "",
    );
    let mut client = stage.client();
    let response = client.request("POST", "/test.Service/Early", CALL, b"");
    assert_eq!(
        (response.header("grpc-status"), response.header("grpc-message")),
        (Some("9"), Some("no 100 %25"))
    );
    assert!(response.body.is_empty() && response.trailers.is_empty());
    let response = client.request("POST", "/test.Service/Late", CALL, b"");
    assert_eq!((response.body, response.trailers.get("grpc-status")), (message(b"x"), Some("9")));
    // What is no answer of gRPC is not made one.
    let response = client.request("POST", "/test.Service/Html", CALL, b"");
    assert_eq!(
        (response.status, response.header("content-type"), response.text()),
        (503, Some("text/html"), "<p>busy")
    );
    assert!(response.header("grpc-status").is_none());
}

/// To name a call must not be a way around the limits of a route whose server can have none.
#[test]
fn only_servers_of_http_2_get_calls() {
    let plain = testkit::Origin::echo();
    let routes = format!(
        "upstreams.plain.endpoints = [\"{}\"]\nroutes.plain = {{ path = \"/plain\", upstream = \"plain\", max_body_size = 10 }}",
        plain.address()
    );
    let stage = Stage::new(echo, &routes);
    let mut client = stage.client();
    let response = client.request("POST", "/plain/echo", CALL, &[b'x'; 100]);
    assert_eq!(response.header("grpc-status"), Some("8"), "{response:?}");
    stage.expect_reason("body_too_large", 413);
    assert!(plain.requests().is_empty());
    // A request that is no call is held to the limits before any server.
    let response =
        client.request("POST", "/test.Service/Get", &[("content-type", "text/plain")], &[b'x'; 2000]);
    assert_eq!(response.status, 413);
}
