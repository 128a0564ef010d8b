//! Bodies in both directions: complete, in order, framed for whoever reads them, and cut when they are cut.

use std::io::{ErrorKind, Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use testkit::{Origin, Script, canary, pattern, poll_until};

use crate::stage::{SOON, Stage};

/// Around the sizes at which buffers and ways of writing change.
const SIZES: [usize; 12] = [0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 16_384, 65_536, 65_537, 1_000_003];

#[test]
fn bodies_of_every_size_go_there_and_back() {
    let stage = Stage::new();
    let mut client = stage.client();
    for size in SIZES {
        let body = pattern(size);
        for path in ["/echo", "/stream/echo"] {
            let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
            client.send([head.as_bytes(), &body].concat());
            assert!(client.read_response().body == body, "{size} bytes with a length to {path}");

            let mut chunked =
                format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
            for piece in body.chunks(997) {
                chunked.extend([format!("{:X}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            }
            chunked.extend_from_slice(b"0\r\n\r\n");
            client.send(chunked);
            assert!(client.read_response().body == body, "{size} bytes in chunks to {path}");
        }
        let response = client.get(&format!("/bytes/{size}"));
        assert_eq!(response.header("Content-Length"), Some(size.to_string().as_str()));
        assert!(response.body == body, "{size} bytes with a length from the origin");
        let response = client.get(&format!("/chunked/{size}"));
        assert_eq!(response.headers.all("Transfer-Encoding"), ["chunked"]);
        assert!(response.body == body, "{size} bytes in chunks from the origin");
    }
    stage.all_is_well(&mut client);
    assert_eq!(stage.origin.connections().len(), 1);
}

#[test]
fn a_head_request_gets_the_head_that_a_get_would() {
    let stage = Stage::new();
    let mut client = stage.client();
    let response = client.request("HEAD", "/bytes/1234", &[], b"");
    assert_eq!((response.status, response.header("Content-Length")), (200, Some("1234")));
    let response = client.request("HEAD", "/chunked/1234", &[], b"");
    assert_eq!((response.status, response.header("Content-Length")), (200, None));
    stage.all_is_well(&mut client);
    assert_eq!(stage.origin.connections().len(), 1, "no body was waited for");
}

#[test]
fn answers_that_have_no_body_have_none() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/304" => {
            Script::new().send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 500\r\n\r\n")
        }
        _ => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    let response = client.get("/status/204");
    assert_eq!(
        (response.status, response.header("Content-Length"), response.header("Transfer-Encoding")),
        (204, None, None)
    );
    let response = client.get("/304");
    assert_eq!(
        (response.status, response.header("ETag"), response.header("Content-Length")),
        (304, Some("\"x\""), Some("500"))
    );
    stage.all_is_well(&mut client);
    assert_eq!(stage.origin.connections().len(), 1);
}

#[test]
fn an_answer_that_lasts_until_the_close_is_chunked_for_1_1_and_closes_for_1_0() {
    let origin = Origin::scripted(|request, _| match request.target.as_str() {
        "/until-close" => Script::new().send("HTTP/1.1 200 OK\r\n\r\n").send(pattern(100_000)).close(),
        "/until-close-1.0" => Script::new().send("HTTP/1.0 200 OK\r\n\r\n").send(pattern(100_000)).close(),
        _ => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    for target in ["/until-close", "/until-close-1.0"] {
        let mut client = stage.client();
        let response = client.get(target);
        assert_eq!(response.header("Transfer-Encoding"), Some("chunked"));
        assert!(response.body == pattern(100_000));
        stage.all_is_well(&mut client);

        client.send(format!("GET {target} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"));
        let response = client.read_response();
        assert_eq!(
            (response.header("Transfer-Encoding"), response.header("Connection")),
            (None, Some("close"))
        );
        assert!(response.body == pattern(100_000));
    }
    // 1.0 knows no chunks, so what came in chunks goes without.
    let mut client = stage.client();
    client.send("GET /chunked/5000 HTTP/1.0\r\n\r\n");
    let response = client.read_response();
    assert_eq!((response.header("Transfer-Encoding"), response.header("Content-Length")), (None, None));
    assert!(response.body == pattern(5000));
    canary(stage.front(), &stage.origin);
}

/// The worst that a proxy can do to an answer is to make a half one look whole.
#[test]
fn a_cut_answer_is_cut_for_the_client_too() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n\r\n",
    ];
    let origin = Origin::scripted(move |request, _| match request.target.strip_prefix("/cut-") {
        Some(number) => Script::new().send(answers[number.parse::<usize>().unwrap()]).close(),
        None if request.target == "/reset" => {
            Script::new().send("HTTP/1.1 200 OK\r\n\r\n").send(pattern(100)).reset()
        }
        None => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    for version in ["1.1", "1.0"] {
        for target in ["/cut-0", "/cut-1", "/cut-2", "/cut-3"] {
            let mut client = stage.client();
            client.send(format!("GET {target} HTTP/{version}\r\nHost: a\r\n\r\n"));
            match client.try_read_response() {
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                    "{target} {version}: {error}"
                ),
                // What was seen to be wrong before anything was sent can still be told.
                Ok(told) => assert_eq!(told.status, 502, "{target} {version}"),
            }
            canary(stage.front(), &stage.origin);
        }
    }
    let log = stage.palisade.wait_access_log(8, |line| line.contains("/cut-"));
    assert!(
        log.iter().all(|line| line.contains("upstream_truncated") || line.contains("upstream_bad_body")),
        "{log:#?}"
    );

    // An answer without a length may end anywhere, but not by a reset.
    let mut client = stage.client();
    client.send("GET /reset HTTP/1.1\r\nHost: a\r\n\r\n");
    if let Ok(response) = client.try_read_response() {
        assert_eq!(response.status, 502, "the reset was noticed before the answer began");
    }
    canary(stage.front(), &stage.origin);
}

#[test]
fn trailers_of_an_answer_reach_who_asked_for_trailers() {
    let origin = Origin::scripted(|request, _| {
        match request.target.as_str() {
        "/trailers" => Script::new().send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\n",
        ),
        _ => Script::echo(request),
    }
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    for (te, sum) in [("trailers", Some("1")), ("gzip, Trailers;q=0.5", None), ("deflate", None), ("", None)]
    {
        let response = client.request("GET", "/trailers", &[("TE", te)], b"");
        assert_eq!((response.text(), response.trailers.get("X-Sum")), ("hello", sum), "TE: {te}");
        assert!(response.trailers.len() <= 1, "{:?}", response.trailers);
    }
    client.send("GET /trailers HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n");
    assert_eq!(client.read_response().text(), "hello");
    assert!(client.is_closed(SOON));
    canary(stage.front(), &stage.origin);
}

#[test]
fn a_buffered_body_is_complete_before_the_origin_hears_of_it() {
    let stage = Stage::new();
    let body = pattern(300_000);
    for framing in ["Content-Length: 300000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut client = stage.client();
        let mut message = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{framing}\r\n").into_bytes();
        match framing.starts_with("Content") {
            true => message.extend_from_slice(&body),
            false => {
                message.extend([format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat())
            }
        }
        let (most, last) = message.split_at(message.len() - 1);
        client.send(most);
        // There is one worker, and it has served three others since.
        canary(stage.front(), &stage.origin);
        assert!(stage.origin.requests().iter().all(|request| request.target != "/echo"));
        assert_eq!(stage.origin.unclaimed_bytes(), 0);
        client.send(last);
        assert!(client.read_response().body == body);
        assert_eq!(stage.origin.requests().last().unwrap().header("Content-Length"), Some("300000"));
        stage.all_is_well(&mut client);
        stage.origin.forget();
    }
}

#[test]
fn a_streamed_body_is_passed_on_as_it_comes() {
    let stage = Stage::new();
    for (framing, pieces) in [
        ("Content-Length: 15\r\n", ["first", "secon", "third"]),
        ("Transfer-Encoding: chunked\r\n", ["5\r\nfirst\r\n", "5\r\nsecon\r\n", "5\r\nthird\r\n0\r\n\r\n"]),
    ] {
        let mut client = stage.client();
        client.send(format!("POST /stream/echo HTTP/1.1\r\nHost: a\r\n{framing}\r\n"));
        for (piece, word) in pieces.iter().zip(["first", "secon", "third"]) {
            client.send(piece);
            poll_until(SOON, "the piece at the origin", || {
                let received = stage.origin.connections().concat();
                received.windows(word.len()).any(|window| window == word.as_bytes())
            });
        }
        assert_eq!(client.read_response().text(), "firstseconthird");
        stage.all_is_well(&mut client);
        stage.origin.forget();
    }
}

#[test]
fn a_client_that_gives_up_takes_its_streamed_request_with_it() {
    let stage = Stage::new();
    for framing in ["Content-Length: 500\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = stage.client();
        client.send(format!("POST /stream/echo HTTP/1.1\r\nHost: a\r\n{framing}"));
        poll_until(SOON, "the beginning at the origin", || {
            stage.origin.connections().concat().ends_with(&framing.as_bytes()[framing.len() - 2..])
        });
        drop(client);
        poll_until(SOON, "the end of the connection to the origin", || stage.origin.open_connections() == 0);
        assert_eq!(stage.origin.requests().len(), 0);
        canary(stage.front(), &stage.origin);
        stage.origin.forget();
    }
}

#[test]
fn events_arrive_one_by_one() {
    let (next, go_on) = channel::<&str>();
    let go_on = Mutex::new(go_on);
    let origin = Origin::raw(move |mut connection, _| {
        let Ok(Some(_)) = connection.read_request() else { return };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).unwrap();
        while let Ok(event) = go_on.lock().unwrap().recv() {
            let _ = connection.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
            if event.is_empty() {
                return;
            }
        }
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.client();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    client.stream().set_read_timeout(Some(SOON)).unwrap();
    let mut received = Vec::new();
    let mut read_up_to = |end: &str| {
        let mut piece = [0; 1024];
        while !received.ends_with(end.as_bytes()) {
            let count = client.stream().read(&mut piece).expect("an event in time");
            assert!(count > 0, "closed after {}", received.escape_ascii());
            received.extend_from_slice(&piece[..count]);
        }
        String::from_utf8(std::mem::take(&mut received)).unwrap()
    };
    assert!(
        read_up_to("\r\n\r\n").contains("Content-Type: text/event-stream\r\n"),
        "the head comes before any event"
    );
    for event in ["data: 1\n\n", "data: 2\n\n", ": ping\n\n"] {
        next.send(event).unwrap();
        assert_eq!(read_up_to("\n\n\r\n"), format!("{:x}\r\n{event}\r\n", event.len()));
    }
    next.send("").unwrap();
    assert_eq!(read_up_to("0\r\n\r\n"), "0\r\n\r\n");
}

#[test]
fn a_body_above_the_limit_is_refused_and_the_setting_named_in_the_log() {
    let stage = Stage::new();
    for path in ["/small/echo", "/stream/small/echo"] {
        for (framing, status) in [
            ("Content-Length: 10\r\n\r\n0123456789", 200),
            ("Content-Length: 11\r\n\r\n0123456789x", 413),
            ("Content-Length: 99999999999\r\n\r\n0123456789", 413),
            ("Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", 200),
            ("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 200),
            ("Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n", 413),
            ("Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n6789x\r\n0\r\n\r\n", 413),
        ] {
            let mut client = stage.client();
            client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}"));
            let response = client.read_response();
            assert_eq!(response.status, status, "{path} {framing}");
            assert_eq!(
                response.header("Connection"),
                if status == 413 { Some("close") } else { None },
                "{path} {framing}"
            );
            canary(stage.front(), &stage.origin);
        }
    }
    assert!(stage.origin.requests().iter().all(|request| request.body.len() <= 10));
    let lines = stage.palisade.wait_access_log(8, |line| line.contains(r#""status":413"#));
    assert!(
        lines.iter().all(|line| line.contains(r#""reason":"body_too_large","detail":"max_body_size""#)),
        "{lines:#?}"
    );
}
