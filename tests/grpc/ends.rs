//! How calls end before their time: by a deadline, by silence, by either side.

use std::time::Duration;

use testkit::http2::error;
use testkit::{Frame, GoAwayAt, H2Script, H2Step, SOON};

use crate::stage::{CALL, OK, Stage, answer, expect_failed, message};

/// The server never answers: the client hears of it, and the server that nobody waits any more.
#[test]
fn a_deadline_ends_a_call_without_an_answer() {
    let stage = Stage::new(|_, _| H2Script::new(), "");
    let fields = [CALL, &[("grpc-timeout", "400m")]].concat();
    let response = stage.client().request("POST", "/test.Service/Sleep", &fields, &message(b"x"));
    expect_failed(&response, "4");
    stage.origin.wait_streams(SOON, "the reset of the call", |streams| streams[0].reset.is_some());
    stage.expect_reason("call_deadline", 504);
}

#[test]
fn a_deadline_ends_an_answer_that_goes_on() {
    let stage = Stage::new(|_, _| answer().data(message(b"one"), false), "");
    let fields = [CALL, &[("grpc-timeout", "400000u")]].concat();
    let response = stage.client().request("POST", "/test.Service/Watch", &fields, &message(b"x"));
    assert_eq!(response.body, message(b"one"));
    assert_eq!(response.trailers.get("grpc-status"), Some("4"));
    stage.origin.wait_streams(SOON, "the reset of the call", |streams| streams[0].reset.is_some());
    stage.expect_reason("call_deadline", 200);
}

/// Three times as long as the route waits for other answers.
#[test]
fn a_call_may_take_longer_than_other_requests() {
    let late = |_: &testkit::H2Request, _: usize| {
        H2Script::new()
            .pause(Duration::from_millis(900))
            .head(200, &[("content-type", "application/grpc")], false)
            .pause(Duration::from_millis(900))
            .data(message(b"late"), false)
            .trailers(OK)
    };
    let stage = Stage::new(late, "");
    for timeout in
        [&[][..], &[("grpc-timeout", "20S")], &[("grpc-timeout", "1x")], &[("grpc-timeout", "5m0")]]
    {
        let response = stage.client().request("POST", "/test.Service/Late", &[CALL, timeout].concat(), b"");
        assert_eq!(response.trailers.get("grpc-status"), Some("0"), "{timeout:?}: {response:?}");
        let asked = stage.origin.streams().pop().expect("a call");
        assert_eq!(asked.header("grpc-timeout"), timeout.first().map(|(_, value)| *value));
    }
}

#[test]
fn silence_of_both_sides_ends_a_call() {
    let stage =
        Stage::new(|_, _| answer().data(message(b"one"), false), r#"server.tunnel_idle_timeout = "500ms""#);
    let mut client = stage.client();
    let stream = client.open("POST", "/test.Service/Watch", CALL, false);
    let response = client.response(stream);
    assert_eq!((response.body, response.trailers.get("grpc-status")), (message(b"one"), Some("4")));
    stage.origin.wait_streams(SOON, "the reset of the call", |streams| streams[0].reset.is_some());
    stage.expect_reason("call_silent", 200);
}

#[test]
fn the_server_hears_of_a_call_that_is_cancelled() {
    let stage = Stage::new(|_, _| answer().data(message(b"one"), false), "");
    let mut client = stage.client();
    let stream = client.open("POST", "/test.Service/Watch", CALL, false);
    stage.origin.wait_streams(SOON, "the call", |streams| !streams.is_empty());
    client.send(&Frame::reset(stream, error::CANCEL));
    stage.origin.wait_streams(SOON, "the reset of the call", |streams| streams[0].reset.is_some());
    // The connection serves on.
    assert_eq!(client.request("GET", "/nowhere", &[], b"").status, 404);
}

/// What the server began and did not end is told so, in the words of gRPC.
#[test]
fn a_server_that_breaks_off_is_told_of() {
    type End = fn(H2Script) -> H2Script;
    let ends: [(&str, End); 3] = [
        ("reset", |script| script.reset(error::INTERNAL_ERROR)),
        ("goaway", |script| {
            script.then(H2Step::GoAway { at: GoAwayAt::Here, code: error::NO_ERROR }).then(H2Step::Close)
        }),
        ("closed", |script| script.then(H2Step::Abort)),
    ];
    for (name, end) in ends {
        let begun = move |_: &testkit::H2Request, _: usize| {
            end(answer().data(message(b"one"), false).pause(Duration::from_millis(50)))
        };
        let stage = Stage::new(begun, "");
        let response = stage.client().request("POST", "/test.Service/Watch", CALL, &message(b"x"));
        assert_eq!(response.trailers.get("grpc-status"), Some("14"), "{name}: {response:?}");
        stage.expect_reason("upstream_truncated", 200);
    }
}
