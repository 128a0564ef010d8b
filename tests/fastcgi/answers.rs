//! How answers are read: what is whole, what is cut short, and what is none.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use testkit::fastcgi::{answer, complaint, end, output, record};
use testkit::{H2Client, Metrics, Script, Step, pattern, poll_until};

use crate::stage::{SOON, Stage, plain};

const HEAD: &[u8] = b"Content-Type: text/plain\r\n\r\n";

/// A stage whose server answers `/N.php`, and what is below it, with number N of these.
fn stage_of(answers: Vec<Vec<u8>>) -> Stage {
    Stage::new(move |request, _| {
        let name = request.param("SCRIPT_NAME").unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let number: usize = name.trim_end_matches(".php").parse().unwrap();
        Script::new().send(answers[number].clone())
    })
}

/// A body that is cut off: the connection ends in the middle of it.
fn is_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

#[test]
fn whole_answers_are_passed_on_and_their_connection_is_used_again() {
    let with_length = b"Content-Length: 4\r\n\r\nbody".to_vec();
    let long = vec![b'x'; 65_535];
    let bytewise: Vec<u8> =
        [HEAD, b"body"].concat().iter().flat_map(|byte| record(6, 1, &[*byte], byte % 3)).collect();
    let cases: Vec<(Vec<u8>, u16, Vec<u8>)> = vec![
        (answer([HEAD, b"body"].concat()), 200, b"body".to_vec()),
        (answer(&with_length), 200, b"body".to_vec()),
        ([bytewise, end(0, 0)].concat(), 200, b"body".to_vec()),
        ([record(6, 1, &with_length, 255), record(3, 1, &[0; 8], 9)].concat(), 200, b"body".to_vec()),
        (
            [output(HEAD), record(6, 1, &long, 1), output(b"y"), end(0, 0)].concat(),
            200,
            [long.clone(), b"y".to_vec()].concat(),
        ),
        // Records in the output are output.
        (answer([HEAD, &answer(b"Status: 500\r\n\r\n")].concat()), 200, answer(b"Status: 500\r\n\r\n")),
        (
            [output(&with_length), record(6, 1, b"", 0), complaint(b""), end(0, 0)].concat(),
            200,
            b"body".to_vec(),
        ),
        (
            [complaint(b"oops"), output(&with_length), complaint(b"!"), end(0, 0)].concat(),
            200,
            b"body".to_vec(),
        ),
        (answer(b"Status: 404 Not Here\n\nno"), 404, b"no".to_vec()),
        (answer(b"Location: /x\r\n\r\n"), 302, b"".to_vec()),
        (answer(b"Status: 304\r\nETag: \"a\"\r\n\r\n"), 304, b"".to_vec()),
        (answer(b"Status: 204\r\n\r\nwhat nobody asked for"), 204, b"".to_vec()),
        // The application ended badly, after it had said everything.
        ([output(&with_length), end(255, 0)].concat(), 200, b"body".to_vec()),
    ];
    let stage = stage_of(cases.iter().map(|(bytes, _, _)| bytes.clone()).collect());
    let mut client = stage.client();
    for (number, (_, status, body)) in cases.iter().enumerate() {
        let response = client.get(&format!("/{number}.php"));
        assert_eq!(response.status, *status, "{number}");
        assert!(response.body == *body, "{number}: {:?}", response.text());
    }
    let response = client.request("HEAD", "/1.php", &[], b"");
    assert_eq!((response.status, response.header("Content-Length")), (200, Some("4")));
    assert_eq!(client.get("/8.php").headers.get("Status"), None);
    stage.canary();
    assert_eq!(stage.server.connections().len(), 1);
}

