use super::*;
use crate::{Client, canary, temp_dir};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn records_requests_and_raw_bytes() {
    let origin = Origin::echo();
    let raw = "POST /echo?q=1 HTTP/1.1\r\nHost: a\r\nX-Mixed: Case \r\nContent-Length: 5\r\n\r\nhello";
    let mut client = Client::connect(origin.address());
    client.send(raw);
    assert_eq!(client.read_response().text(), "hello");

    let request = &origin.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/echo?q=1"));
    assert_eq!(request.headers[1], ("X-Mixed".to_string(), "Case".to_string()));
    assert_eq!(request.body, b"hello");
    assert_eq!(request.raw, raw.as_bytes());
    assert_eq!(origin.connections(), [raw.as_bytes()]);
    assert_eq!(client.get("/headers").body, origin.requests()[1].head());
}

#[test]
fn answers_pipelined_requests_in_order() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    client.send("GET /canary-1 HTTP/1.1\r\nHost: a\r\n\r\nGET /canary-2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().text(), "1");
    assert_eq!(client.read_response().text(), "2");
}

#[test]
fn counts_connections_and_notices_their_end() {
    let origin = Origin::echo();
    let mut first = Client::connect(origin.address());
    let mut second = Client::connect(origin.address());
    first.get("/");
    second.get("/");
    assert_eq!(origin.requests()[1].connection, 1);
    assert_eq!(origin.open_connections(), 2);
    drop(first);
    poll_until(SOON, "the end of one connection", || origin.open_connections() == 1);
}

#[test]
fn closes_when_asked_to() {
    let origin = Origin::echo();
    for request in ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut client = Client::connect(origin.address());
        client.send(request);
        assert_eq!(client.read_response().header("connection"), Some("close"));
        assert!(client.is_closed(SOON), "{request:?}");
    }
}

#[test]
fn asks_for_the_body_that_the_client_holds_back() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    poll_until(SOON, "100 Continue", || {
        client.is_closed(Duration::from_millis(5));
        client.unread().starts_with("HTTP/1.1 100 ")
    });
    client.send("hi");
    let response = client.read_response();
    assert_eq!((response.text(), response.interim[0].status), ("hi", 100));
}

#[test]
fn keeps_the_reason_why_it_refused() {
    for (request, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", "Host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "Host"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "request line"),
        ("GET / HTTP/1.1\nHost: a\n\n", "bare LF"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "framing"),
    ] {
        let origin = Origin::echo();
        let mut client = Client::connect(origin.address());
        client.send(request);
        assert_eq!(client.read_response().status, 400, "{request:?}");
        assert!(client.is_closed(SOON));
        assert!(origin.violations()[0].contains(reason), "{:?} for {request:?}", origin.violations());
        assert!(origin.requests().is_empty());
    }
}

#[test]
fn a_script_sees_the_request_and_its_number() {
    let origin =
        Origin::scripted(|request, number| Script::answer(200, format!("{number} {}", request.target)));
    let mut client = Client::connect(origin.address());
    assert_eq!(client.get("/a").text(), "0 /a");
    assert_eq!(Client::connect(origin.address()).get("/b").text(), "1 /b");
}

#[test]
fn stops_reading_but_keeps_the_connection() {
    let origin = Origin::scripted(|_, _| Script::answer(200, "once").then(Step::StopReading));
    let mut client = Client::connect(origin.address());
    assert_eq!(client.get("/").text(), "once");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!client.is_closed(Duration::from_millis(50)));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn raw_connections_are_recorded_too() {
    let origin = Origin::raw(|mut connection, index| {
        let mut greeting = [0; 5];
        connection.read_exact(&mut greeting).unwrap();
        write!(connection, "{index} {}", String::from_utf8_lossy(&greeting)).unwrap();
    });
    let mut client = Client::connect(origin.address());
    client.send("HELLO");
    assert_eq!(client.read_to_end(), b"0 HELLO", "and closes when the function returns");
    assert_eq!(origin.connections(), [b"HELLO"]);
}

#[test]
fn refuses_while_stopped_and_comes_back_on_the_same_port() {
    let mut origin = Origin::scripted(|_, _| Script::new().then(Step::HoldOpen));
    let address = origin.address();
    let mut held = Client::connect(&address);
    held.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1, SOON);

    origin.stop();
    assert!(held.is_closed(SOON));
    let error = Client::try_connect(&address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

    origin.restart();
    assert_eq!(origin.address(), address);
    Client::connect(&address).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(2, SOON);
}

#[test]
fn restarts_on_a_unix_socket() {
    let dir = temp_dir();
    let mut origin = Origin::serve(dir.join("s").as_path(), Behaviour::Echo);
    origin.stop();
    assert!(Client::try_connect(origin.address()).is_err());
    origin.restart();
    canary(origin.address(), &origin);
}

#[test]
#[should_panic(expected = "the answer to /canary-")]
fn the_canary_notices_an_answer_that_belongs_to_another() {
    let origin = Origin::scripted(|_, _| Script::answer(200, "somebody else's"));
    canary(origin.address(), &origin);
}

#[test]
#[should_panic(expected = "broken rules")]
fn the_canary_notices_earlier_violations() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.read_response();
    canary(origin.address(), &origin);
}
