//! HTTP/2 origins that give up, break off or break rules: what is sent again, and what clients see.

use testkit::http2::error;
use testkit::{
    GoAwayAt, H2Origin, H2OriginOptions, H2Request, H2Script, H2Step, Palisade, SOON, pattern, poll_until,
};

use crate::stage::{BINARY, config, event, expect_good, proxy};

const HTTP2: &str = "protocol = \"http2\"";

fn origin(script: impl Fn(&H2Request, usize) -> H2Script + Send + Sync + 'static) -> H2Origin {
    H2Origin::scripted(H2OriginOptions::new(), script)
}

/// How often the origin got each body with END_STREAM, whether it answered or not.
fn times(origin: &H2Origin, body: &str) -> usize {
    origin.requests().iter().filter(|request| request.body == body.as_bytes()).count()
}

#[test]
fn what_the_origin_has_not_looked_at_is_sent_again_whatever_it_is() {
    type First = fn() -> H2Script;
    let cases: [(&str, First, usize); 2] = [
        ("refused", || H2Script::new().reset(error::REFUSED_STREAM), 1),
        (
            "goaway",
            || {
                H2Script::new()
                    .then(H2Step::GoAway { at: GoAwayAt::Before, code: error::NO_ERROR })
                    .then(H2Step::Close)
            },
            2,
        ),
    ];
    for (case, first, connections) in cases {
        let origin = origin(move |request, number| match number {
            0 => first(),
            _ => H2Script::echo(request),
        });
        let palisade = proxy(&origin.address(), HTTP2);
        let response = palisade.client().request("POST", "/echo", &[], b"pay");
        assert_eq!((response.status, response.text()), (200, "pay"), "{case}");
        assert_eq!(times(&origin, "pay"), 2, "{case}: one that was not looked at, and one");
        assert_eq!(origin.connections(), connections, "{case}");
        assert_eq!(event(&palisade, "resend"), 1.0, "{case}");
    }
}

