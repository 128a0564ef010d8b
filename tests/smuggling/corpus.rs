//! The corpus of the HTTP/1 codec, sent through the whole proxy: what the codec says of a message alone must
//! be what happens to it on a connection.

use std::path::Path;
use std::time::Duration;

use testkit::{Client, Origin, RecordedRequest, canary, canary_on};

use crate::stage::{SOON, Stage, json};
use cases::{Accept, Case, Expect};

#[allow(dead_code, reason = "its other users need more of it")]
#[path = "../../crates/http1/tests/shared/corpus.rs"]
mod cases;

/// Both kinds of messages as whole requests; a chunked body comes behind a head of its own.
fn requests() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/http1/corpus");
    let mut requests = cases::read_folder(&folder.join("request"));
    for mut case in cases::read_folder(&folder.join("chunked")) {
        let head = b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        case.input = [head, &case.input[..]].concat();
        if let Expect::Accept(accept) = &mut case.expect {
            accept.summary = "POST /chunked 1.1 host=a body=chunked keep-alive".to_owned();
            accept.fields = None;
        }
        requests.push(case);
    }
    assert!(requests.len() > 250, "only {} requests", requests.len());
    requests
}

#[test]
fn every_message_of_the_corpus_is_refused_or_reaches_the_origin_with_its_meaning() {
    send_all(&|client, message| client.try_send(message).unwrap_or_default());
}

#[test]
fn no_cut_changes_what_becomes_of_a_message() {
    let mut random = crate::generated::Random::new(0x5eed);
    let random = std::cell::RefCell::new(&mut random);
    send_all(&|client, message| {
        let mut cuts = [0, 1].map(|_| random.borrow_mut().below(message.len() + 1));
        cuts.sort_unstable();
        for piece in [&message[..cuts[0]], &message[cuts[0]..cuts[1]], &message[cuts[1]..]] {
            // The pause lets the proxy read the piece alone; nothing is wrong when it does not.
            std::thread::sleep(Duration::from_micros(300));
            let _ = client.try_send(piece);
        }
    });
}

fn send_all(send: &dyn Fn(&mut Client, &[u8])) {
    let stage = Stage::before(Origin::echo(), "defaults.max_body_size = \"unlimited\"");
    let mut reasons = Vec::new();
    for case in requests() {
        let mut client = stage.connect();
        // What follows the message is another test's business.
        let rest = if let Expect::Accept(accept) = &case.expect { accept.rest.len() } else { 0 };
        send(&mut client, &case.input[..case.input.len() - rest]);
        match &case.expect {
            Expect::Accept(accept) => match fate(accept, &case.input) {
                Fate::PassedOn => accepted(&stage, &mut client, accept, &case.name),
                Fate::AnsweredHere(status) => {
                    assert_eq!(client.read_response().status, status, "{}", case.name)
                }
                Fate::Refused(status, reason) => {
                    refused(&mut client, &case, &[status]);
                    reasons.push((reason.to_owned(), case.name.clone()));
                }
            },
            Expect::Reject(reason) => {
                refused(&mut client, &case, &[400, 414, 417, 431, 501, 505]);
                reasons.push((reason.clone(), case.name.clone()));
            }
            Expect::Incomplete => {
                client.finish_sending();
                assert_eq!(client.read_to_end(), b"", "{}", case.name);
                if !case.input.is_empty() {
                    reasons.push(("client_closed".to_owned(), case.name.clone()));
                }
            }
        }
        canary(stage.front(), &stage.origin);
        let requests = stage.origin.requests();
        let others = requests.iter().filter(|request| !request.target.starts_with("/canary-"));
        let passed_on =
            matches!(&case.expect, Expect::Accept(accept) if fate(accept, &case.input) == Fate::PassedOn);
        assert_eq!(others.count(), usize::from(passed_on), "{}: requests at the origin", case.name);
        assert_eq!(stage.origin.unclaimed_bytes(), 0, "{}: bytes at the origin", case.name);
        stage.origin.forget();
    }
    let lines = stage.palisade.wait_access_log(reasons.len(), |line| line.contains("\"reason\""));
    for (line, (reason, name)) in lines.iter().zip(&reasons) {
        let found = json(line)["reason"].as_str().unwrap().to_owned();
        // A first byte that begins no method is refused before the line it stands in is complete.
        let hasty = reason == "leading_empty_line" && found == "bad_syntax";
        assert!(found == *reason || hasty, "{name}: {line}");
    }
    assert_eq!(lines.len(), reasons.len());
}