#[test]
fn what_is_no_answer_is_a_502_with_its_reason() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), "record_version"),
        (vec![2, 6, 0, 1, 0, 0, 0, 0], "record_version"),
        ([output(HEAD), record(6, 2, b"x", 0), end(0, 0)].concat(), "record_request_id"),
        ([output(HEAD), record(3, 2, &[0; 8], 0), end(0, 0)].concat(), "record_request_id"),
        ([record(10, 0, b"", 0), answer(HEAD)].concat(), "record_type"),
        ([record(11, 0, &[0; 8], 0), answer(HEAD)].concat(), "record_type"),
        ([record(99, 1, b"", 0), answer(HEAD)].concat(), "record_type"),
        ([record(1, 1, &[0; 8], 0), answer(HEAD)].concat(), "record_type"),
        ([output(HEAD), record(3, 1, &[0; 7], 0)].concat(), "bad_end_request"),
        ([output(HEAD), end(0, 9)].concat(), "bad_end_request"),
        ([record(6, 1, b"", 0), output(HEAD), end(0, 0)].concat(), "output_after_its_end"),
        (end(0, 0), "no_head"),
        (end(1, 0), "no_head"),
        ([output(b"Content-Type: a"), end(0, 0)].concat(), "no_head"),
        (end(0, 1), "cannot_multiplex"),
        (end(0, 3), "unknown_role"),
        (answer(b"\r\n"), "leading_empty_line"),
        (answer(b"<html>\r\n\r\n"), "bad_syntax"),
        (answer(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), "bad_syntax"),
        (answer(b"A: b\r\n folded\r\n\r\n"), "bad_syntax"),
        (answer(b"A: b\0c\r\n\r\n"), "bad_syntax"),
        (answer(b"A: b\rSet-Cookie: c\r\n\r\n"), "bad_syntax"),
        (answer(b"Status: 200\r\nStatus: 500\r\n\r\n"), "bad_status"),
        (answer(b"Status: 101 Switching Protocols\r\n\r\n"), "bad_status"),
        (answer(b"Status: 99\r\n\r\n"), "bad_status"),
        (answer(b"Status: 2000\r\n\r\n"), "bad_status"),
        (answer(b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "bad_coding"),
        (answer(b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "repeated_length"),
        (answer(b"Content-Length: 5, 5\r\n\r\nabcde"), "repeated_length"),
        (answer(b"Content-Length: -1\r\n\r\n"), "bad_length"),
        (answer("X: a\r\n".repeat(12_000)), "head_too_long"),
        (answer(format!("X: {}\r\n\r\n", "a".repeat(20_000))), "field_too_long"),
        // Shorter than it says itself.
        (answer(b"Content-Length: 5\r\n\r\nfour"), "upstream_truncated"),
        ([output(b"Content-Length: 4\r\n\r\nfour"), end(0, 2)].concat(), "upstream_truncated"),
    ];
    let stage = stage_of(cases.iter().map(|(bytes, _)| bytes.clone()).collect());
    for (number, (_, reason)) in cases.iter().enumerate() {
        let response = stage.client().request("POST", &format!("/no-{number}/{number}.php"), &[], b"x");
        assert_eq!(response.status, 502, "{number} {reason}");
        let line = stage.log_line(&format!("/no-{number}/"));
        assert!(line.contains(&format!("\"{reason}\"")), "{number} {line}");
    }
    stage.canary();
}

/// Each cut, each way of ending, each framing: the client never sees a clean end.
#[test]
fn an_answer_that_is_cut_short_is_seen_as_such() {
    let plain = [HEAD, b"some body"].concat();
    let told = b"Content-Length: 9\r\n\r\nsome body".to_vec();
    let mut answers = Vec::new();
    for whole in [&plain, &told] {
        let records =
            [output(&whole[..whole.len() - 4]), output(&whole[whole.len() - 4..]), end(0, 0)].concat();
        // Behind the first record with the head, in the header, the content, the end.
        for cut in [whole.len() + 4, whole.len() + 9, whole.len() + 14, records.len() - 16, records.len() - 1]
        {
            answers.push(records[..cut].to_vec());
        }
    }
    // All that was promised came, but for the record that says so.
    answers.push(output(&told));
    let count = answers.len();
    for how in [Step::Close, Step::Reset] {
        let answers = answers.clone();
        let stage = Stage::new(move |request, _| {
            let name = request.param("SCRIPT_NAME").unwrap_or_default();
            let number: usize = name.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
            // A pause, so that a reset does not overtake what was sent.
            let script = Script::new().send(answers[number].clone()).pause(Duration::from_millis(20));
            script.then(how.clone())
        });
        for number in 0..count {
            let target = format!("/{number}.php");
            let is_told = number >= 5;
            let mut client = stage.client();
            client.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
            let outcome = client.try_read_response();
            match outcome {
                // A client that was told the length, and got all of it, has a whole answer.
                Ok(response) if response.status == 200 => {
                    assert!(is_told && response.body == b"some body", "{number} {response:?}");
                    assert!(client.is_closed(SOON), "{number}");
                }
                Ok(response) => assert_eq!(response.status, 502, "{number}"),
                Err(error) => assert!(is_end(&error), "{number} {error}"),
            }
            let mut client = H2Client::connect(stage.front());
            let stream = client.open("GET", &target, &[], true);
            let outcome = client.outcome(stream);
            assert!(
                outcome.as_ref().is_ok_and(|response| response.status == 502) || outcome.is_err(),
                "{number}"
            );
            let line = stage.log_line(&format!("\"{target}\""));
            assert!(line.contains("upstream_truncated") || line.contains("upstream_closed"), "{line}");
        }
        stage.canary();
    }
}