/// A body that is passed on as it comes can be given away once.
#[test]
fn a_streamed_body_is_not_sent_twice() {
    let origin = origin(|request, number| match number {
        0 => H2Script::new().reset(error::REFUSED_STREAM),
        _ => H2Script::echo(request),
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let response = palisade.client().request("POST", "/stream/echo", &[], b"pay");
    assert_eq!(response.status, 502);
    palisade.wait_access_log(1, |line| line.contains("upstream_refused_stream"));
    expect_good(&palisade, 2);
}

#[test]
fn streams_that_a_goaway_promises_are_answered() {
    let origin = origin(|request, number| match number {
        0 => H2Script::new()
            .then(H2Step::GoAway { at: GoAwayAt::Here, code: error::NO_ERROR })
            .pause(std::time::Duration::from_millis(100))
            .followed_by_echo(request),
        _ => H2Script::echo(request),
    });
    let palisade = proxy(&origin.address(), HTTP2);
    let response = palisade.client().request("POST", "/echo", &[], b"pay");
    assert_eq!((response.status, response.text()), (200, "pay"));
    assert_eq!(times(&origin, "pay"), 1);
    expect_good(&palisade, 2);
    assert_eq!(origin.connections(), 2, "the next ones go over a new connection");
    poll_until(SOON, "the old connection is closed", || origin.open_connections() == 1);
}

trait FollowedByEcho {
    fn followed_by_echo(self, request: &H2Request) -> H2Script;
}

impl FollowedByEcho for H2Script {
    fn followed_by_echo(self, request: &H2Request) -> H2Script {
        self.head(200, &[], false).data(&request.body, true)
    }
}

#[test]
fn what_may_have_been_executed_is_sent_once() {
    type End = fn() -> H2Script;
    let cases: [(&str, End); 4] = [
        ("reset", || H2Script::new().reset(error::INTERNAL_ERROR)),
        ("closed", || H2Script::new().then(H2Step::Close)),
        ("aborted", || H2Script::new().then(H2Step::Abort)),
        ("goaway and closed", || {
            H2Script::new()
                .then(H2Step::GoAway { at: GoAwayAt::Here, code: error::INTERNAL_ERROR })
                .then(H2Step::Close)
        }),
    ];
    for (case, end) in cases {
        let origin = origin(move |request, _| match request.path() {
            "/die" => end(),
            _ => H2Script::echo(request),
        });
        let palisade = proxy(&origin.address(), HTTP2);
        expect_good(&palisade, 1);
        assert_eq!(palisade.client().request("POST", "/die", &[], b"pay").status, 502, "{case}");
        assert_eq!(times(&origin, "pay"), 1, "{case}");
        let reason = if case == "reset" { "upstream_reset_stream" } else { "upstream_closed" };
        palisade.wait_access_log(1, |line| line.contains(&format!("\"reason\":\"{reason}\"")));
        expect_good(&palisade, 2);
    }
}

/// A request that does no harm twice is sent again after the death of a connection that was good before.
#[test]
fn a_get_survives_the_death_of_a_connection() {
    let origin = origin(|request, number| match number {
        1 => H2Script::new().then(H2Step::Abort),
        _ => H2Script::echo(request),
    });
    let palisade = proxy(&origin.address(), HTTP2);
    expect_good(&palisade, 2);
    assert_eq!((origin.requests().len(), origin.connections()), (3, 2));
}

#[test]
fn heads_beyond_the_rules_are_no_answers() {
    type Head = fn() -> H2Script;
    let cases: [(&str, Head); 8] = [
        ("70 KiB", || H2Script::new().head(200, &[("x-long", &"a".repeat(70 << 10))], true)),
        ("101 fields", || H2Script::new().head(200, &[("x-many", "1"); 101], true)),
        ("status 99", || H2Script::new().head(99, &[], true)),
        ("status 700", || H2Script::new().head(700, &[], true)),
        ("upper case", || H2Script::new().head(200, &[("X-Upper", "1")], true)),
        ("connection", || H2Script::new().head(200, &[("connection", "close")], true)),
        ("line break", || H2Script::new().head(200, &[("x-a", "1\r\nx-b: 2")], true)),
        ("two lengths", || {
            H2Script::new()
                .head(200, &[("content-length", "1"), ("content-length", "2")], false)
                .data("x", true)
        }),
    ];
    for (case, head) in cases {
        let origin = origin(move |request, _| match request.path() {
            "/bad" => head(),
            _ => H2Script::echo(request),
        });
        let palisade = proxy(&origin.address(), HTTP2);
        let mut client = palisade.client();
        assert_eq!(client.get("/bad").status, 502, "{case}");
        assert_eq!(client.get("/canary-7").text(), "7", "{case}");
        assert!(!palisade.stderr().contains("panic"), "{case}");
    }
}

#[test]
fn a_body_that_is_not_whole_never_looks_so() {
    type Cut = fn() -> H2Script;
    let cases: [(&str, Cut); 7] = [
        // A head behind the final one is the trailers, which have no status and end the stream.
        ("interim behind the head", || {
            H2Script::new()
                .head(200, &[], false)
                .data(pattern(10), false)
                .head(100, &[], false)
                .data("x", true)
        }),
        ("reset", || H2Script::new().head(200, &[], false).data(pattern(1000), false).reset(error::CANCEL)),
        ("closed", || H2Script::new().head(200, &[], false).data(pattern(1000), false).then(H2Step::Close)),
        ("aborted", || H2Script::new().head(200, &[], false).data(pattern(1000), false).then(H2Step::Abort)),
        ("too short", || {
            H2Script::new().head(200, &[("content-length", "2000")], false).data(pattern(1000), true)
        }),
        ("too long", || {
            H2Script::new().head(200, &[("content-length", "500")], false).data(pattern(1000), true)
        }),
        ("short, and wanted no more", || {
            H2Script::new()
                .head(200, &[("content-length", "2000")], false)
                .data(pattern(1000), false)
                .reset(error::NO_ERROR)
        }),
    ];
    for (case, cut) in cases {
        let origin = origin(move |request, _| match request.path() {
            "/cut" => cut(),
            _ => H2Script::echo(request),
        });
        let palisade = proxy(&origin.address(), HTTP2);
        let mut client = palisade.client();
        client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_read_response() {
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "{case}: {error}"),
            Ok(response) => assert_eq!(response.status, 502, "{case}: a clean end"),
        }
        expect_good(&palisade, 2);
    }
}

/// An origin that says nothing any more, not even to a ping, is left.
#[test]
fn a_connection_without_life_is_not_used_for_ever() {
    let origin = H2Origin::scripted(H2OriginOptions::new(), |request, _| match request.path() {
        // Its thread sleeps: it answers nothing at all meanwhile.
        "/hang" => {
            std::thread::sleep(std::time::Duration::from_secs(4));
            H2Script::new()
        }
        _ => H2Script::echo(request),
    });
    let text = config(&origin.address(), HTTP2);
    let palisade = Palisade::start(BINARY, &format!("defaults.timeouts.read = \"500ms\"\n{text}"));
    expect_good(&palisade, 1);
    assert_eq!(palisade.client().get("/hang").status, 504);
    expect_good(&palisade, 1);
    assert_eq!(origin.connections(), 2, "the one in doubt gets no request");
    poll_until(SOON, "it is given up", || event(&palisade, "connect") == 2.0);
}
