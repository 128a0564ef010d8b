//! Heads that frame a body in two ways, or that break the grammar.

use std::time::Duration;

use testkit::{Origin, Script, canary};

use crate::stage::{SMUGGLED, SOON, Stage, get, post};

// Row 1

#[test]
fn length_together_with_coding_is_refused() {
    let both = [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ];
    let mut cases = Vec::new();
    for fields in both {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "BREW"] {
            let message = format!("{method} /p HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\nX");
            cases.push((message, 400, "length_and_coding"));
        }
    }
    for fields in [
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "content-length: 6\r\nX: y\r\ntRANSFER-eNCODING: CHUNKED\r\n",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\nConnection: Content-Length\r\n",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n",
        "Content-Length: six\r\nTransfer-Encoding: chunked\r\n",
    ] {
        cases.push((post(fields, &format!("0\r\n\r\n{SMUGGLED}")), 400, "length_and_coding"));
    }
    Stage::new().refuses(&cases);
}

// Row 2

#[test]
fn a_coding_that_is_not_exactly_chunked_is_refused() {
    let lines: &[(&[u8], u16, &str)] = &[
        (b"Transfer-Encoding: xchunked\r\n", 501, "unknown_coding"),
        (b"Transfer-Encoding: identity\r\n", 501, "unknown_coding"),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501, "unknown_coding"),
        (b"Transfer-Encoding: ,chunked\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: chunked,\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: chunked, gzip\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: chunked, chunked\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: chunked;q=1\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: \"chunked\"\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding:\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: \xa0chunked\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, "bad_coding"),
        (b"Transfer-Encoding: \x0bchunked\r\n", 400, "bad_syntax"),
        (b"Transfer-Encoding: chunked\0\r\n", 400, "bad_syntax"),
        (b"Transfer-Encoding:\r\n chunked\r\n", 400, "bad_syntax"),
        (b"Transfer-Encoding : chunked\r\n", 400, "bad_syntax"),
        (b"Transfer_Encoding: chunked\r\n", 400, "disguised_framing"),
        (b"Transfer.Encoding: chunked\r\n", 400, "disguised_framing"),
        (b"'Transfer-Encoding': chunked\r\n", 400, "disguised_framing"),
    ];
    let mut cases = Vec::new();
    for &(line, status, reason) in lines {
        let body = format!("\r\n0\r\n\r\n{SMUGGLED}");
        cases.push(([b"POST /p HTTP/1.1\r\nHost: a\r\n", line, body.as_bytes()].concat(), status, reason));
        // With a length besides, an unclean coding is as bad as a clean one.
        let (status, reason) = match reason {
            "unknown_coding" | "bad_coding" => (400, "length_and_coding"),
            other => (status, other),
        };
        let start = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n";
        cases.push(([start, line, body.as_bytes()].concat(), status, reason));
    }
    Stage::new().refuses(&cases);
}

// Row 3

#[test]
fn a_coding_in_http_1_0_is_refused() {
    let head = "POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
    Stage::new().refuses(&[
        (format!("{head}\r\n0\r\n\r\n"), 400, "coding_in_old_version"),
        (format!("{head}Connection: keep-alive\r\n\r\n0\r\n\r\n{SMUGGLED}"), 400, "coding_in_old_version"),
        (format!("{head}Content-Length: 5\r\n\r\n0\r\n\r\n"), 400, "coding_in_old_version"),
    ]);
}