#[test]
fn more_than_was_announced_is_cut_off_and_the_connection_is_not_used_again() {
    let surplus = answer(b"Content-Length: 2\r\n\r\nok and more");
    let split = [output(b"Content-Length: 2\r\n\r\nok"), output(b" and more"), end(0, 0)].concat();
    let behind = [answer(b"Content-Length: 2\r\n\r\nok"), answer(b"Content-Length: 4\r\n\r\nevil")].concat();
    let junk = [answer(b"Content-Length: 2\r\n\r\nok"), b"x".to_vec()].concat();
    let unending = output(b"Content-Length: 2\r\n\r\nok and more and no end");
    let cases = [surplus, split, behind, junk, unending];
    let stage = stage_of(cases.to_vec());
    for number in 0..cases.len() {
        let mut client = stage.client();
        let response = client.get(&format!("/{number}.php"));
        assert_eq!((response.status, response.text()), (200, "ok"), "{number}");
        stage.canary();
        let used = stage.server.requests().last().map(|request| request.connection);
        let connections = stage.server.connections().len();
        assert_eq!(used, Some(connections - 1), "{number}");
        assert_eq!(connections, number + 2, "{number}");
    }
}

#[test]
fn what_comes_on_an_idle_connection_is_nobodys_answer() {
    // The end and, later, an answer to a question that nobody has asked.
    let stage = Stage::new(|_, _| {
        Script::new()
            .send(answer(b"Content-Length: 2\r\n\r\nok"))
            .pause(Duration::from_millis(50))
            .send(answer(b"Content-Length: 4\r\n\r\nevil"))
    });
    let before = stage.server.connections().len();
    assert_eq!(stage.client().get("/a.php").text(), "ok");
    poll_until(SOON, "the answer that nobody asked for", || {
        std::thread::sleep(Duration::from_millis(80));
        true
    });
    stage.canary();
    assert_eq!(stage.server.connections().len(), before + 2);
}

#[test]
fn a_server_without_room_is_a_503_and_another_one_is_asked() {
    let stage = Stage::new(|_, _| Script::new().send(end(0, 2)));
    let response = stage.client().request("POST", "/a.php", &[], b"body");
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("5")));
    assert!(stage.log_line("/a.php").contains("upstream_overloaded"));
    assert_eq!(stage.server.requests().len(), 1, "it is not asked again");
    stage.canary();

    let full = testkit::FastCgi::start(|_, _| Script::new().send(end(0, 2)));
    let free = testkit::FastCgi::start(|request, _| plain(std::str::from_utf8(&request.body).unwrap()));
    let more = format!(
        r#"
        upstreams.two = {{ endpoints = ["{}", "{}"], protocol = "fastcgi", fastcgi = {{ root = "/" }} }}
        routes.two = {{ path = "/two", upstream = "two" }}
        "#,
        full.address(),
        free.address()
    );
    let stage = Stage::before(testkit::FastCgi::start(|_, _| plain("")), &more);
    // It has not looked at the request: also what may be done once only is done by the other one.
    for number in 0..4 {
        let body = number.to_string();
        let response = stage.client().request("POST", "/two/a.php", &[], body.as_bytes());
        assert_eq!((response.status, response.text()), (200, body.as_str()));
    }
    assert!(!full.requests().is_empty());
    assert_eq!(free.requests().len(), 4);
}

#[test]
fn complaints_are_told_within_limits() {
    let stage = Stage::new(|_, _| {
        let long = complaint("PHP Warning:  \x1b[2J something\nin a.php ".to_owned() + &"x".repeat(60_000));
        Script::new().send([long, answer(b"Content-Length: 2\r\n\r\nok")].concat())
    });
    for _ in 0..3 {
        assert_eq!(stage.client().get("/a.php").text(), "ok");
    }
    stage.palisade.wait_stderr("says: PHP Warning:  \\u{1b}[2J something\\nin a.php xxx", SOON);
    stage.palisade.wait_stderr("more bytes)", SOON);
    let told = stage.palisade.stderr();
    assert!(told.len() < 4000, "{told}");
    assert!(!told.contains('\x1b'));
    let metrics = Metrics::scrape(stage.palisade.address("admin"));
    assert_eq!(
        metrics.sum("upstream_events_total", &["event=\"application_error\"", "upstream=\"php\""]),
        3.0
    );
    stage.canary();
}

