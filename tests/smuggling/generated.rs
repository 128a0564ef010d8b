//! Requests that a grammar makes up: every mixture of what has ever split two readers. Each is refused with
//! nothing sent on, or what arrives at the origin is read in one way by three readers of different habits -
//! and so was what the client sent.
//!
//! `PALISADE_DIFFERENTIAL=20000` sets how many; `PALISADE_SEED=7` repeats a run.

use std::time::Duration;

use testkit::{Client, canary};

use crate::readers::{Message, READERS, read_all};
use crate::stage::{SMUGGLED, SOON, Stage};

const MESSAGES: usize = 2000;

#[test]
fn what_is_passed_on_has_one_reading() {
    try_all("/p", &|stage| {
        assert_eq!(stage.origin.unclaimed_bytes(), 0, "bytes of refused messages at the origin");
    });
}

/// Of a body that turns bad on its way the origin has the beginning, which must not look like a request.
#[test]
fn what_is_passed_on_as_it_comes_has_one_reading() {
    try_all("/stream/p", &|_| {});
}

fn try_all(path: &str, check_refused: &dyn Fn(&Stage)) {
    let count = number_from("PALISADE_DIFFERENTIAL").unwrap_or(MESSAGES as u64) as usize;
    let seed = number_from("PALISADE_SEED").unwrap_or_else(|| std::process::id().into());
    println!("PALISADE_SEED={seed}");
    let stage = Stage::new();
    let mut random = Random::new(seed);
    let mut passed = 0;
    for number in 0..count {
        let message = make_up(path, &mut random);
        let shown = format!("message {number} of seed {seed}: {}", message.escape_ascii());
        let whole = send(&stage, &message, &[], &shown);
        let mut cuts = [random.below(message.len() + 1), random.below(message.len() + 1)];
        cuts.sort_unstable();
        let cut = send(&stage, &message, &cuts, &shown);
        assert_eq!(whole, cut, "cut at {cuts:?}: {shown}");
        passed += usize::from(!whole.requests.is_empty());
        if number % 50 == 49 {
            canary(stage.front(), &stage.origin);
            check_refused(&stage);
            stage.origin.forget();
        }
    }
    // A generator that only makes rubbish, or only good requests, tests nothing.
    println!("{passed} of {count} were passed on");
    assert!(passed * 50 > count && passed * 10 < count * 9, "{passed} of {count} were passed on");
}

/// What became of a message: the answers that the client got and the requests that the origin got.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    statuses: Vec<u16>,
    requests: Vec<Message>,
}

fn send(stage: &Stage, message: &[u8], cuts: &[usize], shown: &str) -> Outcome {
    let before = stage.origin.requests().len();
    let mut client = stage.connect();
    let mut sent = 0;
    for &end in cuts.iter().chain([&message.len()]) {
        let _ = client.try_send(&message[sent..end]);
        if end < message.len() {
            // So that the pieces are mostly read one by one; nothing is wrong when they are not.
            std::thread::sleep(Duration::from_micros(100));
        }
        sent = end;
    }
    client.finish_sending();
    let statuses = read_statuses(&mut client, shown);

    let requests = stage.origin.requests().split_off(before);
    assert_eq!(stage.origin.violations(), [""; 0], "{shown}");
    let raw: Vec<u8> = requests.iter().flat_map(|request| request.raw.clone()).collect();
    let readings = READERS.map(|reader| read_all(reader, &raw));
    let first =
        readings[0].clone().unwrap_or_else(|| panic!("not even read: {}\n{shown}", raw.escape_ascii()));
    assert!(readings.iter().all(|reading| reading.as_ref() == Some(&first)), "{readings:#?}\n{shown}");
    assert_eq!(first.len(), requests.len(), "{shown}");

    // One answer for each request, and at most one more, which refuses what follows.
    assert!(statuses.len() >= requests.len(), "{statuses:?}: {shown}");
    assert!(statuses[..requests.len()].iter().all(|status| *status == 200), "{statuses:?}: {shown}");
    assert!(statuses.len() <= requests.len() + 1, "{statuses:?}: {shown}");
    if let Some(refusal) = statuses.get(requests.len()) {
        assert!([400, 405, 413, 414, 417, 431, 501, 505].contains(refusal), "{statuses:?}: {shown}");
    }
    // What the client sent was clear, too: whoever stands before us cut it in the same places.
    for reader in READERS {
        let sent = read_prefix(reader, message, first.len());
        assert_eq!(sent.as_ref(), Some(&first), "a reader before us would differ: {shown}");
    }
    Outcome { statuses, requests: first }
}

