//! Known attacks on HTTP/2, each bounded in count: the attacker is cut off or held to his limits, and an honest
//! client is served all the while.

use std::time::Duration;

use testkit::http2::{Block, encode, error, kind, setting};
use testkit::{Frame, H2Client, SOON, poll_until};

use crate::honest::Stage;

const MIB: u64 = 1 << 20;

/// Sends `frame(n)` for each n until the server hangs up; at most `count` of them.
fn flood(client: &mut H2Client, count: u32, mut frame: impl FnMut(u32) -> Frame) {
    for batch in (0..count).collect::<Vec<_>>().chunks(100) {
        let bytes: Vec<u8> = batch.iter().flat_map(|&number| frame(number).to_bytes()).collect();
        if client.try_send_raw(bytes).is_err() || !client.take_in(Duration::from_millis(1)) {
            return;
        }
    }
}

/// The attacker is sent away, and told to calm down where he is told anything.
#[track_caller]
fn is_sent_away(client: &mut H2Client) {
    assert!(client.is_closed(SOON), "the attacker may stay");
    if let Some((_, code)) = client.goaway() {
        assert_eq!(code, error::ENHANCE_YOUR_CALM, "the code of GOAWAY");
    }
}

fn get(client: &H2Client, path: &str) -> Vec<u8> {
    encode(&client.head("GET", path, &[]))
}

#[test]
fn rapid_reset() {
    let stage = Stage::new();
    stage.withstands(64 * MIB, || {
        let mut client = stage.client();
        let block = get(&client, "/held");
        flood(&mut client, 20_000, |number| {
            let stream = number / 2 * 2 + 1;
            match number % 2 {
                0 => Frame::headers(stream, block.clone(), true),
                _ => Frame::reset(stream, error::CANCEL),
            }
        });
        is_sent_away(&mut client);
    });
    // RST_STREAM gives no place back before the work is really over.
    assert!(stage.origin.connections().len() <= 250, "{} connections", stage.origin.connections().len());
}

/// The server is made to reset what the client has opened.
#[test]
fn made_you_reset() {
    type Provoke = fn(u32) -> Frame;
    let ways: [(&str, Provoke); 3] = [
        ("a window update by nothing", |stream| Frame::window_update(stream, 0)),
        ("a window that overflows", |stream| Frame::window_update(stream, (1 << 31) - 1)),
        ("a short PRIORITY", |stream| Frame::new(kind::PRIORITY, 0, stream, [0; 4])),
    ];
    for (name, provoke) in ways {
        let stage = Stage::new();
        stage.withstands(64 * MIB, || {
            let mut client = stage.client();
            let block = get(&client, "/held");
            flood(&mut client, 4_000, |number| {
                let stream = number / 2 * 2 + 1;
                if number % 2 == 0 { Frame::headers(stream, block.clone(), true) } else { provoke(stream) }
            });
            assert!(client.is_closed(SOON), "{name}: the attacker may stay");
        });
        let connections = stage.origin.connections().len();
        assert!(connections <= 250, "{name}: {connections} connections to the origin");
    }
}

/// The same by requests that are none, and by trailers that may not be: what is found wrong behind the frames counts too.
#[test]
fn made_you_refuse() {
    let stage = Stage::new();
    stage.withstands(64 * MIB, || {
        let mut client = stage.client();
        let block = encode(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("Upper", "case")]);
        flood(&mut client, 4_000, |number| Frame::headers(2 * number + 1, block.clone(), true));
        is_sent_away(&mut client);
    });
    stage.withstands(64 * MIB, || {
        let mut client = stage.client();
        let head = encode(&client.head("POST", "/echo", &[]));
        let trailers = encode(&[("connection", "close")]);
        flood(&mut client, 4_000, |number| {
            let stream = number / 2 * 2 + 1;
            let block = if number % 2 == 0 { &head } else { &trailers };
            Frame::headers(stream, block.clone(), number % 2 == 1)
        });
        is_sent_away(&mut client);
    });
}

/// Requests that are taken back in the same breath go to no origin, however few they are.
#[test]
fn requests_that_come_and_go_in_one_breath() {
    let stage = Stage::new();
    let mut client = stage.client();
    assert_eq!(client.get("/canary-1").text(), "1");
    let block = get(&client, "/gone");
    let frames = (0..40u32).flat_map(|number| {
        let stream = 2 * number + 101;
        [Frame::headers(stream, block.clone(), true), Frame::reset(stream, error::CANCEL)]
    });
    client.send_raw(frames.flat_map(|frame| frame.to_bytes()).collect::<Vec<u8>>());
    let last = encode(&client.head("GET", "/canary-2", &[]));
    client.send(&Frame::headers(1001, last, true));
    assert_eq!(client.response(1001).text(), "2");
    let asked: Vec<_> = stage.origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/canary-1", "/canary-2"]);
}