/// Complaints and empty records are no progress: who sends nothing else is silent.
#[test]
fn a_server_that_says_nothing_that_counts_runs_out_of_time() {
    for (name, noise) in [("complaints", complaint(b"still here")), ("padding", record(7, 1, b"", 200))] {
        let stage = Stage::new(move |request, _| {
            let is_late = request.param("QUERY_STRING") == Some("late");
            let head = if is_late { output([HEAD, b"a"].concat()) } else { Vec::new() };
            let mut script = Script::new().send(head);
            for _ in 0..400 {
                script = script.send(noise.clone()).pause(Duration::from_millis(5));
            }
            script.send(answer(b"\r\n"))
        });
        assert_eq!(stage.client().get("/quick/a.php").status, 504, "{name}");
        assert!(stage.log_line("\"/quick/a.php\"").contains("upstream_read_timeout"));
        let mut client = stage.client();
        client.send("GET /quick/b.php?late HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(is_end(&client.try_read_response().unwrap_err()), "{name}");
        assert!(stage.log_line("\"/quick/b.php?late\"").contains("upstream_read_timeout"));
        stage.canary();
    }
}

#[test]
fn pieces_are_passed_on_as_they_come() {
    let barrier = Arc::new(Barrier::new(2));
    let server = {
        let barrier = barrier.clone();
        testkit::Origin::raw(move |mut connection, _| {
            use std::io::{Read, Write};
            // The whole request comes in one piece, as it is small.
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(&output([HEAD, b"first"].concat()));
            barrier.wait();
            let _ = connection.write_all(&answer(b"second"));
        })
    };
    let more = format!(
        r#"
        upstreams.live = {{ endpoints = ["{}"], protocol = "fastcgi", fastcgi = {{ root = "/" }} }}
        routes.live = {{ path = "/live", upstream = "live" }}
        "#,
        server.address()
    );
    let stage = Stage::before(testkit::FastCgi::start(|_, _| plain("")), &more);
    let mut client = stage.client();
    client.send("GET /live/a.php HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    poll_until(SOON, "the first piece", || {
        client.is_closed(Duration::from_millis(20));
        client.unread().contains("5\r\nfirst\r\n")
    });
    assert!(!client.unread().contains("second"));
    barrier.wait();
    let text = String::from_utf8(client.read_to_end()).unwrap();
    assert!(text.ends_with("5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"), "{text}");
}

#[test]
fn long_answers_arrive_whole_whatever_their_records() {
    const LEN: usize = 3 << 20;
    let stage = Stage::new(|request, _| {
        let body = pattern(LEN);
        let size: usize = request.param("QUERY_STRING").unwrap().parse().unwrap();
        let records: Vec<u8> = body
            .chunks(size)
            .flat_map(|piece| [record(6, 1, piece, (piece.len() % 8) as u8), complaint(b"")].concat())
            .collect();
        Script::new().send(output(HEAD)).send(records).send(end(0, 0))
    });
    let mut client = stage.client();
    for size in [100, 8184, 65_535] {
        let response = client.get(&format!("/a.php?{size}"));
        assert_eq!(response.status, 200);
        assert!(response.body == pattern(LEN), "{size}");
    }
    stage.canary();
}

/// The server has answered and reads no more; the client sends on. Nobody waits for ever, and nothing is mixed up.
#[test]
fn an_answer_may_come_before_the_request_is_complete() {
    let server = testkit::Origin::raw(|mut connection, _| {
        use std::io::{Read, Write};
        let mut first = [0; 4096];
        let _ = connection.read(&mut first);
        let _ = connection.write_all(&answer(b"Status: 413\r\nContent-Length: 3\r\n\r\nno!"));
        let _ = std::io::copy(&mut connection, &mut std::io::sink());
    });
    let more = format!(
        r#"
        upstreams.early = {{ endpoints = ["{}"], protocol = "fastcgi", fastcgi = {{ root = "/" }} }}
        routes.early = {{ path = "/early", upstream = "early", request_body = "stream" }}
        "#,
        server.address()
    );
    let stage =
        Stage::before(testkit::FastCgi::start(|request, _| crate::stage::canary(request).unwrap()), &more);
    for _ in 0..3 {
        let mut client = stage.client();
        client.send("POST /early/a.php HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\nbegin");
        let response = client.read_response();
        assert_eq!((response.status, response.text()), (413, "no!"));
    }
    assert_eq!(server.connections().len(), 3, "a connection in the middle of a request is not used again");
    stage.canary();
}
