//! What becomes of an answer of the auth service: a no goes to the client as it is, a yes adds to both sides.

use std::io::Read;
use std::time::Duration;

use testkit::{Origin, Script};

use crate::stage::{APP, Stage, alice};

fn says_no(uri: &str) -> Script {
    match uri.trim_start_matches("/app/") {
        "login" => Script::answer_with(
            302,
            &[
                ("Location", "https://login.test/?rd=https://shop.test/app"),
                ("Set-Cookie", "state=1"),
                ("Set-Cookie", "nonce=2"),
            ],
            "go there",
        ),
        "basic" => Script::answer_with(
            401,
            &[("WWW-Authenticate", "Basic realm=\"a\""), ("Content-Type", "text/html")],
            "<p>who are you?",
        ),
        "chunked" => {
            Script::new().send("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
        }
        "early" => Script::new().send(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 403 No\r\nConnection: X-Private\r\n\
             X-Private: 1\r\nContent-Length: 2\r\n\r\nno",
        ),
        "yes" => alice(uri),
        status => Script::answer(status.parse().expect("a status"), "no"),
    }
}

#[test]
fn a_no_goes_to_the_client_as_it_is() {
    let stage = Stage::new(APP, says_no);
    let mut client = stage.client();
    let login = client.get("/app/login");
    assert_eq!((login.status, login.text()), (302, "go there"));
    assert_eq!(login.headers.all("Location"), ["https://login.test/?rd=https://shop.test/app"]);
    assert_eq!(login.headers.all("Set-Cookie"), ["state=1", "nonce=2"]);
    let basic = client.get("/app/basic");
    assert_eq!((basic.status, basic.text()), (401, "<p>who are you?"));
    assert_eq!(basic.headers.all("WWW-Authenticate"), ["Basic realm=\"a\""]);
    assert_eq!(basic.headers.all("Content-Type"), ["text/html"]);
    assert_eq!(client.get("/app/chunked").text(), "no");
    let early = client.get("/app/early");
    assert_eq!((early.status, early.text(), early.header("X-Private")), (403, "no", None));
    assert_eq!(early.interim.len(), 0, "hints of the auth service are not for the client");
    for status in ["301", "303", "307", "308", "400", "403", "404", "429"] {
        let answer = client.get(&format!("/app/{status}"));
        assert_eq!((answer.status.to_string().as_str(), answer.text()), (status, "no"));
    }
    let head = client.request("HEAD", "/app/basic", &[], b"");
    assert_eq!((head.status, head.body.len(), head.header("Content-Length")), (401, 0, Some("15")));
    let mut http2 = stage.http2();
    let login = http2.get("/app/login");
    assert_eq!((login.status, login.text(), login.header("location").is_some()), (302, "go there", true));
    assert_eq!(http2.request("POST", "/app/basic", &[], b"hello").status, 401);
    stage.origin_is_untouched("all were refused");

    assert_eq!(
        stage.auth.connections().len(),
        1,
        "answers are read to their end, so one connection is enough"
    );
    let log = stage.palisade.wait_access_log(15, |_| true);
    assert!(log.iter().all(|line| line.contains("\"reason\":\"auth_refused\"")), "{log:?}");
    assert_eq!(stage.palisade.metrics().sum("forward_auth_total", &["result=\"refused\""]), 15.0);
    stage.ends_well();
}

/// A refused client can try again on its connection, when nothing of its body is in the way.
#[test]
fn a_refused_upload_is_not_read() {
    let stage = Stage::new(APP, says_no);
    let mut client = stage.client();
    client
        .send("POST /app/403 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    let answer = client.read_response();
    assert_eq!((answer.status, answer.interim.len()), (403, 0), "no 100 comes before");
    assert!(client.is_closed(Duration::from_secs(20)), "whether the body comes is open");

    let mut client = stage.client();
    assert_eq!(client.request("POST", "/app/403", &[], b"short").status, 403);
    assert_eq!(client.get("/app/yes").status, 200, "the connection goes on behind a short body");
    stage.ends_well();
}

#[test]
fn an_upload_is_invited_when_it_may_go_on() {
    let stage = Stage::new(APP, alice);
    let mut client = stage.client();
    client.send("POST /app/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let mut invitation = [0; 25];
    client.stream().read_exact(&mut invitation).expect("an invitation");
    assert_eq!(invitation, *b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(stage.auth.requests().len(), 1, "after the answer");
    client.send("hello");
    assert_eq!(client.read_response().text(), "hello");
    stage.ends_well();
}

#[test]
fn a_yes_may_say_something_to_the_client() {
    let auth = Origin::scripted(|_, _| {
        let said = [
            ("X-Auth-User", "alice"),
            ("Set-Cookie", "session=2"),
            ("Set-Cookie", "more=3"),
            ("X-Session", "of-auth"),
            ("X-Secret", "of-auth"),
        ];
        Script::answer_with(200, &said, "")
    });
    let origin = Origin::scripted(|request, _| match request.target.starts_with("/app") {
        true => Script::answer_with(200, &[("Set-Cookie", "app=1"), ("x-session", "of-app")], "app"),
        false => Script::echo(request),
    });
    let routes = format!("{APP}response_headers = [\"Set-Cookie\", \"X-Session\", \"X-Absent\"]\n");
    let stage = Stage::with(auth, origin, &routes);
    let answer = stage.client().get("/app");
    assert_eq!((answer.status, answer.text()), (200, "app"));
    assert_eq!(answer.headers.all("Set-Cookie"), ["app=1", "session=2", "more=3"]);
    assert_eq!(answer.headers.all("X-Session"), ["of-auth"]);
    assert_eq!(answer.headers.all("X-Secret"), [""; 0]);
    assert_eq!(answer.headers.all("X-Auth-User"), [""; 0]);
    stage.ends_well();
}

#[test]
fn the_log_and_templates_know_the_user() {
    let more = r#"
        [routes.app.response_headers.set]
        X-Hello = "{header.X-Auth-User}"
        [routes.app.request_headers.set]
        X-Known-As = "user {header.X-Auth-User}"
    "#;
    let stage = Stage::new(&format!("{APP}{more}"), alice);
    let answer = stage.client().request("GET", "/app", &[("X-Auth-User", "evil")], b"");
    assert_eq!(answer.header("X-Hello"), Some("alice"));
    assert_eq!(stage.arrived().header("X-Known-As"), Some("user alice"));
    let log = stage.palisade.wait_access_log(1, |_| true);
    assert!(log[0].contains("\"user\":\"alice\""), "{}", log[0]);
    assert!(!log[0].contains("reason"), "{}", log[0]);
    assert_eq!(stage.palisade.metrics().sum("forward_auth_total", &["result=\"passed\""]), 1.0);
    stage.ends_well();
}

#[test]
fn the_combined_log_has_the_user_in_his_place() {
    let auth = Origin::scripted(|_, _| Script::answer_with(200, &[("X-Auth-User", "al \"ice")], ""));
    let stage = Stage::with(auth, Origin::echo(), &format!("log.format = \"combined\"\n{APP}"));
    assert_eq!(stage.client().get("/app").status, 200);
    assert_eq!(stage.client().get("/open").status, 200);
    let log = stage.palisade.wait_access_log(2, |_| true);
    assert!(log[0].starts_with("127.0.0.1 - al\\x20\\x22ice ["), "{}", log[0]);
    assert!(log[1].starts_with("127.0.0.1 - - ["), "{}", log[1]);
}

/// What the target may take, it may take from the answer of the auth service on.
#[test]
fn a_slow_answer_costs_the_target_nothing_of_its_time() {
    let auth = Origin::scripted(|request, _| {
        Script::new().pause(Duration::from_millis(2200)).followed_by(alice(&request.target))
    });
    let routes = APP.replace("upstream = \"origin\"", "upstream = \"origin\"\ntimeouts.read = \"2s\"");
    let stage = Stage::with(auth, Origin::echo(), &routes);
    let mut client = stage.client();
    // On a connection to the origin that is there already, where the wait would count from the beginning.
    assert_eq!(client.get("/open").status, 200);
    assert_eq!(client.get("/app/slow/100").status, 200);
    stage.ends_well();
}