fn read_statuses(client: &mut Client, shown: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    loop {
        match client.try_read_response() {
            Ok(response) => statuses.push(response.status),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && client.unread().is_empty() => {
                assert!(client.is_closed(SOON), "{shown}");
                return statuses;
            }
            Err(error) => panic!("{error}: {shown}"),
        }
    }
}

/// The first `count` requests in what the client sent.
fn read_prefix(reader: crate::readers::Reader, message: &[u8], count: usize) -> Option<Vec<Message>> {
    let mut rest = message;
    let mut messages = Vec::new();
    for _ in 0..count {
        let (message, after) = reader(rest)?;
        messages.push(message);
        rest = after;
    }
    Some(messages)
}

/// One message of the grammar. Most parts are good most of the time, so that the bad one is found alone.
fn make_up(path: &str, random: &mut Random) -> Vec<u8> {
    let mut message = Vec::new();
    let end_line = |random: &mut Random, message: &mut Vec<u8>| {
        message.extend_from_slice(random.mostly(
            60,
            b"\r\n",
            &[b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b"\0\r\n", b"\r\n "],
        ));
    };
    message.extend_from_slice(random.mostly(
        8,
        b"POST",
        &[b"GET", b"PUT", b"post", b"P(ST", b"DELETE", b"H(AD", b""],
    ));
    message.extend_from_slice(random.mostly(40, b" ", &[b"  ", b"\t", b"", b" \x0b"]));
    let target = random.mostly(
        20,
        b"P",
        &[b"P?x=1", b"http://aP", b"http://bP", b"P#x", b"P\x80", b"*", b"P HTTP/1.1"],
    );
    message.extend(
        target
            .iter()
            .flat_map(|byte| if *byte == b'P' { path.as_bytes() } else { std::slice::from_ref(byte) }),
    );
    message.extend_from_slice(random.mostly(
        40,
        b" HTTP/1.1",
        &[b" HTTP/1.0", b"  HTTP/1.1", b"", b" HTTP/1.2", b" http/1.1", b" HTTP/1.1 "],
    ));
    end_line(random, &mut message);

    let mut lines = vec![
        random
            .mostly(
                30,
                b"Host: a",
                &[b"", b"Host: b\r\nHost: a", b"Host : a", b"Host: a,b", b"Host: a/", b"hOST:a"],
            )
            .to_vec(),
    ];
    for _ in 0..1 + random.below(3) {
        match random.below(5) {
            0 | 1 => lines.push(length_line(random)),
            2 | 3 => lines.push(coding_line(random)),
            _ => lines.push(other_line(random)),
        }
    }
    random.shuffle(&mut lines);
    for line in lines.iter().filter(|line| !line.is_empty()) {
        message.extend_from_slice(line);
        end_line(random, &mut message);
    }
    end_line(random, &mut message);
    message.extend(body(random));
    if random.below(3) == 0 {
        message.extend_from_slice(SMUGGLED.as_bytes());
    }
    if random.below(4) == 0 {
        garble(random, &mut message);
    }
    message
}

/// A byte that means something to a reader, put in or in place of another, or one left out.
fn garble(random: &mut Random, message: &mut Vec<u8>) {
    let at = random.below(message.len());
    let byte = random.pick(&[
        b"\r", b"\n", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"5", b"a", b"_", b"\x0b", b"\x80", b"\xa0",
    ])[0];
    match random.below(3) {
        0 => message.insert(at, byte),
        1 => message[at] = byte,
        _ => drop(message.remove(at)),
    }
}

fn length_line(random: &mut Random) -> Vec<u8> {
    let name = random.mostly(
        12,
        b"Content-Length",
        &[
            b"content-length",
            b"CONTENT-LENGTH",
            b"Content_Length",
            b"Content-Length ",
            b" Content-Length",
            b"Content-Length\t",
            b"Content\x00-Length",
            b"Content-Lengt\xe8",
            b"X-Content-Length",
            b"Content-Length\x0b",
            b"ContentLength",
        ],
    );
    let colon = random.mostly(20, b": ", &[b":", b":\t", b":  ", b"::", b" : ", b":\r\n ", b":\x0b", b""]);
    let value = random.mostly(
        3,
        b"5",
        &[
            b"0",
            b"05",
            b"10",
            b"+5",
            b"-5",
            b"5 ",
            b"0x5",
            b"5,5",
            b"5, 6",
            b"5;",
            b"5_0",
            b"",
            b"5\x0b",
            b"1e1",
            b"5 5",
            b"five",
            b"4294967301",
            b"18446744073709551621",
            b"\"5\"",
            b"38",
            b"43",
            b"5\0",
            b"5.0",
        ],
    );
    [name, colon, value].concat()
}