#[track_caller]
fn refused(client: &mut Client, case: &Case, statuses: &[u16]) {
    let response = client.try_read_response().unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert!(statuses.contains(&response.status), "{}: {}", case.name, response.status);
    assert_eq!(response.header("Connection"), Some("close"), "{}", case.name);
    assert!(client.is_closed(SOON), "{}", case.name);
    assert_eq!(client.unread(), "", "{}", case.name);
}

#[track_caller]
fn accepted(stage: &Stage, client: &mut Client, accept: &Accept, name: &str) {
    let summary = Summary::of(accept);
    let response =
        if summary.method == "HEAD" { client.read_response_to_head() } else { client.read_response() };
    assert_eq!(response.status, 200, "{name}");
    let requests = stage.origin.requests();
    let request: &RecordedRequest =
        requests.last().unwrap_or_else(|| panic!("{name}: nothing at the origin"));
    assert_eq!(request.method.as_bytes(), cases::unescape(summary.method).unwrap(), "{name}");
    assert_eq!(request.version, "HTTP/1.1", "{name}");
    let target = String::from_utf8(cases::unescape(summary.target).unwrap()).unwrap();
    match canonical_target(&target) {
        Some(canonical) => assert_eq!(request.target, canonical, "{name}"),
        None => assert_eq!(request.target, target, "{name}"),
    }
    let host = request.header("Host").unwrap().replace(".:", ":").trim_end_matches('.').to_ascii_lowercase();
    let expected = if summary.port.is_empty() {
        summary.host.to_owned()
    } else {
        format!("{}:{}", summary.host, summary.port)
    };
    assert_eq!(host, expected, "{name}");
    assert_eq!(request.body, accept.body, "{name}");
    if summary.keeps_alive {
        canary_on(client, &stage.origin);
    } else {
        assert!(client.is_closed(SOON), "{name}");
    }
}

/// What becomes of a message that the codec accepts.
#[derive(PartialEq, Eq)]
enum Fate {
    PassedOn,
    AnsweredHere(u16),
    /// With the status and the reason: methods and paths that no rule of ours serves.
    Refused(u16, &'static str),
}

fn fate(accept: &Accept, input: &[u8]) -> Fate {
    let summary = Summary::of(accept);
    let last_hop = input.windows(17).any(|window| window == b"Max-Forwards: 0\r\n");
    let words: Vec<&[u8]> = input.split(|byte| *byte == b' ').collect();
    match summary.method {
        _ if words[1].starts_with(b"https://") => Fate::Refused(421, "wrong_scheme"),
        "CONNECT" | "TRACE" => Fate::Refused(405, "method_refused"),
        "OPTIONS" if last_hop => Fate::AnsweredHere(204),
        _ if summary.target.contains("/%2f") => Fate::Refused(400, "path_encoded_slash"),
        _ => Fate::PassedOn,
    }
}

/// The paths of the corpus that have another canonical form.
fn canonical_target(target: &str) -> Option<&'static str> {
    match target {
        "//evil.test/x" => Some("/evil.test/x"),
        _ => None,
    }
}

/// `GET /p 1.1 host=a port=80 body=none keep-alive ...`
struct Summary<'a> {
    method: &'a str,
    target: &'a str,
    host: &'a str,
    port: &'a str,
    keeps_alive: bool,
}

impl Summary<'_> {
    fn of(accept: &Accept) -> Summary<'_> {
        let words: Vec<&str> = accept.summary.split(' ').collect();
        let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)).unwrap_or_default();
        Summary {
            method: words[0],
            target: words[1],
            host: value("host="),
            port: value("port="),
            keeps_alive: words.contains(&"keep-alive"),
        }
    }
}
