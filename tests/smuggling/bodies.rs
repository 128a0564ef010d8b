//! Chunked bodies that end in different places for different readers.

use testkit::{canary, canary_on};

use crate::stage::{SMUGGLED, Stage};

/// The body behind a head of `POST`, where it is buffered and where it is passed on as it comes.
fn chunked(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Buffered nothing of them goes on; streamed no request comes of them.
#[track_caller]
fn refuses_bodies(cases: &[(&[u8], &str)]) {
    let smuggled = |path, body: &[u8]| [&chunked(path, body)[..], SMUGGLED.as_bytes()].concat();
    let buffered: Vec<_> = cases.iter().map(|&(body, reason)| (smuggled("/p", body), 400, reason)).collect();
    Stage::new().refuses(&buffered);
    let streamed: Vec<_> =
        cases.iter().map(|&(body, reason)| (smuggled("/stream/p", body), 400, reason)).collect();
    Stage::new().breaks_off(&streamed);
}

// Row 8

#[test]
fn a_chunk_size_is_hex_digits_and_no_more_than_sixteen() {
    let sizes: [&[u8]; 19] = [
        b"0x5",
        b"+5",
        b"-5",
        b"5_0",
        b" 5",
        b"5 ",
        b"5\t",
        b"",
        b"g",
        b"5,5",
        b"5.0",
        b"5 5",
        b"\"5\"",
        b"5\0",
        b"5\xa0",
        b"ffffffffffffffff1",
        b"00000000000000005",
        b"\x0b5",
        b"0x",
    ];
    let bodies = sizes.map(|size| [size, b"\r\nhello\r\n0\r\n\r\n"].concat());
    let second = sizes.map(|size| [b"3\r\nabc\r\n", size, b"\r\nhello\r\n0\r\n\r\n"].concat());
    let cases: Vec<_> =
        bodies.iter().chain(&second).map(|body| (body.as_slice(), "bad_chunk_size")).collect();
    refuses_bodies(&cases);
}

#[test]
fn a_chunk_larger_than_all_memory_is_no_larger_than_the_limit() {
    let stage = Stage::new();
    stage.refuses(&[
        (chunked("/small", b"ffffffffffffffff\r\nhello world"), 413, "body_too_large"),
        (chunked("/small", b"b\r\nhello world\r\n0\r\n\r\n"), 413, "body_too_large"),
    ]);
}

// Row 9

#[test]
fn a_chunk_extension_ends_only_in_crlf() {
    refuses_bodies(&[
        (b"5;\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5\nhello\r\n0\r\n\r\n", "bad_chunk_size"),
        (b"5;a\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5;a=b\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5;a=\"b\r\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5;\r\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5;a\rb\r\nhello\r\n0\r\n\r\n", "bad_chunk_size"),
        (b"2\r\r;a\r\nok\r\n0\r\n\r\n", "bad_chunk_size"),
        (b"5;\x00x\r\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5; a\r\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5;\x80\r\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        (b"5\r\nhello\r\n0;\n\r\n", "bad_chunk_extension"),
        (b"5\r\nhello\r\n0\n\r\n", "bad_chunk_size"),
    ]);
}

#[test]
fn a_flood_of_chunk_extensions_is_refused() {
    let long = [b"5;", "a".repeat(64 << 10).as_bytes(), b"\r\nhello\r\n0\r\n\r\n"].concat();
    let many = [format!("1;{}\r\nx\r\n", "a".repeat(10 << 10)).repeat(10).as_bytes(), b"0\r\n\r\n"].concat();
    let tiny = ["1;a\r\nx\r\n".repeat(10_000).as_bytes(), b"0\r\n\r\n"].concat();
    refuses_bodies(&[
        (&long, "bad_chunk_extension"),
        (&many, "bad_chunk_extension"),
        (&tiny, "bad_chunk_extension"),
    ]);
}

#[test]
fn valid_extensions_are_read_and_dropped() {
    let stage = Stage::new();
    let mut client = stage.connect();
    for path in ["/p", "/stream/p"] {
        client.send(chunked(path, b"5;a;b=c;d=\"e;\\\"f\"\r\nhello\r\n00;last\r\n\r\n"));
        assert_eq!(client.read_response().status, 200);
        let request = stage.origin.requests().pop().unwrap();
        assert_eq!(request.body, b"hello");
        assert!(!request.raw[request.head().len()..].contains(&b';'), "{}", request.raw.escape_ascii());
        canary_on(&mut client, &stage.origin);
    }
    canary(stage.front(), &stage.origin);
}

// Row 10

#[test]
fn chunk_data_ends_in_exactly_one_crlf() {
    refuses_bodies(&[
        (b"5\r\nhello\n0\r\n\r\n", "bad_chunk_end"),
        (b"5\r\nhello\r0\r\n\r\n", "bad_chunk_end"),
        (b"5\r\nhelloXX0\r\n\r\n", "bad_chunk_end"),
        (b"5\r\nhello0\r\n\r\n", "bad_chunk_end"),
        (b"5\r\nhello world\r\n0\r\n\r\n", "bad_chunk_end"),
        (b"5\r\nhell\r\n0\r\n\r\n", "bad_chunk_end"),
        (b"5\r\nhello\r\n\r\n0\r\n\r\n", "bad_chunk_size"),
        (b"5\r\nhello\r\n0\r\n\n", "bad_trailers"),
        (b"5\r\nhello\r\n0\r\n\rX", "bad_trailers"),
    ]);
}

#[test]
fn a_chunked_body_that_breaks_off_is_no_request() {
    for path in ["/p", "/stream/p"] {
        let stage = Stage::new();
        for cut in [
            "",
            "5",
            "5\r\nhel",
            "5\r\nhello\r\n",
            "5\r\nhello\r\n0\r\n",
            "5\r\nhello\r\n0\r\n\r",
            "5\r\nhello\r\n0\r\nX: y\r\n",
        ] {
            let mut client = stage.connect();
            client.send(chunked(path, cut.as_bytes()));
            client.finish_sending();
            assert_eq!(client.read_to_end(), b"", "nobody is there to be answered: {cut:?}");
            canary(stage.front(), &stage.origin);
        }
        for request in stage.origin.requests() {
            assert!(request.target.starts_with("/canary"), "{}", request.raw.escape_ascii());
        }
        assert_eq!(stage.reasons(7), ["client_closed"; 7]);
    }
}

// Row 11

#[test]
fn trailers_are_never_merged_into_the_head() {
    let stage = Stage::new();
    let trailers = [
        "Host: evil",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Authorization: Basic x",
        "Cookie: a=b",
        "X-Real-IP: 9.9.9.9",
        "X-Forwarded-For: 9.9.9.9",
        "X-Forwarded-Proto: https",
        "Forwarded: for=9.9.9.9",
        "Connection: close",
        "Content-Type: text/evil",
        "Expect: 100-continue",
        "X_Real_IP: 9.9.9.9",
        "Proxy-Authorization: x",
        "Content_Length: 3",
        "Trailer: X",
        "TE: trailers",
        "Upgrade: websocket",
        "Via: 1.1 evil",
        "Set-Cookie: a=b",
        "Client-Cert: x",
        "Early-Data: 1",
    ];
    let mut client = stage.connect();
    for path in ["/p", "/stream/p"] {
        for te in ["", "TE: trailers\r\n"] {
            let head = |fields: &str| {
                format!("POST {path} HTTP/1.1\r\nHost: a\r\n{te}Transfer-Encoding: chunked\r\n{fields}\r\n")
            };
            client.send(format!("{}5\r\nhello\r\n0\r\n\r\n", head("")));
            assert_eq!(client.read_response().status, 200);
            let plain = stage.origin.requests().pop().unwrap();
            for trailer in trailers {
                client.send(format!("{}5\r\nhello\r\n0\r\n{trailer}\r\n\r\n", head("")));
                assert_eq!(client.read_response().status, 200);
                let request = stage.origin.requests().pop().unwrap();
                let without_id = |fields: &testkit::Headers| {
                    fields.iter().filter(|(name, _)| name != "X-Request-ID").cloned().collect::<Vec<_>>()
                };
                assert_eq!(without_id(&request.headers), without_id(&plain.headers), "{trailer}");
                assert_eq!((&request.body, request.trailers.len()), (&plain.body, 0), "{trailer}");
            }
            canary_on(&mut client, &stage.origin);
        }
    }
    canary(stage.front(), &stage.origin);
}

#[test]
fn harmless_trailers_pass_only_where_a_body_is_streamed_and_trailers_are_spoken() {
    let stage = Stage::new();
    let mut client = stage.connect();
    for (path, te, expected) in [
        ("/p", "TE: trailers\r\n", None),
        ("/stream/p", "", None),
        ("/stream/p", "TE: trailers\r\n", Some("1")),
    ] {
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\n{te}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        ));
        assert_eq!(client.read_response().status, 200);
        assert_eq!(stage.origin.requests().pop().unwrap().trailers.get("X-Sum"), expected, "{path} {te}");
    }
    canary_on(&mut client, &stage.origin);
    canary(stage.front(), &stage.origin);
}

#[test]
fn trailers_beyond_a_limit_or_against_the_grammar_are_refused() {
    let section = |lines: &str| format!("5\r\nhello\r\n0\r\n{lines}\r\n").into_bytes();
    let cases = [
        section(&format!("X: {}\r\n", "y".repeat(17 << 10))),
        section(&"X: y\r\n".repeat(101)),
        section("X: y\nSmuggled: z\r\n"),
        section("X: y\r\n z\r\n"),
        section("X : y\r\n"),
        section("X: y\0\r\n"),
        section(": y\r\n"),
        section("GET /smuggled HTTP/1.1\r\n"),
    ];
    let cases: Vec<_> = cases.iter().map(|body| (body.as_slice(), "bad_trailers")).collect();
    refuses_bodies(&cases);
}
