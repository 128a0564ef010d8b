use super::*;
use crate::{Origin, Script, Step, pattern, temp_dir};

/// A client of an origin that sends `answer` to every request.
fn client_of(answer: &'static str) -> (Client, Origin) {
    let origin = Origin::scripted(move |_, _| Script::new().send(answer).close());
    let mut client = Client::connect(origin.address());
    client.send(request_bytes("GET", "/", &[], b""));
    (client, origin)
}

#[test]
fn reads_each_kind_of_body() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    assert_eq!(client.get("/bytes/300000").body, pattern(300_000));
    assert_eq!(client.get("/chunked/300000").body, pattern(300_000));
    assert_eq!(client.get("/chunked/0").body, b"");
    assert_eq!(client.request("POST", "/echo", &[("Content-Type", "a/b")], b"hello").text(), "hello");
    let no_content = client.get("/status/204");
    assert_eq!((no_content.status, no_content.header("content-length")), (204, None));
    assert_eq!(client.request("HEAD", "/bytes/10", &[], b"").header("content-length"), Some("10"));
    assert_eq!(client.get("/canary-5").text(), "5", "still in step after HEAD and 204");
    assert_eq!(origin.connections().len(), 1);
}

#[test]
fn reads_until_close_without_a_length() {
    let (mut client, _origin) = client_of("HTTP/1.1 200 OK\r\n\r\nto the end");
    assert_eq!(client.read_response().text(), "to the end");
}

#[test]
fn keeps_interim_answers_apart() {
    let (mut client, _origin) = client_of(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let response = client.read_response();
    assert_eq!((response.status, response.text()), (200, "ok"));
    assert_eq!(response.head, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    let interim = &response.interim[0];
    assert_eq!((interim.status, interim.header("link")), (103, Some("</a>")));
}

#[test]
fn a_switch_of_protocols_is_final() {
    let (mut client, _origin) = client_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw bytes");
    assert_eq!(client.read_response().status, 101);
    assert_eq!(client.read_to_end(), b"raw bytes");
}

#[test]
fn reads_trailers() {
    let (mut client, _origin) =
        client_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nSum: 1\r\n\r\n");
    assert_eq!(client.read_response().trailers.get("sum"), Some("1"));
}

#[test]
fn refuses_answers_that_are_ambiguous_or_malformed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
    ] {
        let (mut client, _origin) = client_of(answer);
        let error = client.try_read_response().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{answer:?}");
    }
}

#[test]
fn tells_a_cut_answer_from_a_whole_one() {
    let (mut client, _origin) = client_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.try_read_response().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_silent_or_dripping_server_meets_the_deadline() {
    let origin = Origin::scripted(|_, _| {
        let drip = |_| [Step::Send(b"H".to_vec()), Step::Pause(Duration::from_millis(20))];
        Script::of((0..1000).flat_map(drip).collect::<Vec<_>>())
    });
    let mut client = Client::connect(origin.address());
    client.set_deadline(Duration::from_millis(100));
    client.send(request_bytes("GET", "/", &[], b""));
    let error = client.try_read_response().unwrap_err();
    assert!(is_timeout(&error), "{error}");
}

#[test]
fn notices_close_and_reset_but_not_silence() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/close" => Script::new().close(),
        "/reset" => Script::new().reset(),
        _ => Script::new(),
    });
    let mut client = Client::connect(origin.address());
    client.send(request_bytes("GET", "/silence", &[], b""));
    assert!(!client.is_closed(Duration::from_millis(50)));
    client.send(request_bytes("GET", "/close", &[], b""));
    assert!(client.is_closed(DEADLINE));

    let mut client = Client::connect(origin.address());
    client.send(request_bytes("GET", "/reset", &[], b""));
    client.set_deadline(DEADLINE);
    assert_eq!(client.try_read_response().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn talks_over_a_unix_socket() {
    let dir = temp_dir();
    let origin = Origin::serve(dir.join("origin.sock").as_path(), crate::Behaviour::Echo);
    let mut client = Client::connect(origin.address());
    assert_eq!(client.get("/canary-1").text(), "1");
    client.finish_sending();
    assert!(client.is_closed(DEADLINE));
}

#[test]
fn sends_byte_by_byte() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    client.send_slowly(request_bytes("GET", "/canary-3", &[], b""), Duration::from_micros(100)).unwrap();
    assert_eq!(client.read_response().text(), "3");
}