#[test]
fn a_block_without_an_end() {
    for piece in [0usize, 1, 16_000] {
        let stage = Stage::new();
        stage.withstands(64 * MIB, || {
            let mut client = stage.client();
            let block = get(&client, "/");
            client.send(&Frame::headers_begun(1, block, true));
            flood(&mut client, 5_000, |_| Frame::continuation(1, vec![b'a'; piece], false));
            assert!(client.is_closed(SOON), "pieces of {piece} bytes: the attacker may stay");
        });
        assert!(stage.origin.requests().iter().all(|request| request.target.starts_with("/canary-")));
    }
}

/// One entry of the table, asked for thousands of times, on streams that stay open.
#[test]
fn hpack_bomb_with_windows_held() {
    let stage = Stage::new();
    stage.withstands(64 * MIB, || {
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = H2Client::connect_with(stage.front(), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
            client.hold_windows();
            let mut first = Block::new().raw(get(&client, "/bytes/100")).remembered("a", "");
            for _ in 0..3000 {
                first = first.indexed(62);
            }
            let block: Vec<u8> = Block::new().raw(get(&client, "/bytes/100")).raw([0x80 | 62; 3000]).into();
            let _ = client.try_send(&Frame::headers(1, first, true));
            flood(&mut client, 100, |number| Frame::headers(3 + 2 * number, block.clone(), true));
            clients.push(client);
        }
    });
    assert!(stage.origin.requests().iter().all(|request| request.headers.len() < 200), "too many fields");
}

/// Frames that ask for work and carry nothing; the client does not read.
#[test]
fn floods_of_control_frames() {
    type Make = fn(u32) -> Frame;
    let floods: [(&str, Make); 3] = [
        ("SETTINGS", |number| Frame::settings(&[(setting::HEADER_TABLE_SIZE, number % 2 * 4096)])),
        ("PING", |number| Frame::ping(u64::from(number).to_be_bytes())),
        ("unknown frames", |_| Frame::new(0xfa, 0, 0, [])),
    ];
    for (name, frame) in floods {
        let stage = Stage::new();
        stage.withstands(64 * MIB, || {
            let mut client = stage.client();
            client.stop_acknowledging();
            let mut sent = Vec::new();
            for number in 0..50_000 {
                sent.extend(frame(number).to_bytes());
            }
            // Whether it is taken or not: it is bounded, and costs little.
            client.stream().set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            for piece in sent.chunks(16_384) {
                if client.try_send_raw(piece).is_err() || !client.take_in(Duration::from_millis(1)) {
                    break;
                }
            }
        });
        eprintln!("{name}: withstood");
    }
}

/// The same on a stream: DATA without bytes, PRIORITY, WINDOW_UPDATE.
#[test]
fn floods_on_a_stream() {
    type Make = fn(u32) -> Frame;
    let floods: [Make; 4] = [
        |_| Frame::data(1, [], false),
        |_| Frame::padded_data(1, b"", 0, false),
        |number| Frame::priority(1, 0, number as u8),
        |_| Frame::window_update(1, 1),
    ];
    for frame in floods {
        let stage = Stage::new();
        stage.withstands(64 * MIB, || {
            let mut client = stage.client();
            client.open("POST", "/echo", &[], false);
            flood(&mut client, 50_000, frame);
        });
    }
}

/// A hundred large answers that nobody takes.
#[test]
fn windows_that_stay_shut() {
    let stage = Stage::new();
    stage.withstands(128 * MIB, || {
        let mut client = H2Client::connect_with(stage.front(), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
        client.hold_windows();
        let block = get(&client, "/bytes/10000000");
        flood(&mut client, 100, |number| Frame::headers(1 + 2 * number, block.clone(), true));
        poll_until(SOON, "answers to wait for a window", || {
            client.take_in(Duration::from_millis(50));
            (0..100).filter(|number| client.status(1 + 2 * number) == Some(200)).count() >= 50
                || client.is_closed(Duration::from_millis(1))
        });
    });
}

/// Padding and bodies that are cut off use the window up, and it must come back (RFC 9113 §6.9).
#[test]
fn windows_come_back_after_padding_and_resets() {
    let stage = Stage::new();
    let mut client = stage.client();
    for _ in 0..90 {
        let stream = client.open("POST", "/echo", &[], false);
        let frames = [
            Frame::padded_data(stream, b"x", 255, false),
            Frame::padded_data(stream, &[b'y'; 8000], 255, false),
        ];
        for frame in frames {
            client.spend(stream, frame.payload.len() as i64);
            client.send(&frame);
        }
        client.send(&Frame::data(stream, [], true));
        assert_eq!(client.response(stream).body.len(), 8001);
    }
    for _ in 0..10 {
        let stream = client.open("POST", "/echo", &[], false);
        client.spend(stream, 8000);
        client.send(&Frame::data(stream, vec![0; 8000], false));
        client.send(&Frame::reset(stream, error::CANCEL));
    }
    let body = vec![b'z'; 1 << 20];
    assert!(client.request("POST", "/echo", &[], &body).body == body);
    assert_eq!(client.goaway(), None);
}
