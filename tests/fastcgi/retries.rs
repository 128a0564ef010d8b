//! Kept connections that die, and what is sent again: the same rules as over HTTP/1.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::{FastCgi, Script, Step, poll_until};

use crate::stage::{SOON, Stage, canary, plain};

/// A server that breaks its second connection use off in this way, once.
fn stage_that(breaks: Vec<Step>) -> Stage {
    let broke = Arc::new(AtomicBool::new(false));
    let server = FastCgi::start(move |request, _| {
        let is_victim = request.param("SCRIPT_NAME") == Some("/victim.php");
        match canary(request) {
            Some(script) => script,
            None if is_victim && !broke.swap(true, Ordering::SeqCst) => Script::of(breaks.clone()),
            None => plain("served"),
        }
    });
    Stage::before(server, "")
}

#[test]
fn a_request_on_a_dead_connection_is_sent_once_more_when_nothing_can_happen_twice() {
    for breaks in [vec![Step::Close], vec![Step::Reset]] {
        for (method, status) in [("GET", 200), ("PUT", 200), ("DELETE", 200), ("POST", 502), ("PATCH", 502)] {
            let stage = stage_that(breaks.clone());
            stage.canary();
            let before = stage.server.requests().len();
            let response = stage.client().request(method, "/victim.php", &[], b"body");
            assert_eq!(response.status, status, "{method} {breaks:?}");
            let times = if status == 200 { 2 } else { 1 };
            assert_eq!(stage.server.requests().len() - before, times, "{method} {breaks:?}");
            if status == 200 {
                assert_eq!(stage.server.requests().pop().unwrap().body, b"body");
            }
            stage.canary();
        }
    }
}

#[test]
fn nothing_is_sent_again_once_a_byte_of_the_answer_came() {
    let begun = testkit::fastcgi::output(b"Status");
    let complaint = testkit::fastcgi::complaint(b"dying");
    for bytes in [vec![1], begun, complaint] {
        let stage = stage_that(vec![Step::Send(bytes.clone()), Step::Close]);
        stage.canary();
        let before = stage.server.requests().len();
        assert_eq!(stage.client().get("/victim.php").status, 502, "{bytes:?}");
        assert_eq!(stage.server.requests().len() - before, 1, "{bytes:?}");
        stage.canary();
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_is_noticed() {
    let stage = Stage::before(
        FastCgi::start(|request, _| match canary(request) {
            Some(script) => script,
            None => plain("bye").close(),
        }),
        "",
    );
    assert_eq!(stage.client().get("/a.php").text(), "bye");
    poll_until(SOON, "the close", || stage.server.open_connections() == 0);
    // Also for what could not be sent again.
    assert_eq!(stage.client().request("POST", "/canary-1.php", &[], b"x").status, 200);
    stage.canary();
}

#[test]
fn a_server_that_is_not_there_is_a_502() {
    let mut stage = Stage::new(|_, _| plain("yes"));
    stage.server.stop();
    assert_eq!(stage.client().get("/a.php").status, 502);
    assert!(stage.log_line("/a.php").contains("upstream_connect_refused"));
}

/// A server that is overloaded has not looked at a request; one that has said something has.
#[test]
fn what_was_looked_at_is_not_sent_again_as_overloaded() {
    let begun = testkit::fastcgi::output(b"Status");
    let complaint = testkit::fastcgi::complaint(b"halfway");
    for said in [begun, complaint] {
        let stage = stage_that(vec![Step::Send([said, testkit::fastcgi::end(0, 2)].concat())]);
        stage.canary();
        let before = stage.server.requests().len();
        assert_eq!(stage.client().request("POST", "/victim.php", &[], b"body").status, 502);
        assert_eq!(stage.server.requests().len() - before, 1);
        assert!(stage.log_line("/victim.php").contains("overloaded_after_output"));
        stage.canary();
    }
}

#[test]
fn nobody_is_invited_to_send_what_no_script_takes() {
    let stage = Stage::new(|_, _| plain("yes"));
    let mut client = stage.client();
    client.send("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.status, response.interim.len()), (404, 0));
    stage.canary();
}