fn coding_line(random: &mut Random) -> Vec<u8> {
    let name = random.mostly(
        12,
        b"Transfer-Encoding",
        &[
            b"transfer-encoding",
            b"Transfer_Encoding",
            b"Transfer-Encoding ",
            b"\tTransfer-Encoding",
            b"Transfer-Encoding\x0b",
            b"Transfer-\0Encoding",
            b"TransferEncoding",
            b"X-Transfer-Encoding",
            b"Transfer-Encodin\xe7",
        ],
    );
    let colon = random.mostly(20, b": ", &[b":", b":\t", b"::", b" : ", b":\r\n ", b":\n ", b":\x0c"]);
    let value = random.mostly(
        3,
        b"chunked",
        &[
            b"Chunked",
            b"CHUNKED",
            b"identity",
            b"chunked, identity",
            b"identity, chunked",
            b"gzip, chunked",
            b"chunked,",
            b",chunked",
            b"chunked;q=1",
            b"xchunked",
            b"chunked\x0b",
            b"\x0bchunked",
            b"chun ked",
            b"'chunked'",
            b"\"chunked\"",
            b"chunked\0",
            b"",
            b"chunked, chunked",
            b"chunked\r\n",
            b"cow",
            b"\xa0chunked",
        ],
    );
    [name, colon, value].concat()
}

fn other_line(random: &mut Random) -> Vec<u8> {
    let lines: [&[u8]; 16] = [
        b"X: y",
        b"Connection: close",
        b"Connection: Content-Length",
        b"Connection: Transfer-Encoding",
        b"Connection: keep-alive, X",
        b"Expect: 100-continue",
        b"Expect: x",
        b"Upgrade: h2c",
        b"Connection: Upgrade\r\nUpgrade: websocket",
        b"TE: trailers",
        b"X: y\nContent-Length: 5",
        b"X: y\rContent-Length: 5",
        b"X: y\r\n Content-Length: 5",
        b": y",
        b"X",
        b"Trailer: X",
    ];
    random.pick(&lines).to_vec()
}

fn body(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => b"hello".to_vec(),
        1 => b"0\r\n\r\n".to_vec(),
        _ => {
            let mut body = Vec::new();
            for _ in 0..random.below(3) {
                body.extend_from_slice(random.mostly(
                    12,
                    b"5",
                    &[
                        b"05",
                        b"0x5",
                        b"+5",
                        b" 5",
                        b"5 ",
                        b"5;a=b",
                        b"5;",
                        b"5;a=\"b\"",
                        b"5;\n",
                        b"ffffffffffffffff5",
                        b"100000005",
                        b"-5",
                        b"",
                        b"5\t",
                    ],
                ));
                body.extend_from_slice(random.mostly(25, b"\r\n", &[b"\n", b"\r", b"\r\r\n", b"\0\r\n"]));
                body.extend_from_slice(random.mostly(
                    25,
                    b"hello",
                    &[b"hell", b"hello!", b"\r\n\r\n0", b"0\r\n\r\n"],
                ));
                body.extend_from_slice(random.mostly(25, b"\r\n", &[b"\n", b"\r", b"", b"XX", b"\r\n\r\n"]));
            }
            body.extend_from_slice(random.mostly(
                12,
                b"0",
                &[b"00", b"0;a", b"-0", b"0x0", b"", b"0 ", b"0;\n"],
            ));
            body.extend_from_slice(random.mostly(25, b"\r\n", &[b"\n", b"\r"]));
            body.extend_from_slice(random.mostly(
                12,
                b"",
                &[b"X: y\r\n", b"Content-Length: 5\r\n", b"X: y\n", b" X: y\r\n", b"X : y\r\n", b"X\r\n"],
            ));
            body.extend_from_slice(random.mostly(25, b"\r\n", &[b"\n", b"\r", b"", b"\r\n\r\n"]));
            body
        }
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// A small generator (splitmix64): the same seed gives the same messages on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A number from 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % limit as u64) as usize
    }

    fn pick<'a>(&mut self, choices: &[&'a [u8]]) -> &'a [u8] {
        choices[self.below(choices.len())]
    }

    /// One of `others` once in `odds` times.
    fn mostly<'a>(&mut self, odds: usize, usual: &'a [u8], others: &[&'a [u8]]) -> &'a [u8] {
        if self.below(odds) == 0 { self.pick(others) } else { usual }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}