#[test]
fn a_request_without_framing_has_no_body_in_any_version() {
    let stage = Stage::new();
    let mut client = stage.connect();
    client.send(format!("POST /p HTTP/1.0\r\nHost: a\r\n\r\n{SMUGGLED}"));
    assert_eq!(client.read_response().text(), "POST /p\n");
    assert_eq!(client.read_to_end(), b"", "1.0 does not keep alive");
    assert_eq!(stage.origin.requests()[0].body, b"");
    stage.saw_no_smuggled_request();

    let mut client = stage.connect();
    client.send(post("", "GET /canary-second HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.read_response().text(), "POST /p\n");
    assert_eq!(client.read_response().text(), "second", "what follows is a request of its own");
    canary(stage.front(), &stage.origin);
}

// Row 4

#[test]
fn more_than_one_length_is_refused() {
    let cases = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-LENGTH: 5\r\n",
        "Content-Length:\r\nContent-Length: 59\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5,6\r\n",
        "Content-Length: 5,\r\n",
        "Content-Length: ,5\r\n",
        "Content-Length: 5\r\nX: y\r\nContent-Length: 0\r\n",
    ];
    Stage::new()
        .refuses(&cases.map(|fields| (post(fields, &format!("hello{SMUGGLED}")), 400, "repeated_length")));
}

// Row 5

#[test]
fn a_length_is_digits_and_no_more_than_fit() {
    let values = [
        "+5",
        "-0",
        "-5",
        "0x5",
        "5_0",
        "5 5",
        "",
        "5;",
        "5.0",
        "5e0",
        "\"5\"",
        "five",
        "5h",
        "99999999999999999999",
        "9223372036854775808",
        "18446744073709551621",
        "00000000000000000005",
    ];
    let mut cases = values
        .map(|value| (post(&format!("Content-Length: {value}\r\n"), "hello"), 400, "bad_length"))
        .to_vec();
    let zeros = "0".repeat(1 << 20);
    cases.push((post(&format!("Content-Length: {zeros}5\r\n"), "hello"), 431, "field_too_long"));
    // Above the limit of the route: said without waiting for any of it.
    cases.push((post("Content-Length: 9223372036854775807\r\n", ""), 413, "body_too_large"));
    Stage::new().refuses(&cases);
}

// Row 7

#[test]
fn a_length_that_the_origin_might_find_is_never_passed_on() {
    let stage = Stage::new();
    let body = "GET /smuggled HTTP/1.1\r\nX: ";
    stage.refuses(&[
        (post("Content-Length : 26\r\n", body), 400, "bad_syntax"),
        (post("Content-Length\t: 26\r\n", body), 400, "bad_syntax"),
        (post("Content-Length:\r\n 26\r\n", body), 400, "bad_syntax"),
        (post("Content-Length:\n 26\r\n", body), 400, "bare_lf"),
        (post("\0Content-Length: 26\r\n", body), 400, "bad_syntax"),
        (post(" Content-Length: 26\r\n", body), 400, "bad_syntax"),
        (post("X: y\rContent-Length: 26\r\n", body), 400, "bad_syntax"),
        (post("Content_Length: 26\r\n", body), 400, "disguised_framing"),
        (post("Content-Length.: 26\r\n", body), 400, "disguised_framing"),
        (post(": 26\r\nContent-Length: 26\r\n", body), 400, "bad_syntax"),
    ]);
}

#[test]
fn the_origin_gets_exactly_one_framing_of_our_own() {
    let stage = Stage::new();
    let cases = [
        ("Content-Length: 0005\r\n", "hello", "Content-Length", "5"),
        ("CONTENT-LENGTH:\t5 \r\n", "hello", "Content-Length", "5"),
        // A buffered body is complete, so its length is known.
        ("transfer-encoding:CHUNKED\r\n", "005\r\nhello\r\n000\r\n\r\n", "Content-Length", "5"),
    ];
    let mut client = stage.connect();
    for (fields, body, name, value) in cases {
        client.send(post(fields, body));
        assert_eq!(client.read_response().status, 200, "{fields:?}");
        let request = stage.origin.requests().pop().unwrap();
        let lines = request.headers.iter().filter(|(name, _)| is_framing(name)).collect::<Vec<_>>();
        assert_eq!(lines, [&(name.to_owned(), value.to_owned())], "{fields:?}");
        assert_eq!(request.body, b"hello");
    }
    client.send("POST /stream/p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n05;x=y\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.read_response().status, 200);
    let request = stage.origin.requests().pop().unwrap();
    let lines = request.headers.iter().filter(|(name, _)| is_framing(name)).collect::<Vec<_>>();
    assert_eq!(lines, [&("Transfer-Encoding".to_owned(), "chunked".to_owned())]);
    assert!(request.raw.ends_with(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{}", request.raw.escape_ascii());
    testkit::canary_on(&mut client, &stage.origin);
    canary(stage.front(), &stage.origin);
}

fn is_framing(name: &str) -> bool {
    name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("Transfer-Encoding")
}

// Row 12

#[test]
fn control_bytes_and_bare_line_ends_are_refused() {
    let mut cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"GET /p HTTP/1.1\nHost: a\n\n".to_vec(), 400, "bare_lf"),
        (b"GET /p HTTP/1.1\r\nHost: a\n\r\n".to_vec(), 400, "bare_lf"),
        (b"GET /p HTTP/1.1\r\nHost: a\r\n\n".to_vec(), 400, "bare_lf"),
        (b"GET /p HTTP/1.1\r\nHost: a\r\nX: b\nSmuggled: c\r\n\r\n".to_vec(), 400, "bare_lf"),
        (b"GET /p HTTP/1.1\r\nHost: a\r\nX: b\rSmuggled: c\r\n\r\n".to_vec(), 400, "bad_syntax"),
        (b"GET /p HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n".to_vec(), 400, "bad_syntax"),
        (b"GET /p HTTP/1.1\r\r\nHost: a\r\n\r\n".to_vec(), 400, "bad_syntax"),
        (b"\r\n\r\nGET /p HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), 400, "leading_empty_line"),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(), 400, "bad_syntax"),
    ];
    for byte in (0..=0x1f).chain([0x7f]).filter(|byte| !b"\t\r\n".contains(byte)) {
        for place in [
            "GET /p HTTP/1.1\r\nHost: a\r\nX: b\u{1}c\r\n\r\n",
            "GET /p HTTP/1.1\r\nHost: a\r\nX\u{1}: c\r\n\r\n",
        ] {
            let message = place.bytes().map(|old| if old == 1 { byte } else { old }).collect();
            cases.push((message, 400, "bad_syntax"));
        }
    }
    Stage::new().refuses(&cases);
}

// Row 13

#[test]
fn a_folded_field_is_refused() {
    Stage::new().refuses(&[
        (get("X: b\r\n c\r\n"), 400, "bad_syntax"),
        (get("X: b\r\n\tc\r\n"), 400, "bad_syntax"),
        (get("X:\r\n b\r\n"), 400, "bad_syntax"),
        (get("X: b\r\n \r\n"), 400, "bad_syntax"),
        (post("Expect: 100-continue\r\n X: y\r\nContent-Length: 5\r\n", "hello"), 400, "bad_syntax"),
        (format!("OPTIONS /p HTTP/1.1\r\nHost: a\r\nExpect:\r\n 100-continue\r\nContent-Length: 44\r\n\r\n{SMUGGLED}"), 400, "bad_syntax"),
    ]);
}

// Row 14

#[test]
fn a_field_line_without_a_proper_name_is_refused() {
    let mut cases: Vec<(Vec<u8>, u16, &str)> = Vec::new();
    for line in [
        "X : y",
        " X: y",
        "\tX: y",
        ": y",
        "X",
        "X y",
        "Te st: 1",
        "Héader: 1",
        "H(a): 1",
        "H@: 1",
        "\"X\": y",
        "X\u{7f}: y",
        "[X]: y",
        "X=1: y",
        "Host : b",
    ] {
        cases.push((get(&format!("{line}\r\n")).into_bytes(), 400, "bad_syntax"));
    }
    // Before the first field a line that begins with a space belongs to nothing.
    cases.push((b"GET /p HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n".to_vec(), 400, "bad_syntax"));
    cases.push((b"GET /p HTTP/1.1\r\nHost: a\r\nX\x85: y\r\n\r\n".to_vec(), 400, "bad_syntax"));
    Stage::new().refuses(&cases);
}

/// Rows 12 to 14 from the other side: what an origin sends is not repaired either.
#[test]
fn an_answer_that_breaks_the_grammar_is_a_bad_gateway() {
    let heads: [&[u8]; 12] = [
        b"HTTP/1.1 200 OK\r\nX: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX : b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n X: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: b\0c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: b\rSet-Cookie: c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\nok",
    ];
    let origin = Origin::scripted(move |request, _| match request.target.strip_prefix("/bad-") {
        Some(number) => Script::new().send(heads[number.parse::<usize>().unwrap()]),
        None => Script::echo(request),
    });
    let stage = Stage::before(origin, "");
    let mut client = stage.connect();
    for (number, head) in heads.iter().enumerate() {
        let response = client.get(&format!("/bad-{number}"));
        assert_eq!(response.status, 502, "{}", head.escape_ascii());
        assert_eq!(response.header("X"), None);
        assert_eq!(response.header("Set-Cookie"), None);
        testkit::canary_on(&mut client, &stage.origin);
        canary(stage.front(), &stage.origin);
    }
    assert_eq!(stage.reasons(heads.len()), ["upstream_bad_answer"; 12]);
}

// Row 15

#[test]
fn a_request_line_has_one_reading() {
    let host = "Host: a\r\n\r\n";
    let cases = [
        ("G=\":<>(e) /p HTTP/1.1\r\n", 400, "bad_syntax"),
        ("GET  /p HTTP/1.1\r\n", 400, "bad_syntax"),
        ("GET /p  HTTP/1.1\r\n", 400, "bad_syntax"),
        ("GET /p HTTP/1.1 \r\n", 400, "bad_syntax"),
        (" GET /p HTTP/1.1\r\n", 400, "bad_syntax"),
        ("GET\t/p\tHTTP/1.1\r\n", 400, "bad_syntax"),
        ("GET /a b HTTP/1.1\r\n", 400, "bad_syntax"),
        ("GET /p\r\n", 400, "bad_syntax"),
        ("GET /\nHTTP/1.1\r\n", 400, "bare_lf"),
        ("GET /p HTTP/01.1\r\n", 400, "bad_syntax"),
        ("GET /p HTTP/1.32\r\n", 400, "bad_syntax"),
        ("GET /p http/1.1\r\n", 400, "bad_syntax"),
        ("GET /p HTTPS/1.1\r\n", 400, "bad_syntax"),
        ("GET /p HTTP/1.2\r\n", 505, "bad_version"),
        ("GET /p HTTP/0.9\r\n", 505, "bad_version"),
        ("GET /p HTTP/2.0\r\n", 505, "bad_version"),
        ("PRI * HTTP/2.0\r\n", 505, "bad_version"),
        ("GET p HTTP/1.1\r\n", 400, "bad_target"),
        ("GET * HTTP/1.1\r\n", 400, "bad_target"),
    ];
    let stage = Stage::new();
    stage.refuses(&cases.map(|(line, status, reason)| (format!("{line}{host}{SMUGGLED}"), status, reason)));

    let mut client = stage.connect();
    assert_eq!(client.request("get", "/p", &[], b"").text(), "get /p\n", "case is the origin's business");
    canary(stage.front(), &stage.origin);
}

// Row 16

#[test]
fn a_missing_repeated_or_invalid_host_is_refused() {
    let hosts = [
        "a/x@b", "u@a", "a:99999", "a:0", "a:", "a:8o", "a,b", "a b", "[::1", "[::1]x", "[g::]", "a..b", ".",
        ":80", "a#b", "a?b", "a\\b", "http://a", "a%00", "é",
    ];
    let message = |fields: &str| format!("GET /p HTTP/1.1\r\n{fields}\r\n");
    let mut cases = hosts.map(|host| (message(&format!("Host: {host}\r\n")), 400, "bad_host")).to_vec();
    cases.push((message("Host:\r\n"), 400, "bad_host"));
    cases.push((message("Host: a\0.b\r\n"), 400, "bad_syntax"));
    cases.push((message(""), 400, "missing_host"));
    cases.push((message("H_ost: a\r\n"), 400, "missing_host"));
    cases.push((message("Host: a\r\nHost: a\r\n"), 400, "repeated_host"));
    cases.push((message("Host: a\r\nX: y\r\nhOST: b\r\n"), 400, "repeated_host"));
    cases.push(("GET /p HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400, "repeated_host"));
    Stage::new().refuses(&cases);
}

#[test]
fn http_1_0_without_host_gets_the_route_for_any_host_only() {
    let stage =
        Stage::before(Origin::echo(), r#"routes.named = { host = "a", respond = { body = "named" } }"#);
    let mut client = stage.connect();
    client.send("GET /p HTTP/1.0\r\n\r\n");
    assert_eq!(client.read_response().text(), "GET /p\n");
    let mut client = stage.connect();
    client.send("GET /p HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().text(), "named");
    canary(stage.front(), &stage.origin);
}

// Row 17

#[test]
fn the_authority_of_the_target_is_the_host_and_may_not_differ() {
    let stage = Stage::before(Origin::echo(), r#"routes.b = { host = "b.test", respond = { body = "b" } }"#);
    let cases = [
        ("GET http://b.test/p HTTP/1.1\r\nHost: a.test\r\n\r\n", 400, "host_mismatch"),
        ("GET http://a.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n", 400, "host_mismatch"),
        ("GET http://b.test:8080/p HTTP/1.1\r\nHost: b.test\r\n\r\n", 400, "host_mismatch"),
        ("GET http://b.test/p HTTP/1.1\r\n\r\n", 400, "missing_host"),
        ("GET http://u@b.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n", 400, "bad_target"),
        ("GET http:///p HTTP/1.1\r\nHost: b.test\r\n\r\n", 400, "bad_target"),
        ("GET b.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n", 400, "bad_target"),
        ("GET ftp://b.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n", 400, "bad_target"),
        // Nobody asked for this over TLS, so nothing may be believed to have come over TLS.
        ("GET https://b.test/p HTTP/1.1\r\nHost: b.test\r\n\r\n", 421, "wrong_scheme"),
    ];
    stage.refuses(&cases);

    let mut client = stage.connect();
    client.send("GET http://B.test/p HTTP/1.1\r\nHost: b.test:80\r\n\r\n");
    assert_eq!(client.read_response().text(), "b", "the route of the target's host");
    client.send("GET http://c.test/headers?q HTTP/1.1\r\nHost: c.test\r\n\r\n");
    let head = client.read_response().text().to_owned();
    assert!(head.starts_with("GET /headers?q HTTP/1.1\r\nHost: c.test\r\n"), "{head}");
    testkit::canary_on(&mut client, &stage.origin);
    canary(stage.front(), &stage.origin);
}

// Row 24

#[test]
fn framing_and_host_cannot_be_nominated_away() {
    let stage = Stage::new();
    let mut client = stage.connect();
    for (connection, framing, body) in [
        ("Transfer-Encoding", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("Content-Length", "Content-Length: 5\r\n", "hello"),
        ("content-length, HOST, host", "Content-Length: 5\r\n", "hello"),
    ] {
        client.send(post(&format!("Connection: {connection}\r\n{framing}"), body));
        assert_eq!(client.read_response().status, 200, "{connection}");
        let request = stage.origin.requests().pop().unwrap();
        assert_eq!(
            (request.body.as_slice(), request.header("Host")),
            (&b"hello"[..], Some("a")),
            "{connection}"
        );
        assert_eq!(request.header("Connection"), None);
        testkit::canary_on(&mut client, &stage.origin);
    }
    canary(stage.front(), &stage.origin);
}

// Row 26

#[test]
fn a_head_beyond_a_limit_is_refused() {
    let fields = |count: usize, line: &str| line.repeat(count);
    let stage = Stage::new();
    stage.refuses(&[
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), 414, "target_too_long"),
        (format!("GET /{}", "a".repeat(9000)), 414, "target_too_long"),
        (get(&format!("Cookie: {}\r\n", "c".repeat(70 << 10))), 431, "field_too_long"),
        (get(&format!("{}: x\r\n", "n".repeat(17 << 10))), 431, "field_too_long"),
        (get(&fields(100, "X: y\r\n")), 431, "too_many_fields"),
        (get(&fields(70, &format!("X: {}\r\n", "y".repeat(1000)))), 431, "head_too_long"),
        (fields(70_000, "A"), 414, "target_too_long"),
    ]);

    let mut client = stage.connect();
    client.send(format!(
        "GET /canary-{} HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "7".repeat(8000),
        fields(99, "X: y\r\n")
    ));
    assert_eq!(client.read_response().text(), "7".repeat(8000), "up to the limits all is well");
    canary(stage.front(), &stage.origin);
}

#[test]
fn limits_hold_for_a_head_that_comes_byte_by_byte() {
    let stage = Stage::new();
    for (message, status) in [
        (format!("GET /p HTTP/1.1\r\nHost: a\r\n{}", "X:\r\n".repeat(101)), 431),
        ("GET /p HTTP/1.1\r\nHost: a\n".to_owned(), 400),
    ] {
        let mut client = stage.connect();
        let _ = client.send_slowly(message, Duration::from_micros(1));
        assert_eq!(client.read_response().status, status);
        assert!(client.is_closed(SOON));
    }
    canary(stage.front(), &stage.origin);
    stage.saw_only_canaries();
}

// Row 28

#[test]
fn trace_shows_nothing_and_unknown_methods_pass() {
    let stage = Stage::new();
    stage.refuses(&[
        ("TRACE /p HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n".to_owned(), 405, "method_refused"),
        (
            format!("TRACE /p HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n{SMUGGLED}"),
            405,
            "method_refused",
        ),
    ]);
    let mut client = stage.connect();
    let response = client.request("TRACE", "/p", &[("Cookie", "secret")], b"");
    assert!(!response.text().contains("secret"), "{}", response.text());
    assert!(response.header("Allow").is_some_and(|methods| !methods.contains("TRACE")));

    let mut client = stage.connect();
    assert_eq!(client.request("PROPFIND", "/p", &[], b"").text(), "PROPFIND /p\n");
    assert_eq!(client.request("!#$%&'*+-.^_`|~9", "/p", &[], b"").text(), "!#$%&'*+-.^_`|~9 /p\n");
    canary(stage.front(), &stage.origin);
}

#[test]
fn max_forwards_counts_down_and_ends_here_at_zero() {
    let stage = Stage::new();
    let mut client = stage.connect();
    let response = client.request("OPTIONS", "/p", &[("Max-Forwards", "0")], b"");
    assert_eq!((response.status, response.header("Allow").is_some()), (204, true));
    assert_eq!(stage.origin.requests().len(), 0);
    assert_eq!(client.request("OPTIONS", "/p", &[("Max-Forwards", "3")], b"").status, 200);
    assert_eq!(stage.origin.requests()[0].headers.all("Max-Forwards"), ["2"]);
    testkit::canary_on(&mut client, &stage.origin);
    canary(stage.front(), &stage.origin);
}
